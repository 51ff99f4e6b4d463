/**
 * What a virtual device may ask of the machine it sits in: the interfaces between `hypervisor/` and
 * `devices/virtual/`. All of it runs on the VMM's thread.
 */
import type { Actor, Task } from '../kernel/lib/task.ts';
import type { Tracer } from '../kernel/lib/trace.ts';
import type { Syscalls } from './syscall.ts';

/** Thrown by an instruction handler: the guest takes this program interruption (SA22-7832 chapter 6). */
export class ProgramInterruption extends Error {
  /** Interruption code, e.g. 0x0006 specification. */
  readonly interruption: number;
  /** KVM has found it, and has made it pending with all that belongs to it: nothing is left to do. */
  readonly pending: boolean;
  constructor(interruption: number, pending = false) {
    super(`program interruption 0x${interruption.toString(16)}`);
    this.name = 'ProgramInterruption';
    this.interruption = interruption;
    this.pending = pending;
  }
}

/** Program-interruption codes that the VMM raises. */
export const PGM = {
  OPERATION: 0x01,
  PRIVILEGED: 0x02,
  PROTECTION: 0x04,
  ADDRESSING: 0x05,
  SPECIFICATION: 0x06,
  OPERAND: 0x15,
} as const;

/** Guest-physical (absolute) memory as a device reaches it. */
export interface GuestMemory {
  /** Bytes of RAM from address 0. */
  readonly size: number;
  /** The VMM address of guest-physical `gpa`, or -1 outside RAM. */
  hva(gpa: number): number;
  /** A copy of `[gpa, gpa + length)`. @throws ProgramInterruption addressing, outside RAM */
  read(gpa: number, length: number): Task<Uint8Array>;
  /** @throws ProgramInterruption addressing, outside RAM; nothing is written then */
  write(gpa: number, bytes: Uint8Array): Task;
}

/** Guest storage as a channel reaches it, with an access key. */
export type ChannelStorage = Pick<GuestMemory, 'read' | 'write'>;

/** A vCPU that has left the guest, as the VMM sees it (kvm_run). */
export interface Vcpu {
  /** CPU address. */
  readonly address: number;
  /** Its KVM descriptor. */
  readonly fd: number;
  /** Instruction text (6 bytes, the instruction left-aligned). */
  readonly text: Uint8Array;
  /** Second-operand address of the intercepted instruction, or what the core computed for it. */
  readonly operand: bigint;
  gpr(n: number): bigint;
  setGpr(n: number, value: bigint): void;
  /** True when the PSW is in the problem state. */
  readonly problemState: boolean;
  readonly prefix: number;
  /** Copies from logical storage of this CPU (prefixing, address translation). @throws ProgramInterruption */
  read(address: bigint, length: number): Task<Uint8Array>;
  /** Checks that logical storage may be written, without writing. @throws ProgramInterruption */
  checkWrite(address: bigint, length: number): Task;
  write(address: bigint, bytes: Uint8Array): Task;
}

/** An interruption that KVM took off its queue for a TSCH exit. */
export interface DequeuedIo {
  readonly subsystemId: number;
  readonly intparm: number;
  readonly word: number;
}

/** An I/O interruption that was made pending, as seen later. */
export interface IoWatch {
  readonly subsystemId: number;
  /** A CPU has taken it off the queue: nothing is pending any more. False also when that cannot be told. */
  taken(): boolean;
}

/** The machine. */
export interface Machine {
  readonly actor: Actor;
  readonly sys: Syscalls;
  readonly tracer: Tracer;
  readonly memory: GuestMemory;
  /** Storage by an access key, 0 to 15: an access that the storage key forbids is a protection exception. */
  storage(key: number): ChannelStorage;
  readonly vmFd: number;
  /** kvm-vfio device descriptor, or -1 without one. */
  readonly kvmVfioFd: number;
  /**
   * I/Os that the host has been given and not ended. While there are any, its threads want the CPU: a VMM that waits for
   * the guest then sleeps instead of spinning where CPUs are few.
   */
  hostIos: number;
  /** One line for the user (standard error), naming the device. */
  log(line: string): void;
  /** One line for whoever operates the machine: it is logged, and the monitor shows it before its next answer. */
  notify(line: string): void;
  /**
   * Runs a task of an instruction's handler without the machine's lock (QEMU's BQL), so that other CPUs are served while
   * it waits. The lock is taken again before this returns; whatever the handler knew before may have changed.
   */
  unlocked<T>(task: Task<T>): Task<T>;
  /** Makes an I/O interruption pending in KVM (KVM_S390_INTERRUPT on the VM). */
  injectIo(subsystemId: number, intparm: number, isc: number): Task;
  /** Makes an adapter interruption of a subclass pending (KVM_S390_INT_IO with AI); one that is pending already absorbs it. */
  injectAdapter(isc: number): Task;
  /** Withdraws the pending I/O interruption of a subchannel, if there is one (KVM_DEV_FLIC_CLEAR_IO_IRQ). */
  clearIo(subsystemId: number): Task;
  /** Withdraws everything that is pending for the machine as a whole (KVM_DEV_FLIC_CLEAR_IRQS). */
  clearInterrupts(): Task;
  /** Watches the subchannel's interruption; called before it is made pending, while none of it is. */
  watchIo(subsystemId: number): IoWatch;
  /** Makes a service signal pending (external interruption 2401). */
  injectService(parameter: number): Task;
  /** Makes a channel-report machine check pending. */
  injectChannelReport(): Task;
}
