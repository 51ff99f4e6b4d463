/** For unit tests: a channel subsystem with one I/O processor under the simulated scheduler, and a kernel to drive it. */

import { CCW0, CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { IRB, type Irb } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS, SCHIB, type Schib } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_CTRL, SCSW_FCTL_START_FUNC } from '../../../kernel/include/arch/s390/scsw.ts';
import { Doorbell } from '../../../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { StorageKeys } from '../../../kernel/lib/storage_keys.ts';
import { type Actor, sleep, type Task, until } from '../../../kernel/lib/task.ts';
import { enableTrace, Tracer } from '../../../kernel/lib/trace.ts';
import { readTrace } from '../../../kernel/lib/trace_reader.ts';
import type { ChannelDevice, CommandEnding, DataPort } from './channel_device.ts';
import { ChannelSubsystem } from './channel_subsystem.ts';
import { installDevices } from './install_devices.ts';
import { type DeviceConfig, type IoProcessor, spawnIoProcessor } from './io_processor.ts';

/** Where things lie in the test's memory. */
const KERNEL_DOORBELL = 0x1000;
const IOP_DOORBELL = 0x1080;
const TRACE_ENABLE = 0x1100;
const CSS = 0x2000;
const STORAGE_KEYS = 0x24000;
const TRACE_RING = 0x30000;
export const FIRST_FRAME = 0x80000;
export const MEMORY_SIZE = 0x200000;
/** Where tests put programs and data. */
export const PROGRAM = FIRST_FRAME + 0x1000;
export const DATA = FIRST_FRAME + 0x10000;

/** A CCW in a test: command, flags, count, address. */
export type TestCcw = readonly [command: number, flags: number, count: number, cda: number];
/** The parts of an ORB that tests choose. */
export interface TestOrb {
  readonly intparm?: number;
  /** Bits of control halfword 0; format 1 unless `F` is 0. */
  readonly ctrl0?: Partial<Record<keyof typeof ORB_CTRL0.mask, number>>;
  readonly ctrl1?: number;
  readonly lpm?: number;
  readonly cpa?: number;
}

/** What a test wants different of the machine. */
export interface TestMachineOptions {
  readonly seed?: number;
  /** Channel paths of every subchannel; [80] when omitted. */
  readonly chpids?: readonly number[];
  /** True: storage keys are checked; all are zero at first. */
  readonly protection?: boolean;
}

export class TestMachine {
  readonly memory = new HostMemory(createMemory(MEMORY_SIZE));
  readonly simulation: Simulation;
  readonly kernel: Actor;
  readonly css: ChannelSubsystem;
  readonly iop: IoProcessor;
  readonly keys: StorageKeys;

  /** Devices are installed in this order on their subchannels, and enabled with subclass 3. @param how or the seed. */
  constructor(devices: readonly DeviceConfig[], how: TestMachineOptions | number = {}) {
    const { memory } = this;
    const { seed = 1, chpids, protection = false } = typeof how === 'number' ? { seed: how } : how;
    this.keys = new StorageKeys(memory, STORAGE_KEYS);
    this.simulation = new Simulation(seed);
    this.kernel = this.simulation.actor('kernel');
    installDevices(
      memory,
      CSS,
      devices.map(({ schid }) => ({ schid, devno: 0x100 + schid, chpids })),
    );
    const actor = this.simulation.actor('iop0');
    this.iop = spawnIoProcessor(actor, {
      memory,
      cssBase: CSS,
      firstFrame: FIRST_FRAME,
      storageKeys: protection ? this.keys : undefined,
      kernelDoorbell: new Doorbell(memory, KERNEL_DOORBELL),
      tracer: new Tracer(memory, TRACE_ENABLE, TRACE_RING, () => actor.now()),
      iop: 0,
      devices,
    });
    this.css = new ChannelSubsystem(memory, CSS, { iopDoorbells: [new Doorbell(memory, IOP_DOORBELL)] });
    enableTrace(memory, TRACE_ENABLE, '*');
    for (const { schid } of devices) this.modify(schid, () => {});
  }

