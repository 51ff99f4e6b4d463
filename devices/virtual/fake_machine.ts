/**
 * A machine for unit tests: guest memory in an array, a kernel whose answers are scripted, interruptions that are
 * recorded, tasks under the simulated scheduler.
 */
import {
  type ChannelStorage,
  type GuestMemory,
  type IoWatch,
  type Machine,
  PGM,
  ProgramInterruption,
  type Vcpu,
} from '../../hypervisor/machine_api.ts';
import type { Syscalls } from '../../hypervisor/syscall.ts';
import { TRACE_EVENTS, type TraceEvent } from '../../kernel/include/trace_events.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import type { Ioctl } from '../../kernel/include/uapi/ioctl.ts';
import { HostMemory } from '../../kernel/lib/host_memory.ts';
import { type SimulatedActor, Simulation } from '../../kernel/lib/simulated.ts';
import type { Fields, View } from '../../kernel/lib/struct.ts';
import { preempt, type Task, until } from '../../kernel/lib/task.ts';
import type { Tracer } from '../../kernel/lib/trace.ts';

/** Names of trace events by number. */
const EVENT_NAMES = Object.keys(TRACE_EVENTS) as TraceEvent[];

/** VMM address of guest-physical 0. */
export const FAKE_RAM_VA = 0x3ff_8000_0000;
/** What mmap answers. */
export const FAKE_MMAP_VA = 0x3ff_a000_0000;
/** Bytes behind it. */
const MMAP_SIZE = 0x20000;

/** Answers one ioctl. `view` is the structure or the raw bytes; what is changed in it and in `tail` goes back. */
// biome-ignore lint/suspicious/noExplicitAny: one table mixes structures
export type FakeIoctl = (call: { fd: number; view?: any; value: number; tail?: Uint8Array }) => number | undefined;

/** The kernel: files, links, ioctls by name, reads and writes of descriptors. An Errno that an answer throws reaches the caller. */
export class FakeKernel {
  readonly files = new Map<string, string>();
  readonly links = new Map<string, string>();
  readonly ioctls = new Map<string, FakeIoctl>();
  /** Commands that sleep in the kernel while this holds. */
  readonly sleeping = new Map<string, () => boolean>();
  /** What was called, in order: `open /dev/vfio/1`, `VFIO_SET_IOMMU`, ... */
  readonly calls: string[] = [];
  read: (fd: number, count: number, position: number) => Uint8Array = () => new Uint8Array(0);
  write: (fd: number, bytes: Uint8Array, position: number) => number = (_fd, bytes) => bytes.length;
  readonly eventfds = new Map<number, bigint>();
  /** Memory the process has got by mmap. */
  readonly mapped = new Uint8Array(MMAP_SIZE);
  /** The kernel has taken it away again: its use faults. */
  zapped = false;
  /** Open descriptors and their paths. */
  readonly open = new Map<number, string>();
  readonly memory = new HostMemory(new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true }));
  readonly heap = new FakeHeap();
  #next = 10;

  install(path: string): number {
    this.open.set(++this.#next, path);
    return this.#next;
  }
  signal(fd: number): void {
    this.eventfds.set(fd, (this.eventfds.get(fd) ?? 0n) + 1n);
  }
  /** The answer to an ioctl; ENOTTY when none is scripted. */
  answer(fd: number, ioctl: Ioctl, view: unknown, value: number, tail?: Uint8Array): number {
    this.calls.push(ioctl.name);
    const handler = this.ioctls.get(ioctl.name);
    if (handler === undefined) throw new Errno('ENOTTY', ioctl.name);
    return handler({ fd, view, value, tail }) ?? 0;
  }
}

