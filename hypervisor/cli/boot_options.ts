/** Options of `boot`, and how they become a machine configuration. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TRACE_EVENTS } from '../../kernel/include/trace_events.ts';
import { wallClockMicroseconds } from '../../kernel/lib/host_timer.ts';
import { matchTrace } from '../../kernel/lib/trace.ts';
import type { CcwApi, DriveConfig, MachineConfig, TceTier } from '../config.ts';
import { DMA_PORT } from '../dma_port.ts';
import { checkFree, readElf } from '../elf.ts';
import { parseAt } from '../monitor/at.ts';
import { monitorPlace } from '../monitor/place.ts';
import { UserError } from '../user_error.ts';
import { COMMAND_LINE } from '../vmm/loader.ts';
import { DRIVE_OPTION, readDrives } from './drive_options.ts';
import { fileProblem } from './file_problem.ts';
import { HelpRequested, type Keys, type OptionRow, type Values } from './options.ts';

/** The toy guest, built by `npm run guests` and kept in the repository. */
export const TOY_KERNEL = fileURLToPath(new URL('../../guest/images/toy.elf', import.meta.url));
/** Locked memory for tables and working sets beside guest RAM. */
const MEMLOCK_TABLES = 64 << 20;

export const BOOT_OPTIONS: readonly OptionRow[] = [
  {
    name: 'machine',
    alias: ['M'],
    kind: 'choice',
    choices: ['toy'],
    value: 'NAME',
    default: 'toy',
    help: 'machine model',
  },
  {
    name: 'kernel',
    kind: 'text',
    value: 'FILE.elf',
    help: 'guest program: a static ELF64 executable for s390x; without it the toy guest',
  },
  {
    name: 'append',
    kind: 'text',
    value: 'TEXT',
    default: '',
    help: "command line, stored at X'10480'; for the toy guest added to its own",
  },
  {
    name: 'memory',
    alias: ['m'],
    kind: 'size',
    value: 'SIZE',
    min: 1 << 20,
    max: 2 ** 31,
    default: '128M',
    help: 'guest RAM',
  },
  { name: 'cpus', alias: ['smp'], kind: 'number', value: 'N', min: 1, max: 8, default: '1', help: 'guest CPUs' },
  DRIVE_OPTION,
  {
    name: 'tce',
    kind: 'choice',
    choices: ['real', 'virtual', 'user'],
    value: 'TIER',
    default: 'real',
    help: 'first tier that may finish a TCE hypercall: vCPU thread, kernel worker, or only the VMM',
  },
  {
    name: 'ccw-api',
    kind: 'choice',
    choices: ['region', 'cmd-request'],
    value: 'API',
    default: 'region',
    help: 'how drives are passed through: the merged vfio-ccw, or the blocking ioctl and no-IOMMU groups of its 2016 RFC',
  },
  {
    name: 'memlock',
    kind: 'size',
    value: 'SIZE',
    help: 'locked-memory limit of the VMM; without it enough for the machine',
  },
  {
    name: 'memory-pressure',
    kind: 'flag',
    help: 'move unpinned page frames all the time; guest RAM is then pinned page by page, not beforehand',
  },
  { name: 'sim', kind: 'flag', help: 'run everything on one thread in virtual time; the same seed gives the same run' },
  {
    name: 'seed',
    kind: 'number',
    value: 'N',
    min: 0,
    max: 0xffff_ffff,
    default: '1',
    help: 'seed of frame placement, memory pressure, faults and the simulated schedule',
  },
  {
    name: 'timeout',
    kind: 'number',
    value: 'SECONDS',
    min: 1,
    max: 2_000_000,
    default: '60',
    help: 'end the run after this time; with --sim seconds of virtual time, so that a run that is cut can be replayed',
  },
  {
    name: 'trace',
    alias: ['t'],
    kind: 'text',
    value: 'GLOB',
    many: true,
    help: "record these events ('vfio_*'); help lists them",
  },
  {
    name: 'monitor',
    kind: 'text',
    value: 'PLACE',
    help: 'take commands while the machine runs, as in QEMU: stdio, or unix:PATH for a socket; help lists them',
  },
  {
    name: 'at',
    kind: 'text',
    value: 'TIME:COMMAND',
    many: true,
    help: "give a monitor command at a time of the machine ('5ms:device_del dasd0'); virtual time with --sim",
  },
  { name: 'stats', kind: 'text', value: 'FILE', help: 'write times and memory of the run to a file, as JSON' },
  { name: 'verbose', alias: ['v'], kind: 'flag', help: 'show the log of all threads' },
];

