/** VFIO structures and constants (include/uapi/linux/vfio.h, vfio_ccw.h); host byte order, little-endian here. */
import { bytes, nested, s32, struct, u8, u16, u32, u64, u64n } from '../../lib/struct.ts';

/** VFIO_GET_API_VERSION's answer. */
export const VFIO_API_VERSION = 0;
/** IOMMU types and extensions of VFIO_CHECK_EXTENSION and VFIO_SET_IOMMU. */
export const VFIO_TYPE1_IOMMU = 1;
export const VFIO_SPAPR_TCE_IOMMU = 2;
export const VFIO_TYPE1v2_IOMMU = 3;
export const VFIO_DMA_CC_IOMMU = 4;
export const VFIO_EEH = 5;
export const VFIO_SPAPR_TCE_v2_IOMMU = 7;
export const VFIO_NOIOMMU_IOMMU = 8;
export const VFIO_UNMAP_ALL = 9;

export const VFIO_GROUP_FLAGS_VIABLE = 1;
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 2;
export const vfio_group_status = struct('vfio_group_status', 'le', { argsz: u32, flags: u32 }, { size: 8 });

/** vfio_device_info.flags. */
export const VFIO_DEVICE_FLAGS = {
  RESET: 1,
  PCI: 2,
  PLATFORM: 4,
  AMBA: 8,
  CCW: 16,
  AP: 32,
  FSL_MC: 64,
  CAPS: 128,
} as const;
export const vfio_device_info = struct(
  'vfio_device_info',
  'le',
  { argsz: u32, flags: u32, num_regions: u32, num_irqs: u32, cap_offset: u32, pad: u32 },
  { size: 24 },
);

/** vfio_region_info.flags. */
export const VFIO_REGION_INFO_FLAG = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
export const vfio_region_info = struct(
  'vfio_region_info',
  'le',
  { argsz: u32, flags: u32, index: u32, cap_offset: u32, size: u64n, offset: u64n },
  { size: 32 },
);
export const vfio_info_cap_header = struct(
  'vfio_info_cap_header',
  'le',
  { id: u16, version: u16, next: u32 },
  { size: 8 },
);
/** Capability ids of region information. */
export const VFIO_REGION_INFO_CAP_SPARSE_MMAP = 1;
export const VFIO_REGION_INFO_CAP_TYPE = 2;
export const vfio_region_info_cap_type = struct(
  'vfio_region_info_cap_type',
  'le',
  { id: u16, version: u16, next: u32, type: u32, subtype: u32 },
  { size: 16 },
);

/** Only these parts of a region can be mapped: {@link vfio_region_sparse_mmap_area}s follow. */
export const vfio_region_info_cap_sparse_mmap = struct(
  'vfio_region_info_cap_sparse_mmap',
  'le',
  { id: u16, version: u16, next: u32, nr_areas: u32, reserved: u32 },
  { size: 16 },
);
export const vfio_region_sparse_mmap_area = struct(
  'vfio_region_sparse_mmap_area',
  'le',
  { offset: u64n, size: u64n },
  { size: 16 },
);
/** The MSI-X table may be mapped with the BAR it is in; the capability is its header alone. */
export const VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3;

/** vfio_irq_info.flags. */
export const VFIO_IRQ_INFO = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;
export const vfio_irq_info = struct(
  'vfio_irq_info',
  'le',
  { argsz: u32, flags: u32, index: u32, count: u32 },
  { size: 16 },
);
/** vfio_irq_set.flags. */
export const VFIO_IRQ_SET = {
  DATA_NONE: 1,
  DATA_BOOL: 2,
  DATA_EVENTFD: 4,
  ACTION_MASK: 8,
  ACTION_UNMASK: 16,
  ACTION_TRIGGER: 32,
} as const;
export const vfio_irq_set = struct(
  'vfio_irq_set',
  'le',
  { argsz: u32, flags: u32, index: u32, start: u32, count: u32 },
  { size: 20 },
);

/** vfio_pci_hot_reset_info: `count` {@link vfio_pci_dependent_device}s follow. */
export const vfio_pci_hot_reset_info = struct(
  'vfio_pci_hot_reset_info',
  'le',
  { argsz: u32, flags: u32, count: u32 },
  { size: 12 },
);
export const vfio_pci_dependent_device = struct(
  'vfio_pci_dependent_device',
  'le',
  { group_id: u32, segment: u16, bus: u8, devfn: u8 },
  { size: 8 },
);
/** vfio_pci_hot_reset: `count` descriptors of groups follow, 32 bits each. */
export const vfio_pci_hot_reset = struct(
  'vfio_pci_hot_reset',
  'le',
  { argsz: u32, flags: u32, count: u32 },
  { size: 12 },
);

