import { expect, test } from 'vitest';
import type { Struct } from '../../lib/struct.ts';
import { ERRNO, Errno, type ErrnoName, errnoName } from './errno.ts';
import * as ioctl from './ioctl.ts';
import * as kvm from './kvm.ts';
import { KVM_RUN, RUN_CODE_RING, RUN_LOCAL_INTERRUPTS } from './kvm_run.ts';
import { NR, SYSCALL_RING_CAPACITY, SYSCALL_SLOTS } from './syscall.ts';
import * as vfio from './vfio.ts';

// What a C compiler says of include/uapi/linux/vfio.h, vfio_ccw.h and kvm.h (sizeof, offsetof; x86-64).
const LAYOUT: Record<string, [size: number, offsets: Record<string, number>]> = {
  vfio_group_status: [8, { argsz: 0, flags: 4 }],
  vfio_device_info: [24, { argsz: 0, flags: 4, num_regions: 8, num_irqs: 12, cap_offset: 16 }],
  vfio_region_info: [32, { argsz: 0, flags: 4, index: 8, cap_offset: 12, size: 16, offset: 24 }],
  vfio_info_cap_header: [8, { id: 0, version: 2, next: 4 }],
  vfio_region_info_cap_type: [16, { type: 8, subtype: 12 }],
  vfio_irq_info: [16, { argsz: 0, flags: 4, index: 8, count: 12 }],
  vfio_region_info_cap_sparse_mmap: [16, { next: 4, nr_areas: 8 }],
  vfio_region_sparse_mmap_area: [16, { offset: 0, size: 8 }],
  vfio_pci_hot_reset_info: [12, { argsz: 0, flags: 4, count: 8 }],
  vfio_pci_dependent_device: [8, { group_id: 0, segment: 4, bus: 6, devfn: 7 }],
  vfio_pci_hot_reset: [12, { argsz: 0, flags: 4, count: 8 }],
  vfio_irq_set: [20, { argsz: 0, flags: 4, index: 8, start: 12, count: 16 }],
  ccw_io_region: [124, { orb_area: 0, scsw_area: 12, irb_area: 24, ret_code: 120 }],
  ccw_cmd_region: [8, { command: 0, ret_code: 4 }],
  ccw_schib_region: [52, { schib_area: 0 }],
  ccw_crw_region: [8, { crw: 0, pad: 4 }],
  // Of the RFC of 2016, whose header is lost: as this project lays it out.
  vfio_ccw_cmd: [136, { argsz: 0, ccwchain_nr: 4, orb_area: 8, scsw_area: 20, irb_area: 32, ccwchain_buf: 128 }],
  vfio_iommu_type1_info: [24, { argsz: 0, flags: 4, iova_pgsizes: 8, cap_offset: 16 }],
  vfio_iommu_type1_dma_map: [32, { argsz: 0, flags: 4, vaddr: 8, iova: 16, size: 24 }],
  vfio_iommu_type1_dma_unmap: [24, { argsz: 0, flags: 4, iova: 8, size: 16 }],
  vfio_iommu_spapr_tce_info: [32, { dma32_window_start: 8, dma32_window_size: 12, ddw_pgsizes: 16 }],
  vfio_iommu_spapr_register_memory: [24, { argsz: 0, flags: 4, vaddr: 8, size: 16 }],
  vfio_iommu_spapr_tce_create: [40, { argsz: 0, flags: 4, page_shift: 8, window_size: 16, levels: 24, start_addr: 32 }],
  vfio_iommu_spapr_tce_remove: [16, { argsz: 0, flags: 4, start_addr: 8 }],
  vfio_eeh_pe_op: [40, { argsz: 0, flags: 4, op: 8, err_type: 16, err_func: 20, err_addr: 24, err_mask: 32 }],
  kvm_userspace_memory_region: [32, { slot: 0, flags: 4, guest_phys_addr: 8, memory_size: 16, userspace_addr: 24 }],
  kvm_s390_interrupt: [16, { type: 0, parm: 4, parm64: 8 }],
  kvm_s390_mem_op: [64, { gaddr: 0, flags: 8, size: 16, op: 20, buf: 24, ar: 32, key: 33 }],
  kvm_enable_cap: [104, { cap: 0, flags: 4, arg0: 8, pad: 40 }],
  kvm_create_spapr_tce: [16, { liobn: 0, window_size: 8 }],
  kvm_create_spapr_tce_64: [32, { liobn: 0, page_shift: 8, flags: 12, offset: 16, size: 24 }],
  kvm_create_device: [12, { type: 0, fd: 4, flags: 8 }],
  kvm_device_attr: [24, { flags: 0, group: 4, attr: 8, addr: 16 }],
  kvm_vfio_spapr_tce: [8, { groupfd: 0, tablefd: 4 }],
  kvm_vfio_spapr_tce_liobn: [24, { argsz: 0, fd: 4, liobn: 8, start_addr: 16 }],
  kvm_spapr_tce_bind_vfio: [16, { liobn: 0, fd: 8, flags: 12 }],
  kvm_s390_irq: [72, { type: 0, u: 8 }],
  kvm_s390_io_info: [12, { subchannel_id: 0, subchannel_nr: 2, io_int_parm: 4, io_int_word: 8 }],
  kvm_s390_ext_info: [16, { ext_params: 0, pad: 4, ext_params2: 8 }],
  kvm_s390_mchk_info: [48, { cr14: 0, mcic: 8, failing_storage_address: 16, ext_damage_code: 24, fixed_logout: 32 }],
  vfio_iommu_type1_info_cap_migration: [32, { flags: 8, pgsize_bitmap: 16, max_dirty_bitmap_size: 24 }],
  vfio_bitmap: [24, { pgsize: 0, size: 8, data: 16 }],
  vfio_iommu_type1_dirty_bitmap: [8, { argsz: 0, flags: 4 }],
  vfio_iommu_type1_dirty_bitmap_get: [40, { iova: 0, size: 8, bitmap: 16 }],
  vfio_iommu_type1_info_dma_avail: [12, { id: 0, version: 2, next: 4, avail: 8 }],
  // Of the vendor kernel's PAMU backend; ENABLE and the bank information are this project's.
  vfio_pamu_attr: [32, { argsz: 0, flags: 4, attribute: 8, u: 16 }],
  vfio_pamu_attr_geometry: [16, { aperture_start: 0, aperture_end: 8 }],
  vfio_pamu_attr_windows: [4, { count: 0 }],
  vfio_pamu_attr_stash: [8, { cpu: 0, cache: 4 }],
  vfio_pamu_attr_enable: [8, { enable: 0, faulted: 4 }],
  vfio_pamu_msi_bank_map: [24, { argsz: 0, flags: 4, msi_bank_index: 8, iova: 16 }],
  vfio_pamu_msi_bank_unmap: [16, { argsz: 0, flags: 4, iova: 8 }],
  vfio_pamu_msi_bank_info: [
    40,
    { index: 8, page_offset: 12, page_addr: 16, nr_vectors: 24, srs_shift: 28, ibs_shift: 32 },
  ],
  fd: [4, { fd: 0 }],
};

