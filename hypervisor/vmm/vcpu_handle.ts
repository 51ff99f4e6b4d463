/** A vCPU from the VMM's side: the run page between an exit and its answer. */
import {
  CPU_STATE,
  HCALL_STATE,
  KVM_RUN,
  type KvmRun,
  RUN_ANSWER,
  RUN_DIRTY,
  RUN_LOCAL_INTERRUPTS,
  RUN_OWNER,
} from '../../kernel/include/uapi/kvm_run.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import { type Task, until } from '../../kernel/lib/task.ts';
import { type DequeuedIo, type GuestMemory, PGM, ProgramInterruption, type Vcpu } from '../machine_api.ts';

/** PSW bits: DAT (5), problem state (15), extended and basic addressing (31, 32). */
const PSW_DAT = 1n << 58n;
const PSW_PROBLEM = 1n << 48n;
const PSW_EA = 1n << 32n;
const PSW_BA = 1n << 31n;
/** Bytes of the prefix area (SA22-7832 chapter 3, "Prefixing in the z/Architecture Architectural Mode"). */
const PREFIX_AREA = 0x2000;

export class VcpuHandle implements Vcpu {
  readonly address: number;
  readonly run: KvmRun;
  fd = -1;
  readonly #memory: HostMemory;
  readonly #page: number;
  readonly #ram: GuestMemory;
  readonly #doorbell: Doorbell;
  readonly #local: LocalInterrupts;
  #dirty = 0;

  constructor(memory: HostMemory, map: SharedMap, ram: GuestMemory, address: number) {
    this.address = address;
    this.#memory = memory;
    this.#page = map.vcpus[address].run;
    this.#ram = ram;
    this.run = KVM_RUN.at(memory.dv, this.#page);
    this.#local = new LocalInterrupts(memory, this.#page + RUN_LOCAL_INTERRUPTS);
    this.#doorbell = new Doorbell(memory, actorAreas(map, `vcpu${address}`).doorbell);
  }

  /** Waits for the next exit, spinning while the guest runs; the CPU is the kernel's while a hypercall is there. */
  *nextExit(): Task {
    const owner = this.#page + KVM_RUN.offset.owner;
    const idle = this.#page + KVM_RUN.offset.idle;
    const hcall = this.#page + KVM_RUN.offset.hcall_state;
    const memory = this.#memory;
    yield* until(
      `exit of vcpu${this.address}`,
      () => memory.load(owner) === RUN_OWNER.VMM,
      'vmm_guest',
      () => memory.load(idle) === 0 && memory.load(hcall) !== HCALL_STATE.POSTED,
    );
    this.#dirty = 0;
    this.run.parked = 0;
  }

  /** Hands the page back; the vCPU goes on, or with RUN_ANSWER.PARK waits for orders. */
  answer(kind: number, value = 0): void {
    this.run.answer_kind = kind;
    this.run.answer_value = value;
    this.run.dirty_regs = this.#dirty;
    this.run.parked = kind === RUN_ANSWER.PARK ? 1 : 0;
    this.#memory.store(this.#page + KVM_RUN.offset.owner, RUN_OWNER.VCPU);
    this.#doorbell.ring();
  }

  /** Sets the PSW of a stopped CPU; it is taken over when the CPU is started. */
  setPsw(mask: bigint, address: bigint): void {
    this.run.psw_mask = mask;
    this.run.psw_address = address;
    this.run.dirty_regs |= RUN_DIRTY.PSW;
  }

  /** True while the CPU is in the operating state. */
  get operating(): boolean {
    return this.#memory.load(this.#page + KVM_RUN.offset.cpu_state) === CPU_STATE.OPERATING;
  }
  /** True when the CPU is stopped or parked, and no order is under way that makes it run: only another CPU can. */
  get atRest(): boolean {
    // The order first: the vCPU changes its state, and only then withdraws the order.
    if ((this.#local.pending() & (LOCAL.RESTART | LOCAL.START)) !== 0) return false;
    return !this.operating || this.#memory.load(this.#page + KVM_RUN.offset.parked) !== 0;
  }
  /** The interruption that came with a TSCH or TPI exit. */
  get dequeued(): DequeuedIo | undefined {
    const { run } = this;
    return run.io_dequeued === 0
      ? undefined
      : { subsystemId: run.io_subsystem_id, intparm: run.io_intparm, word: run.io_word };
  }
  get text(): Uint8Array {
    return this.run.text.subarray(0, 6);
  }
  get operand(): bigint {
    return this.run.operand;
  }
  gpr(n: number): bigint {
    return this.#memory.dv.getBigUint64(this.#page + KVM_RUN.offset.gprs + 8 * n, true);
  }
  setGpr(n: number, value: bigint): void {
    this.#memory.dv.setBigUint64(this.#page + KVM_RUN.offset.gprs + 8 * n, BigInt.asUintN(64, value), true);
    this.#dirty |= RUN_DIRTY.GPRS;
  }
  get problemState(): boolean {
    return (this.run.psw_mask & PSW_PROBLEM) !== 0n;
  }
  get prefix(): number {
    return this.run.prefix;
  }

  *read(address: bigint, length: number): Task<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (const { absolute, offset, size } of this.#pieces(address, length))
      bytes.set(yield* this.#ram.read(absolute, size), offset);
    return bytes;
  }
  *checkWrite(address: bigint, length: number): Task {
    for (const { absolute, size } of this.#pieces(address, length))
      if (absolute + size > this.#ram.size) throw new ProgramInterruption(PGM.ADDRESSING);
  }
  *write(address: bigint, bytes: Uint8Array): Task {
    yield* this.checkWrite(address, bytes.length);
    for (const { absolute, offset, size } of this.#pieces(address, bytes.length))
      yield* this.#ram.write(absolute, bytes.subarray(offset, offset + size));
  }

  /** Absolute pieces of a logical operand: real addresses with prefixing. */
  #pieces(address: bigint, length: number): { absolute: number; offset: number; size: number }[] {
    if ((this.run.psw_mask & PSW_DAT) !== 0n) throw new ProgramInterruption(PGM.ADDRESSING);
    const mask =
      (this.run.psw_mask & PSW_EA) !== 0n ? ~0n : (this.run.psw_mask & PSW_BA) !== 0n ? 0x7fff_ffffn : 0xff_ffffn;
    const pieces = [];
    for (let offset = 0; offset < length; ) {
      const real = Number(BigInt.asUintN(64, address + BigInt(offset)) & mask);
      const size = Math.min(length - offset, PREFIX_AREA - (real % PREFIX_AREA));
      pieces.push({ absolute: this.#absolute(real), offset, size });
      offset += size;
    }
    return pieces;
  }
  #absolute(real: number): number {
    if (real < PREFIX_AREA) return real + this.prefix;
    return real >= this.prefix && real < this.prefix + PREFIX_AREA ? real - this.prefix : real;
  }
}
