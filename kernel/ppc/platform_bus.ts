/**
 * The platform bus: devices that no bus enumerates, here those of the e500 system on chip, and which driver has which
 * (drivers/base/platform.c, bus.c, dd.c). Groups come from the IOMMU at boot and outlive every driver; a host driver may
 * do DMA, so a group that VFIO uses takes none, and a group with one is not viable for VFIO (drivers/iommu/iommu.c,
 * iommu_device_use_default_domain).
 */
import type { DmaChannelNode } from '../include/arch/ppc/fsl_soc.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { Mutex, type Task } from '../lib/task.ts';
import type { IommuGroup } from '../vfio/vfio.ts';
import type { MessageSource } from './message_source.ts';

/** Directory of the system on chip's devices. */
const SOC_PATH = '/sys/devices/platform/ffe000000.soc';

/** A driver. */
export interface PlatformDriver {
  readonly name: string;
  /** The driver does DMA of its own: it needs the IOMMU's default domain, and user space must not have the group. */
  readonly hostDma: boolean;
  /** Only devices whose override names it (struct vfio_platform_driver has no match table of its own). */
  readonly overrideOnly?: boolean;
  /** @throws Errno and the device stays without a driver */
  probe(device: PlatformDevice): Task;
  remove(device: PlatformDevice): Task;
}

/** What an IOMMU gives a group for: the host's own use, or user space's. */
export interface GroupOwner {
  /** User space has the group's DMA domain: VFIO put it into a container. */
  readonly claimed: boolean;
  /** Where messages of its devices come from, while it is claimed. */
  readonly messages: MessageSource | undefined;
  /** A host driver binds: its DMA finds memory at its own addresses. */
  useDefaultDomain(): void;
}

export class PlatformDevice {
  /** Its node in the device tree. */
  readonly node: DmaChannelNode;
  readonly group: IommuGroup;
  readonly owner: GroupOwner;
  driver: PlatformDriver | undefined;
  driverOverride: string | undefined;
  /** device_lock: held while a driver probes or removes. */
  readonly lock: Mutex;

  constructor(node: DmaChannelNode, group: IommuGroup, owner: GroupOwner) {
    this.node = node;
    this.group = group;
    this.owner = owner;
    this.lock = new Mutex(`device ${node.name}`);
  }

  get name(): string {
    return this.node.name;
  }

  /** Its directory in sysfs. */
  get path(): string {
    return `${SOC_PATH}/${this.name}`;
  }
}

