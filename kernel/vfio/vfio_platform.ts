/**
 * vfio-platform: gives user space a device of the SoC, here a DMA channel (drivers/vfio/platform). A device gets there by
 * `driver_override` and `bind` only. Region 0 is its registers; interrupt 0 its own, interrupt 1 its message.
 */

import { DMA_CHANNEL_SIZE } from '../include/arch/ppc/fsl_soc.ts';
import { FSL_DMA } from '../include/arch/ppc/fsldma.ts';
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
} from '../include/uapi/ioctl.ts';
import {
  VFIO_DEVICE_FLAGS,
  VFIO_PLATFORM_OFFSET_SHIFT,
  VFIO_REGION_INFO_FLAG,
  vfio_region_info,
} from '../include/uapi/vfio.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import { FslDmaChannel } from '../ppc/fsldma_channel.ts';
import type { PlatformDevice, PlatformDriver } from '../ppc/platform_bus.ts';
import type { Qoriq } from '../ppc/qoriq.ts';
import type { FileOperations } from '../syscall/file.ts';
import { type IoctlRow, ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioDevice } from './vfio.ts';
import type { VfioCore } from './vfio_main.ts';
import { VfioPlatformIrqs } from './vfio_platform_irq.ts';

const REGISTER_REGION = 0;
const REGIONS = 1;
/** Bytes between two regions in the file. */
const REGION_STRIDE = 2 ** VFIO_PLATFORM_OFFSET_SHIFT;
/** The device's registers are words; the bus has no narrower accesses. */
const WORD = 4;
/** What the kernel programs when a message is armed: user space sees what it wrote there itself, and reaches nothing. */
const VIRTUAL: ReadonlySet<number> = new Set([FSL_DMA.MSICR, FSL_DMA.MSIARH, FSL_DMA.MSIAR, FSL_DMA.MSIDATA]);

export class VfioPlatformDevice implements VfioDevice {
  readonly name: string;
  readonly group: IommuGroup;
  readonly operations: FileOperations;
  readonly #host: Qoriq;
  readonly #channel: FslDmaChannel;
  readonly #irqs: VfioPlatformIrqs;
  /** Virtual registers, by offset. */
  readonly #virtual = new Map<number, number>();

  constructor(host: Qoriq, device: PlatformDevice) {
    this.#host = host;
    this.name = device.name;
    this.group = device.group;
    this.#channel = new FslDmaChannel(host.bus, device.node);
    this.#irqs = new VfioPlatformIrqs(host, device, this.#channel);
    const platform = this;
    this.operations = {
      ioctl: ioctlOperation(host.kernel, this.#rows()),
      *read(count, offset) {
        return platform.#read(count, offset);
      },
      *write(bytes, offset) {
        return platform.#write(bytes, offset);
      },
    };
  }

  /** First open: the device as after power-on (vfio_platform_open_device). */
  *openDevice(): Task {
    this.#reset();
    this.#irqs.open();
  }

  /** Last close: it does nothing any more, and nobody hears of it. */
  *closeDevice(): Task {
    this.#reset();
    yield* this.#irqs.close();
  }

  #rows(): IoctlRow[] {
    return [
      row(VFIO_DEVICE_GET_INFO, function* (_, info) {
        info.flags = VFIO_DEVICE_FLAGS.PLATFORM | VFIO_DEVICE_FLAGS.RESET;
        info.num_regions = REGIONS;
        info.num_irqs = VfioPlatformIrqs.COUNT;
        return 0;
      }),
      row(VFIO_DEVICE_GET_REGION_INFO, (arg, info) => this.#regionInfo(arg, info)),
      row(VFIO_DEVICE_GET_IRQ_INFO, (_, info) => this.#irqs.info(info)),
      row(VFIO_DEVICE_SET_IRQS, (arg, header) => this.#irqs.set(arg, header)),
      row(VFIO_DEVICE_RESET, () => this.#resetIoctl()),
    ];
  }

  *#regionInfo(arg: number, info: View<typeof vfio_region_info.fields>): Task<number> {
    const { index } = info;
    if (index !== REGISTER_REGION) throw new Errno('EINVAL', `${this.name}: region ${index} of ${REGIONS}`);
    info.size = DMA_CHANNEL_SIZE;
    info.offset = index * REGION_STRIDE;
    // Four channels have their registers in one page, so no channel's can be mapped.
    info.flags = VFIO_REGION_INFO_FLAG.READ | VFIO_REGION_INFO_FLAG.WRITE;
    info.cap_offset = 0;
    yield* this.#host.kernel.mm.space.copy(arg, vfio_region_info.bytes(info), true);
    return 0;
  }

  *#resetIoctl(): Task<number> {
    this.#reset();
    // What the kernel has programmed for user space outlives the reset, as PCI configuration space does.
    this.#irqs.reprogram();
    return 0;
  }

  #reset(): void {
    this.#channel.reset();
    this.#virtual.clear();
  }

  /** Whole words of region 0; how many bytes of `count` lie in it. @throws Errno EINVAL */
  #place(count: number, position: number): number {
    if (position < 0 || position >= DMA_CHANNEL_SIZE || position % WORD !== 0 || count % WORD !== 0)
      throw new Errno(
        'EINVAL',
        `${this.name}: registers are words, at 0x0 to 0x${(DMA_CHANNEL_SIZE - 1).toString(16)}`,
      );
    return Math.min(count, DMA_CHANNEL_SIZE - position);
  }

  /** Registers are big-endian in memory. */
  #read(count: number, position: number): Uint8Array {
    const bytes = new Uint8Array(this.#place(count, position));
    const dv = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += WORD) {
      const offset = position + at;
      dv.setUint32(at, VIRTUAL.has(offset) ? (this.#virtual.get(offset) ?? 0) : this.#channel.read(offset));
    }
    return bytes;
  }

  #write(bytes: Uint8Array, position: number): number {
    const count = this.#place(bytes.length, position);
    const dv = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at < count; at += WORD) {
      const offset = position + at;
      if (VIRTUAL.has(offset)) this.#virtual.set(offset, dv.getUint32(at));
      else this.#channel.write(offset, dv.getUint32(at));
    }
    return count;
  }
}

/** The driver. User space has the device from bind to unbind, which waits until it is closed. */
export function vfioPlatformDriver(host: Qoriq, vfio: VfioCore): PlatformDriver {
  const devices = new Map<string, VfioPlatformDevice>();
  return {
    name: 'vfio-platform',
    hostDma: false,
    overrideOnly: true,
    *probe(device) {
      const vfioDevice = new VfioPlatformDevice(host, device);
      devices.set(device.name, vfioDevice);
      vfio.addDevice(vfioDevice, device.path);
    },
    *remove(device) {
      const vfioDevice = devices.get(device.name);
      if (vfioDevice === undefined) return;
      yield* vfio.removeDevice(vfioDevice);
      devices.delete(device.name);
    },
  };
}
