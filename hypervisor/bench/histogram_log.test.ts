import { HistogramLogReader, listTags } from 'hdr-histogram-js';
import { expect, test } from 'vitest';
import { exampleDocument } from '../../test/support/bench_document.ts';
import type { Figure } from './figures.ts';
import { nsAtPercentile } from './histogram.ts';
import { histogramLog, tagsOf } from './histogram_log.ts';

const document = exampleDocument();
const log = histogramLog(document);

test('the log is of version 1.3, says when it began, and has no empty line', () => {
  const lines = log.split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.filter((line) => line === '')).toEqual([]);
  expect(lines[1]).toBe('#[Histogram log format version 1.3]');
  expect(log).toMatch(/^#\[StartTime: 1763647200\.000 \(seconds since epoch\)/m);
  expect(log).toMatch(/^"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"$/m);
});

test('there is one tagged interval for each figure of times, and none for rates and counts', () => {
  const intervals = log.split('\n').filter((line) => line.startsWith('Tag='));
  expect(intervals).toHaveLength(3);
  for (const line of intervals) expect(line).toMatch(/^Tag=[^\s,]+,0\.000,12\.500,\d+\.\d{3},[A-Za-z0-9+/=]+$/);
  expect(listTags(log)).toEqual([
    'tce/floor:_two_parties',
    'tce/H_PUT_TCE_kernel_virtual_mode',
    'ccw/K2_translate_it_and_pin_its_pages',
  ]);
});

test('the library reads back each tag with the quantiles of its figure', () => {
  const reader = new HistogramLogReader(log);
  const timed = document.figures.filter(({ unit }) => unit === 'ns');
  for (const { p50, p99, max = 0, samples } of timed) {
    const histogram = reader.nextIntervalHistogram();
    if (histogram === null) throw new Error('an interval is missing');
    expect(histogram.totalCount).toBe(samples);
    expect(histogram.endTimeStampMsec - histogram.startTimeStampMsec).toBe(12_500);
    expect(nsAtPercentile(histogram, 100) / max).toBeCloseTo(1, 2);
    // The figure's are medians over rounds, a per cent apart here.
    expect(Math.abs(nsAtPercentile(histogram, 50) / p50 - 1)).toBeLessThan(0.01);
    expect(Math.abs(nsAtPercentile(histogram, 99) / (p99 as number) - 1)).toBeLessThan(0.01);
  }
  expect(reader.nextIntervalHistogram()).toBeNull();
});

test('tags have no space and no comma, and no two are the same', () => {
  const figure = (name: string, more: Partial<Figure> = {}): Figure => ({
    scenario: 's',
    name,
    unit: 'ns',
    p50: 1,
    samples: 1,
    operations: 1,
    ...more,
  });
  expect(
    tagsOf([
      figure('a, "b"\t<c>'),
      figure('  per TCE', { parameters: { hcall: 'H_PUT_TCE', entries: 1 } }),
      figure('  per TCE', { parameters: { hcall: 'H_STUFF_TCE', entries: 512 } }),
      figure('twice'),
      figure('twice'),
      figure('x', { column: 'type1 4K' }),
    ]),
  ).toEqual(['s/a_b_c_', 's/H_PUT_TCE/1/per_TCE', 's/H_STUFF_TCE/512/per_TCE', 's/twice', 's/twice.2', 's/type1_4K/x']);
});
