/** KVM_S390_INTERRUPT: making interruptions pending for a virtual machine or one of its CPUs (arch/s390/kvm/interrupt.c). */

import { Errno } from '../include/uapi/errno.ts';
import { KVM_S390 } from '../include/uapi/kvm.ts';
import { CPU_STATE, KVM_REQ } from '../include/uapi/kvm_run.ts';
import type { FloatingInterrupts } from '../lib/floating_interrupts.ts';
import { LOCAL, type LocalInterrupts, OWN_LOWCORE } from '../lib/local_interrupts.ts';
import { low32 } from '../lib/words64.ts';

/** struct kvm_s390_interrupt. */
export interface S390Interrupt {
  readonly type: number;
  readonly parm: number;
  readonly parm64: bigint;
}

/** Position of the interruption subclass in the interruption-identification word (SA22-7832 chapter 6, bits 2-4). */
const ISC_SHIFT = 27;
const ISC_MASK = 7;
/** Bit 0 of the identification word: an adapter interruption. */
const ADAPTER = 0x8000_0000;

/** Types for the whole machine; every type up to INT_IO_MAX is an I/O interruption. */
const FLOATING: Readonly<Record<number, (floating: FloatingInterrupts, interrupt: S390Interrupt) => void>> = {
  [KVM_S390.INT_SERVICE]: (floating, { parm }) => floating.addService(parm),
  [KVM_S390.MCHK]: (floating) => floating.addMachineCheck(),
};

/** Makes a floating interruption pending. @throws Errno EINVAL for a type that is none, EBUSY when too many are pending */
export function injectFloating(floating: FloatingInterrupts, interrupt: S390Interrupt): void {
  if (interrupt.type <= KVM_S390.INT_IO_MAX) {
    // parm: subsystem-identification word; parm64: interruption parameter, then the identification word.
    const intparm = Number(interrupt.parm64 >> 32n);
    const word = low32(interrupt.parm64);
    // A subclass has one adapter interruption pending or none (the IPM of the guest's interruption state area).
    if ((word & ADAPTER) !== 0 && floating.listIo().some((io) => io.word === word)) return;
    const added = floating.addIo((word >>> ISC_SHIFT) & ISC_MASK, { subsystemId: interrupt.parm, intparm, word });
    if (!added) throw new Errno('EBUSY', 'too many I/O interruptions are pending');
    return;
  }
  const inject = FLOATING[interrupt.type];
  if (inject === undefined) throw new Errno('EINVAL', `interrupt type 0x${interrupt.type.toString(16)} for a VM`);
  inject(floating, interrupt);
}

/** Bits of `parm` with SIGP_STOP (KVM_S390_STOP_SUPP_FLAGS): store status once stopped. */
const STOP_FLAG_STORE_STATUS = 1;
/** Bits a prefix can have: 8 KiB steps below 2 GiB. */
const PREFIX_MASK = 0x7fff_e000;

interface LocalTarget {
  readonly local: LocalInterrupts;
  /** CPU_STATE of the target. */
  readonly state: number;
}

/** A CPU's types: what each adds, and the request bits the vCPU is told with. */
const LOCAL_TYPES: Readonly<
  Record<number, { readonly requests: number; readonly add: (target: LocalTarget, parm: number) => void }>
> = {
  [KVM_S390.INT_EMERGENCY]: {
    requests: KVM_REQ.INTERRUPT,
    add: ({ local }, parm) => local.addEmergency(senderAddress(parm)),
  },
  [KVM_S390.INT_EXTERNAL_CALL]: {
    requests: KVM_REQ.INTERRUPT,
    add: ({ local }, parm) => {
      if (!local.addExternalCall(senderAddress(parm))) throw new Errno('EBUSY', 'an external call is pending already');
    },
  },
  [KVM_S390.RESTART]: { requests: KVM_REQ.SIGP | KVM_REQ.INTERRUPT, add: ({ local }) => local.add(LOCAL.RESTART) },
  [KVM_S390.SIGP_STOP]: {
    requests: KVM_REQ.SIGP | KVM_REQ.INTERRUPT,
    add: ({ local }, parm) => {
      if ((parm & ~STOP_FLAG_STORE_STATUS) !== 0) throw new Errno('EINVAL', `SIGP stop flags 0x${parm.toString(16)}`);
      if ((parm & STOP_FLAG_STORE_STATUS) !== 0) local.addStoreStatus(OWN_LOWCORE, LOCAL.STOP);
      else local.add(LOCAL.STOP);
    },
  },
  [KVM_S390.SIGP_SET_PREFIX]: {
    requests: KVM_REQ.SIGP | KVM_REQ.INTERRUPT,
    add: ({ local, state }, parm) => {
      if (state !== CPU_STATE.STOPPED) throw new Errno('EBUSY', 'set prefix: the CPU is not stopped');
      local.addPrefix(parm & PREFIX_MASK);
    },
  },
};

/** CPU address of the sender: one of those that an emergency-signal mask can hold. */
function senderAddress(parm: number): number {
  if (parm >= 32) throw new Errno('EINVAL', `sender CPU ${parm}`);
  return parm;
}

/** Makes an interruption or order pending for one CPU. @returns the request bits to tell it. @throws Errno EINVAL, EBUSY */
export function injectLocal(target: LocalTarget, { type, parm }: S390Interrupt): number {
  const row = LOCAL_TYPES[type];
  if (row === undefined) throw new Errno('EINVAL', `interrupt type 0x${type.toString(16)} for a CPU`);
  row.add(target, parm);
  return row.requests;
}