/** Blocks that never move, as the VMM's heap has them. */
class FakeHeap {
  readonly blocks = new Map<number, Uint8Array>();
  #next = 0x1000;
  alloc(length: number): number {
    this.#next += 0x1000;
    this.blocks.set(this.#next, new Uint8Array(length));
    return this.#next;
  }
  bytes(va: number, length: number): Uint8Array {
    return this.blocks.get(va)!.subarray(0, length);
  }
  free(va: number): void {
    this.blocks.delete(va);
  }
}

/** The system-call client's interface on the scripted kernel; every call may be preempted. */
class FakeSyscalls {
  readonly #kernel: FakeKernel;
  readonly heap: FakeHeap;
  readonly memory: HostMemory;
  constructor(kernel: FakeKernel) {
    this.#kernel = kernel;
    this.heap = kernel.heap;
    this.memory = kernel.memory;
  }
  *open(path: string): Task<number> {
    yield* preempt();
    this.#kernel.calls.push(`open ${path}`);
    return this.#kernel.install(path);
  }
  *close(fd: number): Task {
    yield* preempt();
    this.#kernel.calls.push(`close ${this.#kernel.open.get(fd)}`);
    if (!this.#kernel.open.delete(fd)) throw new Errno('EBADF', `descriptor ${fd}`);
  }
  *ioctl(fd: number, ioctl: Ioctl, value = 0): Task<number> {
    yield* preempt();
    return this.#kernel.answer(fd, ioctl, undefined, value);
  }
  *ioctlStruct<F extends Fields>(fd: number, ioctl: Ioctl<F>, view: View<F>, tail?: Uint8Array): Task<number> {
    yield* preempt();
    const sleeping = this.#kernel.sleeping.get(ioctl.name) ?? (() => false);
    yield* until(ioctl.name, () => !sleeping());
    return this.#kernel.answer(fd, ioctl, view, 0, tail);
  }
  *ioctlBytes(fd: number, ioctl: Ioctl, bytes: Uint8Array): Task<number> {
    yield* preempt();
    return this.#kernel.answer(fd, ioctl, bytes, 0);
  }
  *pread(fd: number, count: number, position: number): Task<Uint8Array> {
    yield* preempt();
    return this.#kernel.read(fd, count, position);
  }
  *preadInto(fd: number, bytes: Uint8Array, position: number): Task<number> {
    const came = yield* this.pread(fd, bytes.length, position);
    bytes.set(came);
    return came.length;
  }
  *pwrite(fd: number, bytes: Uint8Array, position: number): Task<number> {
    yield* preempt();
    if (this.#kernel.eventfds.has(fd)) {
      this.#kernel.signal(fd);
      return bytes.length;
    }
    return this.#kernel.write(fd, bytes, position);
  }
  *eventfd(): Task<number> {
    yield* preempt();
    const fd = this.#kernel.install('eventfd');
    this.#kernel.eventfds.set(fd, 0n);
    return fd;
  }
  *eventfdRead(fd: number): Task<bigint> {
    yield* until('eventfd', () => this.#kernel.eventfds.get(fd) !== 0n);
    const count = this.#kernel.eventfds.get(fd)!;
    this.#kernel.eventfds.set(fd, 0n);
    return count;
  }
  *beginEventfdRead(fd: number): Task<Task<bigint>> {
    yield* preempt();
    return this.eventfdRead(fd);
  }
  tell(): void {}
  *mmap(): Task<number> {
    yield* preempt();
    return FAKE_MMAP_VA;
  }
  *munmap(): Task {
    yield* preempt();
  }
  /** Stores into memory got by mmap. */
  *store(va: number, bytes: Uint8Array): Task {
    yield* preempt();
    if (this.#kernel.zapped) throw new Errno('EFAULT', 'mapping');
    this.#kernel.mapped.set(bytes, va - FAKE_MMAP_VA);
  }
  /** Loads from it. */
  *load(va: number, length: number): Task<Uint8Array> {
    yield* preempt();
    if (this.#kernel.zapped) throw new Errno('EFAULT', 'mapping');
    return this.#kernel.mapped.slice(va - FAKE_MMAP_VA, va - FAKE_MMAP_VA + length);
  }
  *readlink(path: string): Task<string> {
    yield* preempt();
    const target = this.#kernel.links.get(path);
    if (target !== undefined) return target;
    throw new Errno(this.#kernel.files.has(path) ? 'EINVAL' : 'ENOENT', path);
  }
  *readdir(path: string): Task<string[]> {
    yield* preempt();
    throw new Errno(this.#kernel.files.has(path) ? 'ENOTDIR' : 'ENOENT', path);
  }
  *writeFile(path: string, text: string): Task {
    yield* preempt();
    this.#kernel.calls.push(`write ${path} ${text}`);
  }
  *readFile(path: string): Task<string> {
    yield* preempt();
    const text = this.#kernel.files.get(path);
    if (text === undefined) throw new Errno('ENOENT', path);
    return text;
  }
}

/** RAM of the fake machine, bytes. */
const RAM = 0x20000;

class FakeMemory implements GuestMemory {
  readonly size = RAM;
  readonly bytes = new Uint8Array(RAM);
  hva(gpa: number): number {
    return gpa < this.size ? FAKE_RAM_VA + gpa : -1;
  }
  *read(gpa: number, length: number): Task<Uint8Array> {
    yield* preempt();
    if (gpa < 0 || gpa + length > this.size) throw new ProgramInterruption(PGM.ADDRESSING);
    return this.bytes.slice(gpa, gpa + length);
  }
  *write(gpa: number, bytes: Uint8Array): Task {
    yield* preempt();
    if (gpa < 0 || gpa + bytes.length > this.size) throw new ProgramInterruption(PGM.ADDRESSING);
    this.bytes.set(bytes, gpa);
  }
}

export class FakeMachine implements Machine {
  readonly simulation: Simulation;
  readonly actor: SimulatedActor;
  readonly kernel = new FakeKernel();
  readonly sys = new FakeSyscalls(this.kernel) as unknown as Syscalls;
  readonly memory = new FakeMemory();
  readonly vmFd = 3;
  kvmVfioFd = -1;
  /** What was injected and not withdrawn, in order. */
  readonly io: { subsystemId: number; intparm: number; isc: number }[] = [];
  /** Subclasses of adapter interruptions, in order. */
  readonly adapter: number[] = [];
  readonly services: number[] = [];
  channelReports = 0;
  /** Subchannels whose interruption was withdrawn, in order. */
  readonly cleared: number[] = [];
  /** Subchannels whose interruption a CPU took, in order. */
  readonly #taken: number[] = [];
  readonly logs: string[] = [];
  readonly trace: (readonly [TraceEvent, ...number[]])[] = [];
  readonly tracer = {
    on: () => true,
    point: (event: number, ...args: number[]) => this.trace.push([EVENT_NAMES[event], ...args]),
  } as unknown as Tracer;

  constructor(seed = 1) {
    this.simulation = new Simulation(seed);
    this.actor = this.simulation.actor('vmm');
  }
  hostIos = 0;
  log(line: string): void {
    this.logs.push(line);
  }
  /** What the operator was told, in order. */
  readonly notices: string[] = [];
  notify(line: string): void {
    this.notices.push(line);
  }
  /** Storage keys by page; pages without one have key 0, and none is fetch-protected unless it says so. */
  readonly storageKeys = new Map<number, { readonly key: number; readonly fetch: boolean }>();
  storage(key: number): ChannelStorage {
    const check = (gpa: number, write: boolean) => {
      const there = this.storageKeys.get(Math.floor(gpa / 4096)) ?? { key: 0, fetch: false };
      if (key !== 0 && key !== there.key && (write || there.fetch)) throw new ProgramInterruption(PGM.PROTECTION);
    };
    const { memory } = this;
    return {
      *read(gpa, length) {
        check(gpa, false);
        return yield* memory.read(gpa, length);
      },
      *write(gpa, bytes) {
        check(gpa, true);
        yield* memory.write(gpa, bytes);
      },
    };
  }
  unlocked<T>(task: Task<T>): Task<T> {
    return task;
  }
  *injectIo(subsystemId: number, intparm: number, isc: number): Task {
    yield* preempt();
    this.io.push({ subsystemId, intparm, isc });
  }
  *injectAdapter(isc: number): Task {
    yield* preempt();
    this.adapter.push(isc);
  }
  *clearIo(subsystemId: number): Task {
    yield* preempt();
    this.cleared.push(subsystemId);
    const at = this.io.findIndex((io) => io.subsystemId === subsystemId);
    if (at >= 0) this.io.splice(at, 1);
  }
  *clearInterrupts(): Task {
    yield* preempt();
    this.io.length = 0;
    this.services.length = 0;
    this.channelReports = 0;
  }
  watchIo(subsystemId: number): IoWatch {
    const from = this.#taken.length;
    return { subsystemId, taken: () => this.#taken.includes(subsystemId, from) };
  }
  /** A CPU takes the oldest I/O interruption off the queue. */
  takeIo(): void {
    const io = this.io.shift();
    if (io !== undefined) this.#taken.push(io.subsystemId);
  }
  *injectService(parameter: number): Task {
    yield* preempt();
    this.services.push(parameter);
  }
  *injectChannelReport(): Task {
    yield* preempt();
    this.channelReports++;
  }

  /** Runs a task to its end, the machine's other tasks beside it; throws what it throws. */
  run<T>(task: Task<T>): T {
    let outcome: { value: T } | { error: unknown } | undefined;
    this.actor.spawn(
      'test',
      (function* (): Task {
        try {
          outcome = { value: yield* task };
        } catch (error) {
          outcome = { error };
        }
      })(),
    );
    this.runUntil(() => outcome !== undefined);
    if (outcome === undefined || 'error' in outcome) throw outcome?.error;
    return outcome.value;
  }
  /** Lets the machine's tasks run until `done` holds. @throws Error when that takes too long, Deadlock when it never will */
  runUntil(done: () => boolean): void {
    this.simulation.run(done, this.simulation.steps + 100_000);
  }
  /** The code of the program interruption that `task` ends with, or its value. */
  outcome<T>(task: Task<T>): { interruption: number } | { value: T } {
    try {
      return { value: this.run(task) };
    } catch (error) {
      if (error instanceof ProgramInterruption) return { interruption: error.interruption };
      throw error;
    }
  }
}

/** A vCPU without address translation. */
export class FakeVcpu implements Vcpu {
  readonly address: number;
  readonly fd = 100;
  text = new Uint8Array(6);
  operand = 0n;
  problemState = false;
  prefix = 0;
  readonly gprs = new BigUint64Array(16);
  readonly #machine: FakeMachine;
  constructor(machine: FakeMachine, address = 0) {
    this.#machine = machine;
    this.address = address;
  }
  /** Sets the instruction and its second-operand address. */
  instruction(text: readonly number[], operand = 0): this {
    this.text = Uint8Array.from({ length: 6 }, (_, i) => text[i] ?? 0);
    this.operand = BigInt(operand);
    return this;
  }
  gpr(n: number): bigint {
    return this.gprs[n];
  }
  setGpr(n: number, value: bigint): void {
    this.gprs[n] = value;
  }
  *read(address: bigint, length: number): Task<Uint8Array> {
    return yield* this.#machine.memory.read(Number(address), length);
  }
  *checkWrite(address: bigint, length: number): Task {
    yield* this.#machine.memory.read(Number(address), length);
  }
  *write(address: bigint, bytes: Uint8Array): Task {
    yield* this.#machine.memory.write(Number(address), bytes);
  }
}
