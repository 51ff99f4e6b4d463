/**
 * Tests of the whole machine made of real instructions: a script for `guest/images/script.elf` (layout in
 * `guest/programs/script/script.h`) and what it left in guest storage. Everything is big-endian.
 */
import { fileURLToPath } from 'node:url';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import type { MachineConfig } from '../../hypervisor/config.ts';
import { type SimulatedRun, type SimulateOptions, simulate } from '../../hypervisor/simulate.ts';
import { CCW1 } from '../../kernel/include/arch/s390/ccw.ts';
import { IRB, type Irb } from '../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { SCHIB, type Schib } from '../../kernel/include/arch/s390/schib.ts';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import { AddressSpace } from '../../kernel/lib/address_space.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import { struct, u32, u64 } from '../../kernel/lib/struct.ts';

const SCRIPT_ELF = fileURLToPath(new URL('../../guest/images/script.elf', import.meta.url));
const HEADER = 0x20000;
/** Where a script's own storage begins. */
const FREE = 0x100000;

const OPERATION = struct('operation', 'be', { code: u32, arg: u32, a: u64, b: u64, c: u64 }, { size: 32 });
const RESULT = struct(
  'result',
  'be',
  {
    code: u32,
    cc: u32,
    programCode: u32,
    events: u32,
    began: u64,
    ended: u64,
    subsystemId: u32,
    intparm: u32,
    idWord: u32,
    count: u32,
    mcic: u64,
    reserved: u64,
  },
  { size: 64 },
);

/** Operation codes, in the order of script.h. */
const OPERATIONS = [
  'end',
  'insn',
  'insnProblem',
  'wait',
  'spin',
  'store',
  'iscMask',
  'startSecond',
  'await',
  'flip',
  'copy',
  'run',
  'drain',
] as const;
/** Instructions, in the order of script.h. */
const INSTRUCTIONS = [
  'csch',
  'hsch',
  'msch',
  'ssch',
  'stsch',
  'tsch',
  'tpi',
  'sal',
  'rsch',
  'stcrw',
  'stcps',
  'rchp',
  'schm',
  'xsch',
  'chsc',
  'sske',
  'iske',
] as const;
export type Instruction = (typeof INSTRUCTIONS)[number];
/** Events of a wait. */
export const EVENT = { IO: 1, MACHINE_CHECK: 2, TIMEOUT: 4 } as const;

/** Subsystem-identification word of subchannel `schid` of set 0. */
export function sid(schid: number): number {
  return 0x10000 + schid;
}

/** A CCW of format 1: command, flags, count, address. */
export type Ccw = readonly [command: number, flags: number, count: number, cda: number];

/** The bytes of a program of format-1 CCWs. */
export function ccwBytes(program: readonly Ccw[]): Uint8Array {
  const bytes = new Uint8Array(program.length * CCW1.size);
  for (const [i, [cmd, flags, count, cda]] of program.entries())
    bytes.set(CCW1.bytes(CCW1.make({ cmd, flags, count, cda })), i * CCW1.size);
  return bytes;
}

/** What a test chooses of an ORB; format 1 and prefetch unless `ctrl0` says otherwise. */
export interface OrbFields {
  readonly cpa: number;
  readonly intparm?: number;
  readonly ctrl0?: number;
  readonly lpm?: number;
  readonly ctrl1?: number;
}

/** One CPU's list of operations; every method returns the operation's number. */
class Operations {
  readonly list: { code: number; arg: number; a: bigint; b: bigint; c: bigint }[] = [];

