/** The VFIO core (drivers/vfio/vfio_main.c): backends, groups and devices, and their nodes in /dev and /sys. */
import type { Kernel } from '../kernel.ts';
import { type Task, untilDeadline } from '../lib/task.ts';
import type { File } from '../syscall/file.ts';
import { VfioContainer } from './container.ts';
import { VfioGroup } from './group.ts';
import { VfioRegistration } from './registration.ts';
import type { IommuGroup, VfioDevice, VfioIommuDriver } from './vfio.ts';
import { VfioNoiommu } from './vfio_noiommu.ts';

/** Nanoseconds between two requests to give a device back (HZ * 10 in vfio_unregister_group_dev). */
const REQUEST_PERIOD_NS = 10e9;

export class VfioCore {
  readonly kernel: Kernel;
  readonly #drivers: VfioIommuDriver[] = [];
  readonly #groups = new Map<number, VfioGroup>();
  readonly #groupIds = new Set<number>();
  /** Groups of devices without an IOMMU. */
  readonly noiommu: VfioNoiommu;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    const drivers = this.#drivers;
    kernel.vfs.add('/dev/vfio/vfio', {
      kind: 'device',
      *open() {
        return VfioContainer.file(drivers, kernel);
      },
    });
    this.noiommu = new VfioNoiommu(kernel, () => this.allocateGroup({ emulated: false, noiommu: true }));
    this.registerIommuDriver(this.noiommu.driver);
  }

  /** Offers a backend to VFIO_SET_IOMMU; tried in the order of registration. */
  registerIommuDriver(driver: VfioIommuDriver): void {
    this.#drivers.push(driver);
  }

  /** A new IOMMU group with the lowest free number. */
  allocateGroup(options: Omit<IommuGroup, 'id' | 'devices' | 'ownedByHost'>): IommuGroup {
    let id = 0;
    while (this.#groupIds.has(id)) id++;
    this.#groupIds.add(id);
    return { id, devices: [], ownedByHost: false, ...options };
  }

  /**
   * vfio_register_group_dev, vfio_register_emulated_iommu_dev: user space can open the device through its group.
   * @param path the device's directory in sysfs; made when it does not exist.
   */
  addDevice(device: VfioDevice, path = `/sys/devices/${device.name}`): void {
    const { vfs } = this.kernel;
    const { id } = device.group;
    let group = this.#groups.get(id);
    if (group === undefined) {
      const added = new VfioGroup(this.kernel, device.group);
      group = added;
      this.#groups.set(id, added);
      this.#groupIds.add(id);
      vfs.add(added.name, { kind: 'device', open: () => added.open() });
      if (device.group.noiommu) vfs.attribute(`${groupPath(id)}/name`, () => 'vfio-noiommu');
    }
    if (!vfs.has(path)) vfs.add(path, { kind: 'directory' });
    // Relative links, as in sysfs: what follows `/sys/`.
    vfs.add(`${groupPath(id)}/devices/${device.name}`, {
      kind: 'link',
      target: `../../../../${path.slice('/sys/'.length)}`,
    });
    const depth = path.split('/').length - 2;
    vfs.add(`${path}/iommu_group`, {
      kind: 'link',
      target: `${'../'.repeat(depth)}kernel/iommu_groups/${id}`,
    });
    if (!device.group.devices.includes(device)) device.group.devices.push(device);
    group.registrations.push(new VfioRegistration(device, path));
  }

  /**
   * vfio_unregister_group_dev: asks user space for the device until the last descriptor is closed, then forgets it.
   * The group goes with its last device.
   */
  *removeDevice(device: VfioDevice): Task {
    const { actor, vfs } = this.kernel;
    const { id } = device.group;
    const group = this.#groups.get(id);
    const registration = group?.registrations.find((r) => r.device === device);
    if (group === undefined || registration === undefined) return;
    registration.unregistering = true;
    for (let count = 0; registration.openCount > 0; count++) {
      device.request?.(count);
      yield* untilDeadline(
        `${device.name} to be closed`,
        () => registration.openCount === 0,
        actor.now() + REQUEST_PERIOD_NS,
      );
    }
    group.registrations.splice(group.registrations.indexOf(registration), 1);
    const index = device.group.devices.indexOf(device);
    if (index >= 0) device.group.devices.splice(index, 1);
    const { permanent } = device.group;
    if (permanent !== true) {
      vfs.remove(`${groupPath(id)}/devices/${device.name}`);
      vfs.remove(`${registration.path}/iommu_group`);
    }
    if (group.registrations.length > 0) return;
    vfs.remove(group.name);
    this.#groups.delete(id);
    if (permanent !== true) {
      vfs.remove(groupPath(id));
      this.#groupIds.delete(id);
    }
    yield* group.vanish();
  }

  /** The group behind an open file; undefined when the file is none, or was of one whose last device has left. */
  groupOfFile(file: File): VfioGroup | undefined {
    return file.object instanceof VfioGroup && !file.object.gone ? file.object : undefined;
  }

  /** The container behind an open file; undefined when the file is none. */
  containerOfFile(file: File): VfioContainer | undefined {
    return file.object instanceof VfioContainer ? file.object : undefined;
  }
}

function groupPath(id: number): string {
  return `/sys/kernel/iommu_groups/${id}`;
}
