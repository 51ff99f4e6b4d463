/** `minivisor dasd`: makes, lists, checks and dumps 3390 images; and what `boot` needs of images before it starts. */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { CkdImage, ImageError } from '../../devices/physical/dasd/ckd_image.ts';
import { imageFile } from '../../devices/physical/dasd/image_name.ts';
import { UserError } from '../user_error.ts';
import type { Command } from './commands.ts';
import { guard } from './dasd/guard.ts';
import { makeVolume } from './dasd/make_volume.ts';
import { progressLine } from './dasd/progress.ts';
import type { Verb } from './dasd/verb.ts';
import { VERBS } from './dasd/verbs.ts';
import { optionsHelp, parseOptions } from './options.ts';

/** The volume a boot without --drive uses: with the pattern the toy guest checks. */
export function createToyVolume(file: string): void {
  guard(file, () =>
    makeVolume(file, {
      volser: 'TOY001',
      cylinders: 10,
      layout: 'cdl',
      pattern: true,
      progress: progressLine(`making ${file}`),
    }),
  );
}

/**
 * Opens the image as the machine will, so that a bad one is told before anything starts; changes nothing, as another
 * machine may have it. Returns its cylinders. @throws UserError
 */
export function checkDrive(file: string, readonly: boolean): number {
  return guard(file, () => {
    const image = new CkdImage(file, true);
    image.close();
    try {
      if (!readonly) accessSync(imageFile(file), constants.W_OK);
    } catch {
      throw new ImageError(file, 'may not be written; make it writable or attach the drive with readonly=on');
    }
    return image.cylinders;
  });
}

function unknownVerb(word: string | undefined): UserError {
  const known = Object.keys(VERBS).join(', ');
  return new UserError(
    word === undefined
      ? `dasd: missing verb; give one of ${known}`
      : `dasd ${word}: unknown verb; give one of ${known}`,
  );
}

/** @throws UserError when there are too few or too many words. */
function checkWords(name: string, verb: Verb, words: readonly string[]): void {
  const usage = `usage: minivisor dasd ${verb.usage}`;
  if (words.length < verb.words.length)
    throw new UserError(`dasd ${name}: ${verb.words[words.length].replace('...', '')} is missing; ${usage}`);
  if (words.length > verb.words.length && verb.words.at(-1)?.endsWith('...') !== true)
    throw new UserError(`dasd ${name}: unexpected word '${words[verb.words.length]}'; ${usage}`);
}

export const dasd: Command = {
  name: 'dasd',
  summary: 'makes, lists, checks, dumps, prints and recovers 3390 images (create, ls, check, dump, cat, recover)',
  help: () => {
    const verbs = Object.values(VERBS);
    const width = Math.max(...verbs.map((v) => v.usage.length)) + 2;
    return [
      'usage: minivisor dasd VERB ...',
      '',
      'Images are uncompressed Hercules CKD files: dasdinit, dasdls and dasdcat understand them too. Of an image split',
      'over several files name the first one.',
      '',
      ...verbs.map((v) => `  ${v.usage.padEnd(width)}${v.summary}`),
      ...Object.entries(VERBS)
        .filter(([, verb]) => verb.options.length > 0)
        .flatMap(([name, verb]) => ['', `options of ${name}:`, optionsHelp(verb.options)]),
      '',
    ].join('\n');
  },
  async run(words) {
    const [name, ...others] = words;
    const verb = Object.hasOwn(VERBS, name ?? '') ? VERBS[name] : undefined;
    if (verb === undefined) throw unknownVerb(name);
    const { values, rest } = parseOptions('dasd', verb.options, others);
    checkWords(name, verb, rest);
    const files = rest.map((word, i) => (i === 0 || verb.words[i] === undefined ? resolve(word) : word));
    return guard(files[0], () => verb.run(files, values));
  },
};
