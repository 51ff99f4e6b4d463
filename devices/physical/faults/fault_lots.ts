/** Whether a fault strikes: seeded, so that the same machine seed gives the same faults under the simulated scheduler. */
import {
  FAULT_KIND_TABLE,
  type FaultConfig,
  type FaultKind,
  type FaultKindRow,
} from '../../../kernel/include/fault_kinds.ts';
import { Random } from '../../../kernel/lib/random.ts';

/** Odd multipliers that spread subchannel and fault numbers over the seed (golden ratio; Murmur3 finaliser). */
const SPREAD_SCHID = 0x9e3779b1;
const SPREAD_FAULT = 0x85ebca6b;
const TWO_32 = 2 ** 32;

/** One configured fault of one device, with a generator of its own: the others do not disturb its draws. */
export class FaultLots {
  readonly kind: FaultKind;
  /** Nanoseconds it takes; 0 for a kind that takes no time. */
  readonly ns: number;
  /** Times it has struck. */
  strikes = 0;
  readonly #threshold: number;
  readonly #random: Random;
  readonly #times: number;
  #spared: number;

  /** @param seed of the machine. @param index of the fault among those of its device */
  constructor(config: FaultConfig, seed: number, schid: number, index: number) {
    const row: FaultKindRow = FAULT_KIND_TABLE[config.kind];
    this.kind = config.kind;
    this.ns = config.ns ?? row.ns ?? 0;
    this.#threshold = config.rate * TWO_32;
    this.#spared = config.after ?? 0;
    this.#times = config.times ?? Number.POSITIVE_INFINITY;
    this.#random = new Random(seed ^ Math.imul(schid + 1, SPREAD_SCHID) ^ Math.imul(index + 1, SPREAD_FAULT));
  }

  /** One draw: true when the fault strikes. */
  draw(): boolean {
    if (this.#spared > 0) {
      this.#spared--;
      return false;
    }
    if (this.strikes >= this.#times || this.#random.next() >= this.#threshold) return false;
    this.strikes++;
    return true;
  }
}
