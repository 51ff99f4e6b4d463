import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TRACE_EVENTS, type TraceEvent } from '../../kernel/include/trace_events.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { type ImportedTrace, importChromeTrace } from '../../test/support/chrome_trace.ts';
import { chromeJson } from './chrome_json.ts';
import { TimelineBuilder } from './timeline.ts';

const ACTORS = ['vmm', 'kernel', 'vcpu0', 'vcpu1', 'iop0', 'dma0'] as const;

function written(records: readonly TraceRecord[]): ImportedTrace {
  const builder = new TimelineBuilder(ACTORS);
  for (const record of records) builder.add(record);
  return importChromeTrace([...chromeJson(builder.end(), { seed: 1 })].join('\n'));
}

/** Records a microsecond apart. */
function timeline(...rows: readonly (readonly [actor: string, event: TraceEvent, ...args: number[]])[]): ImportedTrace {
  return written(rows.map(([actor, event, ...args], i) => ({ time: 1000 * i, actor, event, args })));
}

/** `vcpu0 exit: SSCH 0-5`, indented by depth. */
function shown({ slices }: ImportedTrace, track: string): string[] {
  return slices.filter((s) => s.track === track).map((s) => `${'  '.repeat(s.depth)}${s.name} ${s.ts}-${s.end}`);
}

/** Random events of random threads: endings without beginnings, keys mixed up, many at one time. */
const record = fc
  .tuple(
    fc.constantFrom(...ACTORS),
    fc.constantFrom(...(Object.keys(TRACE_EVENTS) as TraceEvent[])),
    fc.array(fc.oneof(fc.nat(3), fc.constantFrom(0xb233, 0xb235, 0x20, 2 ** 59, -1, 7)), {
      minLength: 4,
      maxLength: 4,
    }),
    fc.nat(2),
  )
  .map(([actor, event, args, later]) => ({ actor, event, args: args.slice(0, TRACE_EVENTS[event].length), later }));

test('whatever was recorded, every slice ends, inside the one it began in, and every arrow can be drawn', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 120 }), (list) => {
      let time = 0;
      const records = list.map(({ later, ...rest }) => {
        time += later * 77;
        return { ...rest, time };
      });
      const trace = written(records);
      expect(trace.problems).toEqual([]);
      for (const { ts, end } of trace.slices) expect(end).toBeGreaterThanOrEqual(ts);
      // No record is left out: each begins or ends a slice, or is one.
      const categories = new Set(trace.slices.map(({ category }) => category));
      for (const { event } of records)
        if (!event.endsWith('_ret')) expect([event, categories.has(event) || ENDS.has(event)]).toEqual([event, true]);
    }),
    { numRuns: 300 },
  );
});
const ENDS: ReadonlySet<string> = new Set([
  'kvm_userspace_enter',
  'kvm_vcpu_ioctl',
  'kvm_hcall_exit',
  'sys_exit',
  'iop_status',
  'dma_port_end',
  'fsl_dma_end',
]);

test('a system call of the VMM lies inside the interception, and the kernel’s part beside it', () => {
  const trace = timeline(
    ['vcpu0', 'kvm_userspace_exit', 0, 13, 0xb233],
    ['vmm', 'kvm_run_exit', 0, 13, 0xb233],
    ['vmm', 'vfio_ccw_Q3', 0, 0x1000],
    ['vmm', 'syscall', 181, 5, 7, 0],
    ['kernel', 'sys_enter', 181, 7, 0, 5],
    ['kernel', 'vfio_ccw_K1', 0, 0x2000, 3],
    ['kernel', 'sys_exit', 181, 124, 5],
    ['vmm', 'syscall_ret', 181, 5, 124],
    ['vmm', 'kvm_vcpu_ioctl', 0, 0xae80, 1],
    ['vcpu0', 'kvm_userspace_enter', 0, 1],
  );
  expect(trace.problems).toEqual([]);
  expect(shown(trace, 'minivisor/vcpu0')).toEqual(['exit: SSCH 0-9']);
  expect(shown(trace, 'minivisor/vmm')).toEqual(['SSCH 1-8', '  Q3 intercept SSCH 1-2', '  pwrite64 3-7']);
  expect(shown(trace, 'minivisor/kernel')).toEqual(['pwrite64 4-6', '  K1 copy the channel program 4-5']);
  const call = trace.slices.find((s) => s.name === 'pwrite64' && s.track === 'minivisor/kernel');
  expect(call?.args).toEqual({ nr: 181, arg0: '0x7', arg1: '0x0', slot: 5, ret: 124 });
  expect(
    [...trace.flows.values()].map(({ name, through }) => [name, through.map((s) => s.track.split('/')[1])]),
  ).toEqual([['I/O', ['vcpu0', 'vmm', 'vmm', 'kernel']]]);
});

