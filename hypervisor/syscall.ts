/** The VMM's end of the system-call line: posts a slot, sleeps until the kernel has finished it, throws what failed. */
import { Errno, errnoName } from '../kernel/include/uapi/errno.ts';
import type { Ioctl } from '../kernel/include/uapi/ioctl.ts';
import {
  MAP_ANONYMOUS,
  MAP_HUGE_SHIFT,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_PRIVATE,
  NR,
  O_RDONLY,
  O_WRONLY,
  SLOT,
  SYSCALL_RING,
  SYSCALL_RING_CAPACITY,
  SYSCALL_SLOT,
  SYSCALL_SLOTS,
} from '../kernel/include/uapi/syscall.ts';
import { AddressSpace } from '../kernel/lib/address_space.ts';
import { Doorbell } from '../kernel/lib/doorbell.ts';
import type { HostMemory } from '../kernel/lib/host_memory.ts';
import { Ring } from '../kernel/lib/ring.ts';
import { actorAreas, type SharedMap } from '../kernel/lib/shared_map.ts';
import type { Fields, View } from '../kernel/lib/struct.ts';
import { type Task, until, type Wait, type WaitClass } from '../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../kernel/lib/trace.ts';
import { Heap } from './heap.ts';

const { offset, size } = SYSCALL_SLOT;
/** Bytes of the VMM's heap for arguments and buffers. */
const HEAP_SIZE = 1 << 20;

/** The wait for whatever call a slot has: its caller fills in the rest. */
type SlotWait = { -readonly [K in 'what' | 'ready' | 'strategy']: Wait[K] };

export class Syscalls {
  readonly memory: HostMemory;
  readonly #space: AddressSpace;
  readonly #base: number;
  readonly #ring: Ring;
  readonly #kernel: Doorbell;
  readonly #free = Array.from({ length: SYSCALL_SLOTS }, (_, i) => i);
  readonly #waits: readonly SlotWait[];
  #heap: Heap | undefined;
  /** A call is on the ring that the kernel was not woken for. */
  #untold = false;
  /** System calls made so far. */
  count = 0;
  readonly #tracer: Tracer | undefined;

