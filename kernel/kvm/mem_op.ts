/**
 * KVM_S390_MEM_OP: moving bytes between the VMM and a guest's logical or absolute storage, with everything checked that
 * a CPU checks (Documentation/virt/kvm/api.rst 4.89; arch/s390/kvm/kvm-s390.c). The result is 0, or the positive code
 * of the program interruption that the access would have led to.
 */
import { pswAddressMask } from '../include/arch/s390/access.ts';
import { PGM } from '../include/arch/s390/pgm.ts';
import { Errno } from '../include/uapi/errno.ts';
import { KVM_S390_MEMOP, type kvm_s390_mem_op, MEM_OP_MAX_SIZE, MEMOP_F } from '../include/uapi/kvm.ts';
import { KVM_RUN } from '../include/uapi/kvm_run.ts';
import type { Kernel } from '../kernel.ts';
import type { ProgramInformation } from '../lib/local_interrupts.ts';
import { Memslots } from '../lib/memslots.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import { AccessException, type AccessMode, GuestAccess, type GuestRegisters } from './gaccess.ts';

type MemOp = View<typeof kvm_s390_mem_op.fields>;
/** One past the highest access register, and access key. */
const ACCESS_REGISTERS = 16;
const KEYS = 16;

/** The rules all operations share. @throws Errno EINVAL, E2BIG */
function validate(op: MemOp, flags: number): void {
  if ((op.flags & ~flags) !== 0 || op.flags > flags)
    throw new Errno('EINVAL', `KVM_S390_MEM_OP: flags 0x${op.flags.toString(16)}`);
  if (op.size === 0) throw new Errno('EINVAL', 'KVM_S390_MEM_OP: size 0');
  if (op.size > MEM_OP_MAX_SIZE)
    throw new Errno('E2BIG', `KVM_S390_MEM_OP: ${op.size} bytes, at most ${MEM_OP_MAX_SIZE}`);
  if ((op.flags & MEMOP_F.SKEY_PROTECTION) !== 0 && op.key >= KEYS)
    throw new Errno('EINVAL', `KVM_S390_MEM_OP: access key ${op.key}`);
}
function modeOf(op: MemOp, write: boolean): AccessMode {
  return { write, key: (op.flags & MEMOP_F.SKEY_PROTECTION) !== 0 ? op.key : 0 };
}
const unknown = (op: MemOp) => new Errno('EINVAL', `KVM_S390_MEM_OP: operation ${op.op}`);

type Pieces = ReturnType<GuestAccess['absolute']>;

/** Checks, and unless that is all, moves the bytes. @throws AccessException; Errno EFAULT */
function* perform(kernel: Kernel, access: GuestAccess, op: MemOp, write: boolean, check: () => Pieces): Task {
  if ((op.flags & MEMOP_F.CHECK_ONLY) !== 0) {
    yield* check();
    return;
  }
  const { space } = kernel.mm;
  const { buf, size } = op;
  if (write) {
    const bytes = yield* space.copyIn(buf, size);
    yield* access.copy(yield* check(), bytes, true);
    return;
  }
  const bytes = new Uint8Array(size);
  yield* access.copy(yield* check(), bytes, false);
  yield* space.copy(buf, bytes, true);
}

/** The interruption an operation ends with, if any. */
function* interruptionOf(operation: Task): Task<ProgramInformation | undefined> {
  try {
    yield* operation;
    return undefined;
  } catch (error) {
    if (error instanceof AccessException) return error.information;
    throw error;
  }
}

/** On the virtual machine: absolute storage. */
export function* vmMemOp(kernel: Kernel, op: MemOp): Task<number> {
  if (op.op !== KVM_S390_MEMOP.ABSOLUTE_READ && op.op !== KVM_S390_MEMOP.ABSOLUTE_WRITE) throw unknown(op);
  validate(op, MEMOP_F.SKEY_PROTECTION | MEMOP_F.CHECK_ONLY);
  const write = op.op === KVM_S390_MEMOP.ABSOLUTE_WRITE;
  // Asked before anything is copied in.
  const first = Number(op.gaddr);
  if (new Memslots(kernel.memory, kernel.process.map.memslots).hva(first) < 0) return PGM.ADDRESSING;
  const access = new GuestAccess(kernel);
  const check = () => access.absolute(op.gaddr, op.size, modeOf(op, write));
  return (yield* interruptionOf(perform(kernel, access, op, write, check)))?.code ?? 0;
}

/**
 * On a CPU: logical storage, as its PSW and control registers stand since it last left the guest.
 * @param inject makes the program interruption pending, when the caller wants that
 */
export function* vcpuMemOp(
  kernel: Kernel,
  address: number,
  op: MemOp,
  inject: (information: ProgramInformation) => void,
): Task<number> {
  if (op.op !== KVM_S390_MEMOP.LOGICAL_READ && op.op !== KVM_S390_MEMOP.LOGICAL_WRITE) throw unknown(op);
  validate(op, MEMOP_F.SKEY_PROTECTION | MEMOP_F.CHECK_ONLY | MEMOP_F.INJECT_EXCEPTION);
  if (op.ar >= ACCESS_REGISTERS) throw new Errno('EINVAL', `KVM_S390_MEM_OP: access register ${op.ar}`);
  const write = op.op === KVM_S390_MEMOP.LOGICAL_WRITE;
  const access = new GuestAccess(kernel);
  const cpu = registersOf(kernel, address);
  const gaddr = op.gaddr & pswAddressMask(cpu.pswMask);
  const check = () => access.logical(cpu, gaddr, op.size, op.ar, modeOf(op, write));
  const information = yield* interruptionOf(perform(kernel, access, op, write, check));
  if (information === undefined) return 0;
  if ((op.flags & MEMOP_F.INJECT_EXCEPTION) !== 0) inject(information);
  return information.code;
}

/** A CPU's registers in its run page. */
function registersOf({ memory, process }: Kernel, address: number): GuestRegisters {
  const { run } = process.map.vcpus[address];
  const { psw_mask, prefix } = KVM_RUN.at(memory.dv, run);
  return {
    pswMask: psw_mask,
    prefix,
    cr: (n) => memory.dv.getBigUint64(run + KVM_RUN.offset.crs + 8 * n, true),
    ar: (n) => memory.dv.getUint32(run + KVM_RUN.offset.acrs + 4 * n, true),
  };
}
