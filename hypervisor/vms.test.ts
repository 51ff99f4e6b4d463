import { expect, test } from 'vitest';
import { actorTable, hardwareNames, mapConfig } from './actors.ts';
import { BOOT_OPTIONS, bootConfig } from './cli/boot_options.ts';
import { parseOptions } from './cli/options.ts';
import type { MachineConfig, MachineResult } from './config.ts';
import { combinedResult, dmaPorts, vmConfigs, vmSummaries } from './vms.ts';

async function configOf(...words: string[]): Promise<MachineConfig> {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, ['--sim', '--drive', 'type=echo', ...words]);
  return await bootConfig(values, rest);
}

test('the only machine is configured as the host', async () => {
  const config = await configOf();
  expect(vmConfigs(config)).toEqual([config]);
  expect(config).not.toHaveProperty('others');
  expect([dmaPorts(config), mapConfig(config).others]).toEqual([1, []]);
});

test('each machine gets its own devices, under numbers of its own, and the PEs they have on the host', async () => {
  const config = await configOf(
    ...['--drive', 'type=echo,devno=200,vm=1', '--nic', 'id=a', '--nic', 'id=b,pair=a,vm=1', '--nic', 'id=c,vm=1'],
    ...['--nic', 'id=d,pair=c,vm=1', '--vm', 'smp=2,memory=32M'],
  );
  const [first, second] = vmConfigs(config);
  expect([first, second].map(({ drives }) => drives.map(({ devno }) => devno))).toEqual([[0x190], [0x200]]);
  // Two DMA ports come first.
  expect([first.pes, second.pes]).toEqual([
    [0, 2],
    [1, 3, 4, 5],
  ]);
  expect(first.nics?.map(({ id, wire }) => [id, wire])).toEqual([['a', { pair: 1, elsewhere: true }]]);
  expect(second.nics?.map(({ id, wire }) => [id, wire])).toEqual([
    ['b', { pair: 0, elsewhere: true }],
    ['c', { pair: 2 }],
    ['d', { pair: 1 }],
  ]);
  expect([first.label, second.label, second.cpus, second.memory]).toEqual(['vm0', 'vm1', 2, 32 << 20]);
  expect(hardwareNames(config)).toEqual(['iop0', 'dma0', 'dma1', 'dma2', 'dma3', 'dma4', 'dma5']);
});

test('each machine gets the commands that name it, and knows of all; each thread is of its process', async () => {
  const at = ['1ms:stop', '2ms:vm1: stop', '3ms:vm0: cont'].flatMap((text) => ['--at', text]);
  const config = await configOf(...at, '--vm', 'smp=2,guest=net');
  const views = vmConfigs(config);
  expect(views.map((view) => view.at?.map(({ time }) => time))).toEqual([['1ms', '3ms'], ['2ms']]);
  const machines = [
    { guest: 'toy', memory: 2 ** 27, cpus: 1 },
    { guest: 'net', memory: 2 ** 27, cpus: 2 },
  ];
  expect([vmSummaries(config), ...views.map(vmSummaries)]).toEqual([machines, machines, machines]);
  expect(actorTable(config).map(({ name, process }) => [name, process])).toEqual([
    ['kernel', undefined],
    ['iop0', undefined],
    ['dma0', undefined],
    ['dma1', undefined],
    ['dma2', undefined],
    ['vmm', 0],
    ['vcpu0', 0],
    ['vm1.vmm', 1],
    ['vm1.vcpu0', 1],
    ['vm1.vcpu1', 1],
  ]);
});

test('channels of the SoC go to the machines that are named', async () => {
  const device = (host: string, vm: number) => ['--device', `vfio-platform,host=${host},vm=${vm}`];
  const config = await configOf(...device('dma1', 1), ...device('dma0', 2), '--vm', 'smp=1', '--vm', 'smp=1');
  expect(vmConfigs(config).map(({ pamu }) => pamu?.devices)).toEqual([undefined, ['dma1'], ['dma0']]);
});

test('a run ends as its first machine that ended badly, and says which', () => {
  const result = (status: number, reason: string, endedNs: number) =>
    ({ status, reason, endedNs, marks: {}, systemCalls: 1, exits: {} }) satisfies MachineResult;
  const [good, bad, worse] = [result(0, '', 5), result(1, 'it broke', 9), result(2, 'it too', 7)];
  expect(combinedResult([bad])).toBe(bad);
  expect(combinedResult([good, good])).toMatchObject({ status: 0, reason: '' });
  expect(combinedResult([good, bad, worse])).toMatchObject({ status: 1, reason: 'vm1: it broke', endedNs: 9 });
});
