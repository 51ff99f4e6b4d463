/** A VFIO group: opened, put into a container, told to KVM (QEMU hw/vfio/container.c, vfio_group_get). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import {
  KVM_SET_DEVICE_ATTR,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
} from '../../../kernel/include/uapi/ioctl.ts';
import {
  KVM_DEV_VFIO_GROUP,
  KVM_DEV_VFIO_GROUP_ADD,
  KVM_DEV_VFIO_GROUP_DEL,
  kvm_device_attr,
} from '../../../kernel/include/uapi/kvm.ts';
import { O_RDWR } from '../../../kernel/include/uapi/syscall.ts';
import {
  fd_argument,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_NOIOMMU_IOMMU,
  vfio_group_status,
} from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { VFIOContainer } from './container.ts';

export class VFIOGroup {
  readonly number: number;
  readonly fd: number;
  readonly container: VFIOContainer;
  readonly #machine: Machine;

  private constructor(machine: Machine, number: number, fd: number, container: VFIOContainer) {
    this.#machine = machine;
    this.number = number;
    this.fd = fd;
    this.container = container;
  }

  /**
   * Opens group `number` and puts it into `container`. `device` names the device in errors. A no-IOMMU group has another
   * node, and KVM is not told of it: nothing coherent can be promised of a device that no IOMMU confines.
   * @throws Errno; Error when the group cannot be used safely, or belongs to somebody else
   */
  static *get(machine: Machine, device: string, number: number, container: VFIOContainer): Task<VFIOGroup> {
    const { sys } = machine;
    const noiommu = container.iommuType === VFIO_NOIOMMU_IOMMU;
    const fd = yield* openGroup(machine, device, `/dev/vfio/${noiommu ? 'noiommu-' : ''}${number}`);
    const group = new VFIOGroup(machine, number, fd, container);
    try {
      const status = vfio_group_status.make({ argsz: vfio_group_status.size });
      yield* sys.ioctlStruct(fd, VFIO_GROUP_GET_STATUS, status);
      if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) === 0)
        throw new Error(
          `${device}: IOMMU group ${number} is not viable: bind every device of the group to its vfio driver`,
        );
      yield* group.#join();
    } catch (error) {
      yield* sys.close(fd);
      throw error;
    }
    return group;
  }

  *#join(): Task {
    const { sys } = this.#machine;
    yield* sys.ioctlBytes(this.fd, VFIO_GROUP_SET_CONTAINER, descriptorBytes(this.container.fd));
    let known = false;
    try {
      // KVM first: the backend's listener may already hand windows to it.
      yield* this.#kvm(KVM_DEV_VFIO_GROUP_ADD);
      known = true;
      yield* this.container.groupJoined();
    } catch (error) {
      if (known) yield* this.#kvm(KVM_DEV_VFIO_GROUP_DEL);
      yield* sys.ioctl(this.fd, VFIO_GROUP_UNSET_CONTAINER);
      throw error;
    }
  }

  /** kvm-vfio's ADD or DEL of this group; nothing without such a device. */
  *#kvm(attribute: number): Task {
    const told = this.#machine.kvmVfioFd >= 0 && this.container.iommuType !== VFIO_NOIOMMU_IOMMU;
    if (told) yield* setKvmVfioAttribute(this.#machine, attribute, descriptorBytes(this.fd));
  }

  /** A descriptor for a device of the group. @throws Errno ENODEV when it has none of that name */
  *deviceFd(name: string): Task<number> {
    return yield* this.#machine.sys.ioctlBytes(
      this.fd,
      VFIO_GROUP_GET_DEVICE_FD,
      new TextEncoder().encode(`${name}\0`),
    );
  }

  /**
   * The last device is closed: leaves KVM and the container, and closes. A device that the host took back may have taken
   * its group out of the container already: what the kernel says then is told, and the rest is done all the same.
   */
  *put(): Task {
    const { sys } = this.#machine;
    yield* this.#leave(this.container.groupLeaves());
    yield* this.#leave(this.#kvm(KVM_DEV_VFIO_GROUP_DEL));
    yield* this.#leave(sys.ioctl(this.fd, VFIO_GROUP_UNSET_CONTAINER));
    yield* sys.close(this.fd);
  }
  *#leave(step: Task<unknown>): Task {
    try {
      yield* step;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(`vfio: leaving group ${this.number}: ${error.message}`);
    }
  }
}

/** The bytes of a descriptor argument. */
export function descriptorBytes(fd: number): Uint8Array {
  return fd_argument.bytes(fd_argument.make({ fd }));
}

/** KVM_SET_DEVICE_ATTR on the kvm-vfio device; the attribute's value is behind a pointer. @throws Errno */
export function* setKvmVfioAttribute(machine: Machine, attribute: number, value: Uint8Array): Task {
  const { sys } = machine;
  const addr = sys.heap.alloc(value.length);
  try {
    sys.heap.bytes(addr, value.length).set(value);
    const attr = kvm_device_attr.make({ flags: 0, group: KVM_DEV_VFIO_GROUP, attr: attribute, addr });
    yield* sys.ioctlStruct(machine.kvmVfioFd, KVM_SET_DEVICE_ATTR, attr);
  } finally {
    sys.heap.free(addr);
  }
}

/** The number of the IOMMU group of a device, from its sysfs directory. @throws Error naming the device */
export function* groupNumber(machine: Machine, device: string, sysfsdev: string): Task<number> {
  const link = yield* machine.sys.readlink(`${sysfsdev}/iommu_group`);
  const number = Number(link.slice(link.lastIndexOf('/') + 1));
  if (!Number.isInteger(number))
    throw new Error(`${device}: ${sysfsdev}/iommu_group leads to ${link}, which is no group`);
  return number;
}

/** Opens the group's node: the host lets one process have it. @throws Errno; Error when another one does */
function* openGroup({ sys }: Machine, device: string, node: string): Task<number> {
  try {
    return yield* sys.open(node, O_RDWR);
  } catch (error) {
    if (!(error instanceof Errno) || error.code !== 'EBUSY') throw error;
    throw new Error(
      `${device}: ${node} is in use (EBUSY): another virtual machine of this host has the device; give it to one of them`,
    );
  }
}