  /** Enables a subchannel and changes its SCHIB as `change` says. */
  modify(schid: number, change: (schib: Schib) => void): void {
    const schib = this.schib(schid);
    schib.pmcw.flags |= PMCW_FLAGS.set(PMCW_FLAGS.mask.E, 'ISC', 3);
    change(schib);
    if (this.css.msch(schid, schib) !== 0) throw new Error('MSCH failed');
  }

  /** Switches concurrent sense on. */
  concurrentSense(schid = 0): void {
    this.modify(schid, ({ pmcw }) => {
      pmcw.chars |= PMCW_CHARS.mask.CSENSE;
    });
  }

  schib(schid = 0): Schib {
    const schib = SCHIB.make();
    this.css.stsch(schid, schib);
    return schib;
  }

  /** Runs the kernel's task to its end and returns what it returns. */
  run<T>(task: Task<T>, maxSteps = 100_000): T {
    let result: { value: T } | undefined;
    this.kernel.spawn(
      'driver',
      (function* () {
        result = { value: yield* task };
      })(),
    );
    this.simulation.run(() => result !== undefined, maxSteps);
    return (result as { value: T }).value;
  }

  /** Writes CCWs at `at`; format 1 unless told. Returns the address. */
  program(ccws: readonly TestCcw[], at = PROGRAM, format: 0 | 1 = 1): number {
    const { dv } = this.memory;
    for (const [i, [cmd, flags, count, cda]] of ccws.entries()) {
      if (format === 1) Object.assign(CCW1.at(dv, at + i * 8), { cmd, flags, count, cda });
      else Object.assign(CCW0.at(dv, at + i * 8), { cmd, cdaHigh: cda >>> 16, cda: cda & 0xffff, flags, count });
    }
    return at;
  }

  ssch(orb: TestOrb = {}, schid = 0): number {
    let ctrl0 = 0;
    for (const [name, value] of Object.entries({ F: 1, ...orb.ctrl0 }))
      ctrl0 = ORB_CTRL0.set(ctrl0, name as keyof typeof ORB_CTRL0.mask, value);
    const { intparm = 0x1234, ctrl1 = 0, lpm = 0xff, cpa = PROGRAM } = orb;
    return this.css.ssch(schid, ORB.make({ intparm, ctrl0, ctrl1, lpm, cpa }));
  }

  /** Waits for the next I/O interruption and tests its subchannel. */
  *interruption(): Task<{ schid: number; intparm: number; irb: Irb }> {
    yield* until('I/O interruption', () => this.css.interruptionPending());
    const pending = this.css.tpi();
    if (pending === undefined) throw new Error('the interruption went away');
    const irb = IRB.make();
    this.css.tsch(pending.schid, irb);
    return { ...pending, irb };
  }

  /** Starts a program on subchannel 0 and returns the IRB of its end; intermediate interruptions are passed over. */
  *io(ccws: readonly TestCcw[], orb: TestOrb = {}): Task<Irb> {
    this.program(ccws, orb.cpa ?? PROGRAM, orb.ctrl0?.F === 0 ? 0 : 1);
    const cc = this.ssch(orb);
    if (cc !== 0) throw new Error(`SSCH cc${cc}`);
    for (;;) {
      const { irb } = yield* this.interruption();
      if ((irb.scsw.ctrl & 0x0006) !== 0 || (irb.scsw.ctrl & SCSW_FCTL_START_FUNC) === 0) return irb;
    }
  }

  /** {@link io}, run at once. */
  start(ccws: readonly TestCcw[], orb: TestOrb = {}): Irb {
    return this.run(this.io(ccws, orb));
  }

  /** Lets everything run for `ns` of virtual time. */
  elapse(ns: number): void {
    this.run(sleep(this.kernel, ns));
  }

  /** Tests a subchannel whose status is pending, without an interruption. */
  tsch(schid = 0): Irb {
    const irb = IRB.make();
    if (this.css.tsch(schid, irb) !== 0) throw new Error('no status is pending');
    return irb;
  }

  bytes(at: number, length: number): Uint8Array {
    return this.memory.bytes(at, length).slice();
  }
  put(at: number, data: Iterable<number>): number {
    this.memory.u8.set([...data], at);
    return at;
  }

