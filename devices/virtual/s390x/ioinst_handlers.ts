/** The I/O instructions' handlers: operands in, functions of the channel subsystem, operands out. */

import { PGM, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import { CRW_ERC, CRW_RSC } from '../../../kernel/include/arch/s390/crw.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { SCHIB, type Schib } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_ACTL_DEVICE_ACTIVE, SCSW_ACTL_SUBCH_ACTIVE } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import { chsc as answerChsc, CHSC_REQUEST } from './chsc.ts';
import { channelReport, crwBytes } from './crw_queue.ts';
import { VIRTUAL_CSSID } from './css.ts';
import * as css_functions from './css_functions.ts';
import { CC_UNCHANGED, type Intercept } from './intercept.ts';
import { CC, type Subchannel } from './subchannel.ts';
import { subchannelId } from './subchannel_id.ts';
import { interruptionResponse, tschConditionCode, tschUpdate } from './tsch.ts';
import { orbValid, schibValid } from './validity.ts';

const operandException = () => new ProgramInterruption(PGM.OPERAND);

/** A copy of a structure the guest gives. */
function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * Runs `body` on the subchannel GR1 names, alone; cc 3 without one. The body is a function of the module and no closure:
 * V8 takes microseconds to make a generator function, and to run one that it has not seen. @throws ProgramInterruption operand
 */
function* onSubchannel<T>(
  intercept: Intercept,
  body: (sch: Subchannel, intercept: Intercept, operand: T) => Task<number>,
  operand: T,
): Task<number> {
  const { css, gr1 } = intercept;
  const id = subchannelId(gr1);
  const sch = css.find(id);
  if (sch === undefined) return CC.NOT_OPERATIONAL;
  yield* sch.lock.lock();
  try {
    // It may have been unplugged while this CPU waited.
    return css.find(id) === sch ? yield* body(sch, intercept, operand) : CC.NOT_OPERATIONAL;
  } finally {
    sch.lock.unlock();
  }
}

export function csch(intercept: Intercept): Task<number> {
  return onSubchannel(intercept, (sch, { css }) => css_functions.csch(css, sch), undefined);
}
export function hsch(intercept: Intercept): Task<number> {
  return onSubchannel(intercept, (sch, { css }) => css_functions.hsch(css, sch), undefined);
}
export function rsch(intercept: Intercept): Task<number> {
  return onSubchannel(intercept, (sch, { css }) => css_functions.rsch(css, sch), undefined);
}
export function xsch(intercept: Intercept): Task<number> {
  return onSubchannel(intercept, cancel, undefined);
}
function* cancel(sch: Subchannel): Task<number> {
  return css_functions.xsch(sch);
}

export function* msch(intercept: Intercept): Task<number> {
  const { vcpu, operand } = intercept;
  const schib = SCHIB.at(view(yield* vcpu.read(operand, SCHIB.size)));
  // A bad identification and a bad block are the same exception: their order shows nowhere.
  if (!schibValid(schib)) throw operandException();
  return yield* onSubchannel(intercept, modify, schib);
}
function* modify(sch: Subchannel, _: Intercept, schib: Schib): Task<number> {
  return css_functions.msch(sch, schib);
}

export function* ssch(intercept: Intercept): Task<number> {
  const { css, vcpu, operand } = intercept;
  const bytes = yield* vcpu.read(operand, ORB.size);
  // A request of its own for each CPU that is about to start something; V8 takes long to give a small array a view.
  const orb = css.spareOrbs.pop() ?? ORB.make();
  try {
    for (let i = 0; i < ORB.size; i++) orb.dv.setUint8(i, bytes[i]);
    subchannelId(intercept.gr1);
    if (!orbValid(orb)) throw operandException();
    return yield* onSubchannel(intercept, start, orb);
  } finally {
    css.spareOrbs.push(orb);
  }
}
function start(sch: Subchannel, { css, operand }: Intercept, orb: Orb): Task<number> {
  const { tracer } = css.machine;
  if (sch.passthrough && tracer.on(sch.startEvent)) tracer.point(sch.startEvent, sch.traceId, Number(operand));
  return css_functions.ssch(css, sch, orb);
}

export function* stsch(intercept: Intercept): Task<number> {
  const { css, vcpu, gr1, operand } = intercept;
  // Access exceptions come before the operand exception.
  yield* vcpu.checkWrite(operand, SCHIB.size);
  const id = subchannelId(gr1);
  if (css.find(id) === undefined) {
    if (css.beyondLast(id)) return CC.NOT_OPERATIONAL;
    yield* vcpu.write(operand, new Uint8Array(SCHIB.size));
    return CC.EXPECTED;
  }
  return yield* onSubchannel(intercept, store, undefined);
}
function* store(sch: Subchannel, { vcpu, operand }: Intercept): Task<number> {
  if (sch.operations.updateSchib !== undefined) yield* sch.operations.updateSchib(sch);
  yield* vcpu.write(operand, SCHIB.bytes(sch.schib).slice());
  return CC.EXPECTED;
}

export function* tsch(intercept: Intercept): Task<number> {
  const { css, vcpu, gr1, operand } = intercept;
  const id = subchannelId(gr1);
  if ((low32(operand) & 3) !== 0) throw new ProgramInterruption(PGM.SPECIFICATION);
  if (css.find(id) === undefined) {
    yield* vcpu.checkWrite(operand, IRB.size);
    return CC.NOT_OPERATIONAL;
  }
  return yield* onSubchannel(intercept, test, undefined);
}
function* test(sch: Subchannel, { css, vcpu, operand }: Intercept): Task<number> {
  const cc = tschConditionCode(sch);
  if (cc === CC.NOT_OPERATIONAL) {
    yield* vcpu.checkWrite(operand, IRB.size);
    return cc;
  }
  yield* vcpu.write(operand, interruptionResponse(sch));
  tschUpdate(sch);
  if (cc === CC.EXPECTED) yield* css.withdrawInterruption(sch);
  return cc;
}

/** Real address of the interruption code in lowcore: three words (SA22-7832 chapter 3, "Assigned Storage Locations"). */
const LOWCORE_IO_CODE = 0xb8;

export function* tpi({ css, vcpu, operand, dequeued }: Intercept): Task<number> {
  if (dequeued === undefined) return 0;
  const code = new Uint8Array(12);
  const words = view(code);
  words.setUint32(0, dequeued.subsystemId);
  words.setUint32(4, dequeued.intparm);
  words.setUint32(8, dequeued.word);
  if (operand === 0n) yield* css.machine.memory.write(vcpu.prefix + LOWCORE_IO_CODE, code);
  else yield* vcpu.write(operand, code.subarray(0, 8));
  return 1;
}

/** Reserved bits of SAL's GR1: a limit is a 31-bit multiple of 64 KiB. */
const SAL_RESERVED = 0x8000_ffff;

export function* sal({ gr1 }: Intercept): Task<number> {
  // Address-limit checking is not offered: the limit is only checked.
  if ((low32(gr1) & SAL_RESERVED) !== 0) throw operandException();
  return CC_UNCHANGED;
}

export function* stcrw({ css, vcpu, operand }: Intercept): Task<number> {
  const report = css.reports.take();
  try {
    yield* vcpu.write(operand, report === undefined ? new Uint8Array(4) : crwBytes(report));
  } catch (error) {
    if (report !== undefined) css.reports.putBack(report);
    throw error;
  }
  return report === undefined ? 1 : 0;
}

/** Bytes of a channel-path-status word: a bit per CHPID. */
const PATH_STATUS = 32;

export function* stcps({ css, vcpu, operand }: Intercept): Task<number> {
  yield* vcpu.checkWrite(operand, PATH_STATUS);
  // A path is known to be in use from the status of the subchannels: those last used by what runs. QEMU stores nothing.
  const status = new Uint8Array(PATH_STATUS);
  for (const sch of css.subchannels()) for (const chpid of activePaths(sch)) status[chpid >> 3] |= 0x80 >> (chpid & 7);
  yield* vcpu.write(operand, status);
  return CC_UNCHANGED;
}

/** CHPIDs over which the subchannel has something running. */
function activePaths({ schib: { pmcw, scsw } }: Subchannel): number[] {
  if ((scsw.ctrl & (SCSW_ACTL_SUBCH_ACTIVE | SCSW_ACTL_DEVICE_ACTIVE)) === 0) return [];
  return [...pmcw.chpid].filter((_, i) => (pmcw.lpum & (0x80 >> i)) !== 0);
}

/** Reserved bits of RCHP's GR1: all but CSSID and CHPID. */
const RCHP_RESERVED = 0xff00_ff00;

export function* rchp({ css, gr1 }: Intercept): Task<number> {
  const word = low32(gr1);
  const cssid = (word >>> 16) & 0xff;
  const chpid = word & 0xff;
  if ((word & RCHP_RESERVED) !== 0 || cssid !== (css.mcsse ? VIRTUAL_CSSID : 0)) throw operandException();
  // A path of the host is not the guest's to reset: as QEMU says of paths that are not virtual, not operational.
  const path = css.paths.get(chpid);
  if (path === undefined || !path.isVirtual) return CC.NOT_OPERATIONAL;
  const init = (rsid: number, chained: boolean) =>
    css.queueReport(channelReport(CRW_RSC.CHP, CRW_ERC.INIT, rsid, { solicited: true, chained }));
  yield* init(chpid, css.mcsse);
  if (css.mcsse) yield* init(cssid << 8, false);
  return CC.EXPECTED;
}

/** SCHM's GR1: bits 32 to 35 are the measurement-block key; reserved bits, measurement-block-update and device-connect-time control. */
const SCHM = { KEY_SHIFT: 28, RESERVED: 0x0fff_fffc, UPDATE: 2, CONNECT_TIME: 1 } as const;

export function* schm({ css, vcpu, gr1 }: Intercept): Task<number> {
  const word = low32(gr1);
  const origin = vcpu.gpr(2);
  const update = (word & SCHM.UPDATE) !== 0;
  if ((word & SCHM.RESERVED) !== 0 || (update && origin % 32n !== 0n)) throw operandException();
  const connectTime = (word & SCHM.CONNECT_TIME) !== 0;
  const key = word >>> SCHM.KEY_SHIFT;
  css.measurement =
    update || connectTime ? { origin: update ? Number(origin) : undefined, key, connectTime } : undefined;
  return CC_UNCHANGED;
}

/** Least and most bytes of a CHSC request. */
const CHSC_LENGTH = { least: 16, most: 4088 } as const;

export function* chsc({ css, vcpu }: Intercept): Task<number> {
  const address = vcpu.gpr(vcpu.text[3] >> 4);
  if (address % 4096n !== 0n) throw new ProgramInterruption(PGM.SPECIFICATION);
  const request = CHSC_REQUEST.at(view(yield* vcpu.read(address, CHSC_REQUEST.size)));
  const { length } = request;
  if (length < CHSC_LENGTH.least || length > CHSC_LENGTH.most || length % 8 !== 0) throw operandException();
  yield* vcpu.write(address + BigInt(length), answerChsc(css, request));
  return 0;
}