test('one thread at the same hypercall of two CPUs has a slice for each, which ends when that CPU’s call is handled', () => {
  const trace = timeline(
    ['vcpu0', 'kvm_hcall_enter', 0, 0x138, 0x8000_0000, 0x1000],
    ['kernel', 'hypercall', 0x138, 0x8000_0000, 0x1000, 0],
    ['vcpu1', 'kvm_hcall_enter', 1, 0x138, 0x8000_0000, 0x2000],
    ['kernel', 'hypercall', 0x138, 0x8000_0000, 0x2000, 0],
    ['kernel', 'hypercall_ret', 0x138, 0, 1],
    ['vcpu1', 'kvm_hcall_exit', 1, 0x138, 0, 1],
    // CPU 1 again, while CPU 0 is still at its first.
    ['vcpu1', 'kvm_hcall_enter', 1, 0x138, 0x8000_0000, 0x3000],
    ['kernel', 'hypercall', 0x138, 0x8000_0000, 0x3000, 0],
    ['kernel', 'hypercall_ret', 0x138, -4, 1],
    ['kernel', 'hypercall_ret', 0x138, 0, 1],
    ['vcpu1', 'kvm_hcall_exit', 1, 0x138, 0, 1],
    ['vcpu0', 'kvm_hcall_exit', 0, 0x138, -4, 1],
  );
  expect(trace.problems).toEqual([]);
  const handlers = trace.slices.filter(({ category }) => category === 'hypercall');
  expect(handlers.map(({ ts, end, args }) => [args.arg2, ts, end, args.ret])).toEqual([
    ['0x1000', 1, 8, -4],
    ['0x2000', 3, 4, 0],
    ['0x3000', 7, 9, 0],
  ]);
  expect(trace.slices.some(({ category }) => category === 'hypercall_ret')).toBe(false);
});

test('an arrow leads from H_PUT_TCE to each DMA through that entry, until the entry is written again', () => {
  const put = (cpu: number, at: number): readonly [string, TraceEvent, ...number[]][] => [
    [`vcpu${cpu}`, 'kvm_hcall_enter', cpu, 0x20, 0x80000000, at * 4096],
    [`vcpu${cpu}`, 'tce_kill', 2, at, 1, 0],
    [`vcpu${cpu}`, 'kvm_hcall_exit', cpu, 0x20, 0, 0],
  ];
  const dma = (entry: number): readonly [string, TraceEvent, ...number[]] => [
    'dma0',
    'phb_dma',
    2,
    entry * 4096,
    entry,
    3,
  ];
  const trace = timeline(...put(0, 5), ...put(1, 6), dma(5), dma(6), dma(5), dma(7), ...put(0, 5), dma(5));
  expect(trace.problems).toEqual([]);
  expect([...trace.flows.values()].map(({ through }) => through.map(({ name, ts }) => `${name} ${ts}`))).toEqual([
    ['H_PUT_TCE 0', 'phb_dma 6', 'phb_dma 8'],
    ['H_PUT_TCE 3', 'phb_dma 7'],
    ['H_PUT_TCE 10', 'phb_dma 13'],
  ]);
  expect(shown(trace, 'partitionable endpoints/PE#2')).toHaveLength(8);
});

test('a channel program and its commands are on the hardware track of their subchannel too, programs side by side on their thread', () => {
  const trace = timeline(
    ['iop0', 'iop_start', 0, 0x100],
    ['iop0', 'ccw_execute', 0, 0x63, 0x40, 16],
    ['iop0', 'iop_start', 1, 0x200],
    ['iop0', 'ccw_execute', 0, 0x06, 0, 4096],
    ['iop0', 'iop_status', 0, 0x09, 0, 0],
    ['iop0', 'iop_status', 0, 0x07, 0x0c, 0],
    ['iop0', 'iop_status', 1, 0x07, 0x0c, 0],
  );
  expect(shown(trace, 'subchannels/0.0.0000 hardware')).toEqual([
    'channel program 0-5',
    '  CCW 0x63 1-3',
    '  CCW 0x06 3-5',
    '    iop_status 4-4',
    'iop_status 5-5',
  ]);
  expect(shown(trace, 'minivisor/iop0')).toContain('channel program 0-5');
  expect(shown(trace, 'minivisor/iop0 (2)')).toContain('channel program 2-6');
});

