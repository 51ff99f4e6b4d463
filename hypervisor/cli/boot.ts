/** `minivisor boot`: options to configuration, the run, and what is shown at its end. */
import { existsSync } from 'node:fs';
import { CkdImage } from '../../devices/physical/dasd/ckd_image.ts';
import { processUptime, stopwatch } from '../../kernel/lib/clock.ts';
import { after } from '../../kernel/lib/host_timer.ts';
import { processOfActor, shortName } from '../../kernel/lib/shared_map.ts';
import { Deadlock } from '../../kernel/lib/simulated.ts';
import { TaskFailure } from '../../kernel/lib/threaded.ts';
import type { DriveConfig, MachineConfig, MachineResult } from '../config.ts';
import { exitSummary } from '../exit_table.ts';
import { ThreadDied, ThreadedMachine, type ThreadedRun } from '../launch.ts';
import { ConsoleFrontEnd } from '../monitor/console_front_end.ts';
import { MonitorFrontEnd } from '../monitor/front_end.ts';
import { clearStaleSocket, monitorPlace } from '../monitor/place.ts';
import { simulate, TooLong } from '../simulate.ts';
import type { TraceSinks } from '../trace/recorder.ts';
import { UserError } from '../user_error.ts';
import { vmConfigs, vmName } from '../vms.ts';
import { BOOT_OPTIONS, bootConfig } from './boot_options.ts';
import { bootStats } from './boot_stats.ts';
import { BootTrace, checkWritten } from './boot_trace.ts';
import type { Command } from './commands.ts';
import { readConsolePlace } from './console_option.ts';
import { checkDrive, createToyVolume } from './dasd.ts';
import { DEFAULT_DRIVE } from './drive_options.ts';
import { deadlockText, endingText, notGiven, waitingText } from './ending.ts';
import { checkUnlocked, lockImage } from './image_lock.ts';
import { optionsHelp, parseOptions, type Values } from './options.ts';
import { writeOutput } from './output_file.ts';
import { bootReport } from './report.ts';

export const boot: Command = {
  name: 'boot',
  summary: 'boots a guest (the toy guest unless --kernel is given)',
  help: () =>
    [
      'usage: minivisor boot [OPTIONS]',
      '',
      'Boots a guest of real z/Architecture machine code on the machine "toy": s390x CPUs, a channel subsystem with a',
      'passed-through 3390 DASD (vfio-ccw), an SCLP console, and a DMA port behind a PCI host bridge that is reached',
      "through TCEs (DIAGNOSE X'5E0' carries PAPR hypercalls). The run ends when every CPU is stopped or waits disabled.",
      '',
      optionsHelp(BOOT_OPTIONS),
      '',
      'help as the value of an option that takes keys, or one of several values, explains them: --drive help.',
      '',
      'Exit status: 0 when the guest stopped itself by SIGP, or waits disabled at address 0; otherwise 1.',
      '',
    ].join('\n'),
  async run(words) {
    const { values, rest } = parseOptions('boot', BOOT_OPTIONS, words);
    const config = await bootConfig(values, rest);
    if (values.sim === true && values.stats !== undefined)
      throw new UserError('--stats: tells nothing about a simulated run; leave out --sim or --stats');
    checkWritten(values, config);
    if (config.drives.some((drive) => drive.file === DEFAULT_DRIVE) && !existsSync(DEFAULT_DRIVE))
      createToyVolume(DEFAULT_DRIVE);
    for (const drive of config.drives) if (drive.file !== '') checkImage(drive);
    const unlock = lockImages(config);
    try {
      return values.sim === true ? await runSimulated(config, values) : await runThreaded(config, values);
    } finally {
      for (const release of unlock) release();
    }
  },
};

/** Opens a drive's image as the machine will, and looks whether it has the cylinder that is to be slow. @throws UserError */
function checkImage({ file, readonly, slow }: DriveConfig): void {
  checkDrive(file, readonly);
  if (slow === undefined) return;
  const image = new CkdImage(file, true);
  const { cylinders } = image;
  image.close();
  if (slow.cylinder >= cylinders)
    throw new UserError(
      `--drive slow-cylinder=${slow.cylinder}: ${file} has cylinders 0 to ${cylinders - 1}; give one of them`,
    );
}

