/**
 * A VFIO container, opened for one IOMMU backend (QEMU hw/vfio/container.c; vfio-tce facts 1). Groups join it; the
 * backend is chosen once the first has joined; then the listener puts guest memory into it.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { VFIO_CHECK_EXTENSION, VFIO_GET_API_VERSION, VFIO_SET_IOMMU } from '../../../kernel/include/uapi/ioctl.ts';
import { O_RDWR } from '../../../kernel/include/uapi/syscall.ts';
import { VFIO_API_VERSION, VFIO_TYPE1v2_IOMMU } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { vfioListenerRegionAdd, vfioListenerRegionDel } from './memory_listener.ts';

/** What is done with the guest's memory when a container gets its backend, and when its last group leaves. */
export interface ContainerListener {
  add(machine: Machine, container: VFIOContainer): Task;
  remove(machine: Machine, container: VFIOContainer): Task;
  /** Lets devices go on that the IOMMU has stopped; absent where it stops none. */
  restart?(machine: Machine, container: VFIOContainer): Task;
}

/** The whole of RAM as one type1 mapping: bus address is guest-physical address. */
const RAM_LISTENER: ContainerListener = { add: vfioListenerRegionAdd, remove: vfioListenerRegionDel };

export class VFIOContainer {
  readonly fd: number;
  /** VFIO_TYPE1v2_IOMMU, ... */
  readonly iommuType: number;
  readonly #machine: Machine;
  readonly #listener: ContainerListener;
  #groups = 0;

  private constructor(machine: Machine, fd: number, iommuType: number, listener: ContainerListener) {
    this.#machine = machine;
    this.fd = fd;
    this.iommuType = iommuType;
    this.#listener = listener;
  }

  /**
   * Opens /dev/vfio/vfio for a backend.
   * @throws Errno; Error when the kernel's interface version or its backends are not what this VMM needs
   */
  static *open(
    machine: Machine,
    iommuType: number = VFIO_TYPE1v2_IOMMU,
    listener: ContainerListener = RAM_LISTENER,
  ): Task<VFIOContainer> {
    const { sys } = machine;
    const fd = yield* sys.open('/dev/vfio/vfio', O_RDWR);
    try {
      const version = yield* sys.ioctl(fd, VFIO_GET_API_VERSION);
      if (version !== VFIO_API_VERSION)
        throw new Error(`vfio: the kernel speaks API version ${version}, this VMM needs ${VFIO_API_VERSION}`);
      if ((yield* sys.ioctl(fd, VFIO_CHECK_EXTENSION, iommuType)) === 0)
        throw new Error(`vfio: the kernel has no IOMMU backend of type ${iommuType}: load its vfio_iommu module`);
    } catch (error) {
      yield* sys.close(fd);
      throw error;
    }
    return new VFIOContainer(machine, fd, iommuType, listener);
  }

  /** A group has joined (VFIO_GROUP_SET_CONTAINER): the first one chooses the backend. @throws Errno, and the group is not counted */
  *groupJoined(): Task {
    if (this.#groups === 0) {
      yield* this.#machine.sys.ioctl(this.fd, VFIO_SET_IOMMU, this.iommuType);
      yield* this.#listener.add(this.#machine, this);
    }
    this.#groups++;
  }
  /** A group is about to leave. With the last one the guest's memory leaves too. */
  *groupLeaves(): Task {
    if (--this.#groups === 0) yield* this.#listener.remove(this.#machine, this);
  }
  /** Lets the devices of every group in it do DMA again, after a violation. @throws Errno */
  *restart(): Task {
    if (this.#listener.restart !== undefined) yield* this.#listener.restart(this.#machine, this);
  }
  *close(): Task {
    yield* this.#machine.sys.close(this.fd);
  }
}
