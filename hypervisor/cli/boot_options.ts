/** Options of `boot`, and how they become a machine configuration. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TRACE_EVENTS } from '../../kernel/include/trace_events.ts';
import { wallClockMicroseconds } from '../../kernel/lib/host_timer.ts';
import { matchTrace } from '../../kernel/lib/trace.ts';
import type { DriveConfig, MachineConfig, TceTier } from '../config.ts';
import { DMA_PORT } from '../dma_port.ts';
import { readElf } from '../elf.ts';
import { UserError } from '../user_error.ts';
import { HelpRequested, type OptionRow, type Values } from './options.ts';

/** The toy guest, built by `npm run guests` and kept in the repository. */
export const TOY_KERNEL = fileURLToPath(new URL('../../guest/images/toy.elf', import.meta.url));
/** The DASD image that a boot without --drive makes for itself in the current directory. */
export const DEFAULT_DRIVE = resolve('toy-3390.ckd');
/** Cylinder of the default drive that answers slowly, so that there is something to halt and to clear. */
const SLOW_CYLINDER = 9;
const SLOW_MS = 200;

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
  {
    name: 'drive',
    kind: 'keys',
    value: 'file=...,...',
    many: true,
    keys: {
      file: 'CKD image, as made by minivisor dasd create or Hercules dasdinit',
      devno: 'device number, hexadecimal (0190)',
      readonly: 'on|off',
      cache: 'writethrough (default: a write is on disk when the guest sees device end), writeback, unsafe',
      'service-us': 'time every channel program takes, microseconds',
      'slow-cylinder': 'a cylinder that answers slowly',
      'slow-ms': `its time, milliseconds (default ${SLOW_MS})`,
    },
    help: 'a 3390 passed through with vfio-ccw; without it toy-3390.ckd is made in the current directory',
  },
  {
    name: 'tce',
    kind: 'choice',
    choices: ['real', 'virtual', 'user'],
    value: 'TIER',
    default: 'real',
    help: 'first tier that may finish a TCE hypercall: vCPU thread, kernel worker, or only the VMM',
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
    help: 'seed of frame placement, memory pressure and the simulated schedule',
  },
  {
    name: 'timeout',
    kind: 'number',
    value: 'SECONDS',
    min: 1,
    max: 2_000_000,
    default: '60',
    help: 'end the run after this time',
  },
  {
    name: 'trace',
    alias: ['t'],
    kind: 'text',
    value: 'GLOB',
    many: true,
    help: "record these events ('vfio_*'); help lists them",
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
  const drives = readDrives(values.drive as Record<string, string>[] | undefined);
  const simulated = values.sim === true;
  const words = values.append as string;
  const append = toy ? withDefaults(words, toyCommandLine(drives, values['memory-pressure'] !== true)) : words;
  if (append.length > 895) throw new UserError(`--append: ${append.length} characters; the guest has room for 895`);
  return {
    machine: 'toy',
    kernel: readKernel((values.kernel as string | undefined) ?? TOY_KERNEL, memory),
    append,
    memory,
    cpus: values.cpus as number,
    drives,
    dmaPort: true,
    tce: values.tce as TceTier,
    lockLimit:
      ((values.memlock as number | undefined) ?? defaultMemlock(memory, values['memory-pressure'] === true)) / 4096,
    memoryPressure: values['memory-pressure'] === true,
    seed: values.seed as number,
    todBase: todOf(simulated ? SIMULATED_START_US : wallClockMicroseconds()),
    trace: ['vfio_ccw_[QK]?', ...trace],
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
function toyCommandLine(drives: readonly DriveConfig[], bench: boolean): string {
  const slow = drives[0]?.slow === undefined ? '' : ` slow=${drives[0].slow.cylinder}`;
  return `liobn=0x${DMA_PORT.liobn.toString(16)} window=0x${DMA_PORT.window.toString(16)} dmaport=0x${DMA_PORT.bar.toString(16)}${slow} bench=${bench ? 1 : 0}`;
}

function readKernel(file: string, memory: number) {
  try {
    return readElf(file, readFileSync(file), memory);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`--kernel ${file}: ${fileProblem(error)}; give the path of an s390x ELF executable`);
  }
}

/** Why a file could not be read, in words. */
export function fileProblem(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EISDIR') return 'is a directory';
  if (code === 'EACCES') return 'permission denied';
  return String((error as Error).message);
}

function readDrives(given: Record<string, string>[] | undefined): DriveConfig[] {
  const drives = given ?? [{ file: DEFAULT_DRIVE, 'slow-cylinder': `${SLOW_CYLINDER}` }];
  return drives.map((keys, index) => readDrive(keys, index, given !== undefined));
}

function readDrive(keys: Record<string, string>, schid: number, mustExist: boolean): DriveConfig {
  const bad = (key: string, wanted: string) =>
    new UserError(`--drive ${key}=${keys[key]}: not understood; give ${wanted}`);
  if (keys.file === undefined)
    throw new UserError('--drive: file=... is missing; make an image with minivisor dasd create');
  const file = resolve(keys.file);
  if (mustExist) {
    try {
      accessSync(file, constants.R_OK);
    } catch (error) {
      throw new UserError(`--drive file=${keys.file}: ${fileProblem(error)}; make an image with minivisor dasd create`);
    }
  }
  const number = (key: string, fallback: number) => {
    const text = keys[key];
    if (text === undefined) return fallback;
    if (!/^\d+$/.test(text)) throw bad(key, 'a whole number');
    return Number(text);
  };
  if (keys.devno !== undefined && !/^[0-9a-f]{1,4}$/i.test(keys.devno))
    throw bad('devno', 'up to four hexadecimal digits');
  const cache = keys.cache ?? 'writethrough';
  if (cache !== 'writethrough' && cache !== 'writeback' && cache !== 'unsafe')
    throw bad('cache', 'writethrough, writeback or unsafe');
  if (keys.readonly !== undefined && !['on', 'off'].includes(keys.readonly)) throw bad('readonly', 'on or off');
  return {
    file,
    schid,
    devno: keys.devno === undefined ? 0x190 + schid : Number.parseInt(keys.devno, 16),
    readonly: keys.readonly === 'on',
    cache,
    serviceTimeNs: number('service-us', 0) * 1000,
    slow:
      keys['slow-cylinder'] === undefined
        ? undefined
        : { cylinder: number('slow-cylinder', 0), ns: number('slow-ms', SLOW_MS) * 1e6 },
  };
}

/** Microseconds from 1900 to 1970: the TOD clock's epoch is 1900 (SA22-7832 chapter 4). */
const EPOCH_US = 2_208_988_800_000_000n;
/** Every simulated machine is switched on at 2026-01-01 00:00:00 UTC, so that runs can be compared. */
const SIMULATED_START_US = 1_767_225_600_000_000;

function todOf(microseconds: number): bigint {
  return (BigInt(microseconds) + EPOCH_US) << 12n;
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
