/**
 * Capability chains behind an information structure (vfio_info_add_capability, vfio_info_cap_shift): a header
 * {id, version, next}, `next` being the offset of the following one from the start of the structure, 0 at the end.
 */
import { VFIO_REGION_INFO_FLAG, vfio_info_cap_header, vfio_region_info } from '../include/uapi/vfio.ts';
import type { AddressSpace } from '../lib/address_space.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';

/** Capabilities start at multiples of this (the header's alignment after long). */
const ALIGN = 8;

/** One capability: its header's id and version, and the whole structure with the header still zero. */
export interface InfoCapability {
  readonly id: number;
  readonly version: number;
  readonly bytes: Uint8Array;
}

/** The chain as it lies in memory when its first byte is `offset` bytes behind the start of the structure. */
export function infoCapabilities(offset: number, capabilities: readonly InfoCapability[]): Uint8Array {
  const starts: number[] = [];
  let size = 0;
  for (const { bytes } of capabilities) {
    starts.push(size);
    size += Math.ceil(bytes.length / ALIGN) * ALIGN;
  }
  const chain = new Uint8Array(size);
  const dv = new DataView(chain.buffer);
  for (const [i, { id, version, bytes }] of capabilities.entries()) {
    chain.set(bytes, starts[i]);
    const header = vfio_info_cap_header.at(dv, starts[i]);
    header.id = id;
    header.version = version;
    header.next = i + 1 < capabilities.length ? offset + starts[i + 1] : 0;
  }
  return chain;
}

/**
 * The end of VFIO_DEVICE_GET_REGION_INFO: stores the answer, and the chain behind it when `argsz` has room; when it has
 * not, `argsz` tells how much is wanted. @param arg user address of the structure. @returns 0. @throws Errno EFAULT
 */
export function* storeRegionInfo(
  space: AddressSpace,
  arg: number,
  info: View<typeof vfio_region_info.fields>,
  capabilities: readonly InfoCapability[],
): Task<number> {
  const { size } = vfio_region_info;
  info.cap_offset = 0;
  if (capabilities.length > 0) {
    const chain = infoCapabilities(size, capabilities);
    info.flags |= VFIO_REGION_INFO_FLAG.CAPS;
    if (info.argsz < size + chain.length) {
      info.argsz = size + chain.length;
    } else {
      info.cap_offset = size;
      yield* space.copy(arg + size, chain, true);
    }
  }
  yield* space.copy(arg, vfio_region_info.bytes(info), true);
  return 0;
}
