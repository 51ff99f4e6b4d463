/**
 * SERVICE CALL and the commands of the service-call logical processor (QEMU hw/s390x/sclp.c; s390x facts 12). A command
 * is finished within SERVC; its end is told by external interruption 2401 all the same.
 */

import { type Machine, PGM, ProgramInterruption, type Vcpu } from '../../../hypervisor/machine_api.ts';
import { Mutex, type Task } from '../../../kernel/lib/task.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import { SCCB_HEADER, SCLP_RC, Sccb } from './sccb.ts';
import type { SignalQuiesce } from './sclp_console.ts';
import { EventFacility, type SclpEvent } from './sclp_events.ts';
import { readCpuInfo, readScpInfo, type SclpInfo } from './sclp_info.ts';

/** Command words; the two low bytes are a class and a version that vary, these are the forms guests use. */
export const SCLP_CMDW = {
  READ_CPU_INFO: 0x00010001,
  READ_SCP_INFO: 0x00020001,
  READ_SCP_INFO_FORCED: 0x00120001,
  WRITE_EVENT_DATA: 0x00760005,
  READ_EVENT_DATA: 0x00770005,
  WRITE_EVENT_MASK: 0x00780005,
} as const;

/** The control block is 8-aligned and below 2 GiB. */
const SCCB_ADDRESS_INVALID = 0x8000_0007;
const PAGE = 4096;
/** Lowcore is 8 KiB at 0 and at the prefix; no control block may lie there. */
const LOWCORE_MASK = ~0x1fff;
/** Condition codes. */
const ACCEPTED = 0;
const BUSY = 2;
/** Low bit of the service signal's parameter: an event waits. */
const EVENT_PENDING = 1;

interface Command {
  readonly name: string;
  readonly handler: (sclp: Sclp, sccb: Sccb) => number;
}

/** The commands, one row each. */
export const SCLP_COMMANDS: Readonly<Record<number, Command>> = {
  [SCLP_CMDW.READ_SCP_INFO]: { name: 'read SCP info', handler: (sclp, sccb) => readScpInfo(sccb, sclp.info) },
  [SCLP_CMDW.READ_SCP_INFO_FORCED]: {
    name: 'read SCP info, forced',
    handler: (sclp, sccb) => readScpInfo(sccb, sclp.info),
  },
  [SCLP_CMDW.READ_CPU_INFO]: { name: 'read CPU info', handler: (sclp, sccb) => readCpuInfo(sccb, sclp.info) },
  [SCLP_CMDW.WRITE_EVENT_MASK]: { name: 'write event mask', handler: (sclp, sccb) => sclp.events.writeMask(sccb) },
  [SCLP_CMDW.WRITE_EVENT_DATA]: { name: 'write event data', handler: (sclp, sccb) => sclp.events.writeData(sccb) },
  [SCLP_CMDW.READ_EVENT_DATA]: { name: 'read event data', handler: (sclp, sccb) => sclp.events.readData(sccb) },
};

export class Sclp {
  readonly info: SclpInfo;
  readonly events: EventFacility;
  readonly #machine: Machine;
  readonly #lock = new Mutex('sclp');

  /** @param events what consoles and shutdown offer: see `sclp_console.ts`. */
  constructor(machine: Machine, info: SclpInfo, events: readonly SclpEvent[]) {
    this.#machine = machine;
    this.info = info;
    this.events = new EventFacility(events);
  }

  /** SERVC. @returns condition code. @throws ProgramInterruption */
  *servc(vcpu: Vcpu): Task<number> {
    if (vcpu.problemState) throw new ProgramInterruption(PGM.PRIVILEGED);
    const command = low32(vcpu.gpr(vcpu.text[3] >> 4));
    const address = low32(vcpu.gpr(vcpu.text[3] & 0xf));
    if (!this.#lock.tryLock()) return BUSY;
    try {
      const sccb = yield* this.#fetch(address, vcpu.prefix);
      sccb.header.responseCode = this.#execute(command, address, sccb);
      yield* this.#machine.memory.write(address, sccb.bytes);
    } finally {
      this.#lock.unlock();
    }
    yield* this.#machine.injectService((address & ~7) | (this.events.pending ? EVENT_PENDING : 0));
    return ACCEPTED;
  }

  /** The control block. @throws ProgramInterruption specification or addressing */
  *#fetch(address: number, prefix: number): Task<Sccb> {
    const area = address & LOWCORE_MASK;
    if ((address & SCCB_ADDRESS_INVALID) !== 0 || area === 0 || area === (prefix & LOWCORE_MASK))
      throw new ProgramInterruption(PGM.SPECIFICATION);
    const { length } = SCCB_HEADER.at(dataView(yield* this.#machine.memory.read(address, SCCB_HEADER.size)));
    if (length < SCCB_HEADER.size) throw new ProgramInterruption(PGM.SPECIFICATION);
    // A block that leaves its page is answered in its header, and only the part in the page is looked at.
    return new Sccb(yield* this.#machine.memory.read(address, Math.min(length, PAGE - (address % PAGE))));
  }

  #execute(command: number, address: number, sccb: Sccb): number {
    const row = SCLP_COMMANDS[command];
    if (row === undefined) return SCLP_RC.INVALID_SCLP_COMMAND;
    if ((address % PAGE) + sccb.header.length > PAGE) return SCLP_RC.SCCB_BOUNDARY_VIOLATION;
    return row.handler(this, sccb);
  }

  /** Asks the guest to shut down. */
  *quiesce(event: SignalQuiesce): Task {
    event.request();
    yield* this.tell();
  }
  /** An event has come to wait: the guest is told, if it wants such. */
  *tell(): Task {
    if (this.events.pending) yield* this.#machine.injectService(EVENT_PENDING);
  }
  /** Machine reset. */
  reset(): void {
    this.events.reset();
  }
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