const isStruct = (value: unknown): value is Struct<never> => typeof (value as Struct<never>)?.at === 'function';
const STRUCTS = [...Object.values(vfio), ...Object.values(kvm)].filter(isStruct);

test('every structure has the size and the offsets that C gives it', () => {
  for (const s of STRUCTS) {
    const [size, offsets] = LAYOUT[s.name] ?? [`${s.name} is missing in this table`, {}];
    expect([s.name, s.size]).toEqual([s.name, size]);
    expect(s.offset, s.name).toMatchObject(offsets);
  }
  expect(STRUCTS.map((s) => s.name).sort()).toEqual(Object.keys(LAYOUT).sort());
});

// The numbers that the C macros give.
const NUMBER: Record<string, number> = {
  VFIO_GET_API_VERSION: 0x3b64,
  VFIO_CHECK_EXTENSION: 0x3b65,
  VFIO_SET_IOMMU: 0x3b66,
  VFIO_GROUP_GET_STATUS: 0x3b67,
  VFIO_GROUP_SET_CONTAINER: 0x3b68,
  VFIO_GROUP_UNSET_CONTAINER: 0x3b69,
  VFIO_GROUP_GET_DEVICE_FD: 0x3b6a,
  VFIO_DEVICE_GET_INFO: 0x3b6b,
  VFIO_DEVICE_GET_REGION_INFO: 0x3b6c,
  VFIO_DEVICE_GET_IRQ_INFO: 0x3b6d,
  VFIO_DEVICE_SET_IRQS: 0x3b6e,
  VFIO_DEVICE_RESET: 0x3b6f,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: 0x3b70,
  VFIO_DEVICE_PCI_HOT_RESET: 0x3b71,
  VFIO_DEVICE_CCW_CMD_REQUEST: 0x3bc8,
  VFIO_IOMMU_GET_INFO: 0x3b70,
  VFIO_IOMMU_MAP_DMA: 0x3b71,
  VFIO_IOMMU_UNMAP_DMA: 0x3b72,
  VFIO_IOMMU_DIRTY_PAGES: 0x3b75,
  VFIO_IOMMU_ENABLE: 0x3b73,
  VFIO_IOMMU_DISABLE: 0x3b74,
  VFIO_IOMMU_SPAPR_TCE_GET_INFO: 0x3b70,
  VFIO_IOMMU_SPAPR_REGISTER_MEMORY: 0x3b75,
  VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY: 0x3b76,
  VFIO_IOMMU_SPAPR_TCE_CREATE: 0x3b77,
  VFIO_IOMMU_SPAPR_TCE_REMOVE: 0x3b78,
  VFIO_EEH_PE_OP: 0x3b79,
  VFIO_IOMMU_PAMU_GET_ATTR: 0x3b73,
  VFIO_IOMMU_PAMU_SET_ATTR: 0x3b74,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT: 0x3b75,
  VFIO_IOMMU_PAMU_MAP_MSI_BANK: 0x3b76,
  VFIO_IOMMU_PAMU_UNMAP_MSI_BANK: 0x3b77,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO: 0x3b78,
  KVM_GET_API_VERSION: 0xae00,
  KVM_CREATE_VM: 0xae01,
  KVM_CHECK_EXTENSION: 0xae03,
  KVM_CREATE_VCPU: 0xae41,
  KVM_SET_USER_MEMORY_REGION: 0x4020ae46,
  KVM_S390_INTERRUPT: 0x4010ae94,
  KVM_S390_MEM_OP: 0x4040aeb1,
  KVM_SPAPR_TCE_BIND_VFIO: 0x4010aefa,
  KVM_SPAPR_TCE_UNBIND_VFIO: 0x4010aefb,
  KVM_ENABLE_CAP: 0x4068aea3,
  KVM_CREATE_SPAPR_TCE: 0x4010aea8,
  KVM_CREATE_SPAPR_TCE_64: 0x4020aea8,
  KVM_CREATE_DEVICE: 0xc00caee0,
  KVM_SET_DEVICE_ATTR: 0x4018aee1,
  KVM_GET_DEVICE_ATTR: 0x4018aee2,
  KVM_HAS_DEVICE_ATTR: 0x4018aee3,
};

