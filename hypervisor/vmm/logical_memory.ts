/**
 * A vCPU's logical storage through KVM (KVM_S390_MEM_OP), which follows the guest's address translation and checks
 * every kind of protection; the program interruption of an access that fails is made pending by KVM (QEMU
 * s390_cpu_virt_mem_rw).
 */
import { KVM_S390_MEM_OP } from '../../kernel/include/uapi/ioctl.ts';
import { KVM_S390_MEMOP, kvm_s390_mem_op, MEMOP_F } from '../../kernel/include/uapi/kvm.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { ProgramInterruption } from '../machine_api.ts';
import type { Syscalls } from '../syscall.ts';

/** What an access goes by. */
export interface LogicalAccess {
  /** vCPU descriptor. */
  readonly fd: number;
  readonly address: bigint;
  /** Access register that goes with the address. */
  readonly ar: number;
  /** Access key. */
  readonly key: number;
}

export class LogicalMemory {
  readonly #sys: Syscalls;
  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** @throws ProgramInterruption, pending in KVM already; Errno */
  *read(access: LogicalAccess, length: number): Task<Uint8Array> {
    const buf = this.#sys.heap.alloc(length);
    try {
      yield* this.#perform(access, KVM_S390_MEMOP.LOGICAL_READ, 0, length, buf);
      return this.#sys.heap.bytes(buf, length).slice();
    } finally {
      this.#sys.heap.free(buf);
    }
  }
  *checkWrite(access: LogicalAccess, length: number): Task {
    yield* this.#perform(access, KVM_S390_MEMOP.LOGICAL_WRITE, MEMOP_F.CHECK_ONLY, length, 0);
  }
  *write(access: LogicalAccess, bytes: Uint8Array): Task {
    const buf = this.#sys.heap.alloc(bytes.length);
    try {
      this.#sys.heap.bytes(buf, bytes.length).set(bytes);
      yield* this.#perform(access, KVM_S390_MEMOP.LOGICAL_WRITE, 0, bytes.length, buf);
    } finally {
      this.#sys.heap.free(buf);
    }
  }

  *#perform({ fd, address, ar, key }: LogicalAccess, op: number, flags: number, size: number, buf: number): Task {
    const operation = kvm_s390_mem_op.make({
      gaddr: address,
      flags: flags | MEMOP_F.INJECT_EXCEPTION | MEMOP_F.SKEY_PROTECTION,
      size,
      op,
      buf,
      ar,
      key,
    });
    const code = yield* this.#sys.ioctlStruct(fd, KVM_S390_MEM_OP, operation);
    if (code > 0) throw new ProgramInterruption(code, true);
  }
}
