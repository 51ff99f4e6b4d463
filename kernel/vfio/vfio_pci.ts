/**
 * vfio-pci: gives user space the device behind a PE (drivers/vfio/pci/vfio_pci_core.c). Its group is the PE: what the
 * host bridge isolates is what user space gets.
 */
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
  VFIO_PCI,
  VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
  VFIO_REGION_INFO_CAP_SPARSE_MMAP,
  VFIO_REGION_INFO_FLAG,
  vfio_info_cap_header,
  type vfio_region_info,
  vfio_region_info_cap_sparse_mmap,
  vfio_region_sparse_mmap_area,
} from '../include/uapi/vfio.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { Powernv } from '../ppc/powernv.ts';
import type { FileOperations } from '../syscall/file.ts';
import { type IoctlRow, ioctlOperation, row } from '../syscall/ioctl.ts';
import { type InfoCapability, storeRegionInfo } from './info_cap.ts';
import type { IommuGroup, VfioDevice } from './vfio.ts';
import type { VfioCore } from './vfio_main.ts';
import { VfioPciConfig } from './vfio_pci_config.ts';
import { VfioPciDriver } from './vfio_pci_driver.ts';
import { PciFunction } from './vfio_pci_function.ts';
import { hotResetRows } from './vfio_pci_hot_reset.ts';
import { VfioPciInterrupts } from './vfio_pci_intrs.ts';
import { VfioPciMmap } from './vfio_pci_mmap.ts';
import { regionOf, regionOffset, regionSize, VfioPciRegions } from './vfio_pci_rdwr.ts';

/** Of so many requests for a device one is told in the log (vfio_pci_core_request). */
const REQUESTS_PER_LINE = 10;

/** `0000:bb:dd.f`: the device's name, from its requester ID. */
export function pciName(rid: number): string {
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return `0000:${hex(rid >> 8)}:${hex((rid >> 3) & 0x1f)}.${rid & 7}`;
}

export class VfioPciDevice implements VfioDevice {
  readonly name: string;
  readonly group: IommuGroup;
  readonly operations: FileOperations;
  readonly #host: Powernv;
  readonly #function: PciFunction;
  readonly #interrupts: VfioPciInterrupts;
  readonly #mmap: VfioPciMmap;
  #config: VfioPciConfig;

  /** @param devices every vfio-pci device of the host, this one too later */
  constructor(host: Powernv, vfio: VfioCore, pe: number, group: IommuGroup, devices: readonly VfioPciDevice[]) {
    const { kernel } = host;
    const fn = new PciFunction(host, pe);
    this.#host = host;
    this.#function = fn;
    this.group = group;
    this.name = pciName(fn.rid);
    this.#interrupts = new VfioPciInterrupts(kernel, fn, `vfio-pci ${this.name}`);
    this.#mmap = new VfioPciMmap(kernel, fn, `vfio-pci ${this.name}`);
    this.#config = this.#newConfig();
    const mmap = this.#mmap;
    const regions = new VfioPciRegions(
      fn,
      () => this.#config,
      () => mmap.restore(),
    );
    this.operations = {
      ioctl: ioctlOperation(kernel, [...this.#rows(), ...hotResetRows(kernel, vfio, this, devices)]),
      *read(count, offset) {
        return regions.read(count, offset);
      },
      write: (bytes, offset) => regions.write(bytes, offset),
      *mmap(length, position) {
        const { index, offset } = regionOf(position);
        if (index > VFIO_PCI.ROM_REGION_INDEX) throw new Errno('EINVAL', `vfio-pci region ${index} cannot be mapped`);
        return mmap.map(index, offset, length);
      },
    };
  }

  /** Bus, device and function on the host. */
  get bus(): number {
    return this.#function.rid >> 8;
  }
  get devfn(): number {
    return this.#function.rid & 0xff;
  }

  #newConfig(): VfioPciConfig {
    const { intx, messages } = this.#interrupts;
    const mmap = this.#mmap;
    return new VfioPciConfig(this.#function, {
      intxDisabled: (disabled) => intx.setDisabled(disabled),
      memoryDisabled: () => mmap.zap(),
      get msiQueue() {
        return messages.queue;
      },
    });
  }

  /** First open: the device is as after power-on, and its PE runs (vfio_pci_core_enable, eeh_dev_open). */
  *openDevice(): Task {
    this.#host.bridge.reset(this.#function.pe);
    this.#interrupts.intx.reset();
    this.#config = this.#newConfig();
  }

  /** Last close: the device does no more DMA, for its command register is cleared (vfio_pci_core_disable). */
  *closeDevice(): Task {
    yield* this.#interrupts.release();
    yield* this.#mmap.release();
    this.#host.bridge.reset(this.#function.pe);
  }

