/** `minivisor dasd create`. */
import { MAX_LARGE_CYLINDERS, MODEL_CYLINDERS } from '../../../devices/physical/dasd/geometry.ts';
import { SPLIT_CYLINDERS, type VolumeLayout } from '../../../devices/physical/dasd/volume.ts';
import { UserError } from '../../user_error.ts';
import type { Values } from '../options.ts';
import { LDL_HAS_NO_VTOC } from './listing.ts';
import { makeVolume } from './make_volume.ts';
import { progressLine } from './progress.ts';
import type { Verb } from './verb.ts';

/** Cylinders when neither --model nor --cylinders is given: a small volume to try things on. */
const SMALL = 10;

function cylindersOf(values: Values): number {
  const { model, cylinders } = values as { model?: keyof typeof MODEL_CYLINDERS; cylinders?: number };
  if (model === undefined) return cylinders ?? SMALL;
  if (cylinders === undefined) return MODEL_CYLINDERS[model];
  throw new UserError(`dasd create: --model ${model} has ${MODEL_CYLINDERS[model]} cylinders; leave out --cylinders`);
}

export const create: Verb = {
  usage: 'create FILE [OPTIONS]',
  summary: 'makes and formats a new volume',
  words: ['FILE'],
  options: [
    { name: 'volser', kind: 'text', value: 'NAME', default: 'MINI01', help: 'volume serial, 1 to 6 characters' },
    {
      name: 'model',
      kind: 'choice',
      choices: Object.keys(MODEL_CYLINDERS),
      value: 'MODEL',
      help: '1113, 2226, 3339, 10017, 32760 or 65520 cylinders',
    },
    {
      name: 'cylinders',
      kind: 'number',
      value: 'N',
      min: 1,
      max: MAX_LARGE_CYLINDERS,
      help: `15 tracks of 56,664 bytes each; default ${SMALL}`,
    },
    {
      name: 'layout',
      kind: 'choice',
      choices: ['cdl', 'ldl', 'raw'],
      value: 'NAME',
      default: 'cdl',
      help: 'compatible disk layout, Linux disk layout (no VTOC, so that dasdls cannot list it), or no label and empty tracks',
    },
    { name: 'pattern', kind: 'flag', help: 'fill data records with the pattern that the toy guest checks' },
    { name: 'split', kind: 'flag', help: 'files below 2 GiB, NAME_1.ckd, NAME_2.ckd and so on, as dasdinit makes' },
    { name: 'force', kind: 'flag', help: 'replace a file that exists' },
  ],
  run([file], values) {
    const cylinders = cylindersOf(values);
    const layout = values.layout as VolumeLayout;
    const files = makeVolume(file, {
      volser: values.volser as string,
      cylinders,
      layout,
      pattern: values.pattern === true,
      force: values.force === true,
      split: values.split === true ? SPLIT_CYLINDERS : undefined,
      progress: progressLine(`formatting ${file}`),
    });
    const what = layout === 'raw' ? 'no label' : `volume ${values.volser}`;
    process.stdout.write(`${files.join(', ')}: ${what}, ${cylinders} cylinders, ${layout}\n`);
    if (layout === 'ldl') process.stdout.write(LDL_HAS_NO_VTOC);
    return 0;
  },
};
