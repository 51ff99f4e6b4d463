import { expect, test } from 'vitest';
import { BOOT_OPTIONS, bootConfig } from './boot_options.ts';
import { HelpRequested, parseOptions } from './options.ts';

async function configOf(...words: string[]) {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, ['--sim', '--drive', 'type=echo', ...words]);
  return await bootConfig(values, rest);
}

test('what is not given is as for the first machine', async () => {
  const { others } = await configOf(
    ...['--memory', '64M', '--cpus', '2', '--tce', 'virtual', '--append', 'a=1', '--mmio', 'exit'],
    ...['--vm', 'memory=32M', '--vm', 'smp=1,append=b=2 c=3,tce=user,tce-bind=container,ccw-api=io-region,mmio=kernel'],
  );
  expect(others).toMatchObject([
    { memory: 32 << 20, cpus: 2, tce: 'virtual', tceBind: 'group', ccwApi: 'region', mmio: 'exit' },
    { memory: 64 << 20, cpus: 1, tce: 'user', tceBind: 'container', ccwApi: 'io-region', mmio: 'kernel' },
  ]);
  expect(others?.map(({ append }) => append.match(/\b[abc]=\d/g))).toEqual([['a=1'], ['b=2', 'c=3']]);
});

test('each machine has its own guest, with what that needs of its own devices', async () => {
  const { kernel, others, nics } = await configOf('--guest', 'toy', '--vm', 'guest=net');
  expect(others?.[0].kernel.segments).not.toEqual(kernel.segments);
  // The NIC is on the second host bridge of its machine.
  expect(others?.[0].append).toMatch(/nic=0x[0-9a-f]+ liobn=0x[0-9a-f]+/);
  expect(nics).toMatchObject([{ vms: [1], wire: 'loopback' }]);
});

test('the limit of locked memory is enough for the largest', async () => {
  const limit = async (...words: string[]) => (await configOf(...words)).lockLimit;
  expect(await limit('--memory', '16M', '--vm', 'memory=256M')).toBe(await limit('--memory', '256M'));
});

test('help explains the keys', () => {
  expect(() => parseOptions('boot', BOOT_OPTIONS, ['--vm', 'help'])).toThrow(HelpRequested);
  try {
    parseOptions('boot', BOOT_OPTIONS, ['--vm', 'help']);
  } catch (error) {
    expect((error as Error).message).toMatch(/^--vm keys:[\s\S]*smp= .*guest CPUs[\s\S]*vm=1 in --nic/);
  }
});

test.each([
  [['--vm', 'memory=lots'], /^--vm memory lots: not a size; give bytes, or a number with K, M or G$/],
  [['--vm', 'smp=9'], /^--vm smp 9: out of range; give 1 to 8$/],
  [['--vm', 'tce=fast'], /^--vm tce fast: unknown value; give one of real, virtual, user$/],
  [['--vm', 'speed=9'], /^--vm: unknown key 'speed'; known keys: kernel, guest, append, memory, smp, /],
  [['--vm', 'kernel=a,guest=toy'], /two guests; give one of them$/],
  [['--vm', 'guest=dma'], /^vm1: the dma guest has no device; give it one \(--device vfio-platform,host=dma0,vm=1\)$/],
  [['--nic', 'vm=1'], /^--nic vm=1: there is machine 0 only; give --vm once for each further one$/],
  [['--nic', 'vm=2', '--vm', 'smp=1'], /^--nic vm=2: there are machines 0 to 1; give --vm once for each/],
  [['--nic', 'vm=a'], /^--nic vm=a: not understood; give a number, or two with a colon/],
  [['--drive', 'type=echo,devno=200,vm=0:1', '--vm', 'smp=1'], /^--drive vm=0:1: not understood; give a number$/],
  [['--device', 'vfio-platform,host=dma0,vm=1'], /^--device vm=1: there is machine 0 only/],
  [Array.from({ length: 8 }, () => ['--vm', 'smp=1']).flat(), /^--vm: 8 of them; a host runs 8 machines$/],
])('%j is refused with one sentence', async (words, sentence) => {
  await expect(configOf(...words)).rejects.toThrow(sentence);
});
