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
  VFIO_REGION_INFO_CAP_SPARSE_MMAP,
  VFIO_REGION_INFO_CAP_TYPE,
  VFIO_REGION_INFO_FLAG,
  vfio_device_info,
  vfio_info_cap_header,
  vfio_irq_info,
  vfio_irq_set,
  vfio_region_info,
  vfio_region_info_cap_sparse_mmap,
  vfio_region_info_cap_type,
  vfio_region_sparse_mmap_area,
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
  /** Parts that may be mapped; absent: the whole of it if the flags have MMAP. */
  readonly mappable?: readonly { readonly offset: number; readonly size: number }[];
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
  return { index, flags, size, offset, ...regionCapabilities(capabilities, first) };
}

/** The capabilities in what followed the structure. Offsets in the chain count from the structure's beginning. */
function regionCapabilities(tail: Uint8Array, first: number): Pick<RegionInfo, 'type' | 'mappable'> {
  const dv = new DataView(tail.buffer, tail.byteOffset, tail.length);
  let type: RegionInfo['type'];
  let mappable: RegionInfo['mappable'];
  // Each capability is at least a header long: a chain that loops ends here.
  let left = Math.floor(tail.length / vfio_info_cap_header.size);
  for (let at = first; at !== 0 && left > 0; left--) {
    const here = at - vfio_region_info.size;
    if (here < 0 || here + vfio_info_cap_header.size > tail.length) break;
    const header = vfio_info_cap_header.at(dv, here);
    if (header.id === VFIO_REGION_INFO_CAP_TYPE && here + vfio_region_info_cap_type.size <= tail.length) {
      const capability = vfio_region_info_cap_type.at(dv, here);
      type ??= { type: capability.type, subtype: capability.subtype };
    } else if (header.id === VFIO_REGION_INFO_CAP_SPARSE_MMAP) mappable ??= mappableAreas(dv, here);
    at = header.next;
  }
  return { ...(type && { type }), ...(mappable && { mappable }) };
}

/** The areas that a sparse-mmap capability names, as far as they were told. */
function mappableAreas(dv: DataView, at: number): NonNullable<RegionInfo['mappable']> {
  const { size } = vfio_region_info_cap_sparse_mmap;
  if (at + size > dv.byteLength) return [];
  const told = Math.floor((dv.byteLength - at - size) / vfio_region_sparse_mmap_area.size);
  const count = Math.min(vfio_region_info_cap_sparse_mmap.at(dv, at).nr_areas, told);
  return Array.from({ length: count }, (_, i) => {
    const area = vfio_region_sparse_mmap_area.at(dv, at + size + i * vfio_region_sparse_mmap_area.size);
    return { offset: area.offset, size: area.size };
  });
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
