/** Results of a vfio-ccw device: IRBs and channel reports, fetched when their eventfd is signalled (vfio-ccw facts 2.4, 2.5). */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { CRW } from '../../../kernel/include/arch/s390/crw.ts';
import { IRB, type Irb } from '../../../kernel/include/arch/s390/irb.ts';
import {
  DSTAT,
  SCSW,
  type SCSW_ACTL_CLEAR_PEND,
  SCSW_ACTL_DEVICE_ACTIVE,
  SCSW_ACTL_HALT_PEND,
  SCSW_ACTL_START_PEND,
  SCSW_ACTL_SUBCH_ACTIVE,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FLAGS,
  SCSW_STCTL_STATUS_PEND,
} from '../../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { ccw_crw_region } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import type { ChannelSubsystem } from '../s390x/css.ts';
import { filterSense, synthesizeEsw } from '../s390x/irb.ts';
import { CC, type Subchannel } from '../s390x/subchannel.ts';
import { resultStatus, STCTL_ALERT_END, type SyntheticStatus } from './ccw_errno.ts';
import type { CcwRegions } from './ccw_regions.ts';

/** The device whose results are fetched. */
interface ResultSource {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  readonly sch: Subchannel;
  /** The device in messages. */
  readonly name: string;
  /** -1 once it is unplugged. */
  readonly fd: number;
  readonly regions: CcwRegions;
  /** What was last read of the I/O region, and the IRB in it. The subchannel's lock is held meanwhile. */
  readonly result: Uint8Array;
  readonly irb: Irb;
  /** @see VFIOCCWDevice.hostWorks */
  hostWorks(works: boolean): void;
}

const dataView = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * The I/O eventfd was signalled: the region's IRB becomes the guest's status and the interruption is made pending.
 * Nothing looks whether the status is one the guest waits for; the last IRB wins when several were signalled.
 */
export function* ioNotifier(device: ResultSource): Task {
  const { sch, css, machine } = device;
  // An instruction that is under way ends first: its condition code goes before the interruption.
  yield* sch.lock.lock();
  try {
    // Unplugged while this task waited.
    if (!css.holds(sch)) return;
    const irb = yield* readIrb(device);
    device.hostWorks('scsw' in irb && (irb.scsw.ctrl & (SCSW_ACTL_SUBCH_ACTIVE | SCSW_ACTL_DEVICE_ACTIVE)) !== 0);
    // Neither does a disabled subchannel become status pending: a machine reset may have come before this.
    if (!sch.operational) return;
    if ('scsw' in irb) takeIrb(sch, irb);
    else synthesize(sch, irb);
    yield* css.functionEnded(sch);
    machine.tracer.point(EVENT.vfio_ccw_Q6, sch.traceId, sch.schib.scsw.ctrl & SCSW_CTRL_MASK_STCTL);
    const { intparm } = sch.schib.pmcw;
    machine.tracer.point(EVENT.vfio_ccw_Q7, sch.traceId, intparm, sch.isc);
    yield* css.injectIoInterrupt(sch);
  } finally {
    sch.lock.unlock();
  }
}

/** The IRB in the region, or the status that stands for one that cannot be read. */
function* readIrb({ machine, fd, regions, name, result, irb }: ResultSource): Task<Irb | SyntheticStatus> {
  try {
    const length = yield* machine.sys.preadInto(fd, result, regions.io.offset, `${name} irb`);
    return length === result.length ? irb : resultStatus('short');
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    machine.log(error.message);
    return resultStatus(error.code);
  }
}

/** An IRB of the host's becomes the guest's status. */
export function takeIrb(sch: Subchannel, irb: Irb): void {
  const { dv, address } = irb;
  SCSW.copy(sch.schib.scsw, irb.scsw);
  // Byte by byte: so few are copied before a view of them is made.
  for (let i = 0; i < sch.esw.length; i++) sch.esw[i] = dv.getUint8(address + IRB.offset.esw0 + i);
  for (let i = 0; i < sch.senseData.length; i++) sch.senseData[i] = dv.getUint8(address + IRB.offset.ecw + i);
  filterSense(sch);
}

function synthesize(sch: Subchannel, { stctl, cstat, cc }: SyntheticStatus): void {
  const { scsw } = sch.schib;
  scsw.ctrl = (scsw.ctrl & ~(SCSW_ACTL_START_PEND | SCSW_CTRL_MASK_STCTL)) | stctl;
  scsw.flags = SCSW_FLAGS.set(scsw.flags, 'CC', cc);
  scsw.dstat = 0;
  scsw.cstat = cstat;
  synthesizeEsw(sch);
}

/** Status of a start that never reached the device, and its interruption. */
export function* unitException(css: ChannelSubsystem, sch: Subchannel): Task {
  const { scsw } = sch.schib;
  scsw.ctrl = (scsw.ctrl & ~(SCSW_ACTL_START_PEND | SCSW_CTRL_MASK_STCTL)) | STCTL_ALERT_END;
  // Eight past the first CCW, as if that one had been refused.
  scsw.cpa = sch.orb.cpa + 8;
  scsw.dstat = DSTAT.UNIT_EXCEP;
  scsw.cstat = 0;
  synthesizeEsw(sch);
  yield* css.injectIoInterrupt(sch);
}

/**
 * HSCH or CSCH where the kernel has no such command: the function is only made to look done, on the guest's subchannel.
 * What runs on the host's runs on. QEMU raises no interruption here and the guest waits for one; this VMM raises it.
 * @param pending the function's bit of activity control. @returns condition code
 */
export function* pretendFunction(
  css: ChannelSubsystem,
  sch: Subchannel,
  pending: typeof SCSW_ACTL_HALT_PEND | typeof SCSW_ACTL_CLEAR_PEND,
): Task<number> {
  const { scsw } = sch.schib;
  scsw.ctrl = (scsw.ctrl & ~pending) | SCSW_STCTL_STATUS_PEND;
  scsw.dstat = pending === SCSW_ACTL_HALT_PEND ? DSTAT.DEVICE_END : 0;
  scsw.cstat = 0;
  synthesizeEsw(sch);
  yield* css.injectIoInterrupt(sch);
  return CC.EXPECTED;
}

/** The CRW eventfd was signalled: channel reports until the region has no more. */
export function* crwNotifier({ machine, css, fd, regions, name }: ResultSource): Task {
  const offset = regions.crw?.offset;
  if (offset === undefined) return;
  for (;;) {
    let bytes: Uint8Array;
    try {
      bytes = yield* machine.sys.pread(fd, ccw_crw_region.size, offset, `${name} crw`);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      machine.log(error.message);
      return;
    }
    if (bytes.length !== ccw_crw_region.size) return;
    const { flags, rsid } = CRW.at(dataView(bytes));
    if (flags === 0 && rsid === 0) return;
    yield* css.queueReport({ flags, rsid });
  }
}
