/**
 * A guest whose program new PSW leads straight into the next program interruption executes nothing any more: a machine
 * would loop for ever. Seen by counting interruptions that follow each other without an instruction in between.
 */

/** Program interruptions in a row that count as a loop nothing leads out of. */
const ENDLESS = 64;

export class ProgramLoop {
  #inARow = 0;
  #last = -2;

  /** A program interruption. @param executed instructions executed so far; the interrupted one may be counted */
  interruption(executed: number): void {
    this.#inARow = executed - this.#last <= 1 ? this.#inARow + 1 : 0;
    this.#last = executed;
  }
  /** True once there were so many in a row that only another CPU could help. */
  get endless(): boolean {
    return this.#inARow >= ENDLESS;
  }
}
