/**
 * A VFIO container behind PAMUs, as a VMM has to use it: banks counted first, then a geometry with a window for each of
 * them, RAM, and the banks (vfio-pamu facts 3.1, 3.3). A bank that the kernel refuses leaves devices without messages, and
 * is told; everything else that is refused ends the set-up.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import {
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_PAMU_GET_ATTR,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT,
  VFIO_IOMMU_PAMU_MAP_MSI_BANK,
  VFIO_IOMMU_PAMU_SET_ATTR,
  VFIO_IOMMU_PAMU_UNMAP_MSI_BANK,
  VFIO_IOMMU_UNMAP_DMA,
} from '../../../kernel/include/uapi/ioctl.ts';
import {
  VFIO_DMA_MAP_FLAG,
  VFIO_FSL_PAMU_IOMMU,
  VFIO_PAMU_ATTR,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
  vfio_pamu_attr,
  vfio_pamu_attr_enable,
  vfio_pamu_attr_geometry,
  vfio_pamu_attr_windows,
  vfio_pamu_msi_bank_map,
  vfio_pamu_msi_bank_unmap,
} from '../../../kernel/include/uapi/vfio.ts';
import type { Fields, Struct, View } from '../../../kernel/lib/struct.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { type ContainerListener, VFIOContainer } from './container.ts';
import { type PamuPlan, planPamu } from './pamu_plan.ts';

/** Reads one attribute. @throws Errno */
function* getAttr<F extends Fields>({ sys }: Machine, fd: number, attribute: number, layout: Struct<F>): Task<View<F>> {
  const attr = vfio_pamu_attr.make({ argsz: vfio_pamu_attr.size, attribute });
  yield* sys.ioctlStruct(fd, VFIO_IOMMU_PAMU_GET_ATTR, attr);
  const value = layout.make();
  layout.bytes(value).set(attr.u.subarray(0, layout.size));
  return value;
}
/** Sets one. @throws Errno */
function* setAttr(machine: Machine, fd: number, attribute: number, bytes: Uint8Array): Task {
  const attr = vfio_pamu_attr.make({ argsz: vfio_pamu_attr.size, attribute });
  attr.u.set(bytes);
  yield* machine.sys.ioctlStruct(fd, VFIO_IOMMU_PAMU_SET_ATTR, attr);
}

/** What the container can do, and the plan that follows. @throws Errno; PlanImpossible */
function* plan(machine: Machine, fd: number, granule: number): Task<PamuPlan> {
  const msiBanks = yield* machine.sys.ioctl(fd, VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT);
  const { count } = yield* getAttr(machine, fd, VFIO_PAMU_ATTR.WINDOWS, vfio_pamu_attr_windows);
  const { aperture_end } = yield* getAttr(machine, fd, VFIO_PAMU_ATTR.GEOMETRY, vfio_pamu_attr_geometry);
  return planPamu({
    ram: [{ iova: 0, size: machine.memory.size }],
    granule,
    msiBanks,
    maxWindows: count,
    addressEnd: aperture_end + 1,
  });
}

/** Puts a plan into force. @param banks MSI banks that it takes at most. @throws Errno */
function* carryOut(machine: Machine, fd: number, made: PamuPlan, banks: number): Task {
  const { sys, memory } = machine;
  const { apertureStart: aperture_start, apertureEnd: aperture_end, windows, windowSize, maps, msi } = made;
  const { GEOMETRY, WINDOWS } = VFIO_PAMU_ATTR;
  const geometry = vfio_pamu_attr_geometry.make({ aperture_start, aperture_end });
  yield* setAttr(machine, fd, GEOMETRY, vfio_pamu_attr_geometry.bytes(geometry));
  yield* setAttr(machine, fd, WINDOWS, vfio_pamu_attr_windows.bytes(vfio_pamu_attr_windows.make({ count: windows })));
  machine.tracer.point(EVENT.vfio_pamu_plan, aperture_start, aperture_end, windows, windowSize);
  const flags = VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE;
  const argsz = vfio_iommu_type1_dma_map.size;
  for (const { iova, size } of maps) {
    const vaddr = memory.hva(iova);
    machine.tracer.point(EVENT.vfio_listener_region_add_ram, iova, iova + size - 1, vaddr);
    const map = vfio_iommu_type1_dma_map.make({ argsz, flags, vaddr, iova, size });
    yield* sys.ioctlStruct(fd, VFIO_IOMMU_MAP_DMA, map);
  }
  let taken = 0;
  for (const [bank, iova] of msi.entries()) if (taken < banks && (yield* mapBank(machine, fd, bank, iova))) taken++;
}

