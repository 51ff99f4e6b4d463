/** Numbers as the page writes them, in its text, its tables and on its axes: three digits, in a unit that a reader can hold. */
import type { Figure } from '../bench/figures.ts';

export type Unit = Figure['unit'];

/** Where a time goes over to the next unit, ns, and how that is written (SI brochure, 9th edition, table 7). */
const TIMES = [
  { from: 1e9, unit: 's' },
  { from: 1e6, unit: 'ms' },
  { from: 1e3, unit: 'µs' },
] as const;
/** IEC 80000-13 prefixes. */
const SIZES = [
  { from: 2 ** 30, unit: 'GiB' },
  { from: 2 ** 20, unit: 'MiB' },
  { from: 2 ** 10, unit: 'KiB' },
] as const;
/** Keeps a number and its unit on one line. */
const NO_BREAK = '\u00a0';

/** Three digits: `0.0512`, `5.12`, `51.2`, `512`, `51,200`; whole numbers as they are. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const size = Math.abs(value);
  if (size >= 1000) return Number(value.toPrecision(3)).toLocaleString('en');
  return size < 0.001
    ? '0'
    : value
        .toPrecision(3)
        .replace(/(\.\d*?)0+$/, '$1')
        .replace(/\.$/, '');
}

function scaled(value: number, steps: readonly { from: number; unit: string }[], base: string): string {
  // What three digits round up to the next unit is written in it: 999.8 ns is 1 µs.
  const step = steps.find(({ from }) => Math.abs(value) >= 0.9995 * from);
  return step === undefined
    ? `${digits(value)}${NO_BREAK}${base}`
    : `${digits(value / step.from)}${NO_BREAK}${step.unit}`;
}

/** A value with its unit: `51.8 ns`, `20.6 µs`, `348 MB/s`, `4 MiB`, `5 ioctls`. */
export function quantity(value: number, unit: Unit): string {
  if (unit === 'ns') return scaled(value, TIMES, 'ns');
  if (unit === 'ms') return scaled(value * 1e6, TIMES, 'ns');
  if (unit === 'bytes') return scaled(value, SIZES, value === 1 ? 'byte' : 'bytes');
  const one = value === 1 && (unit === 'ioctls' || unit === 'lines');
  return `${digits(value)}${NO_BREAK}${one ? unit.slice(0, -1) : unit}`;
}

/** How many times: `1.04×`, `397×`. */
export function times(ratio: number): string {
  return `${digits(ratio)}×`;
}

/** A part of a whole: `58 %`. */
export function share(part: number, whole: number): string {
  return whole === 0 ? '–' : `${Math.round((100 * part) / whole)}${NO_BREAK}%`;
}
