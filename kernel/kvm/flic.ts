/**
 * The floating interrupt controller (arch/s390/kvm/interrupt.c, KVM_DEV_TYPE_FLIC; Documentation/virt/kvm/devices/
 * s390_flic.rst): reads, adds and withdraws what is pending for the whole machine. Adapters, page faults told to the
 * guest and suppression of adapter interruptions are not offered: their groups do not exist here.
 */
import { Errno } from '../include/uapi/errno.ts';
import { KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR, KVM_SET_DEVICE_ATTR } from '../include/uapi/ioctl.ts';
import {
  KVM_DEV_FLIC,
  KVM_S390,
  KVM_S390_FLIC_MAX_BUFFER,
  type kvm_device_attr,
  kvm_s390_ext_info,
  kvm_s390_io_info,
  kvm_s390_irq,
  kvm_s390_mchk_info,
  kvmS390IntIo,
} from '../include/uapi/kvm.ts';
import type { Kernel } from '../kernel.ts';
import { type FloatingInterrupts, type IoInterruption, PENDING } from '../lib/floating_interrupts.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import { File } from '../syscall/file.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import type { S390Interrupt } from './interrupt.ts';

/** What the controller belongs to. */
export interface FlicHost {
  readonly kernel: Kernel;
  readonly floating: FloatingInterrupts;
  /** Makes an interrupt pending and tells the CPUs. @throws Errno EINVAL, EBUSY */
  inject(interrupt: S390Interrupt): void;
}

type Attribute = View<typeof kvm_device_attr.fields>;

interface Group {
  readonly set?: (host: FlicHost, attribute: Attribute) => Task;
  readonly get?: (host: FlicHost, attribute: Attribute) => Task<number>;
}

/** The groups there are; which of set and get each has. */
const GROUPS: Readonly<Record<number, Group>> = {
  [KVM_DEV_FLIC.GET_ALL_IRQS]: { get: getAllIrqs },
  [KVM_DEV_FLIC.ENQUEUE]: { set: enqueue },
  [KVM_DEV_FLIC.CLEAR_IRQS]: {
    *set({ floating }) {
      floating.clear();
    },
  },
  [KVM_DEV_FLIC.CLEAR_IO_IRQ]: { set: clearIoIrq },
};

/** The controller's descriptor. @param release what the virtual machine does after it is closed */
export function flicFile(host: FlicHost, release: () => Task): File {
  const ioctl = ioctlOperation(host.kernel, [
    row(KVM_SET_DEVICE_ATTR, function* (_, attribute) {
      const set = GROUPS[attribute.group]?.set;
      if (set === undefined) throw new Errno('EINVAL', `flic: group ${attribute.group} cannot be set`);
      yield* set(host, attribute);
      return 0;
    }),
    row(KVM_GET_DEVICE_ATTR, function* (_, attribute) {
      const get = GROUPS[attribute.group]?.get;
      if (get === undefined) throw new Errno('EINVAL', `flic: group ${attribute.group} cannot be read`);
      return yield* get(host, attribute);
    }),
    row(KVM_HAS_DEVICE_ATTR, function* (_, { group }) {
      if (GROUPS[group] === undefined) throw new Errno('ENXIO', `flic: no group ${group}`);
      return 0;
    }),
  ]);
  return new File('anon_inode:kvm-flic', { ioctl, release }, host);
}

/** Forgets the I/O interruption of the subchannel whose identification word `addr` points to; `attr` is the word's size. */
function* clearIoIrq({ kernel, floating }: FlicHost, { flags, attr, addr }: Attribute): Task {
  if (flags !== 0) throw new Errno('EINVAL', `flic: clear I/O interrupt, flags ${flags}`);
  if (attr !== 4) throw new Errno('EINVAL', `flic: clear I/O interrupt, ${attr} bytes`);
  const word = yield* kernel.mm.space.copyIn(addr, 4);
  const subsystemId = new DataView(word.buffer, word.byteOffset).getUint32(0, true);
  if (subsystemId === 0) throw new Errno('EINVAL', 'flic: clear I/O interrupt of no subchannel');
  // A user space that follows the architecture has one of a subchannel pending at most: one is taken, as in Linux.
  floating.takeIo(PENDING.ISC_MASK, subsystemId);
}

