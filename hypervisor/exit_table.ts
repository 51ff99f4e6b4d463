/** Exit statistics as `perf kvm stat report` shows them. */
import { table } from './cli/table.ts';
import type { ExitReport, ExitRow } from './config.ts';

const us = (ns: number) => `${(ns / 1000).toFixed(2)}us`;
const percent = (part: number, whole: number) => `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(2)}%`;

/**
 * The mean, and how far off it may be: the standard error of the mean against the mean, in per cent (perf's
 * rel_stddev_stats).
 */
function average({ samples, sum, squares }: ExitRow): string {
  const mean = sum / samples;
  const variance = samples < 2 ? 0 : Math.max(0, squares - samples * mean * mean) / (samples - 1);
  const error = mean === 0 ? 0 : (100 * Math.sqrt(variance / samples)) / mean;
  return `${us(mean)} ( +-${error.toFixed(2).padStart(7)}% )`;
}

/** The table, its totals, and the hypercalls that are not in it. */
export function exitTable({ rows, inKernel }: ExitReport): string {
  const samples = rows.reduce((total, row) => total + row.samples, 0);
  const time = rows.reduce((total, row) => total + row.sum, 0);
  const cells = rows.map((row) => [
    row.name,
    `${row.samples}`,
    percent(row.samples, samples),
    percent(row.sum, time),
    us(row.min),
    us(row.max),
    average(row),
  ]);
  const head = ['VM-EXIT', 'Samples', 'Samples%', 'Time%', 'Min Time', 'Max Time', 'Avg time'];
  return [
    rows.length === 0 ? '  no exit that the guest came back from\n' : table(head, cells, '<>>>>>>'),
    `  Total Samples:${samples}, Total events handled time:${us(time)}.\n`,
    `  hypercalls handled in the kernel without an exit: ${inKernel.real} real mode, ${inKernel.virtual} virtual mode\n`,
  ].join('');
}

/** What `--exits` ends a run with. @param simulated times are of virtual time */
export function exitSummary(report: ExitReport | undefined, simulated: boolean): string {
  if (report === undefined) return '';
  const clock = simulated ? '; virtual time' : '';
  return `\nExits of all CPUs (perf kvm stat's columns; from leaving the guest to entering it again${clock}):\n${exitTable(report)}`;
}
