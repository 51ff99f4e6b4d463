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
import { VFIO_DEVICE_FLAGS, VFIO_PCI, VFIO_REGION_INFO_FLAG, vfio_region_info } from '../include/uapi/vfio.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { Powernv } from '../ppc/powernv.ts';
import type { FileOperations } from '../syscall/file.ts';
import { type IoctlRow, ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioDevice } from './vfio.ts';
import type { VfioCore } from './vfio_main.ts';
import { irqInfo, VfioPciInterrupts } from './vfio_pci_intrs.ts';
import { REGION_SIZE, regionOffset, VfioPciRegions } from './vfio_pci_rdwr.ts';

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
  readonly #pe: number;
  readonly #interrupts: VfioPciInterrupts;

  constructor(host: Powernv, pe: number, group: IommuGroup) {
    const regions = new VfioPciRegions(host.bridge, pe);
    this.#host = host;
    this.#pe = pe;
    this.group = group;
    this.name = pciName(host.bridge.inspect(pe).rid);
    this.#interrupts = new VfioPciInterrupts(host.kernel);
    this.operations = {
      ioctl: ioctlOperation(host.kernel, this.#rows()),
      *read(count, offset) {
        return regions.read(count, offset);
      },
      *write(bytes, offset) {
        return regions.write(bytes, offset);
      },
    };
  }

  /** First open: the device is as after power-on, and its PE runs (vfio_pci_core_enable, eeh_dev_open). */
  *openDevice(): Task {
    this.#host.bridge.reset(this.#pe);
  }

  /** Last close: the device does no more DMA, for its command register is cleared (vfio_pci_core_disable). */
  *closeDevice(): Task {
    this.#host.bridge.reset(this.#pe);
    yield* this.#interrupts.release();
  }

  request(count: number): void {
    if (!this.#interrupts.signalRequest() && count === 0)
      this.#host.kernel.log(
        `vfio-pci ${this.name}: no device request channel registered, blocked until released by user`,
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
      row(VFIO_DEVICE_GET_IRQ_INFO, function* (_, info) {
        irqInfo(info);
        return 0;
      }),
      row(VFIO_DEVICE_SET_IRQS, (arg, header) => this.#interrupts.set(arg, header)),
      row(VFIO_DEVICE_RESET, () => this.#reset()),
    ];
  }

  *#regionInfo(arg: number, info: View<typeof vfio_region_info.fields>): Task<number> {
    const { index } = info;
    if (index >= VFIO_PCI.NUM_REGIONS || index === VFIO_PCI.VGA_REGION_INDEX)
      throw new Errno('EINVAL', `vfio-pci region ${index}`);
    info.size = REGION_SIZE[index];
    info.offset = regionOffset(index);
    info.flags = info.size === 0 ? 0 : VFIO_REGION_INFO_FLAG.READ | VFIO_REGION_INFO_FLAG.WRITE;
    info.cap_offset = 0;
    yield* this.#host.kernel.mm.space.copy(arg, vfio_region_info.bytes(info), true);
    return 0;
  }

  /** pci_try_reset_function: configuration space is saved before and restored after. */
  *#reset(): Task<number> {
    const { bridge } = this.#host;
    const size = REGION_SIZE[VFIO_PCI.CONFIG_REGION_INDEX];
    const saved: number[] = [];
    for (let at = 0; at < size; at += 4) saved.push(bridge.configRead(this.#pe, at, 4));
    bridge.reset(this.#pe);
    for (const [i, value] of saved.entries()) bridge.configWrite(this.#pe, i * 4, 4, value);
    return 0;
  }
}

/** Binds vfio-pci to the devices of all PEs: one group per PE, and the devices' directories in sysfs. */
export function bindVfioPci(host: Powernv, vfio: VfioCore): VfioPciDevice[] {
  const { vfs } = host.kernel;
  return host.bridge.pes().flatMap((pe) => {
    if (host.bridge.inspect(pe).device === 'none') return [];
    const group = vfio.allocateGroup({ emulated: false, tableGroup: host.groups[pe] });
    const device = new VfioPciDevice(host, pe, group);
    const path = `/sys/devices/pci0000:00/${device.name}`;
    for (const [name, at, size] of CONFIG_ATTRIBUTES)
      vfs.attribute(
        `${path}/${name}`,
        () =>
          `0x${host.bridge
            .configRead(pe, at, size)
            .toString(16)
            .padStart(size * 2, '0')}`,
      );
    vfio.addDevice(device, path);
    vfs.add(`${path}/driver`, { kind: 'link', target: '../../../bus/pci/drivers/vfio-pci' });
    vfs.add(`/sys/bus/pci/devices/${device.name}`, {
      kind: 'link',
      target: `../../../devices/pci0000:00/${device.name}`,
    });
    vfs.add(`/sys/bus/pci/drivers/vfio-pci/${device.name}`, {
      kind: 'link',
      target: `../../../../devices/pci0000:00/${device.name}`,
    });
    return [device];
  });
}

/** Attributes of a PCI device in sysfs that show configuration space (drivers/pci/pci-sysfs.c): name, offset, bytes. */
const CONFIG_ATTRIBUTES = [
  ['vendor', 0x00, 2],
  ['device', 0x02, 2],
] as const;
