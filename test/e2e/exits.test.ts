/** `boot --exits` and `info exits`: the table agrees with what the machine has done, and changes nothing. */
import { afterAll, expect, test } from 'vitest';
import { exitSummary } from '../../hypervisor/exit_table.ts';
import { type SimulatedRun, simulate, traceText } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;

const boot = async (...words: string[]) => await simulate(await toyConfig(drive, ['--sim', ...words]));
const rowsOf = ({ result }: SimulatedRun) => new Map(result.exitStatistics?.rows.map((row) => [row.name, row]));

test('every exit that the VMM served and answered is in the table, and no other changes', async () => {
  const words = ['--cpus', '2', '--append', 'bench=0', '--trace', 'kvm_*'];
  const [plain, counted] = [await boot(...words), await boot(...words, '--exits')];
  expect(plain.result.exitStatistics).toBeUndefined();
  expect(traceText(counted.trace) === traceText(plain.trace)).toBe(true);
  const rows = rowsOf(counted);
  const { exits } = counted.result;
  const samples = (prefix: string) =>
    [...rows.values()].filter(({ name }) => name.startsWith(prefix)).reduce((sum, row) => sum + row.samples, 0);
  expect(samples('TSCH')).toBe(exits.tsch);
  expect(samples('DIAG (0x5e0) ')).toBe(exits.papr_hcall);
  const others = ['Wait state', 'Host interruption', 'I/O request', 'External request', 'Stop request'];
  const all = samples('');
  const notServed = others.reduce((sum, name) => sum + (rows.get(name)?.samples ?? 0), 0);
  // The SIGP that ends the run is never answered with an entry to the guest.
  expect(all - notServed - samples('TSCH') - samples('DIAG (0x5e0) ')).toBeGreaterThanOrEqual(exits.instruction - 2);
  expect(all - notServed - samples('TSCH') - samples('DIAG (0x5e0) ')).toBeLessThanOrEqual(exits.instruction);
  for (const name of ['SSCH', 'SERVC', 'Wait state', 'DIAG (0x5e0) H_PUT_TCE'])
    expect(rows.get(name)?.samples, name).toBeGreaterThan(0);
  for (const { min, max, sum, samples: n } of rows.values()) {
    expect(min).toBeLessThanOrEqual(sum / n);
    expect(max).toBeGreaterThanOrEqual(sum / n);
    expect(max).toBeLessThan(counted.now);
  }
});

test('hypercalls of the kernel are no exits in its tiers, and all exits in the tier of the VMM', async () => {
  const append = ['--append', 'bench=1', '--exits'];
  const [kernel, user] = [await boot(...append), await boot(...append, '--tce', 'user')];
  const puts = (run: SimulatedRun) => rowsOf(run).get('DIAG (0x5e0) H_PUT_TCE')?.samples ?? 0;
  expect(kernel.result.exitStatistics?.inKernel.real).toBeGreaterThan(0);
  expect(kernel.result.exitStatistics?.inKernel.virtual).toBeGreaterThan(0);
  expect(user.result.exitStatistics?.inKernel.virtual).toBe(0);
  expect(puts(user)).toBeGreaterThan(puts(kernel));
});

test('the table ends a run on threads', async () => {
  const { status, stdout, stderr } = await runCli(folder, ['boot', '--drive', drive, '--append', 'bench=0', '--exits']);
  expect([status, stderr]).toEqual([0, '']);
  const end = stdout.split('\nExits of all CPUs')[1];
  expect(end).toMatch(/entering it again\):\n +VM-EXIT +Samples +Samples% +Time% +Min Time +Max Time +Avg time\n/);
  expect(end).toMatch(/ SERVC +\d+ .*us \( \+- +[\d.]+% \)\n/);
  expect(end).toMatch(/ SSCH +\d+ /);
  expect(end).toMatch(/Total Samples:\d+, [\s\S]*: \d+ real mode, \d+ virtual mode\n/);
});

test('info exits shows the table while the machine runs, asked for beforehand or not', async () => {
  const { console, result } = await boot('--append', 'bench=0', '--at', '3ms:info exits');
  expect(result.exitStatistics).toBeUndefined();
  expect(console).toMatch(/info exits\n +VM-EXIT +Samples [\s\S]* SSCH +\d+ [\s\S]*system calls of the VMM: \d+\n/);
});

test('the simulated table says that its time is virtual', async () => {
  const run = await boot('--append', 'bench=0', '--exits');
  expect(exitSummary(run.result.exitStatistics, true)).toContain('entering it again; virtual time):\n');
});
