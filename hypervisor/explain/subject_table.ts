/** What can be explained, one row each: names and options. Cheap to load; the stories are in `subjects.ts`. */
import type { OptionRow } from '../cli/options.ts';
import type { CcwApi, TceTier } from '../config.ts';

export interface Subject {
  readonly name: string;
  /** Other names for it. */
  readonly aliases: readonly string[];
  readonly summary: string;
  /** The one option it takes; several may take the same. */
  readonly option?: OptionRow;
  /** Values of the option that it has a story for; all when omitted. */
  readonly told?: readonly string[];
}

/** Sides of the argument about channel I/O pass-through that have a story. */
export const TOLD_APIS = ['region', 'cmd-request'] as const satisfies readonly CcwApi[];
/** Sides of the argument about HALT and CLEAR that have one, in the order of their stories. */
export const TOLD_HALTS = ['io-region', 'region'] as const satisfies readonly CcwApi[];
const CCW_API: OptionRow = {
  name: 'ccw-api',
  kind: 'choice',
  choices: ['region', 'io-region', 'cmd-request'] satisfies readonly CcwApi[],
  value: 'API',
  help: 'for ccw-read: region, vfio-ccw as it was merged (default), or cmd-request, the blocking ioctl of its RFC of 2016; for halt and clear: region, with its command region, or io-region, before it had one; both one after the other when omitted',
};
/** Tiers of a TCE hypercall, in the order of their stories. */
export const TOLD_TIERS: readonly TceTier[] = ['real', 'virtual', 'user'];

/** The table. */
export const SUBJECTS = [
  {
    name: 'ccw-read',
    aliases: ['ssch', 'ccw'],
    summary: 'a 4 KiB read from a passed-through disk: SSCH, translation, channel program, interruption, TSCH',
    option: CCW_API,
    told: TOLD_APIS,
  },
  {
    name: 'halt',
    aliases: ['hsch', 'halt-clear'],
    summary: 'HSCH of a read on a slow device: by the command region of 2019, and before it, when the VMM pretended',
    option: CCW_API,
    told: TOLD_HALTS,
  },
  {
    name: 'clear',
    aliases: ['csch'],
    summary: 'CSCH of the same, which throws away what was known of the read: by the command region, and before it',
    option: CCW_API,
    told: TOLD_HALTS,
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
