/** Boots of a guest that only measure. */
import { join } from 'node:path';
import type { Guest } from '../cli/guests.ts';
import type { ThreadedRun } from '../launch.ts';
import { quietBoot, quietConfig } from '../quiet_boot.ts';
import type { TraceSinks } from '../trace/recorder.ts';
import type { BenchContext } from './scenario.ts';

/** Name of the image in a scenario's folder. */
export const IMAGE = 'bench.ckd';
/** Seconds one boot may take at most. */
const PATIENCE = 600;

export interface ToyOptions {
  /** Another guest than the toy one. */
  readonly guest?: Guest;
  /** Options of `boot` beside `--append` and `--drive`. */
  readonly words?: readonly string[];
  /** Keys of each `--drive` beside its file; one drive without any when omitted. Several must be read-only. */
  readonly drives?: readonly string[];
  /** Where trace records go while the guest runs; without it each actor's ring keeps its last ones. */
  readonly traceSinks?: TraceSinks;
}

/** Boots the toy guest, or another one, with extra words on its command line. @throws UserError when a check of the guest fails */
export async function bootToy(
  context: BenchContext,
  append: string,
  { guest = 'toy', words = [], drives = [''], traceSinks }: ToyOptions = {},
): Promise<ThreadedRun> {
  const file = join(context.folder, IMAGE).replaceAll(',', ',,');
  const config = await quietConfig([
    ...drives.flatMap((keys) => ['--drive', `file=${file}${keys === '' ? '' : `,${keys}`}`]),
    '--guest',
    guest,
    '--append',
    append,
    ...words,
  ]);
  const command = ['minivisor boot --guest', guest, ...words].join(' ');
  const failed = (reason: string) => `the ${guest} guest failed (${reason}): ${command} shows which check`;
  return await quietBoot(config, { patience: PATIENCE, failed, traceSinks });
}
