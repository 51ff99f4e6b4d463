/** `minivisor dasd`: makes, lists, checks and dumps 3390 images. */
import { resolve } from 'node:path';
import { CkdImage, ImageError } from '../../devices/physical/dasd/ckd_image.ts';
import { MAX_CYLINDERS } from '../../devices/physical/dasd/geometry.ts';
import { TrackFormatError } from '../../devices/physical/dasd/track.ts';
import { checkVolume, createVolume, dumpTrack, listVolume } from '../../devices/physical/dasd/volume.ts';
import { UserError } from '../user_error.ts';
import type { Command } from './commands.ts';
import { type OptionRow, optionsHelp, parseOptions, type Values } from './options.ts';
import { table } from './table.ts';

/** One verb. */
interface Verb {
  readonly usage: string;
  readonly summary: string;
  readonly options: readonly OptionRow[];
  /** Positional words it needs. */
  readonly words: readonly string[];
  run(words: readonly string[], values: Values): number;
}

const VERBS: Readonly<Record<string, Verb>> = {
  create: {
    usage: 'create FILE [OPTIONS]',
    summary: 'makes and formats a new volume',
    words: ['FILE'],
    options: [
      { name: 'volser', kind: 'text', value: 'NAME', default: 'MINI01', help: 'volume serial, 1 to 6 characters' },
      {
        name: 'cylinders',
        kind: 'number',
        value: 'N',
        min: 1,
        max: MAX_CYLINDERS,
        default: '10',
        help: '15 tracks of 56,664 bytes each',
      },
      {
        name: 'layout',
        kind: 'choice',
        choices: ['cdl', 'ldl'],
        value: 'NAME',
        default: 'cdl',
        help: 'compatible or Linux disk layout',
      },
      { name: 'pattern', kind: 'flag', help: 'fill data records with the pattern that the toy guest checks' },
      { name: 'force', kind: 'flag', help: 'replace a file that exists' },
    ],
    run([file], values) {
      createVolume(file, {
        volser: values.volser as string,
        cylinders: values.cylinders as number,
        layout: values.layout as 'cdl' | 'ldl',
        pattern: values.pattern === true,
        force: values.force === true,
        progress: progressLine(`formatting ${file}`),
      });
      process.stdout.write(`${file}: volume ${values.volser}, ${values.cylinders} cylinders, ${values.layout}\n`);
      return 0;
    },
  },
  ls: {
    usage: 'ls FILE...',
    summary: 'shows label and data sets',
    words: ['FILE'],
    options: [],
    run(files) {
      for (const file of files) process.stdout.write(listing(file));
      return 0;
    },
  },
  check: {
    usage: 'check FILE...',
    summary: 'verifies every track; exit status 1 when one is damaged',
    words: ['FILE'],
    options: [],
    run(files) {
      let damaged = 0;
      for (const file of files) {
        const { tracks, records, problems } = checkVolume(file);
        for (const problem of problems) process.stdout.write(`${file}: ${problem}\n`);
        process.stdout.write(`${file}: ${tracks} tracks, ${records} records, ${problems.length} damaged\n`);
        damaged += problems.length;
      }
      return damaged === 0 ? 0 : 1;
    },
  },
  dump: {
    usage: 'dump FILE CYLINDER HEAD',
    summary: 'shows one track for people',
    words: ['FILE', 'CYLINDER', 'HEAD'],
    options: [],
    run([file, cylinder, head]) {
      for (const [name, text] of [
        ['CYLINDER', cylinder],
        ['HEAD', head],
      ])
        if (!/^\d+$/.test(text))
          throw new UserError(`dasd dump: ${name} '${text}' is no number; give for example: dasd dump ${file} 0 0`);
      process.stdout.write(`${dumpTrack(file, Number(cylinder), Number(head)).trimEnd()}\n`);
      return 0;
    },
  },
};

function listing(file: string): string {
  const { cylinders, layout, volser, datasets } = listVolume(file);
  const title = `${file}: ${volser === undefined ? 'no label' : `volume ${volser}`}, ${layout}, ${cylinders} cylinders\n`;
  if (datasets.length === 0) return title;
  const place = ([cylinder, head]: readonly [number, number]) => `${cylinder}/${head}`;
  return (
    title +
    table(
      ['data set', 'from', 'to'],
      datasets.map((d) => [d.name, place(d.begin), place(d.end)]),
      '<>>',
    )
  );
}

/** Shows progress on a terminal, in place. */
function progressLine(what: string): ((done: number, all: number) => void) | undefined {
  if (!process.stderr.isTTY) return undefined;
  return (done, all) => process.stderr.write(`\r${what}: ${done} of ${all} cylinders${done === all ? '\n' : ''}`);
}

function guard<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof ImageError || error instanceof TrackFormatError) throw new UserError(error.message);
    const { code, path } = error as NodeJS.ErrnoException;
    if (code !== undefined)
      throw new UserError(
        `${path ?? 'dasd'}: ${code === 'EACCES' ? 'permission denied' : code}; choose a place where files can be made`,
      );
    throw error;
  }
}

/** The volume a boot without --drive uses: with the pattern the toy guest checks. */
export function createToyVolume(file: string): void {
  guard(() =>
    createVolume(file, {
      volser: 'TOY001',
      cylinders: 10,
      layout: 'cdl',
      pattern: true,
      progress: progressLine(`making ${file}`),
    }),
  );
}

/** Opens the image as the machine will, so that a bad one is told before anything starts. @throws UserError */
export function checkDrive(file: string, readonly: boolean): void {
  guard(() => new CkdImage(file, readonly).close());
}

export const dasd: Command = {
  name: 'dasd',
  summary: 'makes, lists, checks and dumps 3390 images',
  help: () => {
    const verbs = Object.values(VERBS);
    const width = Math.max(...verbs.map((v) => v.usage.length)) + 2;
    return [
      'usage: minivisor dasd VERB ...',
      '',
      'Images are uncompressed Hercules CKD files: dasdinit, dasdls and dasdcat understand them too.',
      '',
      ...verbs.map((v) => `  ${v.usage.padEnd(width)}${v.summary}`),
      '',
      'options of create:',
      optionsHelp(VERBS.create.options),
      '',
    ].join('\n');
  },
  async run(words) {
    const verb = VERBS[words[0] ?? ''];
    if (verb === undefined)
      throw new UserError(
        `dasd ${words[0] ?? ''}: unknown verb; give one of ${Object.keys(VERBS).join(', ')}`.replace(
          'dasd : unknown',
          'dasd: missing',
        ),
      );
    const { values, rest } = parseOptions('dasd', verb.options, words.slice(1));
    if (rest.length < verb.words.length)
      throw new UserError(
        `dasd ${words[0]}: ${verb.words[rest.length]} is missing; usage: minivisor dasd ${verb.usage}`,
      );
    if (rest.length > verb.words.length && !verb.usage.endsWith('...') && verb.options.length === 0)
      throw new UserError(`dasd ${words[0]}: unexpected word '${rest[verb.words.length]}'`);
    return guard(() =>
      verb.run(
        rest.map((word, i) => (i === 0 ? resolve(word) : word)),
        values,
      ),
    );
  },
};