  constructor(memory: HostMemory, map: SharedMap, tracer?: Tracer) {
    this.memory = memory;
    this.#tracer = tracer;
    this.#space = new AddressSpace(memory, map);
    this.#base = map.syscalls;
    this.#waits = this.#free.map((slot) => {
      const state = this.#base + slot * size + offset.state;
      return { what: '', ready: () => memory.load(state) === SLOT.DONE, strategy: undefined };
    });
    this.#ring = new Ring(memory, map.syscalls + SYSCALL_RING, SYSCALL_RING_CAPACITY);
    this.#kernel = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
  }

  /**
   * One system call. `what` names it in errors.
   * @param strategy null: the wait has no say in how the thread waits (undefined would mean the default)
   * @throws Errno
   */
  *call(what: string, nr: number, args: readonly number[], strategy: WaitClass | null = 'sleep'): Task<number> {
    if (this.#free.length === 0) yield* this.#someSlot();
    const slot = this.#post(nr, args);
    this.#ringKernel();
    const done = this.#done(slot, what, strategy ?? undefined);
    if (!done.ready()) yield done;
    return this.#result(slot, what);
  }
  /** The wait for a slot's call, made once a slot: this is in the path of every exit. */
  #done(slot: number, what: string, strategy: WaitClass | undefined): Wait {
    const done = this.#waits[slot];
    done.what = what;
    done.strategy = strategy;
    return done;
  }
  #someSlot(): Task {
    return until('free system-call slot', () => this.#free.length > 0);
  }
  /** Puts a call on the ring. @returns its slot; there must be a free one */
  #post(nr: number, args: readonly number[]): number {
    const slot = this.#free.pop() as number;
    const at = this.#base + slot * size;
    const { dv } = this.memory;
    dv.setUint32(at + offset.nr, nr, true);
    for (let i = 0; i < 6; i++) dv.setFloat64(at + offset.args + 8 * i, args[i] ?? 0, true);
    this.memory.store(at + offset.state, SLOT.POSTED);
    this.#tracer?.point(EVENT.syscall, nr, slot, args[0], args[1]);
    this.#ring.push(slot);
    this.count++;
    return slot;
  }
  #ringKernel(): void {
    this.#untold = false;
    this.#kernel.ring();
  }
  /** What a finished call gives; its slot is free again. @throws Errno */
  #result(slot: number, what: string): number {
    const at = this.#base + slot * size;
    const result = this.memory.dv.getFloat64(at + offset.ret, true);
    this.#tracer?.point(EVENT.syscall_ret, this.memory.dv.getUint32(at + offset.nr, true), slot, result);
    this.memory.store(at + offset.state, SLOT.FREE);
    this.#free.push(slot);
    if (result < 0) throw new Errno(errnoName(-result), what);
    return result;
  }

  /** Gets the heap from the kernel; needed before any call with a buffer. @param mapped tells the HPA of an address. */
  *start(mapped: (va: number) => number): Task {
    const va = yield* this.call('mmap heap', NR.mmap, [
      0,
      HEAP_SIZE,
      3,
      MAP_ANONYMOUS | MAP_PRIVATE | MAP_LOCKED,
      -1,
      0,
    ]);
    this.#heap = new Heap(this.memory, va, mapped(va), HEAP_SIZE);
  }
  /** The process's heap: memory both sides can address. @throws Error before `start` */
  get heap(): Heap {
    if (this.#heap === undefined) throw new Error('the VMM has no heap yet');
    return this.#heap;
  }

  *open(path: string, flags: number): Task<number> {
    return yield* this.#withBytes(new TextEncoder().encode(`${path}\0`), (va) =>
      this.call(`open ${path}`, NR.open, [va, flags]),
    );
  }
  *close(fd: number): Task {
    yield* this.call(`close ${fd}`, NR.close, [fd]);
  }
  /** ioctl whose argument is a value. */
  *ioctl(fd: number, ioctl: Ioctl, value = 0): Task<number> {
    return yield* this.call(ioctl.name, NR.ioctl, [fd, ioctl.number, value]);
  }
  /** ioctl with a structure: `view` is sent, and holds what the kernel wrote afterwards. `tail` follows it in memory. */
  *ioctlStruct<F extends Fields>(fd: number, ioctl: Ioctl<F>, view: View<F>, tail?: Uint8Array): Task<number> {
    const { struct } = ioctl;
    if (struct === undefined) throw new Error(`${ioctl.name} takes no structure`);
    if (tail !== undefined) return yield* this.ioctlBytes(fd, ioctl as Ioctl, struct.bytes(view), tail);
    const va = this.heap.alloc(struct.size);
    const hpa = this.heap.hpa(va);
    try {
      struct.store(this.memory.dv, hpa, view);
      // As `call` does it, without a generator of its own.
      if (this.#free.length === 0) yield* this.#someSlot();
      const slot = this.#post(NR.ioctl, [fd, ioctl.number, va]);
      this.#ringKernel();
      const done = this.#done(slot, ioctl.name, 'sleep');
      if (!done.ready()) yield done;
      const result = this.#result(slot, ioctl.name);
      if (ioctl.direction !== 'in') struct.load(view, this.memory.dv, hpa);
      return result;
    } finally {
      this.heap.free(va);
    }
  }
  /** ioctl with raw bytes, copied in and back. */
  *ioctlBytes(fd: number, ioctl: Ioctl, bytes: Uint8Array, tail?: Uint8Array): Task<number> {
    const va = this.heap.alloc(bytes.length + (tail?.length ?? 0));
    try {
      this.heap.write(va, bytes);
      if (tail !== undefined) this.heap.bytes(va + bytes.length, tail.length).set(tail);
      const result = yield* this.call(ioctl.name, NR.ioctl, [fd, ioctl.number, va]);
      if (ioctl.direction !== 'in') bytes.set(this.heap.bytes(va, bytes.length));
      tail?.set(this.heap.bytes(va + bytes.length, tail.length));
      return result;
    } finally {
      this.heap.free(va);
    }
  }
  /** pread; returns what came. */
  *pread(fd: number, count: number, position: number, what = 'pread'): Task<Uint8Array> {
    const bytes = new Uint8Array(count);
    const length = yield* this.preadInto(fd, bytes, position, what);
    return length === count ? bytes : bytes.slice(0, length);
  }
  /** The same into the caller's buffer; returns how many bytes came. */
  *preadInto(fd: number, bytes: Uint8Array, position: number, what: string): Task<number> {
    const va = this.heap.alloc(bytes.length);
    try {
      const length = yield* this.call(what, NR.pread64, [fd, va, bytes.length, position]);
      this.memory.copyFrom(this.heap.hpa(va), bytes, 0, length);
      return length;
    } finally {
      this.heap.free(va);
    }
  }
  *pwrite(fd: number, bytes: Uint8Array, position: number, what = 'pwrite'): Task<number> {
    const va = this.heap.alloc(bytes.length);
    try {
      this.heap.write(va, bytes);
      return yield* this.call(what, NR.pwrite64, [fd, va, bytes.length, position]);
    } finally {
      this.heap.free(va);
    }
  }
  /** Waits for an eventfd and takes its count. Does not keep the VMM from spinning for the guest. */
  *eventfdRead(fd: number): Task<bigint> {
    const signal = yield* this.beginEventfdRead(fd);
    this.tell();
    return yield* signal;
  }
  /**
   * Begins such a read; the task it returns waits for it, and must be run to its end. The kernel is not woken for it: it
   * sees the read with the next call, or by {@link tell}, one of which must follow. So a handler's first call and the
   * wait for the next signal cost one hand-off together.
   */
  *beginEventfdRead(fd: number): Task<Task<bigint>> {
    if (this.#free.length === 0) yield* this.#someSlot();
    const va = this.heap.alloc(8);
    const slot = this.#post(NR.read, [fd, va, 8]);
    this.#untold = true;
    return this.#endEventfdRead(slot, va);
  }
  *#endEventfdRead(slot: number, va: number): Task<bigint> {
    try {
      const done = this.#done(slot, 'read eventfd', undefined);
      if (!done.ready()) yield done;
      this.#result(slot, 'read eventfd');
      return this.memory.dv.getBigUint64(this.heap.hpa(va), true);
    } finally {
      this.heap.free(va);
    }
  }
  /** Wakes the kernel for reads that were begun, unless a call did so since. */
  tell(): void {
    if (this.#untold) this.#ringKernel();
  }
  *eventfd(): Task<number> {
    return yield* this.call('eventfd', NR.eventfd2, [0, 0]);
  }
  /** mmap of a descriptor, or of anonymous movable memory (`fd` -1). */
  *mmap(fd: number, length: number, position = 0): Task<number> {
    return yield* this.call('mmap', NR.mmap, [0, length, 3, fd === -1 ? MAP_ANONYMOUS | MAP_PRIVATE : 1, fd, position]);
  }
  /** Anonymous memory of huge pages of 2^shift bytes, each in one piece, that stay where they are. @throws Errno ENOMEM */
  *mmapHuge(length: number, shift: number): Task<number> {
    const flags = MAP_ANONYMOUS | MAP_PRIVATE | MAP_HUGETLB | (shift << MAP_HUGE_SHIFT);
    return yield* this.call('mmap of huge pages', NR.mmap, [0, length, 3, flags >>> 0, -1, 0]);
  }
  /** Stores into memory of the process that may move: what {@link mmap} gave. @throws Errno EFAULT outside of any */
  store(va: number, bytes: Uint8Array): Task {
    return this.#space.copy(va, bytes, true);
  }
  /** Loads from such memory. @throws Errno EFAULT outside of any, or where it was taken away */
  load(va: number, length: number): Task<Uint8Array> {
    return this.#space.copyIn(va, length);
  }
  *munmap(va: number, length: number): Task {
    yield* this.call('munmap', NR.munmap, [va, length]);
  }
  *readlink(path: string): Task<string> {
    const buffer = this.heap.alloc(4096);
    try {
      const length = yield* this.#withBytes(new TextEncoder().encode(`${path}\0`), (va) =>
        this.call(`readlink ${path}`, NR.readlink, [va, buffer, 4096]),
      );
      return new TextDecoder().decode(this.heap.bytes(buffer, length).slice());
    } finally {
      this.heap.free(buffer);
    }
  }
  /** Reads a whole attribute, without its newline. */
  *readFile(path: string): Task<string> {
    const fd = yield* this.open(path, O_RDONLY);
    try {
      return new TextDecoder().decode(yield* this.pread(fd, 4096, 0, `read ${path}`)).trimEnd();
    } finally {
      yield* this.close(fd);
    }
  }
  /** Writes an attribute. */
  *writeFile(path: string, text: string): Task {
    const fd = yield* this.open(path, O_WRONLY);
    try {
      yield* this.pwrite(fd, new TextEncoder().encode(text), 0, `write ${path}`);
    } finally {
      yield* this.close(fd);
    }
  }
  /** Names in a directory. */
  *readdir(path: string): Task<string[]> {
    const fd = yield* this.open(path, O_RDONLY);
    const buffer = this.heap.alloc(65536);
    try {
      const length = yield* this.call(`getdents ${path}`, NR.getdents, [fd, buffer, 65536]);
      return new TextDecoder()
        .decode(this.heap.bytes(buffer, length).slice())
        .split('\0')
        .filter((name) => name !== '');
    } finally {
      this.heap.free(buffer);
      yield* this.close(fd);
    }
  }

  *#withBytes(bytes: Uint8Array, body: (va: number) => Task<number>): Task<number> {
    const va = this.heap.alloc(bytes.length);
    try {
      this.heap.write(va, bytes);
      return yield* body(va);
    } finally {
      this.heap.free(va);
    }
  }
}
