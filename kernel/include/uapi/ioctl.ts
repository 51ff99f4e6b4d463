/**
 * The ioctl table: one row per command, in header order. VFIO commands are `_IO(';', 100 + n)` (include/uapi/linux/vfio.h);
 * KVM commands encode direction and size (include/uapi/linux/kvm.h). Dispatch, the argument rules, the errnos a handler
 * may give and what `minivisor ioctls` prints come from these rows.
 */
import type { Fields, Struct } from '../../lib/struct.ts';
import type { ErrnoName } from './errno.ts';
import * as kvm from './kvm.ts';
import * as vfio from './vfio.ts';

/** A command. */
// biome-ignore lint/suspicious/noExplicitAny: the default stands for any structure
export interface Ioctl<F extends Fields = any> {
  readonly name: string;
  readonly number: number;
  /** Which descriptor takes it: container, group, device, kvm, vm, ... */
  readonly on: string;
  /** The structure its argument points to; absent when the argument is a value, or a pointer the handler reads itself. */
  readonly struct?: Struct<F>;
  /** What the argument is, in words, where it is no structure; absent when the command takes none. */
  readonly argument?: string;
  /** Which way data goes through the pointer; `value`: the argument is no pointer; `none`: there is no argument. */
  readonly direction: 'none' | 'value' | 'in' | 'in out';
  /** Bytes copied: the end of the last mandatory field. */
  readonly minsz: number;
  /** The structure begins with `argsz`, which must be at least `minsz` (EINVAL). */
  readonly argsz: boolean;
  /** Allowed bits of `flags`; others are refused (EINVAL). Absent: not checked here. */
  readonly flags?: number;
  /** The structure is copied back after the handler; a handler may also copy it, and what follows it, itself. */
  readonly out: boolean;
  /**
   * Errnos the handler may give, every driver and backend together: those of the checks before it (EFAULT for a bad
   * pointer, EINVAL for `argsz` and `flags`) are not repeated here, and any other one is a bug of the kernel.
   */
  readonly errnos: readonly ErrnoName[];
}

interface Options<F extends Fields> {
  struct?: Struct<F>;
  /** The argument is a value: what it is. */
  value?: string;
  /** The argument points to this, which the handler reads itself. */
  pointer?: string;
  minsz?: number;
  flags?: number;
  out?: boolean;
  /** The handler copies the structure back, and perhaps more behind it. */
  handlerCopiesOut?: boolean;
}

/** What {@link Ioctl} says of a command's argument. */
function argumentOf<F extends Fields>(options: Options<F>): Pick<Ioctl, 'argument' | 'direction'> {
  const { struct, value, pointer, out, handlerCopiesOut } = options;
  if (struct !== undefined) return { direction: (out ?? handlerCopiesOut) === true ? 'in out' : 'in' };
  if (pointer !== undefined) return { argument: pointer, direction: 'in' };
  return value === undefined ? { direction: 'none' } : { argument: value, direction: 'value' };
}

/** ioctl type of VFIO (`VFIO_TYPE`) and the first number (`VFIO_BASE`). */
const VFIO_TYPE = 0x3b;
const VFIO_BASE = 100;

function V<F extends Fields>(
  name: string,
  n: number,
  on: string,
  errnos: readonly ErrnoName[],
  options: Options<F> = {},
): Ioctl<F> {
  const argsz = options.struct !== undefined && 'argsz' in options.struct.fields;
  return {
    name,
    number: (VFIO_TYPE << 8) + VFIO_BASE + n,
    on,
    struct: options.struct,
    ...argumentOf(options),
    minsz: options.minsz ?? options.struct?.size ?? 0,
    argsz,
    flags: options.flags,
    out: options.out ?? false,
    errnos,
  };
}

/** Direction bits of `_IOC` (asm-generic/ioctl.h). */
const IOC = { NONE: 0, WRITE: 1, READ: 2 } as const;
/** ioctl type of KVM (`KVMIO`). */
const KVMIO = 0xae;

function K<F extends Fields>(
  name: string,
  nr: number,
  direction: number,
  on: string,
  errnos: readonly ErrnoName[],
  options: Options<F> = {},
): Ioctl<F> {
  const size = options.struct?.size ?? 0;
  const out = (direction & IOC.READ) !== 0 && options.struct !== undefined;
  return {
    name,
    number: ((direction << 30) | (size << 16) | (KVMIO << 8) | nr) >>> 0,
    on,
    struct: options.struct,
    ...argumentOf({ ...options, out }),
    minsz: options.minsz ?? options.struct?.size ?? 0,
    argsz: false,
    flags: options.flags,
    out,
    errnos,
  };
}

