import { expect, test } from 'vitest';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { TraceText, traceText } from './text.ts';

const record = (time: number, actor: string): TraceRecord => ({ time, actor, event: 'vfio_ccw_K6', args: [time] });

test('records that come actor by actor are written in the order of time, those of one time in the order of the actors', () => {
  let written = '';
  const text = new TraceText(['vmm', 'kernel'], (lines) => {
    written += lines;
  });
  for (const one of [record(3, 'kernel'), record(7, 'kernel'), record(3, 'vmm'), record(5, 'vmm')]) text.add(one);
  text.flush(5);
  expect(written).toBe('           3 vmm     vfio_ccw_K6 schid=0x3\n           3 kernel  vfio_ccw_K6 schid=0x3\n');
  text.add(record(4, 'vmm'));
  text.add(record(6, 'kernel'));
  written = '';
  text.flush();
  expect(written).toBe(traceText([record(4, 'vmm'), record(5, 'vmm'), record(6, 'kernel'), record(7, 'kernel')]));
  written = '';
  text.flush();
  expect(written).toBe('');
});
