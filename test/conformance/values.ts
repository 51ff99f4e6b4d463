/** Operand values: a seeded generator that mixes corner values with random ones. */

const MASK64 = (1n << 64n) - 1n;

/** All ones in `width` bits. */
export function ones(width: number): bigint {
  return (1n << BigInt(width)) - 1n;
}

/** Pairs that sit on carry, overflow, sign and comparison boundaries of `width` bits; narrower uses truncate them. */
function boundaryPairs(width: number): [bigint, bigint][] {
  const f = ones(width);
  const max = f >> 1n;
  const min = max + 1n;
  const fives = 0x5555555555555555n & f;
  const tens = 0xaaaaaaaaaaaaaaaan & f;
  return [
    [max, 1n], [min, f], [0n, 0n], [f, 1n], [min, min], [max, max], [0n, min], [1n, f], [min, 1n], [f, f],
    [0n, 1n], [1n, 0n], [1n, 1n], [min, max], [max, min], [fives, tens], [f - 1n, 1n], [min, 0n], [f, min], [max, f],
  ]; // biome-ignore format: a table
}

/** Deterministic generator (splitmix64 seeded by FNV-1a of a text): the same text gives the same values. */
export class Random {
  private state: bigint;

  constructor(seed: string) {
    let h = 0xcbf29ce484222325n;
    for (const c of seed) h = ((h ^ BigInt(c.codePointAt(0)!)) * 0x100000001b3n) & MASK64;
    this.state = h;
  }

  /** 64 uniform bits. */
  u64(): bigint {
    this.state = (this.state + 0x9e3779b97f4a7c15n) & MASK64;
    let z = this.state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK64;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK64;
    return z ^ (z >> 31n);
  }

  /** A number from 0 to n - 1. */
  below(n: number): number {
    return Number(this.u64() % BigInt(n));
  }

  /** One element. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** `width` bits: a corner, a short number, its negative, or uniform. */
  bits(width: number): bigint {
    const f = ones(width);
    const kind = this.below(8);
    if (kind < 3) return this.pick(boundaryPairs(width))[0];
    if (kind === 3) return this.u64() & f & ones(1 + this.below(width));
    if (kind === 4) return -(this.u64() & ones(1 + this.below(width))) & f;
    if (kind === 5) return (1n << BigInt(this.below(width))) & f;
    return this.u64() & f;
  }

  /** `value` in the low `width` bits of a 64-bit register, random bits above it. */
  widen(value: bigint, width: number): bigint {
    return (value & ones(width)) | (width < 64 ? (this.u64() << BigInt(width)) & MASK64 : 0n);
  }

  /** Pair number k for operands of w1 and w2 bits, both widened to registers: the boundary pairs first, then random ones. */
  pair(k: number, w1: number, w2: number): [bigint, bigint] {
    const list = boundaryPairs(Math.max(w1, w2));
    const narrow = boundaryPairs(Math.min(w1, w2));
    let a = this.bits(w1);
    let b = this.bits(w2);
    if (k < list.length) {
      const [x, y] = w1 === w2 || this.below(2) ? list[k]! : narrow[k]!;
      a = x;
      b = y;
    } else if (k % 5 === 0) b = a;
    return [this.widen(a, w1), this.widen(b, w2)];
  }

  /** n random bytes as hex digits. */
  hex(n: number): string {
    let s = '';
    while (s.length < 2 * n) s += this.u64().toString(16).padStart(16, '0');
    return s.slice(0, 2 * n);
  }
}

/** The low `bytes` bytes of a value as hex digits, most significant first. */
export function hexOf(value: bigint, bytes: number): string {
  return (value & ones(8 * bytes)).toString(16).padStart(2 * bytes, '0');
}
