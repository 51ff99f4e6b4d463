/**
 * The run page of a vCPU: kvm_run's role. The vCPU fills it when it leaves the guest; the VMM answers in it. Native
 * (little-endian) order, like every structure between host programs; guest register values are plain 64-bit numbers.
 */
import { bytes, s32, struct, u32, u64, u64n, type View } from '../../lib/struct.ts';

/** Values of `owner`: who may touch the page now. The other side waits for its own value. */
export const RUN_OWNER = { VCPU: 0, VMM: 1 } as const;

/** Values of `mode` (KVM's vcpu->mode). */
export const VCPU_MODE = { OUTSIDE_GUEST_MODE: 0, IN_GUEST_MODE: 1 } as const;

/** Bits of `requests` (KVM's vcpu->requests): set by others with an atomic or, cleared by the vCPU once done. */
export const KVM_REQ = {
  /** Drop all software-TLB entries: a page frame is about to move. */
  TLB_FLUSH: 1,
  /** Look for pending interrupts. */
  INTERRUPT: 2,
  /** Translated code of some pages is stale: the page numbers are in the invalidation ring. */
  CODE_WRITTEN: 4,
  /** Orders of SIGP are pending: see `kernel/lib/local_interrupts.ts`. */
  SIGP: 8,
  /** The invalidation ring was full: all translated code is to be dropped. */
  CODE_OVERFLOW: 16,
  /** With TLB_FLUSH: another vCPU waits for the answer, and is to be told of it. */
  QUIESCE: 32,
} as const;

/** Why the vCPU left the guest (`exit_reason`); numbers of include/uapi/linux/kvm.h where KVM has the reason. */
export const KVM_EXIT = {
  /** An intercepted instruction: KVM_EXIT_S390_SIEIC. */
  S390_SIEIC: 13,
  /** A hypercall that neither real nor virtual mode could finish: KVM_EXIT_PAPR_HCALL. */
  PAPR_HCALL: 19,
  /** TSCH, with the interruption that the vCPU took off the queue for it: KVM_EXIT_S390_TSCH. */
  S390_TSCH: 22,
  /** The CPU stopped or waits disabled: KVM_EXIT_SYSTEM_EVENT. */
  SYSTEM_EVENT: 24,
} as const;

/** `answer_kind`: what the vCPU does before it runs on. */
export const RUN_ANSWER = {
  /** Nothing: registers may have been changed. */
  NONE: 0,
  /** Set the condition code to `answer_value`. */
  CC: 1,
  /** Take a program interruption with code `answer_value`. */
  PROGRAM: 2,
  /** Nothing to execute (disabled wait): wait for orders of other CPUs. */
  PARK: 3,
} as const;

/** Bits of `dirty_regs`: which register fields the VMM changed and the vCPU is to take over (kvm_dirty_regs). */
export const RUN_DIRTY = { GPRS: 1, PSW: 2 } as const;

/** `event` of KVM_EXIT.SYSTEM_EVENT. */
export const SYSTEM_EVENT = {
  /** Stopped by SIGP or a reset. */
  STOPPED: 0,
  DISABLED_WAIT: 1,
  /** The program new PSW leads straight into the next program interruption: no instruction is ever executed. */
  PROGRAM_LOOP: 2,
} as const;

/**
 * State of the hypercall words: empty; posted to the kernel by a vCPU that looks on; finished by the kernel; posted by a
 * vCPU that looks no more and is to be rung.
 */
export const HCALL_STATE = { IDLE: 0, POSTED: 1, DONE: 2, WAITED: 3 } as const;
/** Bit of the states in which a call is there for the kernel: POSTED and WAITED have it, IDLE and DONE have not. */
export const HCALL_POSTED_BIT = HCALL_STATE.POSTED;
/** Whether a call is there for the kernel. */
export function isPosted(state: number): boolean {
  return (state & HCALL_POSTED_BIT) !== 0;
}

/** Who finishes a hypercall: the vCPU's thread, the kernel's, the VMM's (`hcall_tier`, and in trace events). */
export const HCALL_TIER = { REAL: 0, VIRTUAL: 1, VMM: 2 } as const;

