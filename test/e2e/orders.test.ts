/** CPUs that give each other, and themselves, every order of SIGP: no order hangs the machine or ends it too early. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { simulate } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);

async function run(code: string, words: readonly string[]) {
  writeFileSync(join(folder, 'guest.elf'), guestElf(code));
  return await runCli(folder, ['boot', '--drive', drive, '--kernel', 'guest.elf', '--timeout', '30', ...words]);
}
const SCHEDULERS: string[][] = [[], ['--sim']];
const hex = (order: number) => order.toString(16).padStart(3, '0');

/** CPU 0 gives itself an order, and then waits disabled at address 0: LHI R2,0; SIGP R4,R2,order; LARL R1; LPSWE 0(R1). */
const ownOrder = (order: number) =>
  `a7280000 ae420${hex(order)} c01000000008 b2b21000 0700 0700 0700 0002000180000000 0000000000000000`;

for (const words of SCHEDULERS)
  test.each([
    ['start', 0x04],
    ['stop and store status', 0x09],
    ['initial CPU reset', 0x0b],
    ['CPU reset', 0x0c],
    ['set prefix', 0x0d],
    ['store status at address', 0x0e],
    ['an order that does not exist', 0xff],
  ])(`a CPU may give itself an order: %s ${words}`, async (_, order) => {
    expect(await run(ownOrder(order), words)).toMatchObject({ status: 0, stderr: '' });
  });

/**
 * CPU 0 sets its restart new PSW and CPU 1's (its prefix is X'20000'), restarts CPU 1 and waits disabled at X'111'.
 * CPU 1 counts to 2,000,000, restarts CPU 0, stops itself. CPU 0 counts to 30,000,000 and waits disabled at X'abc'.
 */
const RESTARTED = [
  'c05000000040d20f01a05000a7280000a7490001c03100020000c0500000003bb9040063d20f61a05000ae24000da774',
  'fffeae240006a774fffec01000000033b2b21000a7490000c071001e8480a7770000ae240006a774fffea7490001ae24',
  '0005a774fffea7f40000c07101c9c380a7770000c0100000001eb2b2100007070000000180000000000000000001006a',
  '000000018000000000000000000100440002000180000000000000000000011100020001800000000000000000000abc',
].join('');

test.each(SCHEDULERS.map((words) => [words]))(
  'a CPU that another one restarts out of a disabled wait runs on, although that one stops then %j',
  async (words) => {
    const { status, stderr } = await run(RESTARTED, ['--cpus', '2', ...words]);
    expect(stderr).toMatch(/cpu 0 waits disabled at address 0xabc, PSW/);
    expect(status).toBe(1);
  },
);

/**
 * CPU 0 restarts CPU 1 and waits disabled at X'bad'. CPU 1 counts to 20,000, sends CPU 0 an emergency signal, for which
 * that one leaves its wait and comes back to it, and stops itself.
 */
const CALLED_FROM_ITS_END = [
  'c05000000024d20f01a05000a7490001ae240006a774fffec01000000020b2b21000a7490000c07100004e20a7770000',
  'ae240003a7490001ae240005a774fffea7f40000070007000000000180000000000000000001002200020001800000000000000000000bad',
].join('');

test('a CPU in a disabled wait that leaves it for a signal while the other one stops has crashed all the same: every seed', async () => {
  writeFileSync(join(folder, 'called.elf'), guestElf(CALLED_FROM_ITS_END));
  for (let seed = 1; seed <= 60; seed++) {
    const words = [
      '--sim',
      '--cpus',
      '2',
      '--memory',
      '4M',
      '--seed',
      `${seed}`,
      '--kernel',
      join(folder, 'called.elf'),
    ];
    const { result } = await simulate(await toyConfig(`${drive},readonly=on`, words));
    expect(result.status, `seed ${seed}`).toBe(1);
    expect(result.reason, `seed ${seed}`).toContain('cpu 0 waits disabled at address 0xbad');
  }
});

/** CPU 0 restarts CPU 1; then each gives the other 500 times the order to start, and waits disabled at address 0. */
const EACH_OTHER = [
  'c05000000024d20f01a05000a7490001ae240006a774fffea77901f4ae240004a777fffea7f4000aa7490000a77901f4',
  'ae240004a777fffec01000000010b2b21000070707070707000000018000000000000000000100280002000180000000',
  '0000000000000000',
].join('');

test.each(SCHEDULERS.map((words) => [words]))(
  'CPUs that give each other orders at the same time both go on %j',
  async (words) => {
    expect(await run(EACH_OTHER, ['--cpus', '2', ...words])).toMatchObject({ status: 0, stderr: '' });
  },
);
