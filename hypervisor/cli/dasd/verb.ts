/** A row of the table of verbs. */
import type { OptionRow, Values } from '../options.ts';

/** One verb of `minivisor dasd`. */
export interface Verb {
  readonly usage: string;
  readonly summary: string;
  readonly options: readonly OptionRow[];
  /** Positional words it needs; a last one ending in `...` may be given several times. */
  readonly words: readonly string[];
  /** Returns the exit status. @throws UserError, ImageError, TrackFormatError */
  run(words: readonly string[], values: Values): number;
}