/** Arguments that are posted, GPR2 to GPR5: what the kernel's handlers take. They share a cache line with the state. */
export const HCALL_POSTED_ARGS = 4;

/** Operating state of a CPU as SIGP sees it (`cpu_state`). */
export const CPU_STATE = { STOPPED: 0, OPERATING: 1 } as const;

export const KVM_RUN = struct(
  'kvm_run',
  'le',
  {
    owner: s32,
    exit_reason: u32,
    mode: s32,
    requests: u32,
    cpu_state: u32,
    /** 1 while the CPU waits for interruptions or is stopped: nobody need spin for its next exit. */
    idle: u32,
    /**
     * 1 from a PARK answer until an order of another CPU makes the CPU run again, or it leaves once more for its wait: such
     * a CPU ends no wait of others.
     */
    parked: u32,
    reserved0: bytes(36),
    // hypercall words, shared with the kernel in virtual mode
    hcall_state: s32,
    /** Tier that finished the last hypercall: one of {@link HCALL_TIER}. */
    hcall_tier: u32,
    hcall_nr: u64,
    /** Arguments as in the guest's registers; when DONE the return code (signed) in the first, values in the next. */
    hcall_args: bytes(80),
    /** Statistic of the vCPU: hypercalls that WebAssembly finished in real mode (kvm_vcpu_stat's role). */
    hcall_real: u64n,
    /** Statistic of the kernel: hypercalls that WebAssembly finished in virtual mode. */
    hcall_virtual: u64n,
    /** I/O interruptions that the vCPU took off the queue, for the VMM: see `kernel/lib/taken_io.ts`. */
    io_taken: bytes(68),
    reserved1: bytes(12),
    // intercepted instruction
    text: bytes(8),
    operand: u64,
    ilc: u32,
    answer_kind: u32,
    answer_value: u32,
    /** Registers were changed by the VMM and are to be taken over. */
    dirty_regs: u32,
    // KVM_EXIT_S390_TSCH: the dequeued interruption
    io_dequeued: u32,
    io_subsystem_id: u32,
    io_intparm: u32,
    io_word: u32,
    /** Event of KVM_EXIT_SYSTEM_EVENT: 0 stopped by SIGP, 1 disabled wait. */
    event: u32,
    reserved2: bytes(12),
    // kvm_sync_regs
    psw_mask: u64,
    psw_address: u64,
    gprs: bytes(128),
    prefix: u32,
    reserved3: bytes(4),
    /** Control registers and access registers, as the vCPU keeps them: for KVM, which reads them only. */
    crs: bytes(128),
    acrs: bytes(64),
    reserved4: bytes(40),
    // virtual mode without doorbells: one cache line that the vCPU writes, but for the first word
    /** 1 while the kernel's thread looks at `hcall_state`: a call need not ring it. */
    hcall_watched: s32,
    /** Turns that the vCPU looks at `hcall_state` before it leaves translated code. */
    hcall_turns: u32,
    /** Statistic of the vCPU: hypercalls that the kernel finished and the vCPU took over without leaving translated code. */
    hcall_seen: u64n,
    /** Statistic of the vCPU: hypercalls posted without ringing the kernel. */
    hcall_unrung: u64n,
    reserved5: bytes(40),
  },
  {
    size: 768,
    offsets: {
      hcall_state: 64,
      hcall_nr: 72,
      hcall_args: 80,
      io_taken: 176,
      text: 256,
      operand: 264,
      psw_mask: 320,
      gprs: 336,
      hcall_watched: 704,
    },
  },
);
export type KvmRun = View<typeof KVM_RUN.fields>;

/**
 * Offset in a vCPU's state block of the word that makes translated code leave soon. The block is the vCPU's own
 * (`guest/cpu/state.ts`, which asserts this number); the kernel writes only this word of it.
 */
export const STATE_ATTENTION = 500;

/** Offset in the run page of the pending local interrupts: see `kernel/kvm/interrupt.ts`. */
export const RUN_LOCAL_INTERRUPTS = 1024;
/** Offset in the run page of the ring of guest pages whose translated code is stale. */
export const RUN_CODE_RING = 2048;
/** Slots of that ring. */
export const RUN_CODE_RING_SLOTS = 128;
