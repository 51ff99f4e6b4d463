/// <reference lib="dom" />
/** What the charts have in common: tones, ticks, grid lines, tips. */
import type { ScaleOptions } from '@observablehq/plot';
import { type Axis, percentOf, type Tone } from '../chart.ts';
import { digits, quantity } from '../quantity.ts';

/** Below this width, px, names move from the lines' ends into the key (page.css has the same one). */
export const NARROW = 560;

/** What every plot is drawn with: names and tips may reach beyond its edges. */
export const FRAME = { className: 'plot', style: { fontSize: '13px', overflow: 'visible' } } as const;

/** The style sheet's colour. */
export const toneColour = (tone: Tone) => `var(--tone-${tone})`;

/** Text of a value on an axis or in a tip. */
export function axisText({ scale, unit }: Axis, value: number): string {
  if (scale === 'percentile') return percentOf(value);
  if (value === 0) return '0';
  return unit === undefined ? digits(value) : quantity(value, unit);
}

/** Width of a letter of a tick, and the gap between two ticks' texts, px. */
const LETTER = 7.5;
const GAP = 12;

/** Ticks whose texts fit next to each other, from the last one on. */
export function fittingTicks(axis: Axis, ticks: readonly number[], position: (x: number) => number): number[] {
  const half = (tick: number) => (axisText(axis, tick).length * LETTER) / 2;
  const fitting: number[] = [];
  for (const tick of [...ticks].reverse()) {
    const room = (other: number) => half(other) + half(tick) + GAP;
    if (fitting.every((other) => Math.abs(position(other) - position(tick)) >= room(other))) fitting.push(tick);
  }
  return fitting.reverse();
}

/** Most ticks of a logarithmic axis that goes up. */
const MOST_TICKS = 7;

/** Round numbers between two values: powers of ten, with 2 and 5 where there are few; of bytes, powers of two. */
export function logTicks({ unit }: Axis, [least, most]: readonly [number, number]): number[] {
  const base = unit === 'bytes' ? 2 : 10;
  const log = (value: number) => Math.log(value) / Math.log(base);
  const [first, last] = [Math.ceil(log(least) - 1e-9), Math.floor(log(most) + 1e-9)];
  if (base === 10 && last - first < 2)
    return [1, 2, 5]
      .flatMap((step) => [first - 1, first, last, last + 1].map((power) => step * 10 ** power))
      .filter((tick, i, all) => tick >= least && tick <= most && all.indexOf(tick) === i);
  const step = Math.ceil((last - first + 1) / MOST_TICKS);
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => base ** (first + i * step));
}

/** Plot's options of an axis over these values. */
export function scaleOptions(axis: Axis, values: readonly number[]): ScaleOptions & { domain: [number, number] } {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (axis.scale === 'linear')
    return { type: 'linear', domain: [Math.min(0, least), most === 0 ? 1 : most], nice: true };
  // A line along the frame would be hidden by it.
  const room = axis.scale === 'percentile' ? 1 : 1.25;
  const [low, high] = [least / room, most * room];
  return { type: 'log', domain: low === high ? [low / 2, high * 2] : [low, high] };
}
