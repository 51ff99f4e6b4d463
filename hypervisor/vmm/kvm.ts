/** The VMM's use of KVM: the virtual machine, its memory, its CPUs, and interrupts. */
import * as ioctl from '../../kernel/include/uapi/ioctl.ts';
import {
  KVM_API_VERSION,
  KVM_DEV_FLIC,
  KVM_DEV_TYPE_FLIC,
  KVM_DEV_TYPE_VFIO,
  KVM_S390,
  kvm_create_device,
  kvm_device_attr,
  kvm_s390_interrupt,
  kvm_userspace_memory_region,
  kvmS390IntIo,
} from '../../kernel/include/uapi/kvm.ts';
import { O_RDWR } from '../../kernel/include/uapi/syscall.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { join64 } from '../../kernel/lib/words64.ts';
import type { Syscalls } from '../syscall.ts';

/** Machine-check-interruption code of a pending channel report (SA22-7832 chapter 11, bit 9). */
const MCIC_CHANNEL_REPORT = 0x0040_0f1d_4033_0000n;

/** Bit 0 of an interruption-identification word: an adapter, not a subchannel. */
const ADAPTER = 0x8000_0000;

/** Bytes of a subsystem-identification word. */
const SUBSYSTEM_ID_SIZE = 4;

export class Kvm {
  readonly #sys: Syscalls;
  fd = -1;
  vmFd = -1;
  vfioFd = -1;
  flicFd = -1;
  /** Made once: a call copies it before it waits. */
  readonly #interrupt = kvm_s390_interrupt.make();

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** Opens /dev/kvm and creates the machine. @throws Errno */
  *open(): Task {
    this.fd = yield* this.#sys.open('/dev/kvm', O_RDWR);
    const version = yield* this.#sys.ioctl(this.fd, ioctl.KVM_GET_API_VERSION);
    if (version !== KVM_API_VERSION) throw new Error(`/dev/kvm: API version ${version}, expected ${KVM_API_VERSION}`);
    this.vmFd = yield* this.#sys.ioctl(this.fd, ioctl.KVM_CREATE_VM, 0);
  }
  /** Makes `[gpa, gpa + size)` RAM, backed by the VMM's memory at `hva`. */
  *setMemory(slot: number, gpa: number, size: number, hva: number): Task {
    yield* this.#sys.ioctlStruct(
      this.vmFd,
      ioctl.KVM_SET_USER_MEMORY_REGION,
      kvm_userspace_memory_region.make({
        slot,
        flags: 0,
        guest_phys_addr: gpa,
        memory_size: size,
        userspace_addr: hva,
      }),
    );
  }
  /** Returns the descriptor of a new vCPU. */
  *createVcpu(address: number): Task<number> {
    return yield* this.#sys.ioctl(this.vmFd, ioctl.KVM_CREATE_VCPU, address);
  }
  /** The kvm-vfio device and the floating interrupt controller. */
  *createDevices(): Task {
    this.vfioFd = yield* this.#createDevice(KVM_DEV_TYPE_VFIO);
    this.flicFd = yield* this.#createDevice(KVM_DEV_TYPE_FLIC);
  }
  *#createDevice(type: number): Task<number> {
    const device = kvm_create_device.make({ type });
    yield* this.#sys.ioctlStruct(this.vmFd, ioctl.KVM_CREATE_DEVICE, device);
    return device.fd;
  }

  /** Withdraws the pending I/O interruption of a subchannel, if there is one. */
  *clearIo(subsystemId: number): Task {
    const { heap } = this.#sys;
    const addr = heap.alloc(SUBSYSTEM_ID_SIZE);
    try {
      const bytes = heap.bytes(addr, SUBSYSTEM_ID_SIZE);
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, subsystemId, true);
      yield* this.#flic({ group: KVM_DEV_FLIC.CLEAR_IO_IRQ, attr: SUBSYSTEM_ID_SIZE, addr });
    } finally {
      heap.free(addr);
    }
  }
  /** Withdraws every floating interrupt. */
  *clearInterrupts(): Task {
    yield* this.#flic({ group: KVM_DEV_FLIC.CLEAR_IRQS, attr: 0, addr: 0 });
  }
  *#flic(values: { group: number; attr: number; addr: number }): Task {
    yield* this.#sys.ioctlStruct(this.flicFd, ioctl.KVM_SET_DEVICE_ATTR, kvm_device_attr.make({ flags: 0, ...values }));
  }

  #inject(fd: number, type: number, parm = 0, parm64 = 0n): Task {
    const interrupt = this.#interrupt;
    interrupt.type = type;
    interrupt.parm = parm;
    interrupt.parm64 = parm64;
    return this.#sys.ioctlStruct(fd, ioctl.KVM_S390_INTERRUPT, interrupt) as Task<unknown> as Task;
  }
  /** I/O interruption; the identification word travels in the lower half of parm64, as KVM wants it. */
  injectIo(subsystemId: number, intparm: number, isc: number): Task {
    const ssid = (subsystemId >>> 17) & 3;
    const cssid = (subsystemId & 0x80000) === 0 ? 0 : subsystemId >>> 24;
    const word = (isc << 27) >>> 0;
    return this.#inject(
      this.vmFd,
      kvmS390IntIo(0, cssid, ssid, subsystemId & 0xffff),
      subsystemId,
      join64(intparm, word),
    );
  }
  /** Adapter interruption: bit 0 of the identification word, no subchannel, no parameter (SA22-7832 chapter 6). */
  injectAdapter(isc: number): Task {
    const word = (ADAPTER | (isc << 27)) >>> 0;
    return this.#inject(this.vmFd, kvmS390IntIo(1, 0, 0, 0), 0, BigInt(word));
  }
  injectService(parameter: number): Task {
    return this.#inject(this.vmFd, KVM_S390.INT_SERVICE, parameter);
  }
  injectChannelReport(): Task {
    return this.#inject(this.vmFd, KVM_S390.MCHK, 0, MCIC_CHANNEL_REPORT);
  }
  /** An interrupt or order for one vCPU. */
  injectVcpu(fd: number, type: number, parm: number): Task {
    return this.#inject(fd, type, parm);
  }
}
