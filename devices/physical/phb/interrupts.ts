/**
 * Interrupts of a PE, from its device to the kernel: the level of the interrupt pin and the messages that have come.
 * Two words of the PE's block; whoever changes them on a hardware thread rings the kernel's doorbell afterwards.
 *
 * | word | written by | read by |
 * |---|---|---|
 * | 0 level | the device's two sides, each as its own file says | the kernel |
 * | 4 messages | the device adds 1, the kernel takes all | the kernel |
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { MSI_AT, MSI_ENABLE, PCI_COMMAND, pciCommand } from './config_space.ts';
import { FREEZE, freezeState, PE_PART } from './pe.ts';

const LEVEL = 0;
const MESSAGES = 4;

/** Sets the level of the interrupt pin. */
export function setPin(memory: HostMemory, block: number, asserted: boolean): void {
  memory.store(block + PE_PART.interrupts + LEVEL, asserted ? 1 : 0);
}

/** True when the pin is asserted and nothing keeps that from the kernel (PCI 3.0, 6.2.2: interrupt disable). */
export function pinAsserted(memory: HostMemory, block: number): boolean {
  if (memory.load(block + PE_PART.interrupts + LEVEL) === 0) return false;
  if ((pciCommand(memory, block) & PCI_COMMAND.INTX_DISABLE) !== 0) return false;
  return (freezeState(memory, block) & FREEZE.DMA_STOPPED) === 0;
}

/** True when the device sends messages and leaves its pin alone (PCI 3.0, 6.8.1.3). */
export function msiEnabled(memory: HostMemory, block: number): boolean {
  const control = memory.load(block + PE_PART.config + MSI_AT) >>> 16;
  return (control & MSI_ENABLE) !== 0;
}

/** Sends a message; it is a write to memory, so it is lost without bus mastering and on a frozen PE. */
export function sendMessage(memory: HostMemory, block: number): boolean {
  if ((pciCommand(memory, block) & PCI_COMMAND.MASTER) === 0) return false;
  if ((freezeState(memory, block) & FREEZE.DMA_STOPPED) !== 0) return false;
  memory.add(block + PE_PART.interrupts + MESSAGES, 1);
  return true;
}

/** True when messages have come that the kernel has not taken. */
export function messagesPending(memory: HostMemory, block: number): boolean {
  return memory.load(block + PE_PART.interrupts + MESSAGES) !== 0;
}

/** Takes the messages that have come; returns how many. */
export function takeMessages(memory: HostMemory, block: number): number {
  return memory.exchange(block + PE_PART.interrupts + MESSAGES, 0) >>> 0;
}

/** No level, no messages: after a reset. */
export function clearInterrupts(memory: HostMemory, block: number): void {
  setPin(memory, block, false);
  takeMessages(memory, block);
}
