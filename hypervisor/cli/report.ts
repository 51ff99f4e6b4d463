/** What a boot shows at its end: the named steps of one SSCH, and the three paths of H_PUT_TCE side by side. */
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { percentile, showNs } from '../bench/figures.ts';
import { completeIos, DESIGNS, type Design, duration, stepRecords, stepTimes } from '../bench/steps.ts';
import type { MachineResult, MarkSeries } from '../config.ts';
import { table } from './table.ts';

/** Names of the hypercall tiers, by series number. */
export const TIER_NAMES = ['kernel, real mode', 'kernel, virtual mode', 'exit to the VMM'] as const;

/** The whole report. @param hypercalls calls that real mode, virtual mode and the VMM finished */
export function bootReport(
  result: MachineResult,
  trace: readonly TraceRecord[],
  hypercalls: readonly number[],
): string {
  const steps = DESIGNS.map((design) => stepsReport(trace, design));
  return [...steps, blockingReport(trace), tceReport(result, hypercalls)].filter((part) => part !== '').join('');
}

/** The complete I/O of median duration, step by step: the first ones also pay for code that is new. */
function stepsReport(trace: readonly TraceRecord[], { prefix, title, setup, steps }: Design): string {
  const records = stepRecords(trace, prefix);
  const ios = completeIos(records, steps).sort((a, b) => duration(a, steps) - duration(b, steps));
  const io = ios[ios.length >> 1];
  if (io === undefined) return '';
  const times = stepTimes(io, steps);
  const beside = times.map(({ at }, i) => i > 0 && times.slice(0, i).some((above) => above.at > at));
  const rows = times.map(({ at, took }, i) => {
    const [step, thread, what] = steps[i];
    return [step, thread, (at / 1000).toFixed(1), beside[i] ? '-' : `+${(took / 1000).toFixed(1)}`, what];
  });
  const footnote = beside.includes(true) ? '  - side by side with the step above\n' : '';
  const once = setup
    .filter(([step]) => records.some((r) => r.event === `${prefix}${step}`))
    .map(([step, thread, what]) => [step, thread, '', '', what]);
  return `\n${title} (microseconds; the median of ${ios.length} I/Os):\n${table(['step', 'thread', 'at', 'took', 'what'], [...once, ...rows], '<<>><')}${footnote}`;
}

/** What the blocking design cost and could not do, where it ran. */
function blockingReport(trace: readonly TraceRecord[]): string {
  const count = (event: string) => trace.filter((record) => record.event === event).length;
  if (count('ccw_rfc_Q3') === 0) return '';
  const stalls = stallTimes(trace);
  const rows = [
    [
      'CPU stood still in SSCH',
      `${showNs(sum(stalls))} in ${stalls.length} I/Os, at most ${showNs(Math.max(0, ...stalls))}`,
    ],
    ['HSCH and CSCH that reached the host', 'none: there is no command for them'],
    ['HSCH and CSCH only pretended', `${count('ccw_rfc_pretend')}`],
    ['status lost: nobody waited for it', `${count('ccw_rfc_lost')}`],
    ['isolation', 'none: no-IOMMU group, kernel tainted (TAINT_USER)'],
  ];
  return `\n${table(['blocking CMD_REQUEST', ''], rows, '<<')}`;
}

/** From intercept to answer, of each I/O. */
function stallTimes(trace: readonly TraceRecord[]): number[] {
  const begun = new Map<number, number>();
  const stalls: number[] = [];
  for (const { event, args, time } of trace) {
    const schid = args[0];
    if (event === 'ccw_rfc_Q1') begun.set(schid, time);
    const start = begun.get(schid);
    if (event !== 'ccw_rfc_Q4' || start === undefined) continue;
    stalls.push(time - start);
    begun.delete(schid);
  }
  return stalls;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function tceReport(result: MachineResult, hypercalls: readonly number[]): string {
  // Without hypercalls that the kernel finished there is nothing to put side by side.
  if (result.marks[0] !== undefined && hypercalls[0] < result.marks[0].calls)
    return '\nH_PUT_TCE: every call ended in the VMM, for guest RAM is not registered beforehand (--memory-pressure).\n';
  const series = TIER_NAMES.map((name, tier) => ({ name, mark: result.marks[tier] as MarkSeries | undefined })).filter(
    (s) => s.mark !== undefined && s.mark.batches.length > 0,
  );
  if (series.length === 0) return '';
  const p50 = (mark: MarkSeries) =>
    percentile(
      [...mark.batches].sort((a, b) => a - b),
      0.5,
    );
  const slowest = series.find((s) => s.name === TIER_NAMES[2]);
  const exit = slowest === undefined ? undefined : p50(slowest.mark as MarkSeries);
  const rows = series.reverse().map(({ name, mark }) => {
    const sorted = [...(mark as MarkSeries).batches].sort((a, b) => a - b);
    const median = percentile(sorted, 0.5);
    return [
      name,
      showNs(median),
      showNs(percentile(sorted, 0.99)),
      `${(mark as MarkSeries).calls}`,
      exit === undefined ? '' : `${(exit / median).toFixed(1)}x`,
    ];
  });
  const paths = ['', 'one path', 'two paths', 'the three paths'][series.length];
  return `\nH_PUT_TCE, ${paths} (per call, as the guest measured it in batches):\n${table(['path', 'p50', 'p99', 'calls', 'faster than the exit'], rows, '<>>>>')}`;
}