  #add(name: (typeof OPERATIONS)[number], arg = 0, a = 0, b: number | bigint = 0, c: number | bigint = 0): number {
    this.list.push({ code: OPERATIONS.indexOf(name), arg, a: BigInt(a), b: BigInt(b), c: BigInt(c) });
    return this.list.length - 1;
  }
  /** One instruction: GR1, operand address, GR2. */
  insn(name: Instruction, gr1: number, operand = 0, gr2 = 0): number {
    return this.#add('insn', INSTRUCTIONS.indexOf(name), gr1, operand, gr2);
  }
  /** The same in the problem state. */
  insnProblem(name: Instruction, gr1: number, operand = 0, gr2 = 0): number {
    return this.#add('insnProblem', INSTRUCTIONS.indexOf(name), gr1, operand, gr2);
  }
  /** Enabled for `events` until one comes, or for that many microseconds. */
  wait(events: number = EVENT.IO, microseconds = 1_000_000): number {
    return this.#add('wait', events, microseconds);
  }
  spin(microseconds: number): number {
    return this.#add('spin', 0, microseconds);
  }
  store(address: number, value: bigint): number {
    return this.#add('store', 0, address, value);
  }
  /** Loads control register 6; a script begins with ISC 3 only. */
  iscMask(mask: number): number {
    return this.#add('iscMask', 0, mask);
  }
  startSecond(): number {
    return this.#add('startSecond');
  }
  /** Busy until the word at `address` is `value`. */
  await(address: number, value: number, microseconds = 1_000_000): number {
    return this.#add('await', 0, address, value, microseconds);
  }
  /** Stores `first`, then `last`, `times` times. */
  flip(address: number, first: bigint, last: bigint, times: number): number {
    return this.#add('flip', times, address, first, last);
  }
  copy(to: number, from: number, length: number): number {
    return this.#add('copy', length, to, from);
  }
  /** SSCH, and status up to the end of the program into the IRB. */
  run(schid: number, orb: number, irb: number, microseconds = 1_000_000): number {
    return this.#add('run', microseconds, sid(schid), orb, irb);
  }
  /** CSCH until nothing is pending. */
  drain(schid: number, irb: number): number {
    return this.#add('drain', 0, sid(schid), 0, irb);
  }
}

export class IoScript extends Operations {
  /** The second CPU's operations: it begins at {@link startSecond}. */
  readonly second = new Operations();
  readonly #segments: { address: number; bytes: Uint8Array; memorySize: number }[] = [];
  #next = FREE;

  constructor() {
    super();
    this.iscMask(0x10000000);
  }

