/** What can be explained, one row each: names and options. Cheap to load; the stories are in `subjects.ts`. */
import type { OptionRow } from '../cli/options.ts';
import type { CcwApi, TceTier } from '../config.ts';

export interface Subject {
  readonly name: string;
  /** Other names for it. */
  readonly aliases: readonly string[];
  readonly summary: string;
  /** The one option it takes. */
  readonly option?: OptionRow;
}

/** Sides of the argument about channel I/O pass-through that have a story. */
export const TOLD_APIS = ['region', 'cmd-request'] as const satisfies readonly CcwApi[];
/** Tiers of a TCE hypercall, in the order of their stories. */
export const TOLD_TIERS: readonly TceTier[] = ['real', 'virtual', 'user'];

/** The table. */
export const SUBJECTS = [
  {
    name: 'ccw-read',
    aliases: ['ssch', 'ccw'],
    summary: 'a 4 KiB read from a passed-through disk: SSCH, translation, channel program, interruption, TSCH',
    option: {
      name: 'ccw-api',
      kind: 'choice',
      choices: TOLD_APIS,
      value: 'API',
      default: 'region',
      help: 'for ccw-read: vfio-ccw as it was merged, or the blocking ioctl of its RFC of 2016',
    },
  },
  {
    name: 'h-put-tce',
    aliases: ['hcall', 'tce'],
    summary: 'a hypercall that lets a device reach one page, in each of the three tiers',
    option: {
      name: 'tce',
      kind: 'choice',
      choices: TOLD_TIERS,
      value: 'TIER',
      help: 'for h-put-tce: who answers; all three one after the other when omitted',
    },
  },
  {
    name: 'pamu-violation',
    aliases: ['pamu', 'dma-violation'],
    summary: 'a device that leaves its windows: look-up, violation registers, isolation, recovery',
  },
] as const satisfies readonly Subject[];

export type SubjectName = (typeof SUBJECTS)[number]['name'];
