/**
 * Guest storage as a channel reaches it: absolute addresses, checked against storage keys by an access key
 * (KVM_S390_MEM_OP on the virtual machine, absolute storage). Key 0 matches every storage key: no system call then.
 */
import { KVM_S390_MEM_OP } from '../../kernel/include/uapi/ioctl.ts';
import { KVM_S390_MEMOP, kvm_s390_mem_op, MEMOP_F } from '../../kernel/include/uapi/kvm.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { type ChannelStorage, PGM, ProgramInterruption } from '../machine_api.ts';
import type { Syscalls } from '../syscall.ts';

export class KeyedMemory implements ChannelStorage {
  readonly #sys: Syscalls;
  readonly #vmFd: number;
  readonly #key: number;

  /** @param vmFd descriptor of the virtual machine. @param key 1 to 15 */
  constructor(sys: Syscalls, vmFd: number, key: number) {
    this.#sys = sys;
    this.#vmFd = vmFd;
    this.#key = key;
  }

  /** @throws ProgramInterruption protection or addressing; Errno */
  *read(gpa: number, length: number): Task<Uint8Array> {
    const { heap } = this.#sys;
    const buf = heap.alloc(length);
    try {
      yield* this.#perform(KVM_S390_MEMOP.ABSOLUTE_READ, gpa, length, buf);
      return heap.bytes(buf, length).slice();
    } finally {
      heap.free(buf);
    }
  }
  /** @throws ProgramInterruption protection or addressing; Errno */
  *write(gpa: number, bytes: Uint8Array): Task {
    const { heap } = this.#sys;
    const buf = heap.alloc(bytes.length);
    try {
      heap.bytes(buf, bytes.length).set(bytes);
      yield* this.#perform(KVM_S390_MEMOP.ABSOLUTE_WRITE, gpa, bytes.length, buf);
    } finally {
      heap.free(buf);
    }
  }

  *#perform(op: number, gpa: number, size: number, buf: number): Task {
    // No number is exact up there, and no storage.
    if (gpa > Number.MAX_SAFE_INTEGER) throw new ProgramInterruption(PGM.ADDRESSING);
    const operation = kvm_s390_mem_op.make({
      gaddr: BigInt(gpa),
      flags: MEMOP_F.SKEY_PROTECTION,
      size,
      op,
      buf,
      key: this.#key,
    });
    const code = yield* this.#sys.ioctlStruct(this.#vmFd, KVM_S390_MEM_OP, operation);
    if (code > 0) throw new ProgramInterruption(code);
  }
}
