/** `minivisor boot`: options to configuration, the run, and what is shown at its end. */
import { existsSync, writeFileSync } from 'node:fs';
import { processUptime } from '../../kernel/lib/clock.ts';
import { after } from '../../kernel/lib/host_timer.ts';
import type { MachineConfig } from '../config.ts';
import { ThreadedMachine, type ThreadedRun } from '../launch.ts';
import { simulate, traceText } from '../simulate.ts';
import { UserError } from '../user_error.ts';
import { BOOT_OPTIONS, bootConfig, DEFAULT_DRIVE } from './boot_options.ts';
import type { Command } from './commands.ts';
import { checkDrive, createToyVolume } from './dasd.ts';
import { optionsHelp, parseOptions, type Values } from './options.ts';
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
      'Exit status: 0 when the guest stopped itself by SIGP, or waits disabled at address 0; otherwise 1.',
      '',
    ].join('\n'),
  async run(words) {
    const { values, rest } = parseOptions('boot', BOOT_OPTIONS, words);
    const config = await bootConfig(values, rest);
    if (config.drives.some((drive) => drive.file === DEFAULT_DRIVE) && !existsSync(DEFAULT_DRIVE))
      createToyVolume(DEFAULT_DRIVE);
    for (const drive of config.drives) checkDrive(drive.file, drive.readonly);
    return values.sim === true ? await runSimulated(config, values) : await runThreaded(config, values);
  },
};

async function runThreaded(config: MachineConfig, values: Values): Promise<number> {
  const machine = new ThreadedMachine(config, values.verbose === true ? 'info' : 'warn');
  let interrupted: string | undefined;
  const interrupt = (why: string) => {
    if (interrupted !== undefined) process.exit(130);
    interrupted = why;
    machine.stop();
  };
  const onSignal = () => interrupt('interrupted');
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const seconds = values.timeout as number;
  const cancel = after(seconds * 1000, () => interrupt(`no end within ${seconds} s (--timeout)`));
  try {
    const run = await machine.run();
    if (values.stats !== undefined) writeStats(values.stats as string, run);
    process.stdout.write(bootReport(run.result, run.trace));
    if (interrupted !== undefined) return ended(`the guest was stopped: ${interrupted}`, 1);
    return run.result.status === 0 ? 0 : ended(run.result.reason, run.result.status);
  } catch (error) {
    if (interrupted !== undefined) return ended(`the guest was stopped: ${interrupted}`, 1);
    throw error;
  } finally {
    cancel();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** `--stats`: times in milliseconds since the process started, peak memory, counters of the actors. */
function writeStats(file: string, run: ThreadedRun): void {
  const cpu0 = run.actors.vcpu0 as { firstRun: number };
  const stats = {
    firstInstructionMs: run.switchedOn + cpu0.firstRun / 1e6,
    wallMs: processUptime(),
    peakRssMiB: process.resourceUsage().maxRSS / 1024,
    systemCalls: run.result.systemCalls,
    exits: run.result.exits,
    actors: run.actors,
  };
  try {
    writeFileSync(file, `${JSON.stringify(stats, undefined, 2)}\n`);
  } catch (error) {
    throw new UserError(
      `--stats ${file}: ${(error as NodeJS.ErrnoException).code}; give a place where a file can be written`,
    );
  }
}

async function runSimulated(config: MachineConfig, values: Values): Promise<number> {
  const run = await simulate(config, {
    output: (bytes) => process.stdout.write(bytes),
    log: (line) => {
      if (values.verbose === true) process.stderr.write(`${line}\n`);
    },
  });
  if (config.trace.length > 0 && values.trace !== undefined) process.stderr.write(traceText(run.trace));
  process.stdout.write(
    `simulated: seed ${config.seed}, ${run.steps} steps, ${(run.now / 1e6).toFixed(3)} ms of virtual time\n`,
  );
  return run.result.status === 0 ? 0 : ended(run.result.reason, run.result.status);
}

function ended(reason: string, status: number): number {
  process.stderr.write(`minivisor: ${reason}\n`);
  return status;
}
