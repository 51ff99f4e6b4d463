/**
 * VFIO under sPAPR TCE, version 2 (QEMU hw/vfio/spapr.c; vfio-tce facts 7.3): RAM is preregistered, the window belongs to
 * the VMM, KVM is told which table drives it, and what KVM cannot do is mapped entry by entry from here.
 */

import type { GuestMemory, Machine } from '../../../hypervisor/machine_api.ts';
import { TCE_PERMISSION_MASK } from '../../../kernel/include/arch/ppc/tce.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import {
  KVM_CHECK_EXTENSION,
  KVM_SPAPR_TCE_BIND_VFIO,
  KVM_SPAPR_TCE_UNBIND_VFIO,
  VFIO_IOMMU_DISABLE,
  VFIO_IOMMU_ENABLE,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
  VFIO_IOMMU_SPAPR_TCE_CREATE,
  VFIO_IOMMU_SPAPR_TCE_GET_INFO,
  VFIO_IOMMU_SPAPR_TCE_REMOVE,
  VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
  VFIO_IOMMU_UNMAP_DMA,
} from '../../../kernel/include/uapi/ioctl.ts';
import {
  KVM_CAP,
  KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
  KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN,
  kvm_spapr_tce_bind_vfio,
  kvm_vfio_spapr_tce,
  kvm_vfio_spapr_tce_liobn,
} from '../../../kernel/include/uapi/kvm.ts';
import {
  VFIO_SPAPR_TCE_IOMMU,
  VFIO_SPAPR_TCE_v2_IOMMU,
  vfio_iommu_spapr_register_memory,
  vfio_iommu_spapr_tce_create,
  vfio_iommu_spapr_tce_info,
  vfio_iommu_spapr_tce_remove,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import type { IommuNotifier, SpaprTceGeometry, SpaprTceTable } from '../ppc/spapr_iommu.ts';
import { type ContainerListener, VFIOContainer } from './container.ts';
import { setKvmVfioAttribute, type VFIOGroup } from './group.ts';

/** What a LIOBN is bound to: the group, as merged; the group, as in the RFC of 2016; or the container, as its review had it. */
export type TceBind = 'group' | 'group-liobn' | 'container';

/** REGISTER or UNREGISTER of all RAM. */
function ram(memory: GuestMemory) {
  return vfio_iommu_spapr_register_memory.make({
    argsz: vfio_iommu_spapr_register_memory.size,
    flags: 0,
    vaddr: memory.hva(0),
    size: memory.size,
  });
}

/** The preregistration listener: pins and charges RAM once, then takes the default window away. */
const PREREG_LISTENER: ContainerListener = {
  *add({ sys, memory }, { fd }) {
    yield* sys.ioctlStruct(fd, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, ram(memory));
    const info = vfio_iommu_spapr_tce_info.make({ argsz: vfio_iommu_spapr_tce_info.size });
    yield* sys.ioctlStruct(fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, info);
    yield* removeWindow({ sys }, fd, info.dma32_window_start);
  },
  *remove(machine, { fd }) {
    const { sys, memory } = machine;
    try {
      yield* sys.ioctlStruct(fd, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, ram(memory));
    } catch (error) {
      // Live entries still hold it: it goes with the container.
      if (!(error instanceof Errno) || error.code !== 'EBUSY') throw error;
      machine.log(`vfio: RAM stays registered until the container is closed: ${error.message}`);
    }
  },
};

function* removeWindow({ sys }: Pick<Machine, 'sys'>, fd: number, start: number): Task {
  const remove = vfio_iommu_spapr_tce_remove.make({
    argsz: vfio_iommu_spapr_tce_remove.size,
    flags: 0,
    start_addr: start,
  });
  yield* sys.ioctlStruct(fd, VFIO_IOMMU_SPAPR_TCE_REMOVE, remove);
}

/** Version 1: the default window is charged as a whole, and pages are pinned one by one when they are mapped. */
const ENABLE_LISTENER: ContainerListener = {
  *add({ sys }, { fd }) {
    yield* sys.ioctl(fd, VFIO_IOMMU_ENABLE);
  },
  *remove({ sys }, { fd }) {
    yield* sys.ioctl(fd, VFIO_IOMMU_DISABLE);
  },
};

/**
 * A container for sPAPR devices: version 2 with all RAM registered beforehand, or version 1, where every page is pinned
 * when it is mapped. @throws Errno; Error
 */
export function openSpaprContainer(machine: Machine, preregister = true): Task<VFIOContainer> {
  return preregister
    ? VFIOContainer.open(machine, VFIO_SPAPR_TCE_v2_IOMMU, PREREG_LISTENER)
    : VFIOContainer.open(machine, VFIO_SPAPR_TCE_IOMMU, ENABLE_LISTENER);
}

/** log2 of the host's page, which backs RAM and of which tables are made. */
const HOST_PAGE_SHIFT = 12;
/** log2 of the entries that a level is first tried with (QEMU: 8 bits above a page). */
const LEVEL_BITS = HOST_PAGE_SHIFT + 8;

/**
 * Creates the window that `geometry` describes. Its pages are the guest's, but no larger than those that back RAM; its
 * table has as few levels as will do, and more when that fails (vfio_spapr_create_window).
 * @throws Errno; Error when the platform put the window elsewhere
 */
export function* createWindow(machine: Machine, container: VFIOContainer, geometry: SpaprTceGeometry): Task {
  const { nbTable, busOffset } = geometry;
  const pageShift = Math.min(geometry.pageShift, HOST_PAGE_SHIFT);
  const windowSize = nbTable * 2 ** geometry.pageShift;
  const most = Math.floor((64 - pageShift) / HOST_PAGE_SHIFT);
  const create = vfio_iommu_spapr_tce_create.make({
    argsz: vfio_iommu_spapr_tce_create.size,
    flags: 0,
    page_shift: pageShift,
    window_size: windowSize,
    levels: Math.max(1, Math.ceil((Math.log2(windowSize) - pageShift) / LEVEL_BITS)),
  });
  for (;;) {
    try {
      yield* machine.sys.ioctlStruct(container.fd, VFIO_IOMMU_SPAPR_TCE_CREATE, create);
      break;
    } catch (error) {
      if (!(error instanceof Errno) || create.levels >= most) throw error;
      create.levels++;
    }
  }
  machine.tracer.point(EVENT.vfio_spapr_create_window, pageShift, create.levels, windowSize, create.start_addr);
  if (create.start_addr === busOffset) return;
  yield* removeWindow(machine, container.fd, create.start_addr);
  throw new Error(
    `vfio: the host put the DMA window at 0x${create.start_addr.toString(16)}, the guest needs it at 0x${busOffset.toString(16)}`,
  );
}

/**
 * Maps and unmaps single entries through the container (QEMU's vfio_iommu_map_notify). The arguments are made once:
 * hypercalls are handled one at a time. Errors are the user's to see; the guest gets none (vfio-tce facts 7.2).
 */
function containerNotifier(machine: Machine, fd: number, pageShift: number): IommuNotifier {
  const { sys, memory } = machine;
  const size = 2 ** pageShift;
  const pageMask = ~BigInt(size - 1);
  const mapArgs = vfio_iommu_type1_dma_map.make({ argsz: vfio_iommu_type1_dma_map.size, size });
  const unmapArgs = vfio_iommu_type1_dma_unmap.make({ argsz: vfio_iommu_type1_dma_unmap.size, size });
  const complain = (what: string, iova: number, why: string) =>
    machine.log(`vfio: ${what} 0x${iova.toString(16)} ${why}`);

  function* unmap(iova: number): Task {
    unmapArgs.iova = iova;
    unmapArgs.size = size;
    try {
      yield* sys.ioctlStruct(fd, VFIO_IOMMU_UNMAP_DMA, unmapArgs);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      complain('VFIO_UNMAP_DMA', iova, `failed: ${error.message}`);
    }
  }
  /** @returns the error */
  function* map(iova: number, permission: number, gpa: number): Task<Errno | undefined> {
    mapArgs.iova = iova;
    mapArgs.flags = permission;
    mapArgs.vaddr = memory.hva(gpa);
    try {
      yield* sys.ioctlStruct(fd, VFIO_IOMMU_MAP_DMA, mapArgs);
      return undefined;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      complain('VFIO_MAP_DMA', iova, `to 0x${gpa.toString(16)}: ${error.message}`);
      return error;
    }
  }
  return {
    unmap,
    *map(iova, tce) {
      const permission = low32(tce) & TCE_PERMISSION_MASK;
      const gpa = Number(tce & pageMask);
      // What stood there before must not stay reachable for the device when the new page cannot be mapped.
      if (gpa + size > memory.size) {
        complain('VFIO_MAP_DMA', iova, `to 0x${gpa.toString(16)}: not in the guest's memory`);
        return yield* unmap(iova);
      }
      let error = yield* map(iova, permission, gpa);
      if (error?.code === 'EBUSY') {
        yield* unmap(iova);
        error = yield* map(iova, permission, gpa);
      }
      if (error !== undefined) yield* unmap(iova);
    },
  };
}

/** What {@link attachTable} made; give it to {@link detachTable}. */
export interface AttachedTable {
  readonly table: SpaprTceTable;
  readonly container: VFIOContainer;
  readonly notifier: IommuNotifier;
  readonly bind: TceBind;
}

/** What a binding joins: KVM's table, and the container with its groups. */
interface Binding {
  readonly table: SpaprTceTable;
  readonly container: VFIOContainer;
  readonly groups: readonly VFIOGroup[];
}

/** The three sides of the argument, what a LIOBN is bound to: each tells KVM which hardware table it drives. @throws Errno; Error */
const BIND: Readonly<Record<TceBind, (machine: Machine, binding: Binding) => Task>> = {
  // As merged: a group and the descriptor of the table. It ends when the group leaves.
  *group(machine, { table, groups }) {
    for (const group of groups) {
      const link = kvm_vfio_spapr_tce.make({ groupfd: group.fd, tablefd: table.fd });
      yield* setKvmVfioAttribute(machine, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, kvm_vfio_spapr_tce.bytes(link));
    }
  },
  // As in the RFC: a group, the LIOBN, and where the group's window starts.
  *'group-liobn'(machine, { table, groups }) {
    const argsz = kvm_vfio_spapr_tce_liobn.size;
    for (const group of groups) {
      const start_addr = BigInt(table.busOffset);
      const link = kvm_vfio_spapr_tce_liobn.make({ argsz, fd: group.fd, liobn: table.liobn, start_addr });
      const bytes = kvm_vfio_spapr_tce_liobn.bytes(link);
      yield* setKvmVfioAttribute(machine, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN, bytes);
    }
  },
  // As its review had it: the container, once, whatever groups it has. It lasts until it is taken back.
  *container(machine, { table, container }) {
    const { sys, vmFd } = machine;
    if ((yield* sys.ioctl(vmFd, KVM_CHECK_EXTENSION, KVM_CAP.SPAPR_TCE_BIND_VFIO)) === 0)
      throw new Error('kvm: a LIOBN cannot be bound to a container here: use --tce-bind group');
    const { fd } = container;
    yield* sys.ioctlStruct(
      vmFd,
      KVM_SPAPR_TCE_BIND_VFIO,
      kvm_spapr_tce_bind_vfio.make({ liobn: table.liobn, fd, flags: 0 }),
    );
  },
};

/**
 * A group has joined the container after the table was attached. Its windows are the container's; KVM is told of it where
 * groups are what it is told of. @throws Errno; Error
 */
export function* bindGroup(machine: Machine, { table, container, bind }: AttachedTable, group: VFIOGroup): Task {
  if (bind === 'container' || machine.kvmVfioFd < 0 || table.fd < 0) return;
  yield* BIND[bind](machine, { table, container, groups: [group] });
}

/**
 * Puts a LIOBN's table in front of the devices of `groups`: window, KVM's link from table to hardware, notifier. When it
 * fails the window is gone again.
 * @param empty the table is new: there are no entries to be told of. @throws Errno; Error
 */
export function* attachTable(
  machine: Machine,
  container: VFIOContainer,
  groups: readonly VFIOGroup[],
  table: SpaprTceTable,
  bind: TceBind = 'group',
  empty = false,
): Task<AttachedTable> {
  const notifier = containerNotifier(machine, container.fd, table.pageShift);
  const dynamic = container.iommuType === VFIO_SPAPR_TCE_v2_IOMMU;
  if (dynamic) yield* createWindow(machine, container, table);
  // Version 1 has one window, the default one: the first change to it makes it.
  else yield* notifier.unmap(table.busOffset);
  try {
    if (machine.kvmVfioFd >= 0 && table.fd >= 0) yield* BIND[bind](machine, { table, container, groups });
    yield* table.addNotifier(notifier, empty);
  } catch (error) {
    table.removeNotifier(notifier);
    if (dynamic) yield* removeWindow(machine, container.fd, table.busOffset);
    throw error;
  }
  return { table, container, notifier, bind };
}

/** Takes the window away: its entries are gone with it. */
export function* detachTable(machine: Machine, { table, container, notifier, bind }: AttachedTable): Task {
  table.removeNotifier(notifier);
  if (bind === 'container' && table.fd >= 0) {
    const { fd } = container;
    const unbind = kvm_spapr_tce_bind_vfio.make({ liobn: table.liobn, fd, flags: 0 });
    yield* machine.sys.ioctlStruct(machine.vmFd, KVM_SPAPR_TCE_UNBIND_VFIO, unbind);
  }
  if (container.iommuType === VFIO_SPAPR_TCE_v2_IOMMU) yield* removeWindow(machine, container.fd, table.busOffset);
}