test('on the track of a subchannel a step lasts from the step before it, inside its I/O, and arrows hold on to threads', () => {
  const trace = timeline(
    ['vmm', 'vfio_ccw_Q1', 0, 0, 0],
    ['vmm', 'kvm_run_exit', 0, 13, 0xb233],
    ['vmm', 'vfio_ccw_Q3', 0, 0],
    ['vmm', 'vfio_ccw_Q4', 0, 0],
    ['kernel', 'vfio_ccw_K3', 0, 0],
    ['iop0', 'iop_start', 0, 0x100],
    ['kernel', 'vfio_ccw_K4', 0, 0],
    ['iop0', 'iop_status', 0, 0x07, 0x0c, 0],
    ['kernel', 'vfio_ccw_K5', 0, 0x07, 0x0c, 0],
    ['vmm', 'vfio_ccw_Q7', 0, 0, 3],
    ['vmm', 'kvm_run_exit', 0, 13, 0xb235],
    ['vmm', 's390_ioinst', 0xb235, 0x10000, 0, 0],
    // An interruption without an I/O.
    ['kernel', 's390_cio_interrupt', 0],
    ['kernel', 'vfio_ccw_K5', 0, 0x11, 0x85, 0],
    ['kernel', 'vfio_ccw_K6', 0],
    ['vmm', 'vfio_ccw_Q7', 0, 0, 3],
    ['vmm', 'vfio_ccw_Q3', 0, 0],
  );
  expect(trace.problems).toEqual([]);
  expect(shown(trace, 'subchannels/0.0.0000')).toEqual([
    'Q1 region information, once at realize 0-0',
    'I/O 1-11',
    '  Q3 intercept SSCH 1-2',
    '  Q4 write ORB and SCSW to the I/O region 2-3',
    '  K3 issue SSCH on the host subchannel 3-4',
    '  K4 return the condition code 4-6',
    '  K5 interrupt: IRB to the I/O region 6-8',
    "  Q7 update the guest's IRB, make the interrupt pending 8-9",
    's390_ioinst 11-11',
    'K5 interrupt: IRB to the I/O region 12-13',
    '  s390_cio_interrupt 12-12',
    'K6 signal the eventfd 13-14',
    "Q7 update the guest's IRB, make the interrupt pending 14-15",
    'I/O 15-16',
    '  Q3 intercept SSCH 15-16',
  ]);
  expect(shown(trace, 'subchannels/0.0.0000 hardware')).toEqual(['channel program 5-7', 'iop_status 7-7']);
  const arrow = [...trace.flows.values()][0].through;
  expect(arrow.every(({ track }) => track.startsWith('minivisor/'))).toBe(true);
});

test('a guest’s subchannel with another number than the host’s is found by what the VMM did for it', () => {
  const trace = timeline(
    ['vmm', 'kvm_run_exit', 0, 13, 0xb233],
    ['vmm', 'vfio_ccw_Q3', 4, 0],
    ['vmm', 's390_ioinst', 0xb233, 0, 0, 0],
    ['vmm', 'vfio_ccw_Q7', 4, 0, 3],
    ['vmm', 'css_io_interrupt', 0xfe00, 0, 0, 3],
    ['vcpu0', 'kvm_s390_deliver_interrupt', 0, 0, 0x10000, 0],
  );
  const [{ through }] = [...trace.flows.values()];
  expect(through.map(({ category }) => category)).toEqual([
    'kvm_run_exit',
    'vfio_ccw_Q3',
    'vfio_ccw_Q7',
    'css_io_interrupt',
    'kvm_s390_deliver_interrupt',
  ]);
  expect(trace.tracks).toContain('subchannels/0.0.0004');
});

test('an empty run is a file that opens', () => {
  const trace = written([]);
  expect(trace.problems).toEqual([]);
  expect(trace.slices.map(({ name }) => name)).toEqual(['run']);
});
