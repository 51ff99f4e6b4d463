/** A VFIO container (drivers/vfio/container.c): groups that share one IOMMU backend. Rules: vfio-tce facts 1.2. */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_CHECK_EXTENSION, VFIO_GET_API_VERSION, VFIO_SET_IOMMU } from '../include/uapi/ioctl.ts';
import { VFIO_API_VERSION } from '../include/uapi/vfio.ts';
import { Mutex, type Task } from '../lib/task.ts';
import { File } from '../syscall/file.ts';
import { type IoctlHost, ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from './vfio.ts';

export class VfioContainer {
  /** Groups attached, oldest first. */
  readonly groups: IommuGroup[] = [];
  /** The backend, once VFIO_SET_IOMMU has chosen one and until the last group leaves. */
  iommu: VfioIommu | undefined;
  readonly #drivers: readonly VfioIommuDriver[];
  readonly #lock = new Mutex('vfio container');

  constructor(drivers: readonly VfioIommuDriver[]) {
    this.#drivers = drivers;
  }

  /** An open `/dev/vfio/vfio`. Groups hold references to the file, so that close order is free. */
  static file(drivers: readonly VfioIommuDriver[], host: IoctlHost): File {
    const container = new VfioContainer(drivers);
    const ioctl = ioctlOperation(host, container.#rows(), (command, arg) => container.#backend(command, arg));
    return new File('/dev/vfio/vfio', { ioctl }, container);
  }

  #rows() {
    return [
      row(VFIO_GET_API_VERSION, function* () {
        return VFIO_API_VERSION;
      }),
      row(VFIO_CHECK_EXTENSION, (extension) => this.#checkExtension(extension)),
      row(VFIO_SET_IOMMU, (type) => this.#setIommu(type)),
    ];
  }

  /** Commands the core does not know are the backend's. @throws Errno EINVAL without one */
  #backend(command: number, arg: number): Task<number> {
    if (this.iommu === undefined) throw new Errno('EINVAL', `container ioctl 0x${command.toString(16)}: no IOMMU set`);
    return this.iommu.ioctl(command, arg);
  }

  *#checkExtension(extension: number): Task<number> {
    if (this.iommu !== undefined) return yield* this.iommu.ioctl(VFIO_CHECK_EXTENSION.number, extension);
    for (const driver of this.#drivers) {
      if (!this.#allowed(driver)) continue;
      const answer = driver.checkExtension(extension);
      if (answer > 0) return answer;
    }
    return 0;
  }

  /** vfio_iommu_driver_allowed: no-IOMMU groups and others have backends of their own; without a group any may be asked. */
  #allowed(driver: VfioIommuDriver): boolean {
    return this.groups.length === 0 || isNoiommu(driver) === isNoiommu(this.groups[0]);
  }

  *#setIommu(type: number): Task<number> {
    yield* this.#lock.lock();
    try {
      if (this.groups.length === 0) throw new Errno('EINVAL', `VFIO_SET_IOMMU ${type}: no group in the container`);
      if (this.iommu !== undefined) throw new Errno('EINVAL', `VFIO_SET_IOMMU ${type}: already set`);
      let failure = new Errno('ENODEV', `VFIO_SET_IOMMU ${type}: no such IOMMU`);
      for (const driver of this.#drivers) {
        if (!this.#allowed(driver) || driver.checkExtension(type) <= 0) continue;
        try {
          this.iommu = yield* this.#openAndAttach(driver, type);
          return 0;
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          failure = error;
        }
      }
      throw failure;
    } finally {
      this.#lock.unlock();
    }
  }

  *#openAndAttach(driver: VfioIommuDriver, type: number): Task<VfioIommu> {
    const iommu = driver.open(type);
    const attached: IommuGroup[] = [];
    try {
      for (const group of this.groups) {
        yield* iommu.attachGroup(group);
        attached.push(group);
      }
      return iommu;
    } catch (error) {
      for (const group of attached.reverse()) yield* iommu.detachGroup(group);
      yield* iommu.release();
      throw error;
    }
  }

  /** Adds a group; with a backend set it joins that at once. @throws Errno of the backend, nothing then stays attached */
  *attach(group: IommuGroup): Task {
    yield* this.#lock.lock();
    try {
      if (this.groups.length > 0 && isNoiommu(this.groups[0]) !== isNoiommu(group))
        throw new Errno('EPERM', `group ${group.id}: no-IOMMU groups and others do not share a container`);
      if (group.ownedByHost) throw new Errno('EBUSY', `group ${group.id}: a member is bound to a host driver`);
      if (this.iommu !== undefined) yield* this.iommu.attachGroup(group);
      this.groups.push(group);
    } finally {
      this.#lock.unlock();
    }
  }

  /** Takes a group out; the last one takes the backend with it, and the container is as new. */
  *detach(group: IommuGroup): Task {
    yield* this.#lock.lock();
    try {
      const { iommu } = this;
      if (iommu !== undefined) yield* iommu.detachGroup(group);
      this.groups.splice(this.groups.indexOf(group), 1);
      if (this.groups.length > 0 || iommu === undefined) return;
      this.iommu = undefined;
      yield* iommu.release();
    } finally {
      this.#lock.unlock();
    }
  }
}

function isNoiommu({ noiommu }: { readonly noiommu?: boolean }): boolean {
  return noiommu === true;
}
