/**
 * The doorbell of one actor: a sequence number that others advance, and a word that the actor sleeps on. Layout of its 128-byte
 * line (two cache lines, so that neighbours do not share one): word 0 sequence (written by every waker), word 1
 * sleeping (set by the owner, taken back by it or by the one waker that wakes it). The ordering argument stands in `wait_strategy.ts`.
 */
import type { HostMemory } from './host_memory.ts';

/** Bytes of one doorbell. */
export const DOORBELL_SIZE = 128;
/** Offset of the word that says its owner sleeps. */
export const DOORBELL_SLEEPING = 4;

/**
 * Loads of a spin between two looks at `spinWhile`, which loads words of its own: asked each time, it would make a turn
 * three times as long.
 */
const SPIN_WHILE_EVERY = 8;

export class Doorbell {
  readonly #i32: Int32Array;
  readonly #sequence: number;
  readonly #sleeping: number;

  constructor(memory: HostMemory, hpa: number) {
    this.#i32 = memory.i32;
    this.#sequence = hpa >>> 2;
    this.#sleeping = (hpa + DOORBELL_SLEEPING) >>> 2;
  }

  /** Tells the owner that something it may wait for has changed. Called after the change was stored. */
  ring(): void {
    Atomics.add(this.#i32, this.#sequence, 1);
    // One waker is enough: others would wait in the call for the first one, and for whom it wakes.
    if (Atomics.load(this.#i32, this.#sleeping) !== 0 && Atomics.exchange(this.#i32, this.#sleeping, 0) !== 0)
      Atomics.notify(this.#i32, this.#sleeping);
  }

  /** The sequence number; read before testing waits, and given to {@link park}. */
  sequence(): number {
    return Atomics.load(this.#i32, this.#sequence);
  }

  /**
   * Loads the sequence up to `spins` times, as long as `spinWhile` holds (asked now and then), until it differs from
   * `seen`; returns whether it does.
   */
  spin(seen: number, spins: number, spinWhile?: () => boolean): boolean {
    for (let i = 0; i < spins; i++) {
      if (Atomics.load(this.#i32, this.#sequence) !== seen) return true;
      if (spinWhile !== undefined && i % SPIN_WHILE_EVERY === 0 && !spinWhile()) break;
    }
    return false;
  }

  /** Sleeps until the sequence differs from `seen`, at most `timeoutMs` milliseconds (Infinity: for ever). */
  sleep(seen: number, timeoutMs: number): void {
    Atomics.store(this.#i32, this.#sleeping, 1);
    if (Atomics.load(this.#i32, this.#sequence) === seen) Atomics.wait(this.#i32, this.#sleeping, 1, timeoutMs);
    Atomics.store(this.#i32, this.#sleeping, 0);
  }

  /** Waits until the sequence differs from `seen`: at first by {@link spin}, then asleep. */
  park(seen: number, spins: number, timeoutMs: number, spinWhile?: () => boolean): void {
    if (!this.spin(seen, spins, spinWhile)) this.sleep(seen, timeoutMs);
  }
}

/** Counts the rings of all doorbells of a machine: the returned function tells how many there were. */
export function ringCounter(
  memory: HostMemory,
  { actors }: { readonly actors: readonly { readonly doorbell: number }[] },
): () => number {
  const bells = actors.map(({ doorbell }) => new Doorbell(memory, doorbell));
  return () => {
    let rings = 0;
    // The sequence is the count.
    for (const bell of bells) rings += bell.sequence() >>> 0;
    return rings;
  };
}
