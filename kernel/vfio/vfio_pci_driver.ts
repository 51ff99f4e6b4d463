/**
 * The vfio-pci driver on the PCI bus (drivers/base/bus.c, dd.c; drivers/vfio/pci/vfio_pci.c): devices in sysfs, `bind`
 * and `unbind`. Groups are the bus's, not the driver's: they outlive what is bound.
 */
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { Mutex, type Task } from '../lib/task.ts';
import type { VfioCore } from './vfio_main.ts';
import type { VfioPciDevice } from './vfio_pci.ts';

/** Directory of the driver. */
const DRIVER = '/sys/bus/pci/drivers/vfio-pci';

/** Directory of a device. */
function devicePath(name: string): string {
  return `/sys/devices/pci0000:00/${name}`;
}

/** Attributes of a PCI device in sysfs that show configuration space (drivers/pci/pci-sysfs.c): name, offset, bytes. */
const CONFIG_ATTRIBUTES = [
  ['vendor', 0x00, 2],
  ['device', 0x02, 2],
] as const;

/** A device on the bus. */
interface Slot {
  readonly device: VfioPciDevice;
  /** vfio-pci has it. The host has no other driver for it. */
  bound: boolean;
  /** device_lock: held while the driver probes or removes. */
  readonly lock: Mutex;
}

export class VfioPciDriver {
  readonly #kernel: Kernel;
  readonly #vfio: VfioCore;
  readonly #slots = new Map<string, Slot>();

  /** pci_register_driver. */
  constructor(kernel: Kernel, vfio: VfioCore) {
    this.#kernel = kernel;
    this.#vfio = vfio;
    kernel.vfs.add(`${DRIVER}/bind`, { kind: 'attribute', store: (name) => this.#bind(name) });
    kernel.vfs.add(`${DRIVER}/unbind`, { kind: 'attribute', store: (name) => this.#unbind(name) });
  }

  /** pci_device_add: the device is on the bus, with vfio-pci. @param read a little-endian value of its configuration space */
  add(device: VfioPciDevice, read: (at: number, size: number) => number): void {
    const { vfs } = this.#kernel;
    const path = devicePath(device.name);
    for (const [name, at, size] of CONFIG_ATTRIBUTES)
      vfs.attribute(
        `${path}/${name}`,
        () =>
          `0x${read(at, size)
            .toString(16)
            .padStart(size * 2, '0')}`,
      );
    vfs.add(`/sys/bus/pci/devices/${device.name}`, {
      kind: 'link',
      target: `../../../${path.slice('/sys/'.length)}`,
    });
    const slot = { device, bound: false, lock: new Mutex(`device ${device.name}`) };
    this.#slots.set(device.name, slot);
    this.#attach(slot);
  }

  #attach(slot: Slot): void {
    const { vfs } = this.#kernel;
    const { name } = slot.device;
    const path = devicePath(name);
    this.#vfio.addDevice(slot.device, path);
    vfs.add(`${path}/driver`, { kind: 'link', target: '../../../bus/pci/drivers/vfio-pci' });
    vfs.add(`${DRIVER}/${name}`, { kind: 'link', target: `../../../../${path.slice('/sys/'.length)}` });
    slot.bound = true;
  }

  /** @throws Errno ENODEV */
  #find(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new Errno('ENODEV', `vfio-pci: there is no PCI device "${name}"`);
    return slot;
  }
  *#locked(slot: Slot, body: () => Task): Task {
    yield* slot.lock.lock();
    try {
      yield* body();
    } finally {
      slot.lock.unlock();
    }
  }

  /** bind_store. @throws Errno ENODEV; EBUSY when it is bound */
  *#bind(name: string): Task {
    const slot = this.#find(name);
    const driver = this;
    yield* this.#locked(slot, function* () {
      if (slot.bound) throw new Errno('EBUSY', `${name} is bound to vfio-pci`);
      driver.#attach(slot);
    });
  }

  /**
   * unbind_store: asks user space for the device, and returns once nobody has it open. Of two that ask the second waits
   * for the first. @throws Errno ENODEV for a device that is not there, or not bound here
   */
  *#unbind(name: string): Task {
    const slot = this.#find(name);
    if (!slot.bound) throw new Errno('ENODEV', `${name} is not bound to vfio-pci`);
    const { vfs } = this.#kernel;
    const vfio = this.#vfio;
    yield* this.#locked(slot, function* () {
      if (!slot.bound) return;
      yield* vfio.removeDevice(slot.device);
      slot.bound = false;
      vfs.remove(`${devicePath(name)}/driver`);
      vfs.remove(`${DRIVER}/${name}`);
    });
  }
}