/** Builds and checks the configuration; reads the guest's file. @throws UserError */
export async function bootConfig(values: Values, rest: readonly string[]): Promise<MachineConfig> {
  if (rest.length > 0)
    throw new UserError(`${rest[0]}: unexpected word; options begin with --, the guest's file is given with --kernel`);
  const trace = (values.trace as string[] | undefined) ?? [];
  if (trace.includes('help')) throw new HelpRequested(traceHelp());
  for (const glob of trace) checkGlob(glob);
  const memory = values.memory as number;
  if (memory % (1 << 20) !== 0) throw new UserError(`--memory ${memory}: give a whole number of megabytes`);
  const toy = values.kernel === undefined;
  const drives = readDrives(values.drive as readonly Keys[] | undefined);
  const simulated = values.sim === true;
  const words = values.append as string;
  const append = toy
    ? withDefaults(words, toyCommandLine(drives, values['memory-pressure'] !== true, values['ccw-api'] as CcwApi))
    : words;
  if (append.length > 895) throw new UserError(`--append: ${append.length} characters; the guest has room for 895`);
  return {
    machine: 'toy',
    kernel: readKernel((values.kernel as string | undefined) ?? TOY_KERNEL, memory, append),
    append,
    memory,
    cpus: values.cpus as number,
    drives,
    dmaPort: true,
    tce: values.tce as TceTier,
    ccwApi: values['ccw-api'] as CcwApi,
    lockLimit:
      ((values.memlock as number | undefined) ?? defaultMemlock(memory, values['memory-pressure'] === true)) / 4096,
    memoryPressure: values['memory-pressure'] === true,
    seed: values.seed as number,
    todBase: todOf(simulated ? SIMULATED_START_US : wallClockMicroseconds()),
    at: ((values.at as string[] | undefined) ?? []).map(parseAt),
    monitor: readMonitor(values.monitor as string | undefined, simulated),
    trace: ['vfio_ccw_[QK]?', 'ccw_rfc_*', ...trace],
  };
}

/** Enough for RAM and tables; a container that pins page by page is charged for its whole window (VFIO_IOMMU_ENABLE). */
function defaultMemlock(memory: number, pageByPage: boolean): number {
  return memory + MEMLOCK_TABLES + (pageByPage ? DMA_PORT.window : 0);
}

/** Adds the words of `defaults` whose keys are not given already. */
function withDefaults(words: string, defaults: string): string {
  const given = new Set(words.split(' ').map((word) => word.split('=')[0]));
  return [...defaults.split(' ').filter((word) => !given.has(word.split('=')[0])), words].join(' ').trim();
}

/** What the toy guest learns from its command line. Under memory pressure all tiers are one: nothing is compared. */
function toyCommandLine(drives: readonly DriveConfig[], bench: boolean, ccwApi: CcwApi): string {
  const dasd = drives.find((drive) => drive.type !== 'echo');
  const api = ccwApi === 'region' ? '' : ` ccwapi=${ccwApi}`;
  const slow = dasd?.slow === undefined ? '' : ` slow=${dasd.slow.cylinder}`;
  return `liobn=0x${DMA_PORT.liobn.toString(16)} window=0x${DMA_PORT.window.toString(16)} dmaport=0x${DMA_PORT.bar.toString(16)}${slow} bench=${bench ? 1 : 0}${api}`;
}

function readKernel(file: string, memory: number, append: string) {
  try {
    const image = readElf(file, readFileSync(file), memory);
    checkFree(file, image, COMMAND_LINE, append.length + 1, 'the command line');
    return image;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`--kernel ${file}: ${fileProblem(error)}; give the path of an s390x ELF executable`);
  }
}

/** Microseconds from 1900 to 1970: the TOD clock's epoch is 1900 (SA22-7832 chapter 4). */
const EPOCH_US = 2_208_988_800_000_000n;
/** Every simulated machine is switched on at 2026-01-01 00:00:00 UTC, so that runs can be compared. */
const SIMULATED_START_US = 1_767_225_600_000_000;

function todOf(microseconds: number): bigint {
  return (BigInt(microseconds) + EPOCH_US) << 12n;
}

/** @throws UserError for a place that is none, or with --sim, where lines at any time could not be replayed */
function readMonitor(text: string | undefined, simulated: boolean): boolean {
  if (text === undefined) return false;
  monitorPlace(text);
  if (simulated) throw new UserError('--monitor: a simulated run is to be replayed; give its commands with --at');
  return true;
}

function checkGlob(glob: string): void {
  if (matchTrace(glob).length === 0)
    throw new UserError(`--trace ${glob}: matches no event; minivisor boot --trace help lists them`);
}

function traceHelp(): string {
  return Object.entries(TRACE_EVENTS)
    .map(([name, args]) => `${name} ${args.map((a) => `${a}=`).join(' ')}\n`)
    .join('');
}
