/**
 * How each trace event is drawn on a timeline, as a table. What is not in it is a point in time. Slices of a family that
 * agree in a key begin and end together; the steps of an I/O are slices that end with the step: on its thread from the
 * last thing that did, on its subchannel from the step before it.
 */
import { SCSW_STCTL_INTERMEDIATE, SCSW_STCTL_STATUS_PEND } from '../../kernel/include/arch/s390/scsw.ts';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import { NR } from '../../kernel/include/uapi/syscall.ts';
import { DESIGNS, type Step } from '../bench/steps.ts';
import { exitName, hcallName, syscallName } from './event_names.ts';

type Args = readonly number[];

/** Slices that begin and end in the same way. */
export type Family =
  | 'exit'
  | 'interception'
  | 'hcall'
  | 'handler'
  | 'call'
  | 'syscall'
  | 'program'
  | 'ccw'
  | 'port'
  | 'dma';

interface Span {
  readonly family: Family;
  /** What tells one slice of the family from another that is open on the same thread. */
  readonly key: (args: Args) => number;
}
export interface Begin extends Span {
  readonly kind: 'begin';
  readonly name: (args: Args) => string;
  /** It sleeps while its thread does other things: on a track of its own. */
  readonly waits?: (args: Args) => boolean;
}
export interface End extends Span {
  readonly kind: 'end';
  /** Families whose slices of the same key end with it. */
  readonly inner?: readonly Family[];
  /** False: not the end yet. */
  readonly ends?: (args: Args) => boolean;
}
export interface StepShape {
  readonly kind: 'step';
  readonly name: string;
  /** Where it is in its I/O; `setup`: before any. */
  readonly place: 'setup' | 'first' | 'middle' | 'last';
}
export type Shape = Begin | End | StepShape | { readonly kind: 'point' };

const argument = (n: number) => (args: Args) => args[n];
const always = (name: string) => () => name;

const begin = (family: Family, key: Begin['key'], name: Begin['name'], more: Pick<Begin, 'waits'> = {}): Begin => ({
  kind: 'begin',
  family,
  key,
  name,
  ...more,
});
const end = (family: Family, key: End['key'], more: Pick<End, 'inner' | 'ends'> = {}): End => ({
  kind: 'end',
  family,
  key,
  ...more,
});

/** Status that ends nothing: intermediate, alone. */
const INTERMEDIATE = SCSW_STCTL_INTERMEDIATE | SCSW_STCTL_STATUS_PEND;

const SPANS: Partial<Record<TraceEvent, Shape>> = {
  kvm_userspace_exit: begin('exit', argument(0), ([, reason, text]) => `exit: ${exitName(reason, text)}`),
  kvm_userspace_enter: end('exit', argument(0)),
  kvm_run_exit: begin('interception', argument(0), ([, reason, text]) => exitName(reason, text)),
  kvm_vcpu_ioctl: end('interception', argument(0)),
  kvm_hcall_enter: begin('hcall', argument(0), ([, token]) => hcallName(token)),
  kvm_hcall_exit: end('hcall', argument(0)),
  // By CPU, which `handled_calls.ts` finds: one thread may be at the same call of several.
  hypercall: begin('handler', argument(0), ([token]) => hcallName(token)),
  hypercall_ret: end('handler', argument(0)),
  // The VMM's thread goes on while a read of an eventfd is under way; so does the kernel's.
  syscall: begin('call', argument(1), ([nr, , , second]) => syscallName(nr, second), {
    waits: ([nr]) => nr === NR.read,
  }),
  syscall_ret: end('call', argument(1)),
  sys_enter: begin('syscall', argument(3), ([nr, , second]) => syscallName(nr, second), {
    waits: ([nr]) => nr === NR.read,
  }),
  sys_exit: end('syscall', argument(2)),
  iop_start: begin('program', argument(0), always('channel program')),
  iop_status: end('program', argument(0), {
    inner: ['ccw'],
    ends: ([, stctl]) => (stctl | INTERMEDIATE) !== INTERMEDIATE,
  }),
  ccw_execute: begin('ccw', argument(0), ([, command]) => `CCW 0x${command.toString(16).padStart(2, '0')}`),
  dma_port_start: begin('port', argument(0), always('DMA port')),
  dma_port_end: end('port', argument(0)),
  fsl_dma_start: begin('dma', argument(0), always('DMA engine')),
  fsl_dma_end: end('dma', argument(0)),
};

const STEPS = DESIGNS.flatMap(({ prefix, setup, steps }) => {
  const row = ([step, , what]: Step, place: StepShape['place']): [string, Shape] => [
    `${prefix}${step}`,
    { kind: 'step', name: `${step} ${what}`, place },
  ];
  const last = steps.length - 1;
  return [
    ...setup.map((step) => row(step, 'setup')),
    ...steps.map((step, i) => row(step, i === 0 ? 'first' : i === last ? 'last' : 'middle')),
  ];
});

/** The table. */
export const SHAPES: ReadonlyMap<string, Shape> = new Map<string, Shape>([...Object.entries(SPANS), ...STEPS]);
/** The shape of the others. */
export const POINT: Shape = { kind: 'point' };
