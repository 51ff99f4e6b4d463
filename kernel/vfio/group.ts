/** A VFIO group as user space sees it (drivers/vfio/group.c): `/dev/vfio/N`. Rules: vfio-tce facts 1.3. */
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
} from '../include/uapi/ioctl.ts';
import { fd_argument, VFIO_GROUP_FLAGS_CONTAINER_SET, VFIO_GROUP_FLAGS_VIABLE } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Mutex, type Task } from '../lib/task.ts';
import { File } from '../syscall/file.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import { VfioContainer } from './container.ts';
import type { VfioRegistration } from './registration.ts';
import type { IommuGroup } from './vfio.ts';
import { requireRawIo } from './vfio_noiommu.ts';

export class VfioGroup {
  readonly iommuGroup: IommuGroup;
  /** Devices of the group that are registered with VFIO. */
  readonly registrations: VfioRegistration[] = [];
  /** The container, between SET_CONTAINER and UNSET_CONTAINER. */
  container: VfioContainer | undefined;
  readonly #kernel: Kernel;
  readonly #lock: Mutex;
  #file: File | undefined;
  #containerFile: File | undefined;
  /** Device descriptors open now: they keep the container (container_users). */
  #deviceUsers = 0;
  #gone = false;

  constructor(kernel: Kernel, iommuGroup: IommuGroup) {
    this.#kernel = kernel;
    this.iommuGroup = iommuGroup;
    this.#lock = new Mutex(`vfio group ${iommuGroup.id}`);
  }

  get name(): string {
    return `/dev/vfio/${this.iommuGroup.noiommu ? 'noiommu-' : ''}${this.iommuGroup.id}`;
  }

  /** open(2). @throws Errno ENODEV without a device, EPERM without the rights it takes, EBUSY when open already */
  *open(): Task<File> {
    if (this.registrations.length === 0) throw new Errno('ENODEV', `${this.name}: no device bound to VFIO`);
    this.#requireRights();
    if (this.#file !== undefined) throw new Errno('EBUSY', `${this.name}: open already`);
    const group = this;
    const ioctl = ioctlOperation(this.#kernel, this.#rows());
    const release = function* () {
      // Device files hold this file, so none is open; only the container may be left.
      yield* group.#locked(() => group.#leaveContainer());
      group.#file = undefined;
    };
    this.#file = new File(this.name, { ioctl, release }, this);
    return this.#file;
  }

  #rows() {
    const group = this;
    return [
      row(VFIO_GROUP_GET_STATUS, function* (_arg, status) {
        status.flags = group.#status();
        return 0;
      }),
      row(VFIO_GROUP_SET_CONTAINER, (arg) => group.#setContainer(arg)),
      row(VFIO_GROUP_UNSET_CONTAINER, () => group.#locked(() => group.#unsetContainer())),
      row(VFIO_GROUP_GET_DEVICE_FD, (arg) => group.#getDeviceFd(arg)),
    ];
  }

  #status(): number {
    if (this.container !== undefined) return VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
    return this.iommuGroup.ownedByHost ? 0 : VFIO_GROUP_FLAGS_VIABLE;
  }

  *#locked<T>(body: () => Task<T>): Task<T> {
    yield* this.#lock.lock();
    try {
      return yield* body();
    } finally {
      this.#lock.unlock();
    }
  }

  /** @throws Errno EPERM for a no-IOMMU group */
  #requireRights(): void {
    if (this.iommuGroup.noiommu) requireRawIo(this.#kernel, this.name);
  }

  *#setContainer(arg: number): Task<number> {
    const { space } = this.#kernel.mm;
    const bytes = yield* space.copyIn(arg, fd_argument.size);
    const { fd } = fd_argument.at(new DataView(bytes.buffer));
    const file = this.#kernel.files.file(fd).get();
    try {
      return yield* this.#locked(() => this.#enterContainer(file));
    } finally {
      yield* file.put();
    }
  }

  *#enterContainer(file: File): Task<number> {
    if (this.container !== undefined) throw new Errno('EINVAL', `${this.name}: has a container`);
    if (this.registrations.length === 0) throw new Errno('ENODEV', `${this.name}: its devices are gone`);
    const container = file.object;
    if (!(container instanceof VfioContainer)) throw new Errno('EBADFD', `${file.name} is no container`);
    this.#requireRights();
    yield* container.attach(this.iommuGroup);
    this.container = container;
    this.#containerFile = file.get();
    return 0;
  }

  *#unsetContainer(): Task<number> {
    if (this.container === undefined) throw new Errno('EINVAL', `${this.name}: no container`);
    if (this.#deviceUsers > 0) throw new Errno('EBUSY', `${this.name}: ${this.#deviceUsers} device descriptors open`);
    yield* this.#leaveContainer();
    return 0;
  }

  *#leaveContainer(): Task {
    const { container } = this;
    const file = this.#containerFile;
    if (container === undefined || file === undefined) return;
    yield* container.detach(this.iommuGroup);
    this.container = undefined;
    this.#containerFile = undefined;
    yield* file.put();
  }

  *#getDeviceFd(arg: number): Task<number> {
    const name = yield* this.#readName(arg);
    const file = yield* this.#locked(() => this.#openDevice(name));
    try {
      return this.#kernel.files.install(file);
    } catch (error) {
      yield* file.put();
      throw error;
    }
  }

  *#openDevice(name: string): Task<File> {
    const registration = this.registrations.find((r) => r.device.name === name && !r.unregistering);
    if (registration === undefined) throw new Errno('ENODEV', `${this.name}: no device ${name}`);
    const iommu = this.container?.iommu;
    if (iommu === undefined) throw new Errno('EINVAL', `${this.name}: no container with an IOMMU`);
    this.#requireRights();
    yield* registration.open(iommu);
    this.#deviceUsers++;
    if (this.iommuGroup.noiommu) this.#kernel.log(`${name}: vfio-noiommu device opened by user`);
    const group = this;
    const groupFile = (this.#file as File).get();
    const release = function* () {
      yield* group.#locked(() => group.#closeDevice(registration));
      yield* groupFile.put();
    };
    return new File(name, { ...registration.device.operations, release }, registration.device);
  }

  *#closeDevice(registration: VfioRegistration): Task {
    yield* registration.close();
    this.#deviceUsers--;
  }

  /** strndup_user: at most a page, byte by page so that a name may end right before unmapped memory. */
  *#readName(arg: number): Task<string> {
    const { space } = this.#kernel.mm;
    const first = PAGE_SIZE - (arg % PAGE_SIZE);
    let bytes = yield* space.copyIn(arg, first);
    if (!bytes.includes(0)) bytes = yield* space.copyIn(arg, PAGE_SIZE);
    const end = bytes.indexOf(0);
    if (end < 0) throw new Errno('EINVAL', 'VFIO_GROUP_GET_DEVICE_FD: name longer than a page');
    return new TextDecoder().decode(bytes.subarray(0, end));
  }

  /**
   * The last device has left: who has it open has a descriptor of nothing (group->iommu_group is NULL in Linux). What it
   * was of may come back, as a group of its own and perhaps for another process.
   */
  get gone(): boolean {
    return this.#gone;
  }
  /** The last device has left: an open group loses its container and can get no other. */
  *vanish(): Task {
    this.#gone = true;
    yield* this.#locked(() => this.#leaveContainer());
  }
}