  /** Names of the trace events recorded by the I/O processor. */
  trace(): string[] {
    return readTrace(this.memory, [{ actor: 'iop0', hpa: TRACE_RING }]).map(({ event }) => event);
  }
}

/** Status control, device status, subchannel status and residual count of an IRB, for comparing. */
export function statusOf({ scsw }: Irb) {
  const stctl = SCSW_CTRL.get(scsw.ctrl, 'stctl');
  return { stctl, dstat: scsw.dstat, cstat: scsw.cstat, count: scsw.count };
}

/** A device for tests: what each command does is given, and what was written to it is kept. */
export class TestDevice implements ChannelDevice {
  readonly type = 'test';
  readonly taken: Uint8Array[] = [];
  readonly commands: number[] = [];
  present = true;
  /** Paths, as a mask, on which selection fails. */
  deadPaths = 0;
  /** Paths on which programs began. */
  readonly paths: number[] = [];
  /** Status with which the next starts are answered. */
  readonly busy: number[] = [];
  /** Ending status gets lost so often. */
  lost = 0;
  #first = false;
  begun = 0;
  ended = 0;
  resets = 0;
  endStatus = 0;
  readonly #behaviour: (command: number, port: DataPort, device: TestDevice) => Task<CommandEnding>;

  constructor(behaviour: (command: number, port: DataPort, device: TestDevice) => Task<CommandEnding>) {
    this.#behaviour = behaviour;
  }
  operational(path: number): boolean {
    return this.present && (this.deadPaths & path) === 0;
  }
  begin(path: number): void {
    this.begun++;
    this.paths.push(path);
    this.#first = true;
  }
  *execute(command: number, port: DataPort): Task<CommandEnding> {
    const status = this.#first ? this.busy.shift() : undefined;
    this.#first = false;
    if (status !== undefined) return { status };
    this.commands.push(command);
    return yield* this.#behaviour(command, port, this);
  }
  loseEnding(): boolean {
    if (this.lost === 0) return false;
    this.lost--;
    return true;
  }
  end(): number {
    this.ended++;
    return this.endStatus;
  }
  takeSense(): Uint8Array {
    return new Uint8Array(32).fill(0xa5);
  }
  reset(): void {
    this.resets++;
  }
  close(): void {}
}

/** Device end and channel end. */
export const CE_DE = 0x0c;
/** What {@link testDevice} gives to a read. */
export const PATTERN = Uint8Array.from({ length: 64 }, (_, i) => i + 1);

/**
 * 02/0C: gives 64 bytes. 01: takes up to 64 bytes. 03: no operation, at once. 0B: control taking 4 bytes. 06: busy for
 * 1 ms, then as 02. 13: status modifier. 04: gives sense. 0E: unit check. 1E: unit exception. 07: channel end at once,
 * device end 1 ms later; 17: with unit check; 27: with status modifier.
 */
export function testDevice(): TestDevice {
  return new TestDevice(function* (command, port, device) {
    switch (command) {
      case 0x06:
        yield* port.delay(1e6);
        port.give(PATTERN);
        break;
      case 0x02:
      case 0x0c:
        port.give(PATTERN);
        break;
      case 0x01:
        device.taken.push(port.take(PATTERN.length));
        break;
      case 0x0b:
        device.taken.push(port.take(4));
        break;
      case 0x03:
        return { status: CE_DE, immediate: true };
      case 0x13:
        return { status: CE_DE | 0x40, immediate: true };
      case 0x07:
        return { status: 0x08, immediate: true, deviceEnd: { ns: 1e6 } };
      case 0x17:
        return { status: 0x08, immediate: true, deviceEnd: { ns: 1e6, status: 0x02 } };
      case 0x27:
        return { status: 0x08, immediate: true, deviceEnd: { ns: 1e6, status: 0x40 } };
      case 0x04:
        port.give(device.takeSense());
        break;
      case 0x0e:
        return { status: CE_DE | 0x02 };
      default:
        return { status: CE_DE | 0x01 };
    }
    return { status: CE_DE };
  });
}
