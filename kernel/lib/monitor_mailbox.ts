/**
 * The monitor's mailbox: one line of the user's goes to the VMM's thread, which sleeps in `Atomics.wait` and takes no
 * messages, and the answer comes back. Layout of the area: word 0 state, word 1 length in bytes, word 2 flags, text (UTF-8)
 * from offset 64. The state word carries the text by its atomic store, and hands the area over:
 *
 * | from | to | by | then |
 * |---|---|---|---|
 * | IDLE | POSTED | main: text, length, state | rings the VMM's doorbell; the VMM's monitor task waits for POSTED |
 * | POSTED | ANSWERED | VMM: text, length, flags, state | main looks at the word now and then: its event loop has more to do than to wait |
 * | ANSWERED | IDLE | main, once it has read | |
 */
import type { HostMemory } from './host_memory.ts';
import { delay } from './host_timer.ts';
import { type Task, until } from './task.ts';

/** Bytes of the area. */
export const MAILBOX_SIZE = 0x10000;
const TEXT = 64;
/** Most bytes of a line, and of an answer. */
export const MAILBOX_TEXT = MAILBOX_SIZE - TEXT;
const STATE = { IDLE: 0, POSTED: 1, ANSWERED: 2 } as const;
/** The answer was longer than the area. */
const FLAG_CUT = 1;
/** Milliseconds between two looks of the main thread: shortly after a question, and later. */
const LOOK_MS = { soon: 1, late: 10 } as const;
const SOON = 20;

class Mailbox {
  protected readonly memory: HostMemory;
  protected readonly base: number;
  constructor(memory: HostMemory, base: number) {
    this.memory = memory;
    this.base = base;
  }
  protected get state(): number {
    return this.memory.load(this.base);
  }
  protected get text(): string {
    const length = this.memory.load(this.base + 4);
    return new TextDecoder().decode(this.memory.bytes(this.base + TEXT, length).slice());
  }
  /** Hands the area over with a text; what does not fit is cut off at a character. */
  protected hand(state: number, text: string): void {
    const { memory, base } = this;
    const { read, written } = new TextEncoder().encodeInto(text, new Uint8Array(MAILBOX_TEXT));
    memory.bytes(base + TEXT, written).set(new TextEncoder().encode(text.slice(0, read)));
    memory.store(base + 4, written);
    memory.store(base + 8, read < text.length ? FLAG_CUT : 0);
    memory.store(base, state);
  }
}

/** The VMM's end. */
export class MailboxServer extends Mailbox {
  /** Waits for the next line. */
  *next(): Task<string> {
    yield* until('monitor command', () => this.state === STATE.POSTED);
    return this.text;
  }
  /** Answers it. */
  answer(text: string): void {
    this.hand(STATE.ANSWERED, text);
  }
}

export interface MailboxAnswer {
  /** Nothing, or lines. */
  readonly text: string;
  /** It was longer than the area, and its end is missing. */
  readonly cut: boolean;
}

/** The main thread's end: one question at a time, in the order of the calls. */
export class MailboxClient extends Mailbox {
  readonly #ring: () => void;
  readonly #ended: () => boolean;
  #last: Promise<unknown> = Promise.resolve();

  /** @param ring wakes the VMM's thread. @param ended true once nobody will answer any more */
  constructor(memory: HostMemory, base: number, ring: () => void, ended: () => boolean) {
    super(memory, base);
    this.#ring = ring;
    this.#ended = ended;
  }

  /** Nobody will answer any more. */
  get ended(): boolean {
    return this.#ended();
  }

  /** The answer to a line, or undefined when the machine ended before there was one. */
  ask(line: string): Promise<MailboxAnswer | undefined> {
    const answer = this.#last.then(() => this.#exchange(line));
    this.#last = answer;
    return answer;
  }
  async #exchange(line: string): Promise<MailboxAnswer | undefined> {
    if (this.#ended()) return undefined;
    this.hand(STATE.POSTED, line);
    this.#ring();
    for (let looks = 0; this.state !== STATE.ANSWERED; looks++) {
      if (this.#ended()) return undefined;
      await delay(looks < SOON ? LOOK_MS.soon : LOOK_MS.late);
    }
    const answer = { text: this.text, cut: (this.memory.load(this.base + 8) & FLAG_CUT) !== 0 };
    this.memory.store(this.base, STATE.IDLE);
    return answer;
  }
}
