/** A channel device with which things go wrong: any other device, between it and the channel the configured faults. */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import { FAULT_KINDS, type FaultConfig } from '../../../kernel/include/fault_kinds.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import type { ChannelDevice, CommandEnding, DataPort, DeviceHost, Trouble } from '../css/channel_device.ts';
import { FAULT_EFFECTS, type ProgramFaults } from './fault_effects.ts';
import { FaultLots } from './fault_lots.ts';

export interface FaultyDeviceOptions {
  readonly schid: number;
  readonly faults: readonly FaultConfig[];
  /** Seed of the machine. */
  readonly seed: number;
  /** Records every strike as `ccw_fault`. */
  readonly tracer?: Tracer;
}

/** Initial status: the command is not accepted. */
function* answerBusy(): Task<CommandEnding> {
  return { status: DSTAT.BUSY };
}

export class FaultyDevice implements ChannelDevice {
  readonly type: string;
  readonly #inner: ChannelDevice;
  readonly #schid: number;
  readonly #tracer: Tracer | undefined;
  readonly #command: readonly FaultLots[];
  readonly #program: readonly FaultLots[];
  readonly #path: readonly FaultLots[];
  readonly #suffers: ProgramFaults = { busyNs: undefined, loses: false };
  /** When a lost path comes back (ns, perhaps never), by its bit. */
  readonly #lostUntil = new Map<number, number>();
  /** The device owes a device end. */
  #busy = false;
  /** The program that began last is not let in. */
  #answersBusy = false;
  #host: DeviceHost | undefined;

  /** @throws Error when a fault needs more than the device can do */
  constructor(inner: ChannelDevice, { schid, faults, seed, tracer }: FaultyDeviceOptions) {
    this.type = inner.type;
    this.#inner = inner;
    this.#schid = schid;
    this.#tracer = tracer;
    const lots = faults.map((fault, index) => new FaultLots(fault, seed, schid, index));
    this.#command = lots.filter(({ kind }) => FAULT_EFFECTS[kind].command !== undefined);
    this.#program = lots.filter(({ kind }) => FAULT_EFFECTS[kind].program !== undefined);
    this.#path = lots.filter(({ kind }) => FAULT_EFFECTS[kind].path === true);
    const impossible = lots.find(({ kind }) => FAULT_EFFECTS[kind].trouble !== undefined && inner.fail === undefined);
    if (impossible !== undefined) throw new Error(`a ${inner.type} cannot be given the fault ${impossible.kind}`);
  }

  attach(host: DeviceHost): void {
    this.#host = host;
    this.#inner.attach?.(host);
  }

  operational(path: number): boolean {
    const now = this.#attached().now();
    for (const lots of this.#path) if (this.#strikes(lots, 0)) this.#lostUntil.set(path, now + lots.ns);
    return now >= (this.#lostUntil.get(path) ?? 0) && this.#inner.operational(path);
  }

  begin(path: number): void {
    const suffers = this.#suffers;
    suffers.busyNs = undefined;
    suffers.loses = false;
    // A start that is tried again too early finds the device still busy.
    this.#answersBusy = this.#busy;
    if (this.#answersBusy) return;
    for (const lots of this.#program) if (this.#strikes(lots, 0)) FAULT_EFFECTS[lots.kind].program?.(suffers, lots.ns);
    if (suffers.busyNs === undefined) {
      this.#inner.begin(path);
      return;
    }
    // The program gets no ending of its own that could be lost.
    suffers.loses = false;
    this.#answersBusy = true;
    this.#busy = true;
    this.#attached().presentLater(suffers.busyNs, DSTAT.DEVICE_END, () => {
      this.#busy = false;
    });
  }

  execute(command: number, port: DataPort): Task<CommandEnding> {
    if (this.#answersBusy) return answerBusy();
    // Every fault that strikes wraps the ones before it; the command itself is innermost.
    let go = (through: DataPort) => this.#inner.execute(command, through);
    for (const lots of this.#command) {
      const { applies, command: effect } = FAULT_EFFECTS[lots.kind];
      if (effect === undefined || applies?.(command) !== true || !this.#strikes(lots, command)) continue;
      const inside = go;
      go = (through) => effect({ device: this.#inner, port: through, ns: lots.ns, go: inside });
    }
    return go(port);
  }

  end(): number {
    return this.#inner.end();
  }

  loseEnding(): boolean {
    const { loses } = this.#suffers;
    this.#suffers.loses = false;
    return loses || this.#inner.loseEnding?.() === true;
  }

  fail(trouble: Trouble): number {
    return this.#inner.fail?.(trouble) ?? 0;
  }

  takeSense(): Uint8Array {
    return this.#inner.takeSense();
  }

  reset(): void {
    this.#busy = false;
    this.#suffers.loses = false;
    this.#inner.reset();
  }

  close(): void {
    this.#inner.close();
  }

  #strikes(lots: FaultLots, command: number): boolean {
    if (!lots.draw()) return false;
    this.#tracer?.point(EVENT.ccw_fault, this.#schid, FAULT_KINDS.indexOf(lots.kind), command, lots.strikes);
    return true;
  }

  #attached(): DeviceHost {
    if (this.#host === undefined) throw new Error(`the ${this.type} hangs on no I/O processor`);
    return this.#host;
  }
}
