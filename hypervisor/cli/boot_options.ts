/** Options of `boot`, and how they become a machine configuration. */
import { readFileSync } from 'node:fs';
import { wallClockMicroseconds } from '../../kernel/lib/host_timer.ts';
import type { CcwApi, MachineConfig, MmioTier, TceBind, TceTier, VmConfig } from '../config.ts';
import { DMA_PORT } from '../dma_port.ts';
import { checkFree, readElf } from '../elf.ts';
import { monitorPlace } from '../monitor/place.ts';
import { readTraceOption } from '../trace/trace_option.ts';
import { UserError } from '../user_error.ts';
import { COMMAND_LINE } from '../vmm/loader.ts';
import { vmConfigs } from '../vms.ts';
import { CONSOLE_OPTION, readConsolePlace } from './console_option.ts';
import { DEVICE_OPTIONS, readPamu } from './device_option.ts';
import { DRIVE_OPTION, readDrives } from './drive_options.ts';
import { fileProblem } from './file_problem.ts';
import { checkGuest, type Guest, guestImage, guestWords } from './guests.ts';
import { NIC_OPTION, nicVms, readNics } from './nic_option.ts';
import { asksHelp, HelpRequested, type Keys, type OptionRow, type Values } from './options.ts';
import { VM_OPTION, vmValues } from './vm_option.ts';
import { GUEST_ROWS, TIER_ROWS } from './vm_rows.ts';

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
  ...GUEST_ROWS,
  DRIVE_OPTION,
  NIC_OPTION,
  ...TIER_ROWS,
  VM_OPTION,
  ...DEVICE_OPTIONS,
  {
    name: 'memlock',
    kind: 'size',
    value: 'SIZE',
    help: 'locked-memory limit of each VMM; without it enough for the largest machine',
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
    kind: 'time',
    value: 'TIME',
    min: 1e-6,
    max: 2_000_000,
    default: '60s',
    help: 'end the run after this time (60, 1.5, 250ms, 2m; seconds without a unit); with --sim of virtual time, so that a run that is cut can be replayed',
  },
  {
    name: 'trace',
    alias: ['t'],
    kind: 'text',
    value: 'GLOB',
    many: true,
    help: "write these events as they happen ('vfio_*', '-vfio_ccw_K?' leaves some out), as in QEMU: [enable=]GLOB, events=FILE with a GLOB a line, file=FILE for the text; help lists them",
  },
  {
    name: 'trace-out',
    kind: 'text',
    value: 'FILE.json',
    help: 'write the run as a timeline that ui.perfetto.dev opens: threads, subchannels, endpoints, and arrows between them',
  },
  {
    name: 'monitor',
    kind: 'text',
    value: 'PLACE',
    help: "take commands while the machine runs, as in QEMU: stdio, or unix:PATH for a socket; help lists the commands; of several machines a line goes to the first one, 'vm1: info status' to the next, or 'vm 1' turns to it",
  },
  CONSOLE_OPTION,
  {
    name: 'at',
    kind: 'text',
    value: 'TIME:COMMAND',
    many: true,
    help: "give a monitor command at a time of the machine ('5ms:device_del dasd0'; ns, us, ms, s, m); virtual time with --sim; help lists the commands; of several machines the first one gets it, or the one that is named ('5ms:vm1: stop')",
  },
  {
    name: 'exits',
    kind: 'flag',
    help: "end with why the CPUs left the guest, how often and for how long, in perf kvm stat's columns; a table for each machine",
  },
  {
    name: 'stats',
    kind: 'text',
    value: 'FILE',
    help: 'write times, memory and counts of the run to a file, as JSON; of several machines the sums, and each one',
  },
  {
    name: 'verbose',
    alias: ['v'],
    kind: 'flag',
    help: 'show the log of all threads, and the last instructions of a run that was cut',
  },
];

/** Builds and checks the configuration; reads the guests' files. @throws UserError */
export async function bootConfig(values: Values, rest: readonly string[]): Promise<MachineConfig> {
  if (rest.length > 0)
    throw new UserError(`${rest[0]}: unexpected word; options begin with --, the guest's file is given with --kernel`);
  await monitorHelp(values);
  const { events } = readTraceOption((values.trace as string[] | undefined) ?? []);
  const machines = vmValues(values);
  const [first, ...others] = machines.map(vmOf);
  const simulated = values.sim === true;
  const count = machines.length;
  const config: MachineConfig = {
    ...first,
    machine: 'toy',
    ...(others.length === 0 ? {} : { others }),
    drives: readDrives(values.drive as readonly Keys[] | undefined, count),
    nics: readNics(withNetNics(values.nic as readonly Keys[] | undefined, machines), count),
    pamu: readPamu(values, count),
    lockLimit: 0,
    memoryPressure: values['memory-pressure'] === true,
    seed: values.seed as number,
    todBase: todOf(simulated ? SIMULATED_START_US : wallClockMicroseconds()),
    exits: values.exits === true,
    at: await readAt((values.at as string[] | undefined) ?? [], count),
    monitor: readMailbox(values, simulated, count),
    trace: ['vfio_ccw_[QK]?', 'ccw_rfc_*'],
    tracing: { events, out: values['trace-out'] !== undefined },
  };
  const views = vmConfigs(config);
  const [own, ...more] = views.map((view, vm) => readGuest(machines[vm], view));
  const lockLimit = Math.max(...views.map((view) => (values.memlock as number | undefined) ?? defaultMemlock(view)));
  return {
    ...config,
    ...own,
    ...(more.length === 0 ? {} : { others: others.map((vm, i) => ({ ...vm, ...more[i] })) }),
    // Whole pages, as Linux counts RLIMIT_MEMLOCK.
    lockLimit: Math.floor(lockLimit / 4096),
  };
}