  /** Puts bytes at an address before the run. */
  put(address: number, bytes: Uint8Array): void {
    this.#segments.push({ address, bytes, memorySize: bytes.length });
  }
  /** Storage of the script's own, zero. */
  alloc(size: number, align = 8): number {
    const address = Math.ceil(this.#next / align) * align;
    this.#next = address + size;
    return address;
  }
  /** Storage with contents. */
  data(bytes: Uint8Array, align = 8): number {
    const address = this.alloc(bytes.length, align);
    this.put(address, bytes);
    return address;
  }
  /** A channel program. */
  program(...ccws: readonly Ccw[]): number {
    return this.data(ccwBytes(ccws));
  }
  /** A channel program that refers to itself. @param length CCWs */
  programAt(length: number, make: (at: number) => readonly Ccw[]): number {
    const at = this.alloc(length * CCW1.size);
    this.put(at, ccwBytes(make(at)));
    return at;
  }
  orb(fields: OrbFields): number {
    const { F, P } = ORB_CTRL0.mask;
    return this.data(ORB.bytes(ORB.make({ ctrl0: F | P, lpm: 0x80, intparm: 0x12345678, ...fields })));
  }
  irb(): number {
    return this.alloc(IRB.size + 32);
  }
  /** STSCH, what `change` says, MSCH; number of the MSCH. The SCHIB is made here, as what STSCH would find is known. */
  enable(schid: number, { isc = 3, csense = true, mm = 0 } = {}): number {
    const schib = SCHIB.make();
    schib.pmcw.flags = 0x0081 | (isc << 11) | (mm << 3);
    schib.pmcw.chars = csense ? 1 : 0;
    Object.assign(schib.pmcw, { lpm: 0xff, pom: 0xff });
    return this.insn('msch', sid(schid), this.data(SCHIB.bytes(schib)));
  }

  /** The machine: command-line words as for `minivisor boot`. */
  async config(words: readonly string[]): Promise<MachineConfig> {
    const { values, rest } = parseOptions('boot', BOOT_OPTIONS, ['--kernel', SCRIPT_ELF, '--memory', '16M', ...words]);
    const config = await bootConfig(values, rest);
    const header = new DataView(new ArrayBuffer(32));
    for (const [cpu, { list }] of [this, this.second].entries()) {
      const script = this.alloc((list.length + 1) * OPERATION.size);
      const bytes = new Uint8Array((list.length + 1) * OPERATION.size);
      for (const [i, op] of list.entries()) bytes.set(OPERATION.bytes(OPERATION.make(op)), i * OPERATION.size);
      this.put(script, bytes);
      header.setBigUint64(cpu * 8, BigInt(script));
      header.setBigUint64(16 + cpu * 8, BigInt(this.alloc(list.length * RESULT.size)));
    }
    this.put(HEADER, new Uint8Array(header.buffer));
    const { kernel } = config;
    return { ...config, dmaPort: false, kernel: { ...kernel, segments: [...kernel.segments, ...this.#segments] } };
  }

  /** Boots under the simulated scheduler. @throws Error when the guest did not come to its end */
  async simulate(words: readonly string[], options?: SimulateOptions): Promise<ScriptRun> {
    const run = await simulate(await this.config(words), options);
    if (run.result.status !== 0) throw new Error(`script: ${run.result.reason}\n${run.log.join('\n')}`);
    return new ScriptRun(run);
  }
}

/** Part of an SCSW. */
export interface Status {
  readonly stctl: number;
  readonly dstat: number;
  readonly cstat: number;
  readonly count: number;
}
/** A program that ended as it should. */
export const ENDED: Status = { stctl: 0x07, dstat: 0x0c, cstat: 0, count: 0 };
/** What the VMM makes of a program that the kernel refused (vfio-ccw facts 2.3). */
export const UNIT_EXCEPTION: Status = { stctl: 0x17, dstat: 0x01, cstat: 0, count: 0 };

/** What a script left. */
export class ScriptRun {
  readonly machine: SimulatedRun;
  readonly #space: AddressSpace;
  readonly #slots: Memslots;
  readonly #memory: HostMemory;
  readonly #map: SharedMap;

  constructor(machine: SimulatedRun) {
    this.machine = machine;
    this.#memory = machine.memory;
    this.#map = machine.map;
    this.#space = new AddressSpace(machine.memory, machine.map);
    this.#slots = new Memslots(machine.memory, machine.map.memslots);
  }

  /** Guest storage. */
  bytes(gpa: number, length: number): Uint8Array {
    const copy = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = gpa + done;
      const part = Math.min(length - done, 4096 - (at % 4096));
      const page = this.#space.lookup(this.#slots.hva(at), false);
      copy.set(this.#memory.bytes(page + (at % 4096), part), done);
      done += part;
    }
    return copy;
  }
  view(gpa: number, length: number): DataView {
    return new DataView(this.bytes(gpa, length).buffer);
  }
  irb(gpa: number): Irb {
    return IRB.at(this.view(gpa, IRB.size));
  }
  schib(gpa: number): Schib {
    return SCHIB.at(this.view(gpa, SCHIB.size));
  }
  /** Status as a tuple to compare: status control, device status, subchannel status, residual count. */
  status(irb: number): Status {
    const { scsw } = this.irb(irb);
    return { stctl: scsw.ctrl & 0x1f, dstat: scsw.dstat, cstat: scsw.cstat, count: scsw.count };
  }
  /** Arguments of every record of a trace event, oldest first. */
  traced(event: TraceEvent, schid = 0): readonly (readonly number[])[] {
    return this.machine.trace.filter((r) => r.event === event && (r.args[0] & 0xffff) === schid).map((r) => r.args);
  }
  /** The way of vfio-ccw's state machine, two digits a transition: 1 standby, 2 idle, 3 processing, 4 pending. */
  fsm(schid = 0): string {
    return this.traced('vfio_ccw_fsm_event', schid)
      .map(([, state, , next]) => `${state}${next}`)
      .join(' ');
  }
  /** Commands that the device executed, in hexadecimal. */
  executed(schid = 0): string {
    return this.traced('ccw_execute', schid)
      .map(([, command]) => command.toString(16).padStart(2, '0'))
      .join(' ');
  }
  /** Result of an operation. @param cpu 1 for the second CPU's */
  result(operation: number, cpu = 0) {
    const log = Number(this.view(HEADER, 32).getBigUint64(16 + cpu * 8));
    const result = RESULT.at(this.view(log + operation * RESULT.size, RESULT.size));
    const took = Number(result.ended - result.began) / 4.096;
    return { ...pick(result), cc: result.cc | 0, done: result.code !== 0, tookNs: took };
  }
  /** Nanoseconds of guest time from the beginning of one operation to the end of another. */
  between(first: number, last: number): number {
    const log = Number(this.view(HEADER, 32).getBigUint64(16));
    const at = (operation: number) => RESULT.at(this.view(log + operation * RESULT.size, RESULT.size));
    return Number(at(last).ended - at(first).began) / 4.096;
  }
  /** Pins that are left on any frame of the machine; 0 when nothing leaked. */
  get pins(): number {
    const { frames } = this.#space;
    let pins = 0;
    for (let hpa = this.#map.firstFrame; hpa < this.#map.size; hpa += 4096) pins += frames.pins(hpa);
    return pins;
  }
}

function pick(result: ReturnType<typeof RESULT.at>) {
  const { programCode, events, subsystemId, intparm, idWord, count, mcic } = result;
  return { programCode, events, subsystemId, intparm, idWord, count, mcic };
}