/** Interrupt indexes of a PCI device. */
export const VFIO_PCI_IRQ = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const;

/** vfio-pci regions and interrupts. */
export const VFIO_PCI = {
  BAR0_REGION_INDEX: 0,
  ROM_REGION_INDEX: 6,
  CONFIG_REGION_INDEX: 7,
  VGA_REGION_INDEX: 8,
  NUM_REGIONS: 9,
  NUM_IRQS: 5,
} as const;
/** A vfio-pci region's file offset is its index shifted left by this (drivers/vfio/pci). */
export const VFIO_PCI_OFFSET_SHIFT = 40;

/** vfio-ccw regions and interrupts. */
export const VFIO_CCW_CONFIG_REGION_INDEX = 0;
export const VFIO_CCW_IRQ = { IO: 0, CRW: 1, REQ: 2, NUM: 3 } as const;
/** A vfio-ccw region's file offset is its index shifted left by this (drivers/s390/cio/vfio_ccw_private.h). */
export const VFIO_CCW_OFFSET_SHIFT = 10;
/** Type of the vfio-ccw optional regions, and their subtypes. */
export const VFIO_REGION_TYPE_CCW = 2;
export const VFIO_REGION_SUBTYPE_CCW = { ASYNC_CMD: 1, SCHIB: 2, CRW: 3 } as const;
/** I/O region: ORB, SCSW and IRB are the guest's big-endian bytes, ret_code is the host's. */
export const ccw_io_region = struct(
  'ccw_io_region',
  'le',
  { orb_area: bytes(12), scsw_area: bytes(12), irb_area: bytes(96), ret_code: u32 },
  { size: 124, offsets: { scsw_area: 12, irb_area: 24, ret_code: 120 } },
);
/** Commands of the asynchronous region. */
export const VFIO_CCW_ASYNC_CMD = { HSCH: 1, CSCH: 2 } as const;
export const ccw_cmd_region = struct('ccw_cmd_region', 'le', { command: u32, ret_code: u32 }, { size: 8 });
export const ccw_schib_region = struct('ccw_schib_region', 'le', { schib_area: bytes(52) }, { size: 52 });
export const ccw_crw_region = struct('ccw_crw_region', 'le', { crw: bytes(4), pad: u32 }, { size: 8 });

/**
 * Argument of the blocking request of the vfio-ccw RFC of 2016 (struct vfio_ccw_cmd). ORB, SCSW and IRB are the guest's
 * big-endian bytes. `ccwchain_buf` is the user address of the {@link VFIO_CCW_CHAIN buffer} with the program,
 * `ccwchain_nr` how many CCWs it has. The RFC's field names; their order is ours, for its header is lost.
 */
export const vfio_ccw_cmd = struct(
  'vfio_ccw_cmd',
  'le',
  {
    argsz: u32,
    ccwchain_nr: u32,
    orb_area: bytes(12),
    scsw_area: bytes(12),
    irb_area: bytes(96),
    ccwchain_buf: u64n,
  },
  { size: 136, offsets: { orb_area: 8, scsw_area: 20, irb_area: 32, ccwchain_buf: 128 } },
);
/**
 * The user-space channel program of the RFC (drivers/vfio/ccw/ccwchain.c, "User-space ccw program format"): a buffer of
 * 4 KiB. Its lower half has up to 256 CCWs of format 1, its upper half as many addresses of 8 bytes (host order). A
 * CCW's data address is an offset: of a transfer in channel that of its target in the lower half, of any other that of
 * its address in the upper half, which is the user address of its data or of its IDAL. IDAWs hold user addresses.
 */
export const VFIO_CCW_CHAIN = { LEN_MAX: 256, CDA_OFFSET: 2048, SIZE: 4096 } as const;

