/** What every VFIO device descriptor understands: information, regions with capabilities, interrupts, reset. */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import {
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_SET_IRQS,
} from '../../../kernel/include/uapi/ioctl.ts';
import {
  VFIO_IRQ_SET,
  VFIO_REGION_INFO_CAP_TYPE,
  VFIO_REGION_INFO_FLAG,
  vfio_device_info,
  vfio_info_cap_header,
  vfio_irq_info,
  vfio_irq_set,
  vfio_region_info,
  vfio_region_info_cap_type,
} from '../../../kernel/include/uapi/vfio.ts';
import type { View } from '../../../kernel/lib/struct.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { descriptorBytes } from './group.ts';

/** A region. */
export interface RegionInfo {
  readonly index: number;
  readonly flags: number;
  /** Bytes; 0: the region is not there. */
  readonly size: number;
  /** Where it begins in the device descriptor. */
  readonly offset: number;
  /** Type and subtype, of a device-specific region. */
  readonly type?: { readonly type: number; readonly subtype: number };
}

/** VFIO_DEVICE_GET_INFO. @throws Errno */
export function* deviceInfo(machine: Machine, fd: number): Task<View<typeof vfio_device_info.fields>> {
  const info = vfio_device_info.make({ argsz: vfio_device_info.size });
  yield* machine.sys.ioctlStruct(fd, VFIO_DEVICE_GET_INFO, info);
  return info;
}

/** VFIO_DEVICE_GET_REGION_INFO, a second time with room when the region has capabilities. @throws Errno */
export function* regionInfo(machine: Machine, fd: number, index: number): Task<RegionInfo> {
  const info = vfio_region_info.make({ argsz: vfio_region_info.size, index });
  yield* machine.sys.ioctlStruct(fd, VFIO_DEVICE_GET_REGION_INFO, info);
  let capabilities = new Uint8Array(0);
  if (info.argsz > vfio_region_info.size) {
    capabilities = new Uint8Array(info.argsz - vfio_region_info.size);
    yield* machine.sys.ioctlStruct(fd, VFIO_DEVICE_GET_REGION_INFO, info, capabilities);
  }
  const { flags, size, offset } = info;
  const first = (flags & VFIO_REGION_INFO_FLAG.CAPS) !== 0 ? info.cap_offset : 0;
  return { index, flags, size, offset, type: regionType(capabilities, first) };
}

/** The type capability in what followed the structure. Offsets in the chain count from the structure's beginning. */
function regionType(tail: Uint8Array, first: number): RegionInfo['type'] {
  const dv = new DataView(tail.buffer, tail.byteOffset, tail.length);
  // Each capability is at least a header long: a chain that loops ends here.
  let left = Math.floor(tail.length / vfio_info_cap_header.size);
  for (let at = first; at !== 0 && left > 0; left--) {
    const here = at - vfio_region_info.size;
    if (here < 0 || here + vfio_info_cap_header.size > tail.length) return undefined;
    const header = vfio_info_cap_header.at(dv, here);
    if (header.id === VFIO_REGION_INFO_CAP_TYPE && here + vfio_region_info_cap_type.size <= tail.length) {
      const { type, subtype } = vfio_region_info_cap_type.at(dv, here);
      return { type, subtype };
    }
    at = header.next;
  }
  return undefined;
}

/** VFIO_DEVICE_GET_IRQ_INFO: how many interrupts the index has. @throws Errno */
export function* irqCount(machine: Machine, fd: number, index: number): Task<number> {
  const info = vfio_irq_info.make({ argsz: vfio_irq_info.size, index });
  yield* machine.sys.ioctlStruct(fd, VFIO_DEVICE_GET_IRQ_INFO, info);
  return info.count;
}

/** VFIO_DEVICE_SET_IRQS: the eventfd to signal for interrupt 0 of the index; -1 for none any more. @throws Errno */
export function* setIrqEventfd(machine: Machine, fd: number, index: number, eventfd: number): Task {
  const tail = descriptorBytes(eventfd);
  const set = vfio_irq_set.make({
    argsz: vfio_irq_set.size + tail.length,
    flags: VFIO_IRQ_SET.DATA_EVENTFD | VFIO_IRQ_SET.ACTION_TRIGGER,
    index,
    start: 0,
    count: 1,
  });
  yield* machine.sys.ioctlStruct(fd, VFIO_DEVICE_SET_IRQS, set, tail);
}
