/** What a handler of an intercepted I/O instruction gets, and what it may answer besides a condition code. */
import type { DequeuedIo, Vcpu } from '../../../hypervisor/machine_api.ts';
import type { ChannelSubsystem } from './css.ts';

export interface Intercept {
  readonly css: ChannelSubsystem;
  readonly vcpu: Vcpu;
  /** General register 1: the identification. */
  readonly gr1: bigint;
  /** Second-operand address. */
  readonly operand: bigint;
  /** The interruption that KVM took off its queue for TSCH and TPI. */
  readonly dequeued?: DequeuedIo;
}

/** Condition code of an instruction that does not set it. */
export const CC_UNCHANGED = -1;