export const VFIO_GET_API_VERSION = V('VFIO_GET_API_VERSION', 0, 'container', []);
export const VFIO_CHECK_EXTENSION = V('VFIO_CHECK_EXTENSION', 1, 'container', [], { value: 'extension' });
export const VFIO_SET_IOMMU = V('VFIO_SET_IOMMU', 2, 'container', ['EPERM', 'EIO', 'EBUSY', 'ENODEV', 'EINVAL'], {
  value: 'IOMMU type',
});
export const VFIO_GROUP_GET_STATUS = V('VFIO_GROUP_GET_STATUS', 3, 'group', [], {
  struct: vfio.vfio_group_status,
  out: true,
});
export const VFIO_GROUP_SET_CONTAINER = V(
  'VFIO_GROUP_SET_CONTAINER',
  4,
  'group',
  ['EPERM', 'EIO', 'EBADF', 'EFAULT', 'EBUSY', 'ENODEV', 'EINVAL', 'ENOSPC', 'EBADFD'],
  { pointer: 'descriptor (4 bytes)' },
);
export const VFIO_GROUP_UNSET_CONTAINER = V('VFIO_GROUP_UNSET_CONTAINER', 5, 'group', ['EBUSY', 'EINVAL']);
export const VFIO_GROUP_GET_DEVICE_FD = V(
  'VFIO_GROUP_GET_DEVICE_FD',
  6,
  'group',
  ['EPERM', 'EFAULT', 'ENODEV', 'EINVAL', 'EMFILE'],
  { pointer: 'name (up to a NUL)' },
);
export const VFIO_DEVICE_GET_INFO = V('VFIO_DEVICE_GET_INFO', 7, 'device', [], {
  struct: vfio.vfio_device_info,
  minsz: 16,
  out: true,
});
export const VFIO_DEVICE_GET_REGION_INFO = V('VFIO_DEVICE_GET_REGION_INFO', 8, 'device', ['EFAULT', 'EINVAL'], {
  struct: vfio.vfio_region_info,
  handlerCopiesOut: true,
});
export const VFIO_DEVICE_GET_IRQ_INFO = V('VFIO_DEVICE_GET_IRQ_INFO', 9, 'device', ['EINVAL'], {
  struct: vfio.vfio_irq_info,
  out: true,
});
export const VFIO_DEVICE_SET_IRQS = V(
  'VFIO_DEVICE_SET_IRQS',
  10,
  'device',
  ['EBADF', 'EFAULT', 'EBUSY', 'ENODEV', 'EINVAL', 'ENOTTY', 'ENOSPC'],
  {
    struct: vfio.vfio_irq_set,
  },
);
export const VFIO_DEVICE_RESET = V('VFIO_DEVICE_RESET', 11, 'device', ['EINVAL']);
export const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = V(
  'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO',
  12,
  'device (vfio-pci)',
  ['EFAULT', 'ENOSPC'],
  { struct: vfio.vfio_pci_hot_reset_info, handlerCopiesOut: true },
);
export const VFIO_DEVICE_PCI_HOT_RESET = V(
  'VFIO_DEVICE_PCI_HOT_RESET',
  13,
  'device (vfio-pci)',
  ['EBADF', 'EFAULT', 'EINVAL'],
  { struct: vfio.vfio_pci_hot_reset, flags: 0 },
);
/** The blocking request of the 2016 RFC. Its number there is lost: this one is far from all that Linux has given since. */
export const VFIO_DEVICE_CCW_CMD_REQUEST = V(
  'VFIO_DEVICE_CCW_CMD_REQUEST',
  100,
  'device (vfio_ccw_rfc)',
  ['EIO', 'ENOMEM', 'EACCES', 'EFAULT', 'EBUSY', 'ENODEV', 'EINVAL', 'EOPNOTSUPP'],
  { struct: vfio.vfio_ccw_cmd, handlerCopiesOut: true },
);
export const VFIO_IOMMU_GET_INFO = V('VFIO_IOMMU_GET_INFO', 12, 'type1', ['EFAULT'], {
  struct: vfio.vfio_iommu_type1_info,
  minsz: 16,
  handlerCopiesOut: true,
});
export const VFIO_IOMMU_MAP_DMA = V(
  'VFIO_IOMMU_MAP_DMA',
  13,
  'type1, spapr, pamu',
  ['EPERM', 'ENOENT', 'ENXIO', 'ENOMEM', 'EFAULT', 'EBUSY', 'EEXIST', 'ENODEV', 'EINVAL', 'ENOSPC'],
  {
    struct: vfio.vfio_iommu_type1_dma_map,
  },
);
export const VFIO_IOMMU_UNMAP_DMA = V(
  'VFIO_IOMMU_UNMAP_DMA',
  14,
  'type1, spapr, pamu',
  ['EPERM', 'ENXIO', 'ENOMEM', 'EFAULT', 'EBUSY', 'ENODEV', 'EINVAL'],
  {
    struct: vfio.vfio_iommu_type1_dma_unmap,
    out: true,
  },
);
export const VFIO_IOMMU_DIRTY_PAGES = V('VFIO_IOMMU_DIRTY_PAGES', 17, 'type1', ['EACCES', 'EFAULT', 'EINVAL'], {
  struct: vfio.vfio_iommu_type1_dirty_bitmap,
});
export const VFIO_IOMMU_ENABLE = V('VFIO_IOMMU_ENABLE', 15, 'spapr v1', ['ENOMEM', 'EBUSY', 'ENODEV']);
export const VFIO_IOMMU_DISABLE = V('VFIO_IOMMU_DISABLE', 16, 'spapr v1', []);
export const VFIO_IOMMU_SPAPR_TCE_GET_INFO = V('VFIO_IOMMU_SPAPR_TCE_GET_INFO', 12, 'spapr', ['ENXIO', 'EFAULT'], {
  struct: vfio.vfio_iommu_spapr_tce_info,
  minsz: 16,
  handlerCopiesOut: true,
});
export const VFIO_IOMMU_SPAPR_REGISTER_MEMORY = V(
  'VFIO_IOMMU_SPAPR_REGISTER_MEMORY',
  17,
  'spapr v2',
  ['ENOMEM', 'EFAULT', 'EBUSY', 'EINVAL'],
  {
    struct: vfio.vfio_iommu_spapr_register_memory,
    flags: 0,
  },
);
export const VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY = V(
  'VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY',
  18,
  'spapr v2',
  ['ENOENT', 'EBUSY', 'EINVAL'],
  {
    struct: vfio.vfio_iommu_spapr_register_memory,
    flags: 0,
  },
);
export const VFIO_IOMMU_SPAPR_TCE_CREATE = V(
  'VFIO_IOMMU_SPAPR_TCE_CREATE',
  19,
  'spapr v2',
  ['ENXIO', 'ENOMEM', 'EINVAL', 'ENOSPC'],
  {
    struct: vfio.vfio_iommu_spapr_tce_create,
    flags: 0,
    out: true,
  },
);
export const VFIO_EEH_PE_OP = V('VFIO_EEH_PE_OP', 21, 'spapr', ['EFAULT', 'EINVAL'], {
  struct: vfio.vfio_eeh_pe_op,
  minsz: 12,
  flags: 0,
});
export const VFIO_IOMMU_SPAPR_TCE_REMOVE = V('VFIO_IOMMU_SPAPR_TCE_REMOVE', 20, 'spapr v2', ['EINVAL'], {
  struct: vfio.vfio_iommu_spapr_tce_remove,
  flags: 0,
});
export const VFIO_IOMMU_PAMU_GET_ATTR = V('VFIO_IOMMU_PAMU_GET_ATTR', 15, 'pamu', ['EINVAL'], {
  struct: vfio.vfio_pamu_attr,
  flags: 0,
  out: true,
});
export const VFIO_IOMMU_PAMU_SET_ATTR = V(
  'VFIO_IOMMU_PAMU_SET_ATTR',
  16,
  'pamu',
  ['EBUSY', 'ENODEV', 'EINVAL', 'ENOSPC'],
  {
    struct: vfio.vfio_pamu_attr,
    flags: 0,
  },
);
/** The count is what it returns. */
export const VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT = V('VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT', 17, 'pamu', []);
export const VFIO_IOMMU_PAMU_MAP_MSI_BANK = V(
  'VFIO_IOMMU_PAMU_MAP_MSI_BANK',
  18,
  'pamu',
  ['EPERM', 'EBUSY', 'EEXIST', 'ENODEV', 'EINVAL'],
  {
    struct: vfio.vfio_pamu_msi_bank_map,
    flags: 0,
  },
);
export const VFIO_IOMMU_PAMU_UNMAP_MSI_BANK = V('VFIO_IOMMU_PAMU_UNMAP_MSI_BANK', 19, 'pamu', ['EBUSY', 'EINVAL'], {
  struct: vfio.vfio_pamu_msi_bank_unmap,
  flags: 0,
});
export const VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO = V('VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO', 20, 'pamu', ['ENODEV'], {
  struct: vfio.vfio_pamu_msi_bank_info,
  flags: 0,
  out: true,
});