/** What each kind of type in `kvm_s390_irq` says. Another type is refused (EINVAL). */
function interruptOf(type: number, u: DataView): S390Interrupt {
  if (type <= KVM_S390.INT_IO_MAX) {
    const io = kvm_s390_io_info.at(u, 0);
    const parm = ((io.subchannel_id << 16) | io.subchannel_nr) >>> 0;
    return { type, parm, parm64: (BigInt(io.io_int_parm) << 32n) | BigInt(io.io_int_word) };
  }
  if (type === KVM_S390.INT_SERVICE) return { type, parm: kvm_s390_ext_info.at(u, 0).ext_params, parm64: 0n };
  if (type === KVM_S390.MCHK) return { type, parm: 0, parm64: kvm_s390_mchk_info.at(u, 0).mcic };
  throw new Errno('EINVAL', `flic: interrupt type 0x${type.toString(16)}`);
}

/** Adds `attr` bytes of interrupts from `addr`; those before one that is refused stay added. */
function* enqueue(host: FlicHost, { attr, addr }: Attribute): Task {
  if (attr % kvm_s390_irq.size !== 0 || attr > KVM_S390_FLIC_MAX_BUFFER)
    throw new Errno('EINVAL', `flic: ${attr} bytes of interrupts`);
  for (let done = 0; done < attr; done += kvm_s390_irq.size) {
    const bytes = yield* host.kernel.mm.space.copyIn(addr + done, kvm_s390_irq.size);
    const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { type } = kvm_s390_irq.at(dv, 0);
    host.inject(interruptOf(type, new DataView(bytes.buffer, bytes.byteOffset + kvm_s390_irq.offset.u, 64)));
  }
}

/** Fills `attr` bytes at `addr` with everything pending, which stays pending. @returns how many interrupts */
function* getAllIrqs({ kernel, floating }: FlicHost, { attr, addr }: Attribute): Task<number> {
  if (attr === 0 || attr > KVM_S390_FLIC_MAX_BUFFER) throw new Errno('EINVAL', `flic: buffer of ${attr} bytes`);
  const irqs = pendingIrqs(floating);
  if (irqs.length > Math.floor(attr / kvm_s390_irq.size))
    throw new Errno('ENOMEM', `flic: ${irqs.length} interrupts do not fit ${attr} bytes`);
  for (const [i, bytes] of irqs.entries()) yield* kernel.mm.space.copy(addr + i * kvm_s390_irq.size, bytes, true);
  return irqs.length;
}

function pendingIrqs(floating: FloatingInterrupts): Uint8Array[] {
  const irqs = floating.listIo().map(ioIrq);
  const ext_params = floating.service();
  if (ext_params !== undefined)
    irqs.push(irq(KVM_S390.INT_SERVICE, kvm_s390_ext_info.bytes(kvm_s390_ext_info.make({ ext_params }))));
  if ((floating.summary() & PENDING.MACHINE_CHECK) !== 0)
    irqs.push(irq(KVM_S390.MCHK, kvm_s390_mchk_info.bytes(kvm_s390_mchk_info.make())));
  return irqs;
}

function ioIrq({ subsystemId, intparm, word }: IoInterruption): Uint8Array {
  const cssid = (subsystemId & 0x80000) === 0 ? 0 : subsystemId >>> 24;
  const io = kvm_s390_io_info.make({
    subchannel_id: subsystemId >>> 16,
    subchannel_nr: subsystemId & 0xffff,
    io_int_parm: intparm,
    io_int_word: word,
  });
  return irq(kvmS390IntIo(0, cssid, (subsystemId >>> 17) & 3, subsystemId & 0xffff), kvm_s390_io_info.bytes(io));
}
function irq(type: number, content: Uint8Array): Uint8Array {
  const u = new Uint8Array(64);
  u.set(content);
  return kvm_s390_irq.bytes(kvm_s390_irq.make({ type, u }));
}
