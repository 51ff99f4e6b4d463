/** The named steps of one SSCH in each design of channel I/O pass-through, and the I/Os that a trace holds. */
import type { TraceRecord } from '../../kernel/lib/trace.ts';

export type Step = readonly [name: string, thread: string, what: string];

/** A way to pass channel I/O through: its trace events begin with `prefix`, and their names end with the step's. */
export interface Design {
  readonly prefix: string;
  readonly title: string;
  /** Once, at realize. */
  readonly setup: readonly Step[];
  /** Of each I/O, in order; the first and the last one begin and end it. */
  readonly steps: readonly Step[];
}

/** The designs, newest first. */
export const DESIGNS: readonly Design[] = [
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

/** An I/O: the time of each step by its name, ns. */
export type StepTimes = ReadonlyMap<string, number>;

/** The records of a design's steps. */
export function stepRecords(trace: readonly TraceRecord[], prefix: string): TraceRecord[] {
  return trace.filter(({ event }) => event.startsWith(prefix) && /^[QK]\d$/.test(event.slice(prefix.length)));
}

/** From the first step to the last, ns. */
export function duration(io: StepTimes, steps: readonly Step[]): number {
  return (io.get(steps[steps.length - 1][0]) as number) - (io.get(steps[0][0]) as number);
}

/**
 * Times of the steps of every I/O that went from the first to the last, each step's first, on one subchannel: others may
 * be busy at the same time. Halted and cleared ones are passed over.
 */
export function completeIos(records: readonly TraceRecord[], steps: readonly Step[]): StepTimes[] {
  const complete: StepTimes[] = [];
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

/**
 * When each step was reached after the first one, and how long after all steps listed before it, ns. Threads run side by
 * side: a step that comes before one listed above it took no time of its own.
 */
export function stepTimes(io: StepTimes, steps: readonly Step[]): { at: number; took: number }[] {
  const start = io.get(steps[0][0]) as number;
  let last = 0;
  return steps.map(([step]) => {
    const at = (io.get(step) as number) - start;
    const took = Math.max(0, at - last);
    last = Math.max(last, at);
    return { at, took };
  });
}
