/** The memory listener: guest RAM into and out of a type1 container (QEMU hw/vfio/listener.c). Nothing is pinned by it. */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA } from '../../../kernel/include/uapi/ioctl.ts';
import {
  VFIO_DMA_MAP_FLAG,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';

/** Where a container is reached. */
interface Target {
  readonly fd: number;
}

/** MAP_DMA of RAM: bus address = guest-physical address. @throws Errno */
export function* vfioListenerRegionAdd(machine: Machine, { fd }: Target): Task {
  const { size } = machine.memory;
  const vaddr = machine.memory.hva(0);
  machine.tracer.point(EVENT.vfio_listener_region_add_ram, 0, size - 1, vaddr);
  const map = vfio_iommu_type1_dma_map.make({
    argsz: vfio_iommu_type1_dma_map.size,
    flags: VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE,
    vaddr,
    iova: 0,
    size,
  });
  yield* machine.sys.ioctlStruct(fd, VFIO_IOMMU_MAP_DMA, map);
}

/** UNMAP_DMA of RAM. @throws Errno */
export function* vfioListenerRegionDel(machine: Machine, { fd }: Target): Task {
  const unmap = vfio_iommu_type1_dma_unmap.make({
    argsz: vfio_iommu_type1_dma_unmap.size,
    iova: 0,
    size: machine.memory.size,
  });
  yield* machine.sys.ioctlStruct(fd, VFIO_IOMMU_UNMAP_DMA, unmap);
}
