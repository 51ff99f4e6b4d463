/** How the stories are made: which guest does what, how often, and what is said before and after. */
import { join } from 'node:path';
import { showNs } from '../bench/figures.ts';
import { createToyVolume } from '../cli/dasd.ts';
import type { Values } from '../cli/options.ts';
import type { TceTier } from '../config.ts';
import type { Plot } from './plot.ts';
import { type ExplainContext, stepsOf, tell, timeMoments, timeSeries } from './run.ts';
import type { Story, Took } from './story.ts';
import { type SubjectName, type TOLD_APIS, TOLD_HALTS, TOLD_TIERS } from './subject_table.ts';
import { CCW_REGION } from './subjects/ccw_region.ts';
import { CCW_REQUEST } from './subjects/ccw_request.ts';
import type { ChannelNotes } from './subjects/channel_parts.ts';
import { HALT_CLEAR_SIDES } from './subjects/halt_clear.ts';
import { PAMU_VIOLATION_PLOT } from './subjects/pamu.ts';
import { TCE_TIERS } from './subjects/tce.ts';
import { type Times, WHOLE } from './times.ts';

/** Reads on threads: half of them warm up. */
const READS = 1200;
/** Halts on threads, and the time a program takes that nobody halts, microseconds. */
const HALTS = 100;
const HALT_SERVICE_US = 2000;
/** Rounds of violations on threads. */
const ROUNDS = 20;

type ToldApi = (typeof TOLD_APIS)[number];
type ToldHalt = (typeof TOLD_HALTS)[number];
const CCW_STORIES: Readonly<
  Record<ToldApi, { readonly title: string; readonly plot: Plot<ChannelNotes>; readonly closing: string }>
> = {
  region: {
    title: 'One read from a disk that is passed through: vfio-ccw as it was merged',
    plot: CCW_REGION,
    closing:
      'The guest was away from its CPU for two exits only, SSCH and TSCH; while the device worked it ran. The host never ' +
      'trusted an address of the guest: what the hardware saw were a copy of the program and pinned pages.',
  },
  'cmd-request': {
    title: 'One read from a disk that is passed through: the RFC of 2016, with a blocking ioctl',
    plot: CCW_REQUEST,
    closing:
      'The program was translated twice, and the CPU of the guest stood still until the device was done: nothing else of ' +
      'the guest could run on it. The design that was merged has neither; minivisor explain ccw-read shows it.',
  },
};

async function ccwRead(context: ExplainContext, values: Values): Promise<Story[]> {
  const api = (values['ccw-api'] as ToldApi | undefined) ?? 'region';
  const { title, plot, closing } = CCW_STORIES[api];
  const file = join(context.folder, 'explain.ckd');
  createToyVolume(file);
  const drive = ['--drive', `file=${file.replaceAll(',', ',,')},readonly=on`];
  const words = (reads: number) => [...drive, '--ccw-api', api, '--append', `bench=0 read=${reads}`];
  const tale = await tell(context, words(1), plot);
  const times = await timeMoments(context, words(READS), plot);
  return [
    {
      name: `ccw-read, --ccw-api ${api}`,
      title,
      intro: [
        'The guest is an s390x program. Its disk, a 3390 DASD (direct-access storage device), belongs to the host and was ' +
          'given to the guest: it performs the channel programs of the guest itself. What the host has to do is to ' +
          'translate: the guest knows guest-physical addresses, the VMM its own (user) addresses, the hardware ' +
          'host-physical ones.',
      ],
      steps: stepsOf(plot, tale, times),
      closing: [...together(times), closing],
    },
  ];
}

async function haltOrClear(
  name: keyof typeof HALT_CLEAR_SIDES,
  context: ExplainContext,
  values: Values,
): Promise<Story[]> {
  const api = values['ccw-api'] as ToldHalt | undefined;
  const file = join(context.folder, 'explain.ckd');
  createToyVolume(file);
  const drive = ['--drive', `file=${file.replaceAll(',', ',,')},readonly=on,service-us=${HALT_SERVICE_US}`];
  const stories: Story[] = [];
  for (const side of api === undefined ? TOLD_HALTS : [api]) {
    const { title, plot, closing } = HALT_CLEAR_SIDES[name][side];
    // The second CPU starts what the first one ends: as many are halted, then as many cleared.
    const words = (halts: number) => [...drive, '--cpus', '2', '--ccw-api', side, '--append', `bench=0 halt=${halts}`];
    const tale = await tell(context, words(1), plot);
    const times = await timeMoments(context, words(HALTS), plot);
    stories.push({
      name: `${name}, --ccw-api ${side}`,
      title,
      intro: [
        'The disk of the guest, a 3390 DASD, belongs to the host and was given to the guest (passed through). Starting a ' +
          'program on it is one thing; ending one that takes too long is another, and vfio-ccw had no way to until 2019.',
      ],
      steps: stepsOf(plot, tale, times),
      closing: [...together(times), closing],
    });
  }
  return stories;
}