/** @returns whether it is mapped. @throws Errno but EPERM and EBUSY: banks that are not safe, or not to be had */
function* mapBank(machine: Machine, fd: number, bank: number, iova: number): Task<boolean> {
  const argsz = vfio_pamu_msi_bank_map.size;
  try {
    const map = vfio_pamu_msi_bank_map.make({ argsz, msi_bank_index: bank, iova });
    yield* machine.sys.ioctlStruct(fd, VFIO_IOMMU_PAMU_MAP_MSI_BANK, map);
    return true;
  } catch (error) {
    if (!(error instanceof Errno) || (error.code !== 'EPERM' && error.code !== 'EBUSY')) throw error;
    const why =
      error.code === 'EPERM'
        ? 'its page has doorbells of other banks (vfio_iommu_fsl_pamu.allow_unsafe_msi=1 allows it all the same)'
        : 'somebody else has it';
    machine.log(`vfio: MSI bank ${bank} is not mapped: ${why}`);
    return false;
  }
}

/** Everything out again; what was not mapped is no mistake. */
function* undo({ sys }: Machine, fd: number, made: PamuPlan): Task {
  for (const iova of made.msi) {
    const unmap = vfio_pamu_msi_bank_unmap.make({ argsz: vfio_pamu_msi_bank_unmap.size, iova });
    try {
      yield* sys.ioctlStruct(fd, VFIO_IOMMU_PAMU_UNMAP_MSI_BANK, unmap);
    } catch (error) {
      if (!(error instanceof Errno) || error.code !== 'EINVAL') throw error;
    }
  }
  const unmap = vfio_iommu_type1_dma_unmap.make({
    argsz: vfio_iommu_type1_dma_unmap.size,
    iova: made.apertureStart,
    size: made.apertureEnd + 1 - made.apertureStart,
  });
  yield* sys.ioctlStruct(fd, VFIO_IOMMU_UNMAP_DMA, unmap);
}

/**
 * A container for devices behind PAMUs. @param granule bytes of the pieces of host memory that RAM is made of: the size of
 * its huge pages. @param banks MSI banks that it takes at most, of which each is one container's: all there are, unless other
 * machines of the host want some. @throws Errno; Error. When its first group joins also PlanImpossible
 */
export function openPamuContainer(
  machine: Machine,
  granule: number,
  banks = Number.POSITIVE_INFINITY,
): Task<VFIOContainer> {
  let made: PamuPlan | undefined;
  const listener: ContainerListener = {
    *add(_, { fd }) {
      made = yield* plan(machine, fd, granule);
      yield* carryOut(machine, fd, made, banks);
    },
    *remove(_, { fd }) {
      if (made !== undefined) yield* undo(machine, fd, made);
    },
    // The attribute is the container's: every LIODN in it that a violation has stopped goes on.
    *restart(_, { fd }) {
      const enable = vfio_pamu_attr_enable.bytes(vfio_pamu_attr_enable.make({ enable: 1 }));
      yield* setAttr(machine, fd, VFIO_PAMU_ATTR.ENABLE, enable);
    },
  };
  return VFIOContainer.open(machine, VFIO_FSL_PAMU_IOMMU, listener);
}
