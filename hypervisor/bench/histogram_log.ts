/**
 * A HdrHistogram log, version 1.3: one interval with a tag for each figure that has a distribution. HdrHistogram's own
 * reader (HistogramLogProcessor, HistogramLogAnalyzer) and its ports in other languages read it.
 */
import { HistogramLogWriter } from 'hdr-histogram-js';
import { isoMilliseconds } from '../../kernel/lib/host_timer.ts';
import type { BenchDocument } from './document.ts';
import type { Figure } from './figures.ts';
import { decodeHistogram, UNITS_PER_NS } from './histogram.ts';

/** Everything that is no part of a tag: a comma or a space would end it. */
const NO_TAG = /[^A-Za-z0-9_.:/()%+-]+/g;

/** The words of a tag. */
function tagOf(words: readonly (string | number | undefined)[]): string {
  return words
    .filter((word) => word !== undefined)
    .map((word) => `${word}`.trim().replace(NO_TAG, '_'))
    .join('/');
}

/** A tag for each figure: scenario, side and name; where that is not enough, the case measured; at last a number. */
export function tagsOf(figures: readonly Figure[]): string[] {
  const short = figures.map(({ scenario, column, name }) => tagOf([scenario, column, name]));
  const tags = short.map((tag, i) => {
    if (short.indexOf(tag) === short.lastIndexOf(tag)) return tag;
    const { scenario, column, name, parameters = {} } = figures[i];
    return tagOf([scenario, column, ...Object.values(parameters), name]);
  });
  const used = new Map<string, number>();
  return tags.map((tag) => {
    const times = (used.get(tag) ?? 0) + 1;
    used.set(tag, times);
    return times === 1 ? tag : `${tag}.${times}`;
  });
}

/** The text of the log. All intervals are the whole run, for rounds of all figures lie in all of it. */
export function histogramLog({ version, started, seconds = 0, figures, machine }: BenchDocument): string {
  let text = '';
  // The library ends a start time with an empty line, which not every reader takes.
  const writer = new HistogramLogWriter((line) => {
    text += line.replace(/\n+$/, '\n');
  });
  writer.outputComment(`[Logged with minivisor ${version}]`);
  writer.outputLogFormatVersion();
  writer.outputComment(`[Machine: ${machine.cpuModel}, ${machine.cpus} CPUs, Node ${machine.node}]`);
  writer.outputComment(
    `[Values are picoseconds, Interval_Max is nanoseconds; -outputValueUnitRatio ${UNITS_PER_NS} for nanoseconds, ${
      UNITS_PER_NS * 1000
    } for microseconds]`,
  );
  writer.outputStartTime(isoMilliseconds(started));
  writer.outputLegend();
  const timed = figures.filter(({ histogram }) => histogram !== undefined);
  for (const [i, tag] of tagsOf(timed).entries()) {
    const histogram = decodeHistogram(timed[i].histogram as string);
    histogram.tag = tag;
    writer.outputIntervalHistogram(histogram, 0, seconds, UNITS_PER_NS);
  }
  return text;
}
