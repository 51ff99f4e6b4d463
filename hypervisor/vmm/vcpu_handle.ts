/** A vCPU from the VMM's side: the run page between an exit and its answer. */
import { CR0, pswAddressMask, pswKey } from '../../kernel/include/arch/s390/access.ts';
import {
  CPU_STATE,
  isPosted,
  KVM_RUN,
  type KvmRun,
  RUN_ANSWER,
  RUN_DIRTY,
  RUN_LOCAL_INTERRUPTS,
  RUN_OWNER,
  VCPU_MODE,
} from '../../kernel/include/uapi/kvm_run.ts';
import { PREFIX_AREA, realToAbsolute } from '../../kernel/lib/dat.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import { TakenIo } from '../../kernel/lib/taken_io.ts';
import type { Task, Wait } from '../../kernel/lib/task.ts';
import { low32 } from '../../kernel/lib/words64.ts';
import { type DequeuedIo, type GuestMemory, PGM, ProgramInterruption, type Vcpu } from '../machine_api.ts';
import type { LogicalMemory } from './logical_memory.ts';

/** Bits of the PSW mask's high word: DAT, problem state, key, extended addressing mode (SA22-7832 chapter 4, "Program-Status Word"). */
const PSW_HIGH = { DAT: 0x0400_0000, PROBLEM: 0x0001_0000, KEY: 0x00f0_0000, EA: 1 } as const;
/** Basic addressing mode, in the low word: with it 31 bits of an address count, where not all do, without it 24. */
const PSW_LOW_BA = 0x8000_0000;
/** CR0 bit 35, in its low word: low-address protection. */
const CR0_LOW_ADDRESS = Number(CR0.LOW_ADDRESS_PROTECTION);
/** Low-address protection concerns addresses below this. */
const LOW_ADDRESSES = 8192n;
/** CHANNEL SUBSYSTEM CALL: its operand's address is in a register of its own. */
const CHSC = 0xb25f;

export class VcpuHandle implements Vcpu {
  readonly address: number;
  readonly run: KvmRun;
  readonly text: Uint8Array;
  /** The I/O interruptions it took off KVM's queue. */
  readonly taken: TakenIo;
  /** Until the next exit: spins while the guest runs; the CPU is the kernel's while a hypercall or I/O is there. */
  readonly exit: Wait;
  fd = -1;
  readonly #memory: HostMemory;
  readonly #page: number;
  /** Index of the general registers among the memory's doublewords. */
  readonly #gprs: number;
  readonly #ram: GuestMemory;
  readonly #doorbell: Doorbell;
  readonly #local: LocalInterrupts;
  readonly #kvmMemory: LogicalMemory | undefined;
  #dirty = 0;

