/** How a run ends: when every CPU is stopped or waits disabled, and which exit status that means. */
import { SYSTEM_EVENT } from '../../kernel/include/uapi/kvm_run.ts';

/** Why a CPU does not run any more. */
export interface CpuEnd {
  readonly cpu: number;
  readonly event: number;
  readonly pswMask: bigint;
  readonly pswAddress: bigint;
}

export interface Outcome {
  readonly status: number;
  readonly reason: string;
}

const hex = (value: bigint, digits: number) => value.toString(16).padStart(digits, '0');

/** A PSW as it is shown: two doublewords. */
export function showPsw(mask: bigint, address: bigint): string {
  return `${hex(mask, 16)} ${hex(address, 16)}`;
}

/** Status 0: stopped by SIGP, or a disabled wait at address 0. Anything else is told with its PSW. */
export function outcome(ends: readonly CpuEnd[]): Outcome {
  for (const { cpu, event, pswMask, pswAddress } of ends) {
    const psw = showPsw(pswMask, pswAddress);
    if (event === SYSTEM_EVENT.PROGRAM_LOOP)
      return {
        status: 1,
        reason: `cpu ${cpu} is in a loop of program interruptions, PSW ${psw}: the guest has no program new PSW, or jumped into garbage`,
      };
    if (event === SYSTEM_EVENT.DISABLED_WAIT && pswAddress !== 0n)
      return { status: 1, reason: `cpu ${cpu} waits disabled at address 0x${pswAddress.toString(16)}, PSW ${psw}` };
  }
  return { status: 0, reason: '' };
}