export const KVM_GET_API_VERSION = K('KVM_GET_API_VERSION', 0x00, IOC.NONE, 'kvm', ['EINVAL']);
export const KVM_CREATE_VM = K('KVM_CREATE_VM', 0x01, IOC.NONE, 'kvm', ['EBUSY', 'EINVAL', 'EMFILE'], {
  value: 'machine type',
});
export const KVM_CHECK_EXTENSION = K('KVM_CHECK_EXTENSION', 0x03, IOC.NONE, 'kvm, vm', [], { value: 'extension' });
export const KVM_CREATE_VCPU = K('KVM_CREATE_VCPU', 0x41, IOC.NONE, 'vm', ['EEXIST', 'EINVAL', 'EMFILE'], {
  value: 'CPU address',
});
export const KVM_SET_USER_MEMORY_REGION = K('KVM_SET_USER_MEMORY_REGION', 0x46, IOC.WRITE, 'vm', ['EEXIST', 'EINVAL'], {
  struct: kvm.kvm_userspace_memory_region,
});
export const KVM_S390_INTERRUPT = K('KVM_S390_INTERRUPT', 0x94, IOC.WRITE, 'vm, vcpu', ['EBUSY', 'EINVAL'], {
  struct: kvm.kvm_s390_interrupt,
});
export const KVM_ENABLE_CAP = K('KVM_ENABLE_CAP', 0xa3, IOC.WRITE, 'vm', ['EINVAL'], { struct: kvm.kvm_enable_cap });
export const KVM_CREATE_SPAPR_TCE = K(
  'KVM_CREATE_SPAPR_TCE',
  0xa8,
  IOC.WRITE,
  'vm',
  ['ENOMEM', 'EBUSY', 'EINVAL', 'EMFILE'],
  {
    struct: kvm.kvm_create_spapr_tce,
  },
);
export const KVM_CREATE_SPAPR_TCE_64 = K(
  'KVM_CREATE_SPAPR_TCE_64',
  0xa8,
  IOC.WRITE,
  'vm',
  ['ENOMEM', 'EBUSY', 'EINVAL', 'EMFILE'],
  {
    struct: kvm.kvm_create_spapr_tce_64,
  },
);
/** The counter-proposal of 2016: binds a LIOBN to a container, and takes that back. Never merged: the numbers are ours. */
export const KVM_SPAPR_TCE_BIND_VFIO = K(
  'KVM_SPAPR_TCE_BIND_VFIO',
  0xfa,
  IOC.WRITE,
  'vm',
  ['EIO', 'EBADF', 'ENOMEM', 'EEXIST', 'ENODEV', 'EINVAL'],
  {
    struct: kvm.kvm_spapr_tce_bind_vfio,
  },
);
export const KVM_SPAPR_TCE_UNBIND_VFIO = K(
  'KVM_SPAPR_TCE_UNBIND_VFIO',
  0xfb,
  IOC.WRITE,
  'vm',
  ['ENOENT', 'EBADF', 'ENODEV', 'EINVAL'],
  {
    struct: kvm.kvm_spapr_tce_bind_vfio,
  },
);
export const KVM_S390_MEM_OP = K('KVM_S390_MEM_OP', 0xb1, IOC.WRITE, 'vm, vcpu', ['E2BIG', 'EFAULT', 'EINVAL'], {
  struct: kvm.kvm_s390_mem_op,
});
export const KVM_CREATE_DEVICE = K(
  'KVM_CREATE_DEVICE',
  0xe0,
  IOC.READ | IOC.WRITE,
  'vm',
  ['EBUSY', 'ENODEV', 'EINVAL', 'EMFILE'],
  {
    struct: kvm.kvm_create_device,
  },
);
export const KVM_SET_DEVICE_ATTR = K(
  'KVM_SET_DEVICE_ATTR',
  0xe1,
  IOC.WRITE,
  'kvm-vfio, flic',
  ['ENOENT', 'EIO', 'ENXIO', 'EBADF', 'ENOMEM', 'EFAULT', 'EBUSY', 'EEXIST', 'ENODEV', 'EINVAL'],
  {
    struct: kvm.kvm_device_attr,
  },
);
export const KVM_GET_DEVICE_ATTR = K(
  'KVM_GET_DEVICE_ATTR',
  0xe2,
  IOC.WRITE,
  'kvm-vfio, flic',
  ['EPERM', 'ENOMEM', 'EFAULT', 'EINVAL'],
  {
    struct: kvm.kvm_device_attr,
  },
);
export const KVM_HAS_DEVICE_ATTR = K('KVM_HAS_DEVICE_ATTR', 0xe3, IOC.WRITE, 'kvm-vfio, flic', ['ENXIO'], {
  struct: kvm.kvm_device_attr,
});