  /**
   * @param options `logical` reaches operands under translation or protection; without it they are addressing exceptions.
   * `hostBusy`: other threads want the CPU that waiting for this one's exit would take.
   */
  constructor(
    memory: HostMemory,
    map: SharedMap,
    ram: GuestMemory,
    address: number,
    options: { readonly logical?: LogicalMemory; readonly hostBusy?: () => boolean } = {},
  ) {
    this.address = address;
    this.#memory = memory;
    this.#page = map.vcpus[address].run;
    this.#gprs = (this.#page + KVM_RUN.offset.gprs) / 8;
    this.#ram = ram;
    this.#kvmMemory = options.logical;
    this.run = KVM_RUN.at(memory.dv, this.#page);
    this.text = this.run.text.subarray(0, 6);
    this.taken = new TakenIo(memory, this.#page + KVM_RUN.offset.io_taken);
    this.#local = new LocalInterrupts(memory, this.#page + RUN_LOCAL_INTERRUPTS);
    this.#doorbell = new Doorbell(memory, actorAreas(map, `vcpu${address}`).doorbell);
    this.exit = exitWait(memory, this.#page, address, options.hostBusy);
  }

  /** The VMM takes the exit that {@link exit} waited for: whatever it was told before, the CPU is not parked any more. */
  take(): void {
    this.run.parked = 0;
  }

  /** Hands the page back; the vCPU goes on, or with RUN_ANSWER.PARK waits for orders. */
  answer(kind: number, value = 0): void {
    this.run.answer_kind = kind;
    this.run.answer_value = value;
    this.run.dirty_regs = this.#dirty;
    this.run.parked = kind === RUN_ANSWER.PARK ? 1 : 0;
    this.#dirty = 0;
    this.#memory.store(this.#page + KVM_RUN.offset.owner, RUN_OWNER.VCPU);
    this.#doorbell.ring();
  }

  /** Sets the PSW of a stopped CPU; it is taken over when the CPU is started. */
  setPsw(mask: bigint, address: bigint): void {
    this.run.psw_mask = mask;
    this.run.psw_address = address;
    this.run.dirty_regs |= RUN_DIRTY.PSW;
  }

  /** Sets PSW and general registers of a CPU that was reset to what a machine begins with. */
  setInitialState(mask: bigint, address: bigint): void {
    this.#memory.bytes(this.#page + KVM_RUN.offset.gprs, 16 * 8).fill(0);
    this.setPsw(mask, address);
    this.run.dirty_regs |= RUN_DIRTY.GPRS;
  }

  /**
   * True from before the CPU takes an interruption off the queue for its exit until the exit is answered: it is outside
   * the guest and not idle.
   */
  get exiting(): boolean {
    if (this.#memory.load(this.#page + KVM_RUN.offset.mode) === VCPU_MODE.IN_GUEST_MODE) return false;
    return this.#memory.load(this.#page + KVM_RUN.offset.idle) === 0;
  }
  /** True while the CPU is in the operating state. */
  get operating(): boolean {
    return this.#memory.load(this.#page + KVM_RUN.offset.cpu_state) === CPU_STATE.OPERATING;
  }
  /** True while an order is under way that makes the CPU run. */
  get starting(): boolean {
    return (this.#local.pending() & (LOCAL.RESTART | LOCAL.START)) !== 0;
  }
  /** True when the CPU is stopped or parked, and no order is under way that makes it run: only another CPU can. */
  get atRest(): boolean {
    // The order first: the vCPU changes its state, and only then withdraws the order.
    if (this.starting) return false;
    return !this.operating || this.#memory.load(this.#page + KVM_RUN.offset.parked) !== 0;
  }
  /** The interruption that came with a TSCH or TPI exit. */
  get dequeued(): DequeuedIo | undefined {
    const { run } = this;
    return run.io_dequeued === 0
      ? undefined
      : { subsystemId: run.io_subsystem_id, intparm: run.io_intparm, word: run.io_word };
  }
  get operand(): bigint {
    return this.run.operand;
  }
  gpr(n: number): bigint {
    return this.#memory.u64[this.#gprs + n];
  }
  setGpr(n: number, value: bigint): void {
    this.#memory.u64[this.#gprs + n] = value;
    this.#dirty |= RUN_DIRTY.GPRS;
  }
  get problemState(): boolean {
    return (this.#pswHigh & PSW_HIGH.PROBLEM) !== 0;
  }
  /** High word of the PSW mask: bigints take longer, and these are asked for at every instruction. */
  get #pswHigh(): number {
    return this.#memory.dv.getUint32(this.#page + KVM_RUN.offset.psw_mask + 4, true);
  }
  get prefix(): number {
    return this.run.prefix;
  }

  *read(address: bigint, length: number): Task<Uint8Array> {
    const logical = this.#logical(address, length, false);
    if (logical !== undefined) return yield* logical.memory.read(logical.access, length);
    const absolute = this.#onePiece(address, length);
    if (absolute >= 0) return yield* this.#ram.read(absolute, length);
    const bytes = new Uint8Array(length);
    for (const { absolute, offset, size } of this.#pieces(address, length))
      bytes.set(yield* this.#ram.read(absolute, size), offset);
    return bytes;
  }
  *checkWrite(address: bigint, length: number): Task {
    const logical = this.#logical(address, length, true);
    if (logical !== undefined) return yield* logical.memory.checkWrite(logical.access, length);
    for (const { absolute, size } of this.#pieces(address, length))
      if (absolute + size > this.#ram.size) throw new ProgramInterruption(PGM.ADDRESSING);
  }
  *write(address: bigint, bytes: Uint8Array): Task {
    const logical = this.#logical(address, bytes.length, true);
    if (logical !== undefined) return yield* logical.memory.write(logical.access, bytes);
    const piece = this.#onePiece(address, bytes.length);
    if (piece >= 0) return yield* this.#ram.write(piece, bytes);
    yield* this.checkWrite(address, bytes.length);
    for (const { absolute, offset, size } of this.#pieces(address, bytes.length))
      yield* this.#ram.write(absolute, bytes.subarray(offset, offset + size));
  }

  /**
   * How to reach an operand for which address translation or protection counts: through KVM. Undefined when neither
   * does: prefixing is all there is then, and needs no system call.
   */
  #logical(address: bigint, length: number, write: boolean) {
    const plain = (this.#pswHigh & (PSW_HIGH.DAT | PSW_HIGH.KEY)) === 0;
    if (plain && !(write && this.#lowAddress(address, length))) return undefined;
    const key = pswKey(this.run.psw_mask);
    if (this.#kvmMemory === undefined) throw new ProgramInterruption(PGM.ADDRESSING);
    return { memory: this.#kvmMemory, access: { fd: this.fd, address, ar: this.#accessRegister(), key } };
  }
  /** Low-address protection is on and may concern the operand. */
  #lowAddress(address: bigint, length: number): boolean {
    const cr0 = this.#memory.dv.getUint32(this.#page + KVM_RUN.offset.crs, true);
    if ((cr0 & CR0_LOW_ADDRESS) === 0) return false;
    const first = address & pswAddressMask(this.run.psw_mask);
    // Beyond the second page there is nothing to protect, unless the operand wraps round.
    return first < LOW_ADDRESSES || first + BigInt(length) > pswAddressMask(this.run.psw_mask);
  }
  /** The access register of the storage operand: its base's number, or CHSC's R1. */
  #accessRegister(): number {
    const [first, second, third, fourth] = this.text;
    return ((first << 8) | second) === CHSC ? fourth >>> 4 : third >>> 4;
  }

  /** The address as the PSW's addressing mode has it; one above 2^53 is rounded, and is as far outside RAM as it was. */
  #effective(address: bigint): number {
    if ((this.#pswHigh & PSW_HIGH.EA) !== 0) return Number(address);
    const mode31 = (this.#memory.dv.getUint32(this.#page + KVM_RUN.offset.psw_mask, true) & PSW_LOW_BA) !== 0;
    return low32(address) & (mode31 ? 0x7fff_ffff : 0xff_ffff);
  }
  /** Absolute address of an operand that is one piece, as nearly all are; -1 for others. @throws ProgramInterruption addressing */
  #onePiece(address: bigint, length: number): number {
    const real = this.#effective(address);
    if (length > PREFIX_AREA - (real % PREFIX_AREA)) return -1;
    const absolute = realToAbsolute(real, this.prefix);
    if (absolute + length > this.#ram.size) throw new ProgramInterruption(PGM.ADDRESSING);
    return absolute;
  }

  /** Absolute pieces of a logical operand: real addresses with prefixing. */
  #pieces(address: bigint, length: number): { absolute: number; offset: number; size: number }[] {
    const mask = pswAddressMask(this.run.psw_mask);
    const pieces = [];
    for (let offset = 0; offset < length; ) {
      const real = Number((address + BigInt(offset)) & mask);
      const size = Math.min(length - offset, PREFIX_AREA - (real % PREFIX_AREA));
      pieces.push({ absolute: realToAbsolute(real, this.prefix), offset, size });
      offset += size;
    }
    return pieces;
  }
}

function exitWait(memory: HostMemory, page: number, address: number, hostBusy = () => false): Wait {
  const owner = page + KVM_RUN.offset.owner;
  const idle = page + KVM_RUN.offset.idle;
  const hcall = page + KVM_RUN.offset.hcall_state;
  return {
    what: `exit of vcpu${address}`,
    ready: () => memory.load(owner) === RUN_OWNER.VMM,
    strategy: 'vmm_guest',
    spinWhile: () => memory.load(idle) === 0 && !isPosted(memory.load(hcall)) && !hostBusy(),
  };
}
