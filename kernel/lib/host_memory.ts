/**
 * The host's physical memory: one shared WebAssembly.Memory, the same bytes in every thread. A host-physical address
 * (HPA) is a byte offset in it. This file is the only one that performs atomic operations on those bytes, together
 * with the doorbell; every other module goes through these methods.
 */

/** Bytes in a page frame, in guest pages and in the host's (PoP "page"; Linux PAGE_SIZE). */
export const PAGE_SIZE = 4096;
/** Offset of an address in its page. The remainder of a number beyond 32 bits is a slow division, its low bits are not. */
export function offsetInPage(address: number): number {
  return address & (PAGE_SIZE - 1);
}
/** log2 of PAGE_SIZE. */
export const PAGE_SHIFT = 12;
/** Bytes in a WebAssembly page (WebAssembly core specification, "page size"). */
export const WASM_PAGE = 65536;

/** Creates the shared memory. @param size bytes, rounded up to a WebAssembly page. @throws RangeError when the host has not that much. */
export function createMemory(size: number): WebAssembly.Memory {
  const pages = Math.ceil(size / WASM_PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Up to so many bytes a loop is faster than a view and its copy. */
const FEW_BYTES = 192;

/** Typed views and atomic words over the shared memory, made once per thread. */
export class HostMemory {
  readonly memory: WebAssembly.Memory;
  readonly size: number;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly dv: DataView;
  readonly u64: BigUint64Array;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.size = memory.buffer.byteLength;
    this.u8 = new Uint8Array(memory.buffer);
    this.i32 = new Int32Array(memory.buffer);
    this.dv = new DataView(memory.buffer);
    this.u64 = new BigUint64Array(memory.buffer);
  }

  /** Atomic load of the 32-bit word at byte address `hpa` (4-aligned), native (little-endian) order, signed. */
  load(hpa: number): number {
    return Atomics.load(this.i32, hpa >>> 2);
  }
  /** Atomic store. */
  store(hpa: number, value: number): void {
    Atomics.store(this.i32, hpa >>> 2, value);
  }
  /** Atomic add; returns the old value. */
  add(hpa: number, value: number): number {
    return Atomics.add(this.i32, hpa >>> 2, value);
  }
  /** Atomic or; returns the old value. */
  or(hpa: number, mask: number): number {
    return Atomics.or(this.i32, hpa >>> 2, mask);
  }
  /** Atomic and; returns the old value. */
  and(hpa: number, mask: number): number {
    return Atomics.and(this.i32, hpa >>> 2, mask);
  }
  /** Atomic compare and exchange; returns the value seen: the exchange happened when it equals `expected`. */
  cas(hpa: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.i32, hpa >>> 2, expected, value);
  }
  /** Atomic exchange; returns the old value. */
  exchange(hpa: number, value: number): number {
    return Atomics.exchange(this.i32, hpa >>> 2, value);
  }
  /** Atomic load of the 64-bit word at `hpa` (8-aligned), native order. */
  load64(hpa: number): bigint {
    return Atomics.load(this.u64, hpa / 8);
  }
  /** Atomic store of 64 bits. */
  store64(hpa: number, value: bigint): void {
    Atomics.store(this.u64, hpa / 8, value);
  }
  /** Atomic exchange of 64 bits, native order; returns the old value. */
  exchange64(hpa: number, value: bigint): bigint {
    return Atomics.exchange(this.u64, hpa / 8, value);
  }
  /** Copies `length` bytes from `hpa` to `bytes[at]` on. */
  copyFrom(hpa: number, bytes: Uint8Array, at: number, length: number): void {
    const { u8 } = this;
    if (length > FEW_BYTES) bytes.set(u8.subarray(hpa, hpa + length), at);
    else for (let i = 0; i < length; i++) bytes[at + i] = u8[hpa + i];
  }
  /** Copies `length` bytes from `bytes[at]` on to `hpa`. */
  copyTo(hpa: number, bytes: Uint8Array, at: number, length: number): void {
    const { u8 } = this;
    if (length > FEW_BYTES) u8.set(bytes.subarray(at, at + length), hpa);
    else for (let i = 0; i < length; i++) u8[hpa + i] = bytes[at + i];
  }
  /** Copies `length` bytes within the memory: few, all three numbers multiples of 8. */
  move(to: number, from: number, length: number): void {
    const { u64 } = this;
    const shift = (to >>> 3) - (from >>> 3);
    const end = (from + length) >>> 3;
    for (let i = from >>> 3; i < end; i++) u64[i + shift] = u64[i];
  }
  /** The bytes `[hpa, hpa + length)`, in place. */
  bytes(hpa: number, length: number): Uint8Array {
    return this.u8.subarray(hpa, hpa + length);
  }

  /**
   * Takes a spin lock in shared memory (0 free, 1 taken). Sections are a few dozen instructions and never wait while
   * holding it, so spinning is bounded by them; in a simulated run no task is ever interrupted inside one.
   */
  lock(hpa: number): void {
    const index = hpa >>> 2;
    for (let spins = 0; Atomics.compareExchange(this.i32, index, 0, 1) !== 0; spins++) {
      // The holder may have lost its processor: sleep a moment instead of burning the slice it needs.
      if (spins > 1000) Atomics.wait(this.i32, index, 1, 0.05);
    }
  }
  /** Releases a spin lock. */
  unlock(hpa: number): void {
    Atomics.store(this.i32, hpa >>> 2, 0);
  }
}