  /** The driver is to leave the device: user space is asked for it (vfio_pci_core_request). @param count requests before */
  request(count: number): void {
    const { kernel } = this.#host;
    const asked = this.#interrupts.signalRequest();
    if (asked && count % REQUESTS_PER_LINE === 0)
      kernel.log(`vfio-pci ${this.name}: user space is asked to give the device back (request ${count})`);
    if (!asked && count === 0)
      kernel.log(
        `vfio-pci ${this.name}: user space has no request notifier; the driver stays until the device is closed`,
      );
  }

  #rows(): IoctlRow[] {
    return [
      row(VFIO_DEVICE_GET_INFO, function* (_, info) {
        info.flags = VFIO_DEVICE_FLAGS.PCI | VFIO_DEVICE_FLAGS.RESET;
        info.num_regions = VFIO_PCI.NUM_REGIONS;
        info.num_irqs = VFIO_PCI.NUM_IRQS;
        return 0;
      }),
      row(VFIO_DEVICE_GET_REGION_INFO, (arg, info) => this.#regionInfo(arg, info)),
      row(VFIO_DEVICE_GET_IRQ_INFO, (_, info) => this.#irqInfo(info)),
      row(VFIO_DEVICE_SET_IRQS, (arg, header) => this.#interrupts.set(arg, header)),
      row(VFIO_DEVICE_RESET, () => this.#reset()),
    ];
  }
  *#irqInfo(info: Parameters<VfioPciInterrupts['info']>[0]): Task<number> {
    this.#interrupts.info(info);
    return 0;
  }

  *#regionInfo(arg: number, info: View<typeof vfio_region_info.fields>): Task<number> {
    const { index } = info;
    if (index >= VFIO_PCI.NUM_REGIONS || index === VFIO_PCI.VGA_REGION_INDEX)
      throw new Errno('EINVAL', `vfio-pci region ${index}`);
    const { space } = this.#host.kernel.mm;
    const capabilities = this.#capabilities(index);
    info.size = regionSize(this.#function, index);
    info.offset = regionOffset(index);
    info.flags = info.size === 0 ? 0 : VFIO_REGION_INFO_FLAG.READ | VFIO_REGION_INFO_FLAG.WRITE;
    if (capabilities.some(({ id }) => id === VFIO_REGION_INFO_CAP_SPARSE_MMAP))
      info.flags |= VFIO_REGION_INFO_FLAG.MMAP;
    return yield* storeRegionInfo(space, arg, info, capabilities);
  }

  /** What can be mapped of a BAR, and that its MSI-X table is no obstacle to that. */
  #capabilities(bar: number): InfoCapability[] {
    const { bridge, pe, msix } = this.#function;
    const capabilities: InfoCapability[] = [];
    const mappable = bridge.barMappable(pe, bar);
    if (mappable > 0) {
      const header = vfio_region_info_cap_sparse_mmap.make({ nr_areas: 1 });
      const area = vfio_region_sparse_mmap_area.make({ offset: 0, size: mappable });
      const bytes = new Uint8Array([
        ...vfio_region_info_cap_sparse_mmap.bytes(header),
        ...vfio_region_sparse_mmap_area.bytes(area),
      ]);
      capabilities.push({ id: VFIO_REGION_INFO_CAP_SPARSE_MMAP, version: 1, bytes });
    }
    if (msix?.table.bar === bar) {
      const bytes = vfio_info_cap_header.bytes(vfio_info_cap_header.make({}));
      capabilities.push({ id: VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, version: 1, bytes });
    }
    return capabilities;
  }

  /** pci_try_reset_function. */
  *#reset(): Task<number> {
    yield* this.zap();
    this.resetFunction();
    return 0;
  }
  /** Nobody reaches the BARs by a mapping any more when it returns. */
  zap(): Task {
    return this.#mmap.zap();
  }
  /** A reset around which configuration space is saved. */
  resetFunction(): void {
    this.#function.reset();
  }
}

/** Binds vfio-pci to the devices of all PEs: one group per PE, and the devices' directories in sysfs. */
export function bindVfioPci(host: Powernv, vfio: VfioCore): VfioPciDevice[] {
  const { bridge, kernel } = host;
  const driver = new VfioPciDriver(kernel, vfio);
  const devices: VfioPciDevice[] = [];
  for (const pe of bridge.pes()) {
    if (bridge.inspect(pe).device === 'none') continue;
    const group = vfio.allocateGroup({ emulated: false, tableGroup: host.groups[pe], permanent: true });
    const device = new VfioPciDevice(host, vfio, pe, group, devices);
    devices.push(device);
    driver.add(device, (at, size) => bridge.configRead(pe, at, size));
  }
  return devices;
}
