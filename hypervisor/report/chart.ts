/**
 * Charts as data: what the command puts into the page and the page's own script draws. Everything is computed
 * beforehand; the page only scales and draws, so a chart cannot say anything else than the table below it.
 */
import type { Unit } from './quantity.ts';

/** Colour of a side, 0 to 5: the same side has the same one in every chart (`--tone-N` in page/page.css). */
export type Tone = number;

/** What points of a tone look like: Plot's name of the symbol, and a character for the key. */
export const SYMBOLS = [
  { name: 'circle', character: '●' },
  { name: 'square', character: '■' },
  { name: 'triangle', character: '▲' },
  { name: 'diamond', character: '◆' },
  { name: 'star', character: '★' },
  { name: 'cross', character: '✚' },
] as const;

/** How far along an axis is. `percentile` is HdrHistogram's: 1 / (1 - share), logarithmic, so that each nine has equal room. */
export type Scale = 'linear' | 'log' | 'percentile';

export interface Axis {
  readonly label: string;
  readonly scale: Scale;
  /** What a value is written as; a bare number without. */
  readonly unit?: Unit;
  /** Where the ticks are; chosen by the page without. */
  readonly ticks?: readonly number[];
}

export interface Line {
  readonly name: string;
  readonly tone: Tone;
  /** Of the first of two documents: drawn dashed, behind the other. */
  readonly before?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly kind: 'lines';
  readonly id: string;
  readonly title: string;
  /** What to see, in a sentence computed from the figures. */
  readonly reading: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  /** x of the points that get a mark: all when omitted. */
  readonly marked?: readonly number[];
}

export interface Segment {
  /** Short, written into the bar where there is room: `K2`. */
  readonly name: string;
  /** What is done: `translate it and pin its pages`. */
  readonly what: string;
  /** Who does it: `VMM`. */
  readonly who: string;
  readonly tone: Tone;
  readonly value: number;
}

export interface Bar {
  readonly name: string;
  readonly before?: boolean;
  /** What the whole took, where it was measured by itself: medians of parts need not add up to the median of the whole. */
  readonly whole?: number;
  readonly segments: readonly Segment[];
}

export interface StackChart {
  readonly kind: 'stacks';
  readonly id: string;
  readonly title: string;
  readonly reading: string;
  readonly x: Axis;
  readonly bars: readonly Bar[];
  /** What the colours are. */
  readonly key: readonly { readonly who: string; readonly tone: Tone }[];
}

export type Chart = LineChart | StackChart;

/** A table of text; numbers are aligned to the right. */
export interface DataTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** `90 %`, `99.9 %`: a place on the percentile axis. */
export function percentOf(x: number): string {
  const share = 100 * (1 - 1 / x);
  return `${Number(share.toFixed(x >= 1e4 ? 3 : x >= 1e3 ? 2 : 1))}\u00a0%`;
}