/** vfio_iommu_type1_info.flags. */
export const VFIO_IOMMU_INFO = { PGSIZES: 1, CAPS: 2 } as const;
export const vfio_iommu_type1_info = struct(
  'vfio_iommu_type1_info',
  'le',
  { argsz: u32, flags: u32, iova_pgsizes: u64n, cap_offset: u32, pad: u32 },
  { size: 24 },
);
export const VFIO_DMA_MAP_FLAG = { READ: 1, WRITE: 2, VADDR: 4 } as const;
export const vfio_iommu_type1_dma_map = struct(
  'vfio_iommu_type1_dma_map',
  'le',
  { argsz: u32, flags: u32, vaddr: u64n, iova: u64n, size: u64n },
  { size: 32 },
);
export const VFIO_DMA_UNMAP_FLAG = { GET_DIRTY_BITMAP: 1, ALL: 2, VADDR: 4 } as const;
export const vfio_iommu_type1_dma_unmap = struct(
  'vfio_iommu_type1_dma_unmap',
  'le',
  { argsz: u32, flags: u32, iova: u64n, size: u64n },
  { size: 24 },
);

export const vfio_iommu_spapr_tce_info = struct(
  'vfio_iommu_spapr_tce_info',
  'le',
  {
    argsz: u32,
    flags: u32,
    dma32_window_start: u32,
    dma32_window_size: u32,
    ddw_pgsizes: u64n,
    ddw_max_dynamic_windows_supported: u32,
    ddw_levels: u32,
  },
  { size: 32 },
);
/** vfio_iommu_spapr_tce_info.flags: dynamic windows are supported. */
export const VFIO_IOMMU_SPAPR_INFO_DDW = 1;
export const vfio_iommu_spapr_register_memory = struct(
  'vfio_iommu_spapr_register_memory',
  'le',
  { argsz: u32, flags: u32, vaddr: u64n, size: u64n },
  { size: 24 },
);
export const vfio_iommu_spapr_tce_create = struct(
  'vfio_iommu_spapr_tce_create',
  'le',
  { argsz: u32, flags: u32, page_shift: u32, resv1: u32, window_size: u64n, levels: u32, resv2: u32, start_addr: u64n },
  { size: 40 },
);
export const vfio_iommu_spapr_tce_remove = struct(
  'vfio_iommu_spapr_tce_remove',
  'le',
  { argsz: u32, flags: u32, start_addr: u64n },
  { size: 16 },
);

/** VFIO_EEH_PE_OP: `op`, and what INJECT_ERR takes beside it. */
export const vfio_eeh_pe_op = struct(
  'vfio_eeh_pe_op',
  'le',
  { argsz: u32, flags: u32, op: u32, pad: u32, err_type: u32, err_func: u32, err_addr: u64, err_mask: u64 },
  { size: 40, offsets: { err_type: 16, err_addr: 24 } },
);
/** vfio_eeh_pe_op.op. */
export const VFIO_EEH_PE = {
  DISABLE: 0,
  ENABLE: 1,
  UNFREEZE_IO: 2,
  UNFREEZE_DMA: 3,
  GET_STATE: 4,
  RESET_DEACTIVATE: 5,
  RESET_HOT: 6,
  RESET_FUNDAMENTAL: 7,
  CONFIGURE: 8,
  INJECT_ERR: 9,
} as const;
/** vfio_eeh_pe_op.err_type: width of the address (include/uapi/asm/eeh.h, EEH_ERR_TYPE_*). */
export const EEH_ERR_TYPE = { BITS_32: 0, BITS_64: 1 } as const;

/** The argument of VFIO_GROUP_SET_CONTAINER and of the kvm-vfio group attributes: a descriptor. */
export const fd_argument = struct('fd', 'le', { fd: s32 }, { size: 4 });

/** Extension: a mapping's address may be updated (VFIO_CHECK_EXTENSION). */
export const VFIO_UPDATE_VADDR = 10;
/** Capability of vfio_iommu_type1_info: mappings that may still be made. */
export const VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL = 3;
export const vfio_iommu_type1_info_dma_avail = struct(
  'vfio_iommu_type1_info_dma_avail',
  'le',
  { id: u16, version: u16, next: u32, avail: u32 },
  { size: 12 },
);

