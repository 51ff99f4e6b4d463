import { expect, test } from 'vitest';
import { MPIC_BRR1, MPIC_BRR1_VERSION, MPIC_SOURCE } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA, FSL_DMA_MR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import { Doorbell } from '../../../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { actorAreas, sharedMap } from '../../../kernel/lib/shared_map.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { FslSoc } from '../pamu/fsl_soc.ts';
import { powerOn } from '../power_on.ts';
import { start } from '../start.ts';

const M = 0x10_0000;

async function host(pamu?: { classic?: boolean }) {
  const map = sharedMap({ guestMemory: M, vcpus: 1, hardware: ['iop0', 'elo0'] });
  const memory = new HostMemory(createMemory(map.size));
  await powerOn(memory, map, { drives: [], dmaPort: false, pamu });
  return { map, memory };
}

test('the machine powers a SoC on whose channels the actor elo0 runs; bypassed PAMUs let them everywhere', async () => {
  const { map, memory } = await host({});
  const simulation = new Simulation(1);
  await start({
    actor: simulation.actor('elo0'),
    memory,
    map,
    config: { name: 'elo0', drives: [], nics: [], seed: 1, todBase: 0n },
    log: () => {},
    output: () => {},
  });
  const soc = new FslSoc(memory, map.soc, { eloDoorbell: new Doorbell(memory, actorAreas(map, 'elo0').doorbell) });
  const channel = 0x10_0100;
  memory.bytes(map.firstFrame, 4).fill(0x5a);
  soc.write32(channel + FSL_DMA.SAR, map.firstFrame);
  soc.write32(channel + FSL_DMA.DAR, map.firstFrame + 0x100);
  soc.write32(channel + FSL_DMA.BCR, 4);
  soc.write32(channel + FSL_DMA.MR, FSL_DMA_MR.CS | FSL_DMA_MR.CTM | FSL_DMA_MR.EOSIE);
  simulation.run(() => soc.interruptPending(), 100);
  expect(soc.interruptSource()).toBe(MPIC_SOURCE.DMA);
  expect([...memory.bytes(map.firstFrame + 0x100, 5)]).toEqual([0x5a, 0x5a, 0x5a, 0x5a, 0]);
});

test.each([
  [{}, 0x0403],
  [{ classic: true }, 0x0401],
])('%o has message banks of version %i', async (pamu, version) => {
  const { map, memory } = await host(pamu);
  expect(new FslSoc(memory, map.soc, {}).read32(MPIC_BRR1) & MPIC_BRR1_VERSION).toBe(version);
});

test('a machine without one says so', async () => {
  const { map, memory } = await host();
  expect(() => new FslSoc(memory, map.soc, {})).toThrow('no SoC');
});
