/** What the sides of a NIC's engine share. */
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { Actor } from '../../../kernel/lib/task.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { PCI_COMMAND, pciCommand } from '../phb/config_space.ts';
import { RCTL, REG, STATUS } from './e1000_regs.ts';
import type { InterruptUnit } from './interrupt_unit.ts';
import { lockNic, STATE_AT, unlockNic } from './nic_area.ts';
import type { NicDma } from './nic_dma.ts';
import type { PcapWriter } from './pcap.ts';
import { phyLoopback } from './phy.ts';
import type { Statistics } from './statistics.ts';
import type { CableEnd } from './wire.ts';

export interface NicContext {
  readonly memory: HostMemory;
  readonly phbBase: number;
  readonly pe: number;
  /** HPA of the PE's block. */
  readonly block: number;
  /** HPA of the NIC's area. */
  readonly area: number;
  readonly actor: Actor;
  readonly kernelDoorbell: Doorbell;
  readonly cable: CableEnd;
  readonly pcap?: PcapWriter;
  readonly tracer?: Tracer;
  readonly interrupts: InterruptUnit;
}

/** True when nothing keeps the NIC from its DMA: after a refusal only a reset helps. */
export function mayDma({ memory, block, area }: NicContext): boolean {
  return memory.load(area + STATE_AT.halted) === 0 && (pciCommand(memory, block) & PCI_COMMAND.MASTER) !== 0;
}

/** True when what is sent is received and the cable is cut off: RCTL.LBM or the PHY's loopback. */
export function inLoopback({ memory, area }: NicContext): boolean {
  return (memory.load(area + REG.RCTL) & RCTL.LBM) !== 0 || phyLoopback(memory, area);
}

/** STATUS.LU. */
export function linkUp({ memory, area }: NicContext): boolean {
  return (memory.load(area + REG.STATUS) & STATUS.LU) !== 0;
}

/** A transaction was refused: the NIC stops, unless a reset has ended the epoch it belonged to. */
export function halt({ memory, area }: NicContext, dma: NicDma, epochAt: number): void {
  lockNic(memory, area);
  if (memory.load(area + epochAt) === dma.epoch) memory.store(area + STATE_AT.halted, 1);
  unlockNic(memory, area);
}

/**
 * Makes what a side did visible: the head of its ring, its statistics, its causes, all at once; nothing of it when a
 * reset has come in between. @param head -1: it has not moved. @returns whether it was done.
 */
export function commit(
  { memory, area }: NicContext,
  side: { readonly dma: NicDma; readonly epochAt: number; readonly headAt: number; readonly statistics: Statistics },
  head: number,
  causes: number,
): boolean {
  lockNic(memory, area);
  const current = memory.load(area + side.epochAt) === side.dma.epoch;
  if (current) {
    if (head >= 0) memory.store(area + side.headAt, head);
    side.statistics.flush(memory, area);
    if (causes !== 0) memory.or(area + REG.ICR, causes);
  } else side.statistics.clear();
  unlockNic(memory, area);
  return current;
}
