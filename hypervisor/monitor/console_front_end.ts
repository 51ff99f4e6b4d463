/**
 * `--console stdio`: lines of standard input are typed at the guest's console, in order; while the guest does not read,
 * they wait here.
 */
import { createInterface, type Interface } from 'node:readline';
import { INPUT_MOST } from '../../devices/virtual/s390x/sclp_console_input.ts';
import { delay } from '../../kernel/lib/host_timer.ts';
import type { MailboxClient } from '../../kernel/lib/monitor_mailbox.ts';
import { NOT_READ } from './monitor_error.ts';

/** Milliseconds until a line is tried again that the guest had no room for. */
const AGAIN_MS = 20;

export class ConsoleFrontEnd {
  readonly #mailbox: MailboxClient;
  #reader: Interface | undefined;
  #ended = false;

  constructor(mailbox: MailboxClient) {
    this.#mailbox = mailbox;
  }

  /** Begins to listen. */
  start(input: NodeJS.ReadableStream = process.stdin): void {
    const reader = createInterface({ input });
    this.#reader = reader;
    let last: Promise<void> = Promise.resolve();
    reader.on('line', (line) => {
      last = last.then(() => this.#type(line));
    });
  }

  /** The machine has ended: nobody is heard any more. */
  end(): void {
    this.#ended = true;
    this.#reader?.close();
    // A terminal that is still open would keep the process.
    process.stdin.unref?.();
  }

  async #type(line: string): Promise<void> {
    const bytes = Buffer.byteLength(line) + 1;
    if (bytes > INPUT_MOST) {
      process.stderr.write(`minivisor: --console: a line of ${bytes} bytes is not typed: at most ${INPUT_MOST}\n`);
      return;
    }
    while (!this.#ended) {
      const answer = await this.#mailbox.ask(`console_input ${line}`);
      // Whatever else it says: the line was taken, and must not be typed twice.
      if (answer === undefined || !answer.text.includes(NOT_READ)) return;
      await delay(AGAIN_MS);
    }
  }
}
