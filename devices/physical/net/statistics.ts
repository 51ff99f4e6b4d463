/**
 * What one side has counted since it last told: kept aside, so that a batch of frames costs one section under the lock.
 * The registers stop at their largest value (manual 13.7).
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { MIN_FRAME, REG, STAT } from './e1000_regs.ts';

/** The length classes of both directions (manual, 13.7.14 to 13.7.19): longest frame of each, check sequence included. */
const CLASSES = [MIN_FRAME, 127, 255, 511, 1023, Number.POSITIVE_INFINITY] as const;
const MAX_WORD = 0xffff_ffff;

/** Number of the class of a frame: its counter is that many registers behind the first. */
function lengthClass(size: number): number {
  let index = 0;
  while (size > CLASSES[index]) index++;
  return index;
}

export class Statistics {
  readonly #counts = new Float64Array(0x100 / 4);
  #any = false;

  /** Adds to a counter, or to the pair whose low word it is. */
  add(register: number, count = 1): void {
    this.#counts[(register - REG.STATISTICS) >>> 2] += count;
    this.#any = true;
  }

  /** Counts a frame by its length. @param first the class of 64 bytes. @param size bytes, check sequence included. */
  addLength(first: number, size: number): void {
    this.add(first + lengthClass(size) * 4);
  }

  /** Whether there is something to tell. */
  get any(): boolean {
    return this.#any;
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#any) this.#counts.fill(0);
    this.#any = false;
  }

  /** Adds everything to the registers; the caller holds the lock. */
  flush(memory: HostMemory, area: number): void {
    if (!this.#any) return;
    for (let i = 0; i < this.#counts.length; i++) {
      const count = this.#counts[i];
      if (count !== 0) addTo(memory, area, REG.STATISTICS + i * 4, count);
    }
    this.clear();
  }
}

function isOctets(register: number): boolean {
  return register === STAT.GORCL || register === STAT.GOTCL || register === STAT.TORL || register === STAT.TOTL;
}

function addTo(memory: HostMemory, area: number, register: number, count: number): void {
  const at = area + register;
  const sum = (memory.load(at) >>> 0) + count;
  if (!isOctets(register)) {
    memory.store(at, Math.min(sum, MAX_WORD));
    return;
  }
  const high = memory.load(at + 4) >>> 0;
  memory.store(at, sum % 0x1_0000_0000);
  if (sum > MAX_WORD) memory.store(at + 4, high + Math.floor(sum / 0x1_0000_0000));
}
