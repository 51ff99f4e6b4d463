/** What `boot` does with the trace of its run: text while it goes on, the timeline at its end, and what is missing. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { TRACE_FOR } from '../../kernel/lib/trace.ts';
import type { MachineConfig } from '../config.ts';
import { TRACE_KEPT, type TraceRecorder, type TraceSinks } from '../trace/recorder.ts';
import { readTraceOption } from '../trace/trace_option.ts';
import { UserError } from '../user_error.ts';
import type { Values } from './options.ts';
import { checkOutput, tryOutput, writeLines } from './output_file.ts';

/** Places of the text and the timeline; undefined where there is none. */
interface Places {
  readonly text: string | undefined;
  readonly timeline: string | undefined;
}

/** Looks at every file that a boot writes before anything runs. @throws UserError */
export function checkWritten(values: Values, config: MachineConfig): void {
  const { text, timeline } = places(values);
  checkOutput('trace file=', text);
  checkOutput('trace-out', timeline);
  checkOutput('stats', values.stats as string | undefined);
  const written = [
    { by: '--stats', option: '--stats ', file: values.stats as string | undefined },
    { by: '--trace', option: '--trace file=', file: text },
    { by: '--trace-out', option: '--trace-out ', file: timeline },
    ...(config.nics ?? []).map(({ pcap }) => ({ by: '--nic', option: '--nic pcap=', file: pcap })),
  ];
  const same = (a: string, b: string | undefined) => b !== undefined && resolve(a) === resolve(b);
  for (const [i, { option, file }] of written.entries()) {
    if (file === undefined) continue;
    const image = config.drives.some((drive) => drive.file !== '' && same(file, drive.file));
    const other = image ? 'an image of --drive' : written.slice(0, i).find((one) => same(file, one.file));
    if (other === undefined) continue;
    const taken = typeof other === 'string' ? other : `what ${other.by} writes`;
    throw new UserError(`${option}${file}: is ${taken} too; give another file`);
  }
}

function places(values: Values): Places {
  const { file } = readTraceOption((values.trace as string[] | undefined) ?? []);
  return { text: file, timeline: values['trace-out'] as string | undefined };
}

export class BootTrace {
  readonly #places: Places;
  readonly #config: MachineConfig;
  #fd: number | undefined;
  #failed: unknown;
  #recorder: TraceRecorder | undefined;
  readonly #clock: string;

  constructor(values: Values, config: MachineConfig) {
    this.#clock = values.sim === true ? 'virtual time' : 'host clock';
    this.#places = places(values);
    this.#config = config;
    const { text, timeline } = this.#places;
    if (timeline !== undefined) tryOutput('trace-out', timeline);
    if (text === undefined) return;
    tryOutput('trace file=', text);
    this.#fd = openSync(text, 'w');
  }

  /** Where records go; undefined when nobody can want any. */
  get sinks(): TraceSinks | undefined {
    const { tracing, monitor, at = [] } = this.#config;
    const wanted = tracing !== undefined && (tracing.events.length > 0 || tracing.out);
    if (!wanted && monitor !== true && at.length === 0) return undefined;
    return { text: (lines) => this.#write(lines) };
  }
  /** The recorder of the run, before it begins. */
  attach(recorder: TraceRecorder): void {
    this.#recorder = recorder;
  }

  #write(lines: string): void {
    if (this.#fd === undefined) {
      process.stderr.write(lines);
      return;
    }
    // In the middle of a run nobody could be told: it is when the run has ended.
    if (this.#failed !== undefined) return;
    try {
      for (let bytes = Buffer.from(lines); bytes.length > 0; ) bytes = bytes.subarray(writeSync(this.#fd, bytes));
    } catch (error) {
      this.#failed = error;
    }
  }

  /**
   * The run is over, however it ended: writes the timeline, and says what is missing.
   * @throws UserError when a file could not be written
   */
  async end(): Promise<void> {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    const recorder = this.#recorder;
    if (recorder === undefined) return;
    const { text, timeline } = this.#places;
    if (timeline !== undefined) await this.#writeTimeline(timeline, recorder);
    const said = (line: string) => process.stderr.write(`minivisor: ${line}\n`);
    const { events = [], out = false } = this.#config.tracing ?? {};
    if (recorder.lost > 0 && (events.length > 0 || out))
      said(
        `${recorder.lost} events lost: written faster than they could be read; trace fewer (--trace GLOB), or --sim`,
      );
    if (out && recorder.beyond > 0)
      said(
        `--trace-out ${timeline}: holds the first ${TRACE_KEPT} events, ${recorder.beyond} came after them; end the run earlier`,
      );
    if (this.#failed !== undefined)
      throw new UserError(
        `--trace file=${text}: ${(this.#failed as NodeJS.ErrnoException).code}; what came after that was not written`,
      );
  }

  /** What draws timelines is loaded when there is one to draw. */
  async #writeTimeline(file: string, recorder: TraceRecorder): Promise<void> {
    const [{ TimelineBuilder }, { chromeJson }] = await Promise.all([
      import('../trace/timeline.ts'),
      import('../trace/chrome_json.ts'),
    ]);
    const builder = new TimelineBuilder(recorder.actors);
    for (const record of recorder.each(TRACE_FOR.OUT)) builder.add(record);
    const { seed, cpus, memory } = this.#config;
    const about = {
      clock: this.#clock,
      seed,
      cpus,
      memoryMiB: memory / 2 ** 20,
      eventsLost: recorder.lost,
      eventsNotKept: recorder.beyond,
    };
    writeLines('trace-out', file, chromeJson(builder.end(), about));
  }
}