/** How long it all took; nothing where it was not measured. */
function together(times: Times): string[] {
  const whole = times.get(WHOLE);
  if (whole === undefined) return [];
  const steps = [...times].reduce((sum, [id, { ns }]) => (id === WHOLE ? sum : sum + ns), 0);
  const apart =
    steps < whole.ns
      ? ` The medians of the steps make ${showNs(steps)}: each is that of its step alone, and nearly every time some step ` +
        'or other takes longer, for the threads share CPUs.'
      : '';
  return [
    `From the first step to the last it took ${showNs(whole.ns)} (median of ${whole.samples} on threads).${apart}`,
  ];
}

async function putTce(context: ExplainContext, values: Values): Promise<Story[]> {
  const tiers = values.tce === undefined ? TOLD_TIERS : [values.tce as TceTier];
  const words = (tier: TceTier, bench: number) => ['--drive', 'type=echo', '--tce', tier, '--append', `bench=${bench}`];
  const wholes = await timeSeries(context, words('real', 2));
  const stories: Story[] = [];
  for (const tier of tiers) {
    const { title, plot, series } = TCE_TIERS[tier];
    const tale = await tell(context, words(tier, 0), plot);
    // A kill that is traced takes another way than one that is not: its time is in the step after it.
    const timed = { ...plot, moments: plot.moments.filter(({ id }) => id !== 'kill') };
    const times = tier === 'real' ? new Map<string, Took>() : await timeMoments(context, words(tier, 1), timed);
    stories.push({
      name: `h-put-tce, --tce ${tier}`,
      title: `H_PUT_TCE: ${title}`,
      intro: [
        'The guest lets a device reach one page: it sets an entry of the table that translates the addresses of the ' +
          'device. Who answers, and on which thread, is what people argued about in 2010.',
      ],
      steps: stepsOf(plot, tale, times),
      closing: wholeText(wholes.get(series), tier),
    });
  }
  return stories;
}

function wholeText(whole: Took | undefined, tier: TceTier): string[] {
  if (whole === undefined) return [];
  const steps =
    tier === 'real'
      ? 'its steps are shorter than a clock can tell one by one'
      : 'the steps above were timed one by one, which takes time itself; that of the kill is in the step after it';
  return [
    `A whole call took ${showNs(whole.ns)}: the median of ${whole.samples} calls on threads, timed by the guest in batches ` +
      `with tracing off; ${steps}.`,
  ];
}

async function pamuViolation(context: ExplainContext): Promise<Story[]> {
  const words = (rounds: number) => [
    ...['--guest', 'dma', '--memory', '32M', '--drive', 'type=echo', '--iommu', 'pamu'],
    ...['--append', `neighbour=99 rounds=${rounds}`],
  ];
  const plot = PAMU_VIOLATION_PLOT;
  const tale = await tell(context, words(1), plot);
  const times = await timeMoments(context, words(ROUNDS), plot);
  return [
    {
      name: 'pamu-violation',
      title: 'A device writes outside of its windows: PAMU',
      intro: [
        'A DMA channel of the host was given to the guest. So that it reaches the memory of that guest only, an IOMMU ' +
          '(a translator and guard for the addresses of devices) is in front of it: a PAMU, which has not pages but ' +
          'windows, a few large pieces. Here the channel is told to leave them.',
      ],
      steps: stepsOf(plot, tale, times),
      closing: [
        ...together(times),
        'An IOMMU of pages refuses each access and lets the device go on; this one stops the device at its first wrong ' +
          'access, and the host decides when it may go on.',
      ],
    },
  ];
}

/** The stories of each subject. */
export const STORIES: Readonly<Record<SubjectName, (context: ExplainContext, values: Values) => Promise<Story[]>>> = {
  'ccw-read': ccwRead,
  halt: (context, values) => haltOrClear('halt', context, values),
  clear: (context, values) => haltOrClear('clear', context, values),
  'h-put-tce': putTce,
  'pamu-violation': pamuViolation,
};
