/** The verbs of `minivisor dasd`. All but `create` and `recover` only read. */
import { CkdImage } from '../../../devices/physical/dasd/ckd_image.ts';
import { readDataset } from '../../../devices/physical/dasd/dataset_reader.ts';
import { imageFile } from '../../../devices/physical/dasd/image_name.ts';
import { dumpTrack } from '../../../devices/physical/dasd/track_dump.ts';
import { checkVolume } from '../../../devices/physical/dasd/volume_check.ts';
import { UserError } from '../../user_error.ts';
import { lockImage } from '../image_lock.ts';
import { create } from './create.ts';
import { guard } from './guard.ts';
import { listing } from './listing.ts';
import { progressLine } from './progress.ts';
import type { Verb } from './verb.ts';

const ls: Verb = {
  usage: 'ls FILE...',
  summary: 'shows label, data sets and free space',
  words: ['FILE...'],
  options: [],
  run(files) {
    for (const file of files) process.stdout.write(guard(file, () => listing(file)));
    return 0;
  },
};

const check: Verb = {
  usage: 'check FILE...',
  summary: 'verifies every track and the VTOC; exit status 1 when something is wrong',
  words: ['FILE...'],
  options: [],
  run(files) {
    let wrong = 0;
    for (const file of files) {
      const checked = guard(file, () => checkVolume(file, progressLine(`checking ${file}`)));
      const { tracks, records, neverWritten, pending, problems } = checked;
      for (const problem of problems) process.stdout.write(`${file}: ${problem}\n`);
      const parts = [`${tracks} tracks`, `${records} records`];
      if (neverWritten > 0) parts.push(`${neverWritten} tracks never written`);
      if (pending > 0) parts.push(`${pending} writes of a killed machine pending (the next boot completes them)`);
      parts.push(problems.length === 0 ? 'no problems' : `${problems.length} problems`);
      process.stdout.write(`${file}: ${parts.join(', ')}\n`);
      wrong += problems.length;
    }
    return wrong === 0 ? 0 : 1;
  },
};

const dump: Verb = {
  usage: 'dump FILE CYLINDER HEAD [--all]',
  summary: 'shows one track for people',
  words: ['FILE', 'CYLINDER', 'HEAD'],
  options: [{ name: 'all', kind: 'flag', help: 'all bytes of long records' }],
  run([file, cylinder, head], values) {
    for (const [name, text] of [
      ['CYLINDER', cylinder],
      ['HEAD', head],
    ])
      if (!/^\d+$/.test(text))
        throw new UserError(`dasd dump: ${name} '${text}' is no number; give for example: dasd dump ${file} 0 0`);
    process.stdout.write(dumpTrack(file, Number(cylinder), Number(head), values.all === true));
    return 0;
  },
};

const cat: Verb = {
  usage: 'cat FILE DATASET[(MEMBER)] [--raw]',
  summary: 'writes a data set as text, or the member names of a partitioned one',
  words: ['FILE', 'DATASET'],
  options: [{ name: 'raw', kind: 'flag', help: 'blocks as they are, no lines and no translation from EBCDIC' }],
  run([file, name], values) {
    const content = values.raw === true ? 'blocks' : 'text';
    readDataset(file, name, content, (piece) => process.stdout.write(piece));
    return 0;
  },
};

const recover: Verb = {
  usage: 'recover FILE...',
  summary: 'completes the writes of a machine that was killed, as the next boot would',
  words: ['FILE...'],
  options: [],
  run(files) {
    for (const file of files) {
      guard(file, () => {
        const look = new CkdImage(file, true);
        const { pending } = look;
        look.close();
        const unlock = lockImage(imageFile(file));
        try {
          new CkdImage(file).close();
        } finally {
          unlock();
        }
        process.stdout.write(`${file}: ${pending} writes completed\n`);
      });
    }
    return 0;
  },
};

/** In the order of the help page. */
export const VERBS: Readonly<Record<string, Verb>> = { create, ls, check, dump, cat, recover };