/** Takes every image that may be written; all or none. */
function lockImages(config: MachineConfig): (() => void)[] {
  const locks: (() => void)[] = [];
  try {
    const images = config.drives.filter((drive) => drive.file !== '');
    for (const drive of images) if (!drive.readonly) locks.push(lockImage(drive.file));
    for (const drive of images) if (drive.readonly) checkUnlocked(drive.file);
    return locks;
  } catch (error) {
    for (const release of locks) release();
    throw error;
  }
}

/** Milliseconds in which a signal is still the first one: npm passes a terminal's Ctrl-C on to a process that has it. */
const SAME_SIGNAL_MS = 300;

/** What the user did to end the run before the guest did. */
class Interruption {
  why: string | undefined;
  readonly #cancel: () => void;
  readonly #signal = () => this.#interrupt('interrupted');
  readonly #stop: () => void;
  #sinceFirst = () => 0;

  /**
   * Listens for Ctrl-C and SIGTERM, and waits for the time-out if there is one. A second Ctrl-C ends the process at once.
   */
  constructor(seconds: number | undefined, stop: () => void) {
    this.#stop = stop;
    process.on('SIGINT', this.#signal);
    process.on('SIGTERM', this.#signal);
    this.#cancel =
      seconds === undefined
        ? () => {}
        : after(seconds * 1000, () => this.#interrupt(`no end within ${seconds} s (--timeout)`));
  }
  #interrupt(why: string): void {
    if (this.why !== undefined) {
      if (this.#sinceFirst() > SAME_SIGNAL_MS) process.exit(130);
      return;
    }
    this.why = why;
    this.#sinceFirst = stopwatch();
    this.#stop();
  }
  end(): void {
    this.#cancel();
    process.off('SIGINT', this.#signal);
    process.off('SIGTERM', this.#signal);
  }
}

/** @throws UserError when the host has not enough memory */
function newMachine(config: MachineConfig, level: string, sinks: TraceSinks | undefined): ThreadedMachine {
  try {
    return new ThreadedMachine(config, level, [], sinks);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const memory = vmConfigs(config).map((vm) => `${vm.memory / 2 ** 20} MiB`);
    throw new UserError(
      `--memory: no room for ${memory.length === 1 ? 'a guest' : 'guests'} of ${memory.join(' and ')} here; give less`,
    );
  }
}

async function runThreaded(config: MachineConfig, values: Values): Promise<number> {
  const trace = new BootTrace(values, config);
  const machine = newMachine(config, values.verbose === true ? 'info' : 'warn', trace.sinks);
  trace.attach(machine.recorder);
  const interruption = new Interruption(values.timeout as number, () => machine.stop());
  const monitored = machine.monitored();
  const monitor = new MonitorFrontEnd(monitored);
  const typedAt = readConsolePlace(values.console as string, monitored.mailboxes.length);
  const console = new ConsoleFrontEnd(monitored.mailboxes[typedAt ?? 0]);
  try {
    if (values.monitor !== undefined) {
      const place = monitorPlace(values.monitor as string);
      await clearStaleSocket(place);
      await monitor.start(place);
    }
    if (typedAt !== undefined) console.start();
    const run = await machine.run();
    if (values.stats !== undefined) {
      const used = { wallMs: processUptime(), peakRssMiB: process.resourceUsage().maxRSS / 1024 };
      writeOutput('stats', values.stats as string, bootStats(run, used));
    }
    process.stdout.write(reports(run));
    process.stdout.write(exitSummaries(run.results, false));
    process.stderr.write(commandsNotGiven(config, run.results));
    return dumpsWritten(run.actors, ended(run, interruption.why, values));
  } catch (error) {
    // A thread that had to be ended by force after the user's wish is no news.
    if (interruption.why !== undefined)
      return ended({ result: { status: 1, reason: '' }, actors: {} }, interruption.why, values);
    throw error;
  } finally {
    monitor.end();
    console.end();
    interruption.end();
    await trace.end();
  }
}

/** What each virtual machine's guest measured; of several each under its name. */
function reports(run: ThreadedRun): string {
  return run.results
    .map((result, vm) => {
      const own = (name: string) => processOfActor(name) === vm;
      // Threads of the host are shown with the first machine.
      const trace = run.trace.filter(({ actor }) => own(actor) || (vm === 0 && processOfActor(actor) === undefined));
      return headed(run.results, vm, bootReport(result, trace, hypercallsByTier(run, own)));
    })
    .join('');
}

function exitSummaries(results: readonly MachineResult[], simulated: boolean): string {
  return results.map(({ exitStatistics }, vm) => headed(results, vm, exitSummary(exitStatistics, simulated))).join('');
}

/** Text about one of several virtual machines, with its name above. */
function headed(results: readonly MachineResult[], vm: number, text: string): string {
  return text === '' || results.length === 1 ? text : `\n${vmName(vm)}:\n${text}`;
}

/** The `--at` commands that came too late for their machines. */
function commandsNotGiven(config: MachineConfig, results: readonly MachineResult[]): string {
  return vmConfigs(config)
    .map(({ at, label }, vm) => notGiven(at, results[vm].endedNs, label))
    .join('');
}

/** Hypercalls that each tier finished, over all CPUs that count. */
function hypercallsByTier(run: ThreadedRun, own: (name: string) => boolean): number[] {
  const sums = [0, 0, 0];
  for (const [name, actor] of Object.entries(run.actors))
    if (own(name) && shortName(name).startsWith('vcpu'))
      for (const [tier, calls] of (actor as { hypercalls: number[] }).hypercalls.entries()) sums[tier] += calls;
  return sums;
}

async function runSimulated(config: MachineConfig, values: Values): Promise<number> {
  // Virtual seconds end a simulated run, so that a run which was cut can be replayed too.
  const seconds = values.timeout as number;
  const interruption = new Interruption(undefined, () => {});
  const trace = new BootTrace(values, config);
  try {
    const run = await simulate(config, {
      limitNs: seconds * 1e9,
      output: (bytes) => process.stdout.write(bytes),
      log: (line) => {
        if (values.verbose === true) process.stderr.write(`${line}\n`);
      },
      interrupted: () => interruption.why !== undefined,
      traceSinks: trace.sinks,
      recording: (recorder) => trace.attach(recorder),
    });
    process.stdout.write(
      `simulated: seed ${config.seed}, ${run.steps} steps, ${(run.now / 1e6).toFixed(3)} ms of virtual time\n`,
    );
    process.stdout.write(exitSummaries(run.results, true));
    const cut = run.cut ? `no end within ${seconds} s of virtual time (--timeout)` : undefined;
    process.stderr.write(commandsNotGiven(config, run.results));
    const status = ended(run, interruption.why ?? cut, values);
    process.stderr.write(waitingText(run.waiting));
    return dumpsWritten(run.actors, status);
  } catch (error) {
    if (error instanceof Deadlock) {
      if (values.verbose === true) process.stderr.write(`${error.message}\n`);
      throw new UserError(deadlockText(error, vmConfigs(config).length));
    }
    if (error instanceof TaskFailure || error instanceof TooLong) throw new ThreadDied('of the simulation', error);
    throw error;
  } finally {
    interruption.end();
    await trace.end();
  }
}

/** Says which dumps of NICs could not be written to their end; the exit status. @param status of the run without them */
function dumpsWritten(actors: ThreadedRun['actors'], status: number): number {
  const failures = Object.values(actors).flatMap((actor) => (actor as DumpingActor | undefined)?.dumpFailure ?? []);
  for (const { file, code } of failures)
    process.stderr.write(`minivisor: --nic pcap=${file}: ${code}; what came after that was not written\n`);
  return failures.length === 0 ? status : 1;
}
/** What an engine of a NIC tells at its end (devices/physical/net/pcap.ts). */
interface DumpingActor {
  readonly dumpFailure?: { readonly file: string; readonly code: string };
}

/** Says why a run did not end well, and where each CPU was; returns the exit status. */
function ended(run: Parameters<typeof endingText>[0], interrupted: string | undefined, { verbose }: Values): number {
  process.stderr.write(endingText(run, interrupted, verbose === true));
  return interrupted === undefined ? run.result.status : 1;
}
