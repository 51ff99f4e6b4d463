/**
 * vfio-platform: devices of the host's SoC passed through (QEMU hw/vfio/platform.c). Their registers answer at
 * guest-physical addresses; the message that ends their work goes wherever the machine has interrupts go.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_DEVICE_RESET } from '../../../kernel/include/uapi/ioctl.ts';
import { VFIO_DEVICE_FLAGS } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { CiWindow } from '../ppc/spapr_ci.ts';
import type { VFIOContainer } from './container.ts';
import { deviceInfo, type RegionInfo, regionInfo } from './device.ts';
import { EventNotifier } from './event_notifier.ts';
import { groupNumber, VFIOGroup } from './group.ts';

/** Region with the registers, and the interrupt that is a message (`kernel/vfio/vfio_platform.ts`). */
const REGISTERS = 0;
const MESSAGE = 1;
/** Registers are words. */
const WORD = 4;

/** The groups of a machine's platform devices: several devices may be in one, and all share one container. */
export class VFIOPlatformGroups {
  readonly container: VFIOContainer;
  readonly #machine: Machine;
  readonly #groups = new Map<number, { readonly group: VFIOGroup; users: number }>();

  constructor(machine: Machine, container: VFIOContainer) {
    this.#machine = machine;
    this.container = container;
  }

  /** @throws Errno; Error naming the device */
  *get(name: string, number: number): Task<VFIOGroup> {
    const known = this.#groups.get(number);
    if (known !== undefined) {
      known.users++;
      return known.group;
    }
    const group = yield* VFIOGroup.get(this.#machine, name, number, this.container);
    this.#groups.set(number, { group, users: 1 });
    return group;
  }
  *put(group: VFIOGroup): Task {
    const known = this.#groups.get(group.number);
    if (known === undefined || --known.users > 0) return;
    this.#groups.delete(group.number);
    yield* group.put();
  }
}

/** Options of `-device vfio-platform`. */
export interface VfioPlatformOptions {
  /** Name of the device on the host's platform bus: `dma0`. */
  readonly host: string;
  readonly groups: VFIOPlatformGroups;
  /** Runs when the device has sent its message. */
  interrupt(): Task;
}

export class VFIOPlatformDevice {
  /** The device in messages: `vfio-platform dma0`. */
  readonly name: string;
  readonly fd: number;
  readonly region: RegionInfo;
  readonly #machine: Machine;
  readonly #group: VFIOGroup;
  readonly #groups: VFIOPlatformGroups;
  readonly #reset: boolean;
  #notifier: EventNotifier | undefined;

  private constructor(
    machine: Machine,
    options: { readonly name: string; readonly groups: VFIOPlatformGroups; readonly group: VFIOGroup },
    opened: { readonly fd: number; readonly region: RegionInfo; readonly reset: boolean },
  ) {
    this.#machine = machine;
    this.name = options.name;
    this.#groups = options.groups;
    this.#group = options.group;
    this.fd = opened.fd;
    this.region = opened.region;
    this.#reset = opened.reset;
  }

  /** Opens the device and puts its group into the container. @throws Errno; Error naming the device */
  static *realize(machine: Machine, options: VfioPlatformOptions): Task<VFIOPlatformDevice> {
    const { host, groups } = options;
    const name = `vfio-platform ${host}`;
    const number = yield* groupNumber(machine, name, `/sys/bus/platform/devices/${host}`);
    const group = yield* groups.get(name, number);
    try {
      const fd = yield* group.deviceFd(host);
      try {
        const info = yield* deviceInfo(machine, fd);
        if ((info.flags & VFIO_DEVICE_FLAGS.PLATFORM) === 0) throw new Error(`${name}: this is no platform device`);
        const region = yield* regionInfo(machine, fd, REGISTERS);
        const reset = (info.flags & VFIO_DEVICE_FLAGS.RESET) !== 0;
        const device = new VFIOPlatformDevice(machine, { name, groups, group }, { fd, region, reset });
        yield* device.#arm(options);
        return device;
      } catch (error) {
        yield* machine.sys.close(fd);
        throw error;
      }
    } catch (error) {
      yield* groups.put(group);
      throw error;
    }
  }

  /** A device without a message, for want of a bank, is of use all the same: its status can be read. */
  *#arm(options: VfioPlatformOptions): Task {
    const machine = this.#machine;
    try {
      this.#notifier = yield* EventNotifier.register(machine, this.fd, MESSAGE, `${this.name} message`, () =>
        options.interrupt(),
      );
    } catch (error) {
      if (!(error instanceof Errno) || (error.code !== 'ENODEV' && error.code !== 'ENOSPC')) throw error;
      machine.log(`${this.name}: no interrupt: ${error.message}`);
    }
  }

  /** Whether its message reaches the guest. */
  get hasInterrupt(): boolean {
    return this.#notifier !== undefined;
  }

  /**
   * The registers at guest-physical `base`. Accesses that are no words, and what the kernel refuses, read as all ones and
   * are dropped, as on a bus where nothing answers.
   */
  window(base: number): CiWindow {
    const machine = this.#machine;
    const { fd, name, region } = this;
    return {
      base,
      size: region.size,
      *read(offset, length) {
        try {
          if (length >= WORD) return yield* machine.sys.pread(fd, length, region.offset + offset, `${name} registers`);
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          machine.log(error.message);
        }
        return new Uint8Array(length).fill(0xff);
      },
      *write(offset, bytes) {
        try {
          if (bytes.length >= WORD) yield* machine.sys.pwrite(fd, bytes, region.offset + offset, `${name} registers`);
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          machine.log(error.message);
        }
      },
    };
  }

  /**
   * The device as after power-on, with its DMA going on if a violation has stopped it. The device first: nothing of what it
   * did is left when its DMA goes on. @throws Errno
   */
  *restart(): Task {
    if (this.#reset) yield* this.#machine.sys.ioctl(this.fd, VFIO_DEVICE_RESET);
    yield* this.#groups.container.restart();
  }

  /** Closes the device and lets its group go. The window must be detached before. */
  *unrealize(): Task {
    yield* this.#notifier?.unregister() ?? nothing();
    yield* this.#machine.sys.close(this.fd);
    yield* this.#groups.put(this.#group);
  }
}

function* nothing(): Task {}