/** Capability of vfio_iommu_type1_info: dirty pages can be tracked; sizes in bytes. */
export const VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION = 2;
export const vfio_iommu_type1_info_cap_migration = struct(
  'vfio_iommu_type1_info_cap_migration',
  'le',
  { id: u16, version: u16, next: u32, flags: u32, pad: u32, pgsize_bitmap: u64n, max_dirty_bitmap_size: u64n },
  { size: 32, offsets: { pgsize_bitmap: 16 } },
);
/** A bitmap in user memory, one bit for each page of `pgsize` bytes; `size` and the address `data` in bytes. */
export const vfio_bitmap = struct('vfio_bitmap', 'le', { pgsize: u64n, size: u64n, data: u64n }, { size: 24 });
/** vfio_iommu_type1_dirty_bitmap.flags: exactly one. */
export const VFIO_IOMMU_DIRTY_PAGES_FLAG = { START: 1, STOP: 2, GET_BITMAP: 4 } as const;
export const vfio_iommu_type1_dirty_bitmap = struct(
  'vfio_iommu_type1_dirty_bitmap',
  'le',
  { argsz: u32, flags: u32 },
  { size: 8 },
);
/** What follows {@link vfio_iommu_type1_dirty_bitmap} with GET_BITMAP. */
export const vfio_iommu_type1_dirty_bitmap_get = struct(
  'vfio_iommu_type1_dirty_bitmap_get',
  'le',
  { iova: u64n, size: u64n, bitmap: nested(vfio_bitmap) },
  { size: 40, offsets: { bitmap: 16 } },
);

/**
 * The Freescale PAMU backend ("type2" in the discussion of April 2013; the vendor kernel's VFIO_FSL_PAMU_IOMMU). The
 * vendor's number 7 is upstream's SPAPR_TCE_v2, so this one is private: far above what Linux has given since.
 */
export const VFIO_FSL_PAMU_IOMMU = 1007;
/** vfio_pamu_attr.attribute. ENABLE is this kernel's addition: the vendor's had no way to stop or to recover DMA. */
export const VFIO_PAMU_ATTR = { GEOMETRY: 0, WINDOWS: 1, STASH: 2, ENABLE: 3 } as const;
/** Argument of PAMU_GET_ATTR and PAMU_SET_ATTR; what `u` holds depends on the attribute. */
export const vfio_pamu_attr = struct(
  'vfio_pamu_attr',
  'le',
  { argsz: u32, flags: u32, attribute: u32, pad: u32, u: bytes(16) },
  { size: 32, offsets: { u: 16 } },
);
/** The DMA window of the container: first and last bus address. */
export const vfio_pamu_attr_geometry = struct(
  'vfio_pamu_attr_geometry',
  'le',
  { aperture_start: u64n, aperture_end: u64n },
  { size: 16 },
);
/** How many windows the aperture is divided into; before it is set, the most there may be. */
export const vfio_pamu_attr_windows = struct('vfio_pamu_attr_windows', 'le', { count: u32 }, { size: 4 });
/** Where DMA data is stashed; `cache` is one of {@link VFIO_PAMU_STASH_CACHE}, the third level belongs to no CPU. */
export const vfio_pamu_attr_stash = struct('vfio_pamu_attr_stash', 'le', { cpu: u32, cache: u32 }, { size: 8 });
export const VFIO_PAMU_STASH_CACHE = { L1: 1, L2: 2, L3: 3 } as const;
/** Whether DMA is on, and how many LIODNs a violation has stopped (ignored when it is set). */
export const vfio_pamu_attr_enable = struct('vfio_pamu_attr_enable', 'le', { enable: u32, faulted: u32 }, { size: 8 });
export const vfio_pamu_msi_bank_map = struct(
  'vfio_pamu_msi_bank_map',
  'le',
  { argsz: u32, flags: u32, msi_bank_index: u32, pad: u32, iova: u64n },
  { size: 24 },
);
export const vfio_pamu_msi_bank_unmap = struct(
  'vfio_pamu_msi_bank_unmap',
  'le',
  { argsz: u32, flags: u32, iova: u64n },
  { size: 16 },
);
/**
 * What a bank is; informational, for the kernel programs vectors. The data of a vector is `srs << srs_shift | ibs <<
 * ibs_shift`, written 32 bits little-endian at `page_offset` of the page.
 */
export const vfio_pamu_msi_bank_info = struct(
  'vfio_pamu_msi_bank_info',
  'le',
  {
    argsz: u32,
    flags: u32,
    index: u32,
    page_offset: u32,
    page_addr: u64n,
    nr_vectors: u32,
    srs_shift: u32,
    ibs_shift: u32,
    pad: u32,
  },
  { size: 40, offsets: { page_addr: 16, nr_vectors: 24 } },
);
/** vfio_pamu_msi_bank_info.flags on return. */
export const VFIO_PAMU_MSI_BANK = { ISOLATED: 1, MINE: 2, OWNED_ELSEWHERE: 4, MSIIR1: 8 } as const;

/** vfio-platform: a region's file offset is its index shifted left by this (drivers/vfio/platform/vfio_platform_private.h). */
export const VFIO_PLATFORM_OFFSET_SHIFT = 40;
