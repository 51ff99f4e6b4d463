/**
 * Mediated devices (drivers/vfio/mdev): a parent device offers a type in sysfs; writing a UUID makes an instance.
 * Facts: vfio-ccw 3.1; attribute names as in Documentation/driver-api/vfio-mediated-device.rst.
 */
import { Errno } from '../include/uapi/errno.ts';
import type { Task } from '../lib/task.ts';
import type { IommuGroup, VfioDevice } from './vfio.ts';
import type { VfioCore } from './vfio_main.ts';

/** What a parent offers. */
export interface MdevType {
  /** Directory name: `vfio_ccw-io`. */
  readonly id: string;
  /** For people. */
  readonly prettyName: string;
  /** Which VFIO device interface instances have: `vfio-ccw`. */
  readonly deviceApi: string;
  readonly maxInstances: number;
}

/** The driver behind a parent. */
export interface MdevDriver {
  readonly name: string;
  /** An instance was asked for: the VFIO device for it. @throws Errno */
  probe(uuid: string, group: IommuGroup): VfioDevice;
  /** The instance is gone; nobody has it open. */
  remove(device: VfioDevice): void;
}

interface Instance {
  readonly uuid: string;
  readonly device: VfioDevice;
  removing: boolean;
}

/** Text form of RFC 9562, any case. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The mdev bus: every instance by UUID, whoever its parent is. */
export class MdevBus {
  readonly core: VfioCore;
  readonly instances = new Map<string, Instance>();

  constructor(core: VfioCore) {
    this.core = core;
    core.kernel.vfs.add('/sys/bus/mdev/devices', { kind: 'directory' });
  }
}

/** A device that instances can be made of (struct mdev_parent). */
export class MdevParent {
  readonly #bus: MdevBus;
  readonly #path: string;
  readonly #type: MdevType;
  readonly #driver: MdevDriver;
  readonly #uuids = new Set<string>();
  #unregistered = false;

  /** mdev_register_parent. @param path the parent's directory in sysfs. */
  constructor(bus: MdevBus, path: string, type: MdevType, driver: MdevDriver) {
    this.#bus = bus;
    this.#path = path;
    this.#type = type;
    this.#driver = driver;
    const { vfs } = bus.core.kernel;
    const directory = `${path}/mdev_supported_types/${type.id}`;
    vfs.add(`${directory}/devices`, { kind: 'directory' });
    vfs.attribute(`${directory}/name`, () => type.prettyName);
    vfs.attribute(`${directory}/device_api`, () => type.deviceApi);
    vfs.attribute(`${directory}/available_instances`, () => `${type.maxInstances - this.#uuids.size}`);
    vfs.add(`${directory}/create`, { kind: 'attribute', store: (uuid) => this.#create(uuid) });
    vfs.add(`/sys/class/mdev_bus/${this.#name}`, { kind: 'link', target: `../../${path.slice('/sys/'.length)}` });
  }

  get #name(): string {
    return this.#path.slice(this.#path.lastIndexOf('/') + 1);
  }

  *#create(text: string): Task {
    const { core, instances } = this.#bus;
    if (!UUID.test(text)) throw new Errno('EINVAL', `mdev create on ${this.#name}: "${text}" is no UUID`);
    if (this.#unregistered) throw new Errno('ENODEV', `mdev create on ${this.#name}`);
    const uuid = text.toLowerCase();
    if (instances.has(uuid)) throw new Errno('EEXIST', `mdev ${uuid}`);
    if (this.#uuids.size >= this.#type.maxInstances)
      throw new Errno('EUSERS', `mdev create on ${this.#name}: ${this.#type.maxInstances} instances exist`);
    const device = this.#driver.probe(uuid, core.allocateGroup({ emulated: true }));
    const instance = { uuid, device, removing: false };
    instances.set(uuid, instance);
    this.#uuids.add(uuid);
    this.#publish(instance);
  }

  #publish(instance: Instance): void {
    const { core } = this.#bus;
    const { vfs } = core.kernel;
    const path = `${this.#path}/${instance.uuid}`;
    const up = '../'.repeat(path.split('/').length - 2);
    core.addDevice(instance.device, path);
    vfs.add(`${path}/mdev_type`, { kind: 'link', target: `../mdev_supported_types/${this.#type.id}` });
    vfs.add(`${path}/subsystem`, { kind: 'link', target: `${up}bus/mdev` });
    vfs.add(`${path}/driver`, { kind: 'link', target: `${up}bus/mdev/drivers/${this.#driver.name}` });
    vfs.add(`${path}/remove`, { kind: 'attribute', store: (value) => this.#store(instance, value) });
    vfs.add(`/sys/bus/mdev/drivers/${this.#driver.name}`, { kind: 'directory' });
    vfs.add(`/sys/bus/mdev/devices/${instance.uuid}`, {
      kind: 'link',
      target: `../../../${path.slice('/sys/'.length)}`,
    });
    vfs.add(`${this.#path}/mdev_supported_types/${this.#type.id}/devices/${instance.uuid}`, {
      kind: 'link',
      target: `../../../${instance.uuid}`,
    });
  }

  /** Write to `remove`: a number; 0 does nothing. */
  *#store(instance: Instance, value: string): Task {
    if (!/^(0x[0-9a-f]+|\d+)$/i.test(value)) throw new Errno('EINVAL', `mdev ${instance.uuid}: remove "${value}"`);
    if (Number(value) === 0) return;
    if (instance.removing) throw new Errno('ENODEV', `mdev ${instance.uuid}: being removed`);
    yield* this.#remove(instance);
  }

  /** Takes the instance back from user space, however long that takes, and forgets it. */
  *#remove(instance: Instance): Task {
    const { core, instances } = this.#bus;
    const { vfs } = core.kernel;
    const { uuid, device } = instance;
    instance.removing = true;
    yield* core.removeDevice(device);
    this.#driver.remove(device);
    vfs.remove(`/sys/bus/mdev/devices/${uuid}`);
    vfs.remove(`${this.#path}/${uuid}`);
    vfs.remove(`${this.#path}/mdev_supported_types/${this.#type.id}/devices/${uuid}`);
    instances.delete(uuid);
    this.#uuids.delete(uuid);
  }

  /** mdev_unregister_parent: no new instances, every one removed. */
  *unregister(): Task {
    const { core, instances } = this.#bus;
    this.#unregistered = true;
    core.kernel.vfs.remove(`/sys/class/mdev_bus/${this.#name}`);
    for (const uuid of [...this.#uuids]) {
      const instance = instances.get(uuid) as Instance;
      if (!instance.removing) yield* this.#remove(instance);
      while (instances.get(uuid) === instance)
        yield { what: `mdev ${uuid} to be removed`, ready: () => instances.get(uuid) !== instance };
    }
    core.kernel.vfs.remove(`${this.#path}/mdev_supported_types`);
  }
}
