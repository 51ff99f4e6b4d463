/** vfio-pci: a PCI device passed through; its BAR answers at a guest-physical address (QEMU hw/vfio/pci.c). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_DEVICE_RESET } from '../../../kernel/include/uapi/ioctl.ts';
import { VFIO_DEVICE_FLAGS, VFIO_PCI } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { CiWindow } from '../ppc/spapr_ci.ts';
import type { VFIOContainer } from './container.ts';
import { deviceInfo, type RegionInfo, regionInfo } from './device.ts';
import { groupNumber, VFIOGroup } from './group.ts';

/** Configuration space: the command register, and its bits (PCI Local Bus Specification 3.0, 6.2.2). */
const PCI_COMMAND = 0x04;
const PCI_COMMAND_MEMORY = 0x2;
const PCI_COMMAND_MASTER = 0x4;

/** Options of `-device vfio-pci`. */
export interface VfioPciOptions {
  /** PCI address on the host, `0000:00:00.0`. */
  readonly host: string;
  readonly container: VFIOContainer;
}

export class VFIOPCIDevice {
  readonly machine: Machine;
  /** The device in messages: `vfio-pci 0000:00:00.0`. */
  readonly name: string;
  readonly group: VFIOGroup;
  readonly fd: number;
  /** Regions by index; absent ones have size 0. */
  readonly regions: readonly RegionInfo[];
  readonly #reset: boolean;

  private constructor(
    machine: Machine,
    name: string,
    group: VFIOGroup,
    fd: number,
    regions: RegionInfo[],
    reset: boolean,
  ) {
    this.machine = machine;
    this.name = name;
    this.group = group;
    this.fd = fd;
    this.regions = regions;
    this.#reset = reset;
  }

  /** Opens the device and puts its group into the container. @throws Errno; Error naming the device */
  static *realize(machine: Machine, options: VfioPciOptions): Task<VFIOPCIDevice> {
    const name = `vfio-pci ${options.host}`;
    const number = yield* groupNumber(machine, name, `/sys/bus/pci/devices/${options.host}`);
    const group = yield* VFIOGroup.get(machine, name, number, options.container);
    try {
      const fd = yield* group.deviceFd(options.host);
      try {
        return yield* VFIOPCIDevice.#open(machine, name, group, fd);
      } catch (error) {
        yield* machine.sys.close(fd);
        throw error;
      }
    } catch (error) {
      yield* group.put();
      throw error;
    }
  }

  static *#open(machine: Machine, name: string, group: VFIOGroup, fd: number): Task<VFIOPCIDevice> {
    const info = yield* deviceInfo(machine, fd);
    if ((info.flags & VFIO_DEVICE_FLAGS.PCI) === 0) throw new Error(`${name}: this is no PCI device`);
    if (info.num_regions <= VFIO_PCI.CONFIG_REGION_INDEX)
      throw new Error(`${name}: the device has ${info.num_regions} regions and no configuration space`);
    const regions: RegionInfo[] = [];
    for (let index = 0; index <= VFIO_PCI.CONFIG_REGION_INDEX; index++)
      regions.push(yield* regionInfo(machine, fd, index));
    const device = new VFIOPCIDevice(machine, name, group, fd, regions, (info.flags & VFIO_DEVICE_FLAGS.RESET) !== 0);
    yield* device.#enable();
    return device;
  }

  /** What the guest's firmware would do: memory space and bus mastering on. */
  *#enable(): Task {
    const { sys } = this.machine;
    const at = this.regions[VFIO_PCI.CONFIG_REGION_INDEX].offset + PCI_COMMAND;
    const command = yield* sys.pread(this.fd, 2, at, `${this.name} config`);
    command[0] |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    yield* sys.pwrite(this.fd, command, at, `${this.name} config`);
  }

  /**
   * A BAR's memory at guest-physical `base`. What the kernel refuses reads as all ones and is dropped when written,
   * as on a bus where nothing answers. @throws Error when the device has no such BAR
   */
  barWindow(bar: number, base: number): CiWindow {
    const region = this.regions[bar];
    if (bar >= VFIO_PCI.ROM_REGION_INDEX || region === undefined || region.size === 0)
      throw new Error(`${this.name}: there is no BAR ${bar}`);
    const { machine, fd, name } = this;
    return {
      base,
      size: region.size,
      *read(offset, length) {
        try {
          const bytes = yield* machine.sys.pread(fd, length, region.offset + offset, `${name} BAR ${bar}`);
          if (bytes.length === length) return bytes;
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          machine.log(error.message);
        }
        return new Uint8Array(length).fill(0xff);
      },
      *write(offset, bytes) {
        try {
          yield* machine.sys.pwrite(fd, bytes, region.offset + offset, `${name} BAR ${bar}`);
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          machine.log(error.message);
        }
      },
    };
  }

  /** Machine reset: the device's own reset where it has one, then enabled again. */
  *reset(): Task {
    if (this.#reset) yield* this.machine.sys.ioctl(this.fd, VFIO_DEVICE_RESET);
    yield* this.#enable();
  }
  /** Closes the device and lets its group go. The window must be detached before. */
  *unrealize(): Task {
    yield* this.machine.sys.close(this.fd);
    yield* this.group.put();
  }
}