export class PlatformBus {
  readonly devices = new Map<string, PlatformDevice>();
  readonly #kernel: Kernel;
  readonly #drivers = new Map<string, PlatformDriver>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const { vfs } = kernel;
    vfs.add('/sys/bus/platform/devices', { kind: 'directory' });
    vfs.add('/sys/bus/platform/drivers_probe', {
      kind: 'attribute',
      store: (name) => this.#locked(this.#find(name), (device) => this.#probe(device)),
    });
  }

  /** platform_driver_register. */
  registerDriver(driver: PlatformDriver): void {
    this.#drivers.set(driver.name, driver);
    const directory = `/sys/bus/platform/drivers/${driver.name}`;
    const { vfs } = this.#kernel;
    vfs.add(`${directory}/bind`, { kind: 'attribute', store: (name) => this.#bind(driver, name) });
    vfs.add(`${directory}/unbind`, { kind: 'attribute', store: (name) => this.#unbind(driver, name) });
  }

  /** platform_device_add: the device appears, with its IOMMU group, and is offered to the drivers. */
  *addDevice(device: PlatformDevice): Task {
    const { vfs } = this.#kernel;
    const { path, name, group } = device;
    this.devices.set(name, device);
    vfs.add(path, { kind: 'directory' });
    vfs.attribute(
      `${path}/driver_override`,
      () => device.driverOverride ?? '(null)',
      function* (value) {
        // An empty line takes the override away (driver_set_override).
        device.driverOverride = value === '' ? undefined : value;
      },
    );
    vfs.add(`${path}/subsystem`, { kind: 'link', target: '../../../../bus/platform' });
    vfs.add(`${path}/iommu_group`, { kind: 'link', target: `../../../../kernel/iommu_groups/${group.id}` });
    vfs.add(`/sys/kernel/iommu_groups/${group.id}/devices/${name}`, {
      kind: 'link',
      target: `../../../../${path.slice('/sys/'.length)}`,
    });
    vfs.add(`/sys/bus/platform/devices/${name}`, {
      kind: 'link',
      target: `../../../${path.slice('/sys/'.length)}`,
    });
    yield* this.#locked(device, () => this.#probe(device));
  }

  /** Some other device of the group has a host driver that does DMA. */
  #updateOwner(group: IommuGroup): void {
    group.ownedByHost = [...this.devices.values()].some((d) => d.group === group && d.driver?.hostDma === true);
  }

  /** @throws Errno ENODEV */
  #find(name: string): PlatformDevice {
    const device = this.devices.get(name);
    if (device === undefined) throw new Errno('ENODEV', `no platform device ${name}`);
    return device;
  }

  *#locked(device: PlatformDevice, body: (device: PlatformDevice) => Task): Task {
    yield* device.lock.lock();
    try {
      yield* body(device);
    } finally {
      device.lock.unlock();
    }
  }

  /** platform_match. */
  #matches(driver: PlatformDriver, { driverOverride }: PlatformDevice): boolean {
    return driverOverride === undefined ? driver.overrideOnly !== true : driverOverride === driver.name;
  }

  *#attach(driver: PlatformDriver, device: PlatformDevice): Task {
    if (device.driver !== undefined) throw new Errno('EBUSY', `${device.name} is bound to ${device.driver.name}`);
    if (driver.hostDma) {
      if (device.owner.claimed)
        throw new Errno('EBUSY', `${device.name}: user space has its IOMMU group ${device.group.id}`);
      device.owner.useDefaultDomain();
    }
    device.driver = driver;
    this.#updateOwner(device.group);
    try {
      yield* driver.probe(device);
    } catch (error) {
      device.driver = undefined;
      this.#updateOwner(device.group);
      throw error;
    }
    const { vfs } = this.#kernel;
    vfs.add(`${device.path}/driver`, { kind: 'link', target: `../../../../bus/platform/drivers/${driver.name}` });
    vfs.add(`/sys/bus/platform/drivers/${driver.name}/${device.name}`, {
      kind: 'link',
      target: `../../../../${device.path.slice('/sys/'.length)}`,
    });
  }

  *#detach(device: PlatformDevice): Task {
    const { driver } = device;
    if (driver === undefined) return;
    const { vfs } = this.#kernel;
    yield* driver.remove(device);
    device.driver = undefined;
    this.#updateOwner(device.group);
    vfs.remove(`${device.path}/driver`);
    vfs.remove(`/sys/bus/platform/drivers/${driver.name}/${device.name}`);
  }

  /** device_attach: the first driver that matches and takes it. */
  *#probe(device: PlatformDevice): Task {
    for (const driver of this.#drivers.values()) {
      if (device.driver !== undefined) return;
      if (!this.#matches(driver, device)) continue;
      try {
        yield* this.#attach(driver, device);
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        this.#kernel.log(`${driver.name}: probe of ${device.name}: ${error.message}`);
      }
    }
  }

  *#bind(driver: PlatformDriver, name: string): Task {
    const device = this.#find(name);
    if (!this.#matches(driver, device))
      throw new Errno('ENODEV', `${name}: driver_override ${device.driverOverride ?? 'is not set'}`);
    yield* this.#locked(device, () => this.#attach(driver, device));
  }

  *#unbind(driver: PlatformDriver, name: string): Task {
    const device = this.#find(name);
    if (device.driver !== driver) throw new Errno('ENODEV', `${name} is not bound to ${driver.name}`);
    yield* this.#locked(device, () => this.#detach(device));
  }
}