test('every ioctl has the number that its C macro has, and carries its own name', () => {
  const rows = Object.entries(ioctl);
  expect(Object.fromEntries(rows.map(([name, row]) => [name, row.number.toString(16)]))).toEqual(
    Object.fromEntries(Object.entries(NUMBER).map(([name, number]) => [name, number.toString(16)])),
  );
  for (const [name, row] of rows) expect(row.name).toBe(name);
});

test('what is copied of an argument never exceeds its structure, and argsz leads where it is checked', () => {
  for (const row of Object.values(ioctl)) {
    expect(row.minsz, row.name).toBeLessThanOrEqual(row.struct?.size ?? 0);
    if (row.argsz) expect(row.struct?.offset, row.name).toMatchObject({ argsz: 0 });
    if (row.flags !== undefined) expect(row.struct?.fields, row.name).toHaveProperty('flags');
  }
});

test('a row names each errno once, in the order of their numbers, and never ENOSYS', () => {
  for (const row of Object.values(ioctl)) {
    const numbers = row.errnos.map((name) => ERRNO[name][0]);
    expect(numbers, row.name).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(row.errnos, row.name).not.toContain('ENOSYS');
  }
});

test('the direction of a command agrees with its structure, and for KVM with the direction bits of its number', () => {
  const isPointer = { none: false, value: false, in: true, 'in out': true };
  const kvmBits: Record<number, string[]> = { 0: ['none', 'value'], 1: ['in'], 3: ['in out'] };
  for (const row of Object.values(ioctl)) {
    if (row.struct !== undefined) expect([row.argument, isPointer[row.direction]], row.name).toEqual([undefined, true]);
    else expect(row.argument === undefined, row.name).toBe(row.direction === 'none');
    if (row.out) expect(row.direction, row.name).toBe('in out');
    if (row.name.startsWith('KVM_')) expect(kvmBits[row.number >>> 30], row.name).toContain(row.direction);
  }
});

test('error numbers are Linux’s, and each leads back to its name', () => {
  const some = { EPERM: 1, ENOENT: 2, EBADF: 9, EFAULT: 14, EMFILE: 24, ENOTTY: 25, ENAMETOOLONG: 36, ENOSYS: 38 };
  const more = { ELOOP: 40, EBADFD: 77, EUSERS: 87, EOPNOTSUPP: 95, ETIMEDOUT: 110 };
  for (const [name, number] of Object.entries({ ...some, ...more })) expect(ERRNO[name as ErrnoName][0]).toBe(number);
  for (const [name, [number]] of Object.entries(ERRNO)) expect(errnoName(number)).toBe(name);
  expect(errnoName(1000)).toBe('EIO');
  expect(new Errno('EFAULT', 'read')).toMatchObject({
    errno: 14,
    code: 'EFAULT',
    message: 'read: EFAULT: Bad address',
  });
});

test('system-call numbers are those of Linux on s390x', () => {
  const calls = { read: 3, write: 4, open: 5, close: 6, ioctl: 54, readlink: 85, mmap: 90, munmap: 91, getdents: 141 };
  expect(NR).toEqual({ ...calls, pread64: 180, pwrite64: 181, eventfd2: 323 });
  expect(SYSCALL_RING_CAPACITY).toBeGreaterThanOrEqual(SYSCALL_SLOTS);
});

test('the interruption type of a subchannel is KVM_S390_INT_IO’s', () => {
  expect(kvm.kvmS390IntIo(0, 0xfe, 0, 0x1234)).toBe(0x03f81234);
  expect(kvm.kvmS390IntIo(1, 0, 3, 0)).toBe(0x04030000);
  expect(kvm.kvmS390IntIo(0, 255, 3, 0xffff)).toBeLessThanOrEqual(kvm.KVM_S390.INT_IO_MAX);
});

test('the parts of the run page do not overlap', () => {
  expect(KVM_RUN.size).toBeLessThanOrEqual(RUN_LOCAL_INTERRUPTS);
  expect(RUN_LOCAL_INTERRUPTS + 20).toBeLessThanOrEqual(RUN_CODE_RING);
});
