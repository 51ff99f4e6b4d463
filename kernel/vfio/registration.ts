/** One device registered with VFIO: how many descriptors are open on it, and its first open and last close. */
import { Errno } from '../include/uapi/errno.ts';
import type { Task } from '../lib/task.ts';
import type { VfioDevice, VfioIommu } from './vfio.ts';

export class VfioRegistration {
  readonly device: VfioDevice;
  /** Path of the device in sysfs. */
  readonly path: string;
  /** The driver wants it back: no new descriptors. */
  unregistering = false;
  #openCount = 0;
  #iommu: VfioIommu | undefined;

  constructor(device: VfioDevice, path: string) {
    this.device = device;
    this.path = path;
  }

  /** Descriptors open now. */
  get openCount(): number {
    return this.#openCount;
  }

  /** One descriptor more; called under the group's lock. @throws Errno of the driver's open */
  *open(iommu: VfioIommu): Task {
    if (this.#openCount++ > 0) return;
    const users = iommu.kernelUsers;
    users?.registerDevice(this.device);
    try {
      yield* this.device.openDevice(users);
      this.#iommu = iommu;
    } catch (error) {
      users?.unregisterDevice(this.device);
      this.#openCount--;
      throw error;
    }
    if (this.unregistering) {
      // The driver began to leave while the device was being opened.
      yield* this.close();
      throw new Errno('ENODEV', this.device.name);
    }
  }

  /** One descriptor less; called under the group's lock. */
  *close(): Task {
    if (this.#openCount === 1) {
      yield* this.device.closeDevice();
      this.#iommu?.kernelUsers?.unregisterDevice(this.device);
      this.#iommu = undefined;
    }
    this.#openCount--;
  }
}
