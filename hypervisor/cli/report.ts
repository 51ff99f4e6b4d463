/** What a boot shows at its end: the named steps of one SSCH, and the three paths of H_PUT_TCE side by side. */
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { percentile, showNs } from '../bench/figures.ts';
import type { MachineResult, MarkSeries } from '../config.ts';
import { table } from './table.ts';

type Step = readonly [name: string, thread: string, what: string];

/** A way to pass channel I/O through: its trace events begin with `prefix`, and their names end with the step's. */
interface Design {
  readonly prefix: string;
  readonly title: string;
  /** Once, at realize. */
  readonly setup: readonly Step[];
  /** Of each I/O, in order; the first and the last one begin and end it. */
  readonly steps: readonly Step[];
}

const DESIGNS: readonly Design[] = [
  {
    // Documentation/arch/s390/vfio-ccw.rst, "The vfio-ccw I/O process"
    prefix: 'vfio_ccw_',
    title: 'One SSCH, step by step',
    setup: [
      ['Q1', 'VMM', 'region information, once at realize'],
      ['Q2', 'VMM', 'eventfd registered, once at realize'],
    ],
    steps: [
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
    ],
  },
  {
    // the RFC of April 2016 (vfio-ccw facts section 4)
    prefix: 'ccw_rfc_',
    title: 'One SSCH of the 2016 proposal, step by step; the CPU stands still from Q1 to Q4',
    setup: [],
    steps: [
      ['Q1', 'VMM', 'intercept SSCH'],
      ['Q2', 'VMM', 'write a program with user addresses'],
      ['Q3', 'VMM', 'CCW_CMD_REQUEST: the ioctl begins'],
      ['K1', 'kernel', 'copy the program in'],
      ['K2', 'kernel', 'translate it again and pin its pages'],
      ['K3', 'kernel', 'issue SSCH on the host subchannel, and sleep'],
      ['K4', 'kernel', 'interrupt: wake up'],
      ['K5', 'kernel', 'build the IRB'],
      ['K6', 'kernel', 'copy IRB and SCSW back: the ioctl ends'],
      ['Q4', 'VMM', "update the guest's IRB; condition code to the guest"],
    ],
  },
];

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
  const records = trace.filter(({ event }) => event.startsWith(prefix) && /^[QK]\d$/.test(event.slice(prefix.length)));
  const ios = completeIos(records, steps).sort((a, b) => duration(a, steps) - duration(b, steps));
  const io = ios[ios.length >> 1];
  if (io === undefined) return '';
  const start = io.get(steps[0][0]) as number;
  let last = start;
  const rows = steps.map(([step, thread, what]) => {
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
  const once = setup
    .filter(([step]) => records.some((r) => r.event === `${prefix}${step}`))
    .map(([step, thread, what]) => [step, thread, '', '', what]);
  return `\n${title} (microseconds; the median of ${ios.length} I/Os):\n${table(['step', 'thread', 'at', 'took', 'what'], [...once, ...rows], '<<>><')}`;
}

function duration(io: ReadonlyMap<string, number>, steps: readonly Step[]): number {
  return (io.get(steps[steps.length - 1][0]) as number) - (io.get(steps[0][0]) as number);
}

/**
 * Times of the steps of every I/O that went from the first to the last, each step's first, on one subchannel: others may
 * be busy at the same time. Halted and cleared ones are passed over.
 */
function completeIos(records: readonly TraceRecord[], steps: readonly Step[]): Map<string, number>[] {
  const complete: Map<string, number>[] = [];
  const ios = new Map<number, Map<string, number>>();
  for (const record of records) {
    const step = record.event.slice(-2);
    const schid = record.args[0] & 0xffff;
    if (step === steps[0][0]) ios.set(schid, new Map());
    const io = ios.get(schid);
    if (io === undefined) continue;
    if (!io.has(step)) io.set(step, record.time);
    if (steps.every(([name]) => io.has(name))) {
      complete.push(io);
      ios.delete(schid);
    }
  }
  return complete;
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
