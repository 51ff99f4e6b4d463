/** How far a bench is, and how long it may still take: in place on a terminal, elsewhere a line now and then. */
import type { after } from '../../kernel/lib/host_timer.ts';
import { showLeft } from '../bench/remaining.ts';

/** Milliseconds between two lines at least, where progress is no terminal's. */
export const PROGRESS_MS = 5000;
/** Milliseconds after which a line is repeated there, with the time until then: a step may take minutes. */
export const REPEAT_MS = 10_000;
/** Milliseconds after which a terminal's line is written anew, for its seconds go on. */
const TICK_MS = 1000;

/** What {@link BenchProgress} needs of the host. */
export interface ProgressHost {
  /** Milliseconds since the bench began. */
  readonly elapsed: () => number;
  readonly after: typeof after;
  readonly write: (text: string) => void;
  /** Milliseconds it may still take; undefined while that is not known. */
  readonly left?: () => number | undefined;
}

export class BenchProgress {
  readonly #terminal: boolean;
  readonly #host: ProgressHost;
  #shownAt = Number.NEGATIVE_INFINITY;
  #newest = '';
  #cancel: (() => void) | undefined;

  constructor(terminal: boolean, host: ProgressHost) {
    this.#terminal = terminal;
    this.#host = host;
  }

  /** The bench has come to `what`. */
  show(what: string): void {
    const news = what !== this.#newest;
    this.#newest = what;
    if (this.#terminal) {
      this.#redraw();
      return;
    }
    if (!news) return;
    this.#cancel?.();
    const wait = this.#shownAt + PROGRESS_MS - this.#host.elapsed();
    // The newest of several that come too early is shown when it is time: the next one may be minutes away.
    if (wait <= 0) this.#flush();
    else this.#cancel = this.#host.after(wait, () => this.#flush());
  }

  /** Nothing is shown any more. */
  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#terminal) this.#host.write('\r\x1b[K');
  }

  #redraw(): void {
    this.#cancel?.();
    this.#host.write(`\r\x1b[K${this.#line()}`);
    this.#cancel = this.#host.after(TICK_MS, () => this.#redraw());
  }

  #flush(): void {
    this.#shownAt = this.#host.elapsed();
    this.#host.write(`${this.#line()}\n`);
    this.#cancel = this.#host.after(REPEAT_MS, () => this.#flush());
  }

  #line(): string {
    const left = this.#host.left?.();
    const still = left === undefined ? '' : `, ${showLeft(left)}`;
    return `${this.#newest} (${(this.#host.elapsed() / 1000).toFixed(0)} s${still})`;
  }
}
