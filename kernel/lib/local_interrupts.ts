/**
 * Interrupts and orders for one vCPU (KVM's struct kvm_s390_local_interrupt), in its run page. Others add with atomic
 * operations and then set a request bit; the vCPU takes. Words: pending, emergency-signal senders (a bit per CPU
 * address), external-call sender, prefix to be set, address for store status; program interruption: code, exception
 * access id, translation-exception id.
 */
import type { HostMemory } from './host_memory.ts';

/** Bits of the pending word. */
export const LOCAL = {
  EMERGENCY: 1,
  EXTERNAL_CALL: 2,
  RESTART: 4,
  STOP: 8,
  SET_PREFIX: 0x10,
  STORE_STATUS: 0x20,
  INITIAL_RESET: 0x40,
  CPU_RESET: 0x80,
  START: 0x100,
  /** A program interruption of the instruction that the vCPU has left the guest with. */
  PROGRAM: 0x200,
} as const;

/** The orders among them: a CPU that has one to perform is busy for others (SA22-7832 chapter 4, condition code 2). */
export const LOCAL_ORDERS = ~(LOCAL.EMERGENCY | LOCAL.EXTERNAL_CALL | LOCAL.PROGRAM);

/** Status address that stands for the save area in the CPU's own lowcore; no order can give it, for it is unaligned. */
export const OWN_LOWCORE = 1;

const WORD = {
  pending: 0,
  emergency: 4,
  externalCall: 8,
  prefix: 12,
  statusAddress: 16,
  programCode: 20,
  teid: 24,
  accessId: 32,
} as const;

/** A program interruption that the kernel found for an intercepted instruction (struct kvm_s390_pgm_info). */
export interface ProgramInformation {
  readonly code: number;
  /** Translation-exception identification, where the code has one. */
  readonly teid?: bigint;
  /** Number of the access register, where the code has one. */
  readonly accessId?: number;
}
/** Flags beside the code: what it has. */
const HAS_TEID = 0x1_0000;
const HAS_ACCESS_ID = 0x2_0000;

export class LocalInterrupts {
  readonly #memory: HostMemory;
  readonly #base: number;
  constructor(memory: HostMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
  }
  /** What is pending. */
  pending(): number {
    return this.#memory.load(this.#base);
  }
  /** Adds an order without operand. */
  add(bit: number): void {
    this.#memory.or(this.#base + WORD.pending, bit);
  }
  addEmergency(sender: number): void {
    this.#memory.or(this.#base + WORD.emergency, 1 << sender);
    this.add(LOCAL.EMERGENCY);
  }
  /** False when an external call is pending already (SIGP status bit 56). */
  addExternalCall(sender: number): boolean {
    if ((this.pending() & LOCAL.EXTERNAL_CALL) !== 0) return false;
    this.#memory.store(this.#base + WORD.externalCall, sender);
    this.add(LOCAL.EXTERNAL_CALL);
    return true;
  }
  addPrefix(prefix: number): void {
    this.#memory.store(this.#base + WORD.prefix, prefix);
    this.add(LOCAL.SET_PREFIX);
  }
  /** @param also an order that is given at once with it */
  addStoreStatus(address: number, also = 0): void {
    this.#memory.store(this.#base + WORD.statusAddress, address);
    this.add(LOCAL.STORE_STATUS | also);
  }
  addProgram({ code, teid, accessId }: ProgramInformation): void {
    const has = (teid === undefined ? 0 : HAS_TEID) | (accessId === undefined ? 0 : HAS_ACCESS_ID);
    this.#memory.store(this.#base + WORD.programCode, code | has);
    this.#memory.store64(this.#base + WORD.teid, teid ?? 0n);
    this.#memory.store(this.#base + WORD.accessId, accessId ?? 0);
    this.add(LOCAL.PROGRAM);
  }
  takeProgram(): ProgramInformation | undefined {
    if (!this.take(LOCAL.PROGRAM)) return undefined;
    const word = this.#memory.load(this.#base + WORD.programCode);
    return {
      code: word & 0xffff,
      teid: (word & HAS_TEID) === 0 ? undefined : this.#memory.load64(this.#base + WORD.teid),
      accessId: (word & HAS_ACCESS_ID) === 0 ? undefined : this.#memory.load(this.#base + WORD.accessId),
    };
  }
  /** Forgets everything pending but the `kept` bits: what a CPU reset does. */
  clear(kept: number): void {
    this.#memory.and(this.#base + WORD.pending, kept);
    this.#memory.store(this.#base + WORD.emergency, 0);
  }
  /** Takes one order; false when it was not pending. */
  take(bit: number): boolean {
    return (this.#memory.and(this.#base + WORD.pending, ~bit) & bit) !== 0;
  }
  /** Takes the emergency signal of the lowest CPU address. */
  takeEmergency(): number | undefined {
    // "Pending" is cleared before the senders are looked at: a sender writes its bit first and "pending" then, so
    // that none is missed. "Pending" without a sender, left by one whose bit was taken in between, ends here.
    this.take(LOCAL.EMERGENCY);
    const senders = this.#memory.load(this.#base + WORD.emergency);
    if (senders === 0) return undefined;
    const sender = 31 - Math.clz32(senders & -senders);
    if ((this.#memory.and(this.#base + WORD.emergency, ~(1 << sender)) & ~(1 << sender)) !== 0)
      this.add(LOCAL.EMERGENCY);
    return sender;
  }
  takeExternalCall(): number | undefined {
    if ((this.pending() & LOCAL.EXTERNAL_CALL) === 0) return undefined;
    // The sender's address stands as long as the call is pending; afterwards the next caller may write.
    const sender = this.#memory.load(this.#base + WORD.externalCall);
    this.take(LOCAL.EXTERNAL_CALL);
    return sender;
  }
  get prefix(): number {
    return this.#memory.load(this.#base + WORD.prefix) >>> 0;
  }
  get statusAddress(): number {
    return this.#memory.load(this.#base + WORD.statusAddress) >>> 0;
  }
}
