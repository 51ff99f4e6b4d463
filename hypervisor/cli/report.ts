/** What a boot shows at its end: the named steps of one SSCH, and the three paths of H_PUT_TCE side by side. */
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { percentile, showNs } from '../bench/figures.ts';
import type { MachineResult, MarkSeries } from '../config.ts';
import { table } from './table.ts';

/** The steps of one I/O in order, and what each does (Documentation/arch/s390/vfio-ccw.rst). */
const STEPS: readonly (readonly [string, string, string])[] = [
  ['Q3', 'VMM', 'intercept SSCH'],
  ['Q4', 'VMM', 'write ORB and SCSW to the I/O region'],
  ['K1', 'kernel', 'copy the channel program'],
  ['K2', 'kernel', 'translate it and pin its pages'],
  ['K3', 'kernel', 'issue SSCH on the host subchannel'],
  ['K4', 'kernel', 'return the condition code'],
  ['Q5', 'VMM', 'condition code to the guest'],
  ['K5', 'kernel', 'interrupt: IRB to the I/O region'],
  ['K6', 'kernel', 'signal the eventfd'],
  ['Q6', 'VMM', 'read the region'],
  ['Q7', 'VMM', "update the guest's IRB, make the interrupt pending"],
];
const SETUP: readonly (readonly [string, string, string])[] = [
  ['Q1', 'VMM', 'region information, once at realize'],
  ['Q2', 'VMM', 'eventfd registered, once at realize'],
];

/** Names of the hypercall tiers, by series number. */
export const TIER_NAMES = ['kernel, real mode', 'kernel, virtual mode', 'exit to the VMM'] as const;

/** The whole report. @param hypercalls calls that real mode, virtual mode and the VMM finished */
export function bootReport(
  result: MachineResult,
  trace: readonly TraceRecord[],
  hypercalls: readonly number[],
): string {
  return [stepsReport(trace), tceReport(result, hypercalls)].filter((part) => part !== '').join('');
}

/** The complete I/O of median duration, step by step: the first ones also pay for code that is new. */
function stepsReport(trace: readonly TraceRecord[]): string {
  const steps = trace.filter((r) => /^vfio_ccw_[QK]\d$/.test(r.event));
  const ios = completeIos(steps).sort((a, b) => duration(a) - duration(b));
  const io = ios[ios.length >> 1];
  if (io === undefined) return '';
  const start = io.get('Q3') as number;
  let last = start;
  const rows = STEPS.map(([step, thread, what]) => {
    const at = io.get(step) as number;
    // Threads run side by side: a step may come before the one listed above it.
    const row = [
      step,
      thread,
      ((at - start) / 1000).toFixed(1),
      `+${(Math.max(0, at - last) / 1000).toFixed(1)}`,
      what,
    ];
    last = Math.max(last, at);
    return row;
  });
  const setup = SETUP.filter(([step]) => steps.some((r) => r.event === `vfio_ccw_${step}`)).map(
    ([step, thread, what]) => [step, thread, '', '', what],
  );
  return `\nOne SSCH, step by step (microseconds; the median of ${ios.length} I/Os):\n${table(['step', 'thread', 'at', 'took', 'what'], [...setup, ...rows], '<<>><')}`;
}

function duration(io: ReadonlyMap<string, number>): number {
  return (io.get('Q7') as number) - (io.get('Q3') as number);
}

/**
 * Times of the steps of every I/O that went from Q3 to Q7, each step's first, on one subchannel: others may be busy
 * at the same time. Halted and cleared ones are passed over.
 */
function completeIos(steps: readonly TraceRecord[]): Map<string, number>[] {
  const complete: Map<string, number>[] = [];
  const ios = new Map<number, Map<string, number>>();
  for (const record of steps) {
    const step = record.event.slice(-2);
    const schid = record.args[0] & 0xffff;
    if (step === 'Q3') ios.set(schid, new Map());
    const io = ios.get(schid);
    if (io === undefined) continue;
    if (!io.has(step)) io.set(step, record.time);
    if (STEPS.every(([name]) => io.has(name))) {
      complete.push(io);
      ios.delete(schid);
    }
  }
  return complete;
}

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
  return `\nH_PUT_TCE, the three paths (per call, as the guest measured it in batches):\n${table(['path', 'p50', 'p99', 'calls', 'faster than the exit'], rows, '<>>>>')}`;
}