/** What a virtual machine has for itself; its guest is read when its devices are known. @throws UserError */
function vmOf(values: Values): VmConfig {
  const memory = values.memory as number;
  if (memory % (1 << 20) !== 0) throw new UserError(`--memory ${memory}: give a whole number of megabytes`);
  if (values.kernel !== undefined && values.guest !== undefined)
    throw new UserError(`--kernel ${values.kernel} --guest ${values.guest}: two guests; give one of them`);
  return {
    kernel: { segments: [], entry: 0n },
    guest: guestOf(values) ?? (values.kernel as string),
    append: values.append as string,
    memory,
    cpus: values.cpus as number,
    dmaPort: true,
    tce: values.tce as TceTier,
    mmio: values.mmio as MmioTier,
    tceBind: values['tce-bind'] as TceBind,
    ccwApi: values['ccw-api'] as CcwApi,
  };
}

/** Its image and command line. @param config the virtual machine's own. @throws UserError */
function readGuest(values: Values, config: MachineConfig): Pick<VmConfig, 'kernel' | 'append'> {
  const ours = guestOf(values);
  if (ours !== undefined) checkGuest(ours, config, config.append);
  const append = ours === undefined ? config.append : withDefaults(config.append, guestWords(ours, config));
  if (append.length > 895) throw new UserError(`--append: ${append.length} characters; the guest has room for 895`);
  const file = ours === undefined ? (values.kernel as string) : guestImage(ours);
  return { append, kernel: readKernel(file, config.memory, append) };
}

/** Which of our own guests runs; undefined for the user's. */
function guestOf({ guest, kernel }: Values): Guest | undefined {
  return kernel === undefined ? ((guest as Guest | undefined) ?? 'toy') : undefined;
}

/** A net guest gets a NIC when none is given, and beside the first machine when none is given to it. */
function withNetNics(given: readonly Keys[] | undefined, machines: readonly Values[]): readonly Keys[] | undefined {
  const missing = machines.flatMap((values, vm) => {
    if (guestOf(values) !== 'net') return [];
    const has = vm === 0 ? given !== undefined : given?.some((keys) => nicVms(keys).includes(`${vm}`)) === true;
    return has ? [] : [{ vm: `${vm}` }];
  });
  return missing.length === 0 ? given : [...(given ?? []), ...missing];
}

/**
 * Enough for RAM and tables; platform devices have a container of their own, which pins RAM once more; a container that
 * pins page by page is charged for its whole window (VFIO_IOMMU_ENABLE), and each PCI device has one.
 */
function defaultMemlock({ memory, memoryPressure, pamu, dmaPort, nics = [] }: MachineConfig): number {
  const pageByPage = memoryPressure ? ((dmaPort ? 1 : 0) + nics.length) * DMA_PORT.window : 0;
  return memory + MEMLOCK_TABLES + (pamu === undefined ? 0 : memory) + pageByPage;
}

/** Adds the words of `defaults` whose keys are not given already. */
function withDefaults(words: string, defaults: string): string {
  const given = new Set(words.split(' ').map((word) => word.split('=')[0]));
  return [...defaults.split(' ').filter((word) => !given.has(word.split('=')[0])), words].join(' ').trim();
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

/** `--monitor help` and `--at help`: the commands. @throws HelpRequested */
async function monitorHelp({ monitor, at = [] }: Values): Promise<void> {
  if (![monitor as string | undefined, ...(at as string[])].some((text) => text !== undefined && asksHelp(text)))
    return;
  const { commandsHelp } = await import('../monitor/commands.ts');
  throw new HelpRequested(commandsHelp());
}

/** The monitor's commands are loaded where one is given. @throws UserError */
async function readAt(texts: readonly string[], count: number): Promise<MachineConfig['at']> {
  if (texts.length === 0) return [];
  const { parseAt } = await import('../monitor/at.ts');
  return texts.map((text) => parseAt(text, count));
}

/** Whether lines come for a VMM while it runs: the monitor's, or its guest's console. @throws UserError */
function readMailbox(values: Values, simulated: boolean, count: number): boolean {
  const monitor = readMonitor(values.monitor as string | undefined, simulated);
  return readConsole(values, simulated, count) || monitor;
}

/** Console input goes to the VMM as the monitor's lines do. @throws UserError where standard input is somebody else's, or with --sim */
function readConsole({ console, monitor }: Values, simulated: boolean, count: number): boolean {
  if (readConsolePlace(console as string, count) === undefined) return false;
  if (monitor === 'stdio')
    throw new UserError('--console stdio: the monitor has standard input; give --monitor unix:PATH');
  if (simulated)
    throw new UserError("--console: a simulated run is to be replayed; type with --at 'TIME:console_input TEXT'");
  return true;
}

/** @throws UserError for a place that is none, or with --sim, where lines at any time could not be replayed */
function readMonitor(text: string | undefined, simulated: boolean): boolean {
  if (text === undefined) return false;
  monitorPlace(text);
  if (simulated) throw new UserError('--monitor: a simulated run is to be replayed; give its commands with --at');
  return true;
}
