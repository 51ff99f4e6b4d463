/**
 * Console output of one of several guests: whole lines, each with the machine's name in front, so that guests that print
 * at the same time do not break each other's lines.
 */

/** Most bytes kept of a line without an end; a longer one is shown in pieces. */
const LONGEST = 4096;
const LF = 10;

export class LabelledOutput {
  readonly #label: Uint8Array;
  readonly #output: (bytes: Uint8Array) => void;
  #line: number[] = [];

  /** @param output what the user sees; it gets whole lines */
  constructor(label: string, output: (bytes: Uint8Array) => void) {
    this.#label = new TextEncoder().encode(`${label}: `);
    this.#output = output;
  }

  /** Takes what the guest prints. */
  write(bytes: Uint8Array): void {
    const lines: number[] = [];
    for (const byte of bytes) {
      this.#line.push(byte);
      if (byte !== LF && this.#line.length < LONGEST) continue;
      lines.push(...this.#taken());
    }
    if (lines.length > 0) this.#output(Uint8Array.from(lines));
  }

  /** The run is over: a last line that has no end is shown too. */
  end(): void {
    if (this.#line.length > 0) this.#output(Uint8Array.from(this.#taken()));
  }

  /** The line so far, labelled and ended. */
  #taken(): number[] {
    const ended = this.#line.at(-1) === LF ? this.#line : [...this.#line, LF];
    this.#line = [];
    return [...this.#label, ...ended];
  }
}
