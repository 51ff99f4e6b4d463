/** The three sides of the argument about what a LIOBN binds to, on a whole machine: the guest cannot tell them apart. */
import { afterAll, expect, test } from 'vitest';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import { workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;
const KVM_BIND_VFIO = 0x4010aefa;

async function boot(words: readonly string[]): Promise<SimulatedRun> {
  const config = await toyConfig(drive, ['--sim', '--append', 'bench=0', '--memory', '16M', ...words]);
  return await simulate({ ...config, trace: ['hypercall_ret', 'sys_enter', 'tce_kill'] });
}
const events = (run: SimulatedRun, name: string) => run.trace.filter(({ event }) => event === name);
/** Hypercalls by tier, as the kernel traced them. */
const virtualMode = (run: SimulatedRun) =>
  events(run, 'hypercall_ret').filter(({ args }) => args[1] === 0 && args[2] === 1);

test('group, group-liobn and container: the same console, the same kills; one says it by another system call', async () => {
  const [group, liobn, container] = await Promise.all(
    ['group', 'group-liobn', 'container'].map((side) => boot(['--tce-bind', side])),
  );
  for (const run of [group, liobn, container]) {
    expect(run.result.status).toBe(0);
    expect(run.console).toMatch(/toy: all \d+ checks passed/);
    expect(run.console).toBe(group.console);
    expect(events(run, 'tce_kill').map(({ args }) => args)).toEqual(events(group, 'tce_kill').map(({ args }) => args));
  }
  const binds = [group, liobn, container].map(
    (run) => events(run, 'sys_enter').filter(({ args }) => args[2] === KVM_BIND_VFIO).length,
  );
  expect(binds).toEqual([0, 0, 1]);
});

test.each(['group', 'group-liobn', 'container'])(
  '%s, with memory that is not pinned beforehand: virtual mode pins it when it is mapped',
  async (side) => {
    const run = await boot(['--tce-bind', side, '--memory-pressure']);
    expect(run.result.status).toBe(0);
    expect(run.console).toMatch(/toy: all \d+ checks passed/);
    expect(virtualMode(run).length).toBeGreaterThan(3);
  },
);
