/**
 * Seeded pseudo-random numbers for schedules, fault injection and memory pressure: the same seed, the same run.
 */

/** A generator of unsigned 32-bit numbers (xorshift128, Marsaglia 2003, "Xorshift RNGs", section 4). */
export class Random {
  #x: number;
  #y = 362436069;
  #z = 521288629;
  #w = 88675123;

  constructor(seed: number) {
    this.#x = (seed ^ 123456789) >>> 0;
    for (let i = 0; i < 16; i++) this.next();
  }

  /** The next number in `[0, 2^32)`. */
  next(): number {
    const t = this.#x ^ (this.#x << 11);
    this.#x = this.#y;
    this.#y = this.#z;
    this.#z = this.#w;
    this.#w = (this.#w ^ (this.#w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
    return this.#w;
  }

  /** A number in `[0, bound)`. */
  below(bound: number): number {
    return this.next() % bound;
  }
}
