/** KVM structures and constants (include/uapi/linux/kvm.h; arch s390 and powerpc parts); host byte order. */
import { bytes, s32, struct, u8, u16, u32, u64, u64n } from '../../lib/struct.ts';

/** KVM_GET_API_VERSION's answer. */
export const KVM_API_VERSION = 12;
/** KVM_CHECK_EXTENSION and KVM_ENABLE_CAP numbers. */
export const KVM_CAP = {
  SPAPR_TCE: 63,
  SPAPR_MULTITCE: 94,
  PPC_ENABLE_HCALL: 104,
  SPAPR_TCE_64: 125,
  SPAPR_TCE_VFIO: 142,
  MAX_VCPUS: 66,
  DEVICE_CTRL: 89,
  PPC_MMU_RADIX: 134,
  /** The counter-proposal of 2016, {@link kvm_spapr_tce_bind_vfio}. Never merged: the number is ours. */
  SPAPR_TCE_BIND_VFIO: 1016,
  /** Answer: most bytes of one KVM_S390_MEM_OP. */
  S390_MEM_OP: 108,
  /** Answer: bits for what was added to it; see {@link MEMOP_EXTENSION_BASE}. */
  S390_MEM_OP_EXTENSION: 211,
} as const;

export const kvm_userspace_memory_region = struct(
  'kvm_userspace_memory_region',
  'le',
  { slot: u32, flags: u32, guest_phys_addr: u64n, memory_size: u64n, userspace_addr: u64n },
  { size: 32 },
);
/** Interrupt types of kvm_s390_interrupt; I/O types carry ssid, cssid and schid (`KVM_S390_INT_IO`). */
export const KVM_S390 = {
  SIGP_STOP: 0xfffe0000,
  PROGRAM_INT: 0xfffe0001,
  SIGP_SET_PREFIX: 0xfffe0002,
  RESTART: 0xfffe0003,
  MCHK: 0xfffe1000,
  INT_SERVICE: 0xffff2401,
  INT_EMERGENCY: 0xffff1201,
  INT_EXTERNAL_CALL: 0xffff1202,
  INT_IO_MAX: 0xfffdffff,
} as const;
/** Type of an I/O interruption for a subchannel (`KVM_S390_INT_IO(ai, cssid, ssid, schid)`). */
export function kvmS390IntIo(adapter: number, cssid: number, ssid: number, schid: number): number {
  return ((adapter << 26) | (cssid << 18) | (ssid << 16) | schid) >>> 0;
}
export const kvm_s390_interrupt = struct(
  'kvm_s390_interrupt',
  'le',
  { type: u32, parm: u32, parm64: u64 },
  { size: 16 },
);
/** Operations of KVM_S390_MEM_OP. */
export const KVM_S390_MEMOP = { LOGICAL_READ: 0, LOGICAL_WRITE: 1, ABSOLUTE_READ: 4, ABSOLUTE_WRITE: 5 } as const;
/** Its flags. */
export const MEMOP_F = { CHECK_ONLY: 1, INJECT_EXCEPTION: 2, SKEY_PROTECTION: 4 } as const;
/** Most bytes of one operation. */
export const MEM_OP_MAX_SIZE = 65536;
/** KVM_CAP_S390_MEM_OP_EXTENSION: storage keys and absolute storage (KVM_S390_MEMOP_EXTENSION_CAP_BASE). */
export const MEMOP_EXTENSION_BASE = 1;
export const kvm_s390_mem_op = struct(
  'kvm_s390_mem_op',
  'le',
  { gaddr: u64, flags: u64n, size: u32, op: u32, buf: u64n, ar: u8, key: u8, pad: bytes(30) },
  { size: 64, offsets: { buf: 24, ar: 32, key: 33 } },
);
export const kvm_enable_cap = struct(
  'kvm_enable_cap',
  'le',
  { cap: u32, flags: u32, arg0: u64n, arg1: u64n, arg2: u64n, arg3: u64n, pad: bytes(64) },
  { size: 104 },
);
export const kvm_create_spapr_tce = struct(
  'kvm_create_spapr_tce',
  'le',
  { liobn: u64n, window_size: u32, pad: u32 },
  { size: 16 },
);
export const kvm_create_spapr_tce_64 = struct(
  'kvm_create_spapr_tce_64',
  'le',
  { liobn: u64n, page_shift: u32, flags: u32, offset: u64n, size: u64n },
  { size: 32 },
);
export const kvm_create_device = struct('kvm_create_device', 'le', { type: u32, fd: u32, flags: u32 }, { size: 12 });
/** Device types. */
export const KVM_DEV_TYPE_VFIO = 4;
export const KVM_DEV_TYPE_FLIC = 6;
export const kvm_device_attr = struct(
  'kvm_device_attr',
  'le',
  { flags: u32, group: u32, attr: u64n, addr: u64n },
  { size: 24 },
);
/** kvm-vfio attribute group and attributes. */
export const KVM_DEV_VFIO_GROUP = 1;
export const KVM_DEV_VFIO_GROUP_ADD = 1;
export const KVM_DEV_VFIO_GROUP_DEL = 2;
export const KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE = 3;
export const kvm_vfio_spapr_tce = struct('kvm_vfio_spapr_tce', 'le', { groupfd: s32, tablefd: s32 }, { size: 8 });
/**
 * The attribute of the RFC of 2016 ("KVM: PPC: vfio kvm device: support spapr tce"): the window of a group that starts at
 * a bus address gets a LIOBN. There it has the number that SET_SPAPR_TCE was merged with; here the next one.
 */
export const KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN = 4;
export const kvm_vfio_spapr_tce_liobn = struct(
  'kvm_vfio_spapr_tce_liobn',
  'le',
  { argsz: u32, fd: s32, liobn: u32, pad: u32, start_addr: u64 },
  { size: 24 },
);
/** What was proposed instead: a LIOBN belongs to a container, by its descriptor. The layout is ours. */
export const kvm_spapr_tce_bind_vfio = struct(
  'kvm_spapr_tce_bind_vfio',
  'le',
  { liobn: u64n, fd: s32, flags: u32 },
  { size: 16 },
);
/** Attribute groups of the floating interrupt controller (arch/s390/include/uapi/asm/kvm.h; devices/s390_flic.rst). */
export const KVM_DEV_FLIC = {
  GET_ALL_IRQS: 1,
  ENQUEUE: 2,
  CLEAR_IRQS: 3,
  APF_ENABLE: 4,
  APF_DISABLE_WAIT: 5,
  ADAPTER_REGISTER: 6,
  ADAPTER_MODIFY: 7,
  CLEAR_IO_IRQ: 8,
  AISM: 9,
  AIRQ_INJECT: 10,
  AISM_ALL: 11,
} as const;
/** Most bytes of interrupts in one call (KVM_S390_FLIC_MAX_BUFFER). */
export const KVM_S390_FLIC_MAX_BUFFER = 0x2000000;
/**
 * One interrupt (`struct kvm_s390_irq`): a type, and 64 bytes whose meaning it decides. For I/O these are the two halves
 * of the subsystem-identification word, parameter and identification word; for a service signal `ext_params`; for a
 * machine check CR14 and the interruption code.
 */
export const kvm_s390_irq = struct('kvm_s390_irq', 'le', { type: u64n, u: bytes(64) }, { size: 72 });
export const kvm_s390_io_info = struct(
  'kvm_s390_io_info',
  'le',
  { subchannel_id: u16, subchannel_nr: u16, io_int_parm: u32, io_int_word: u32 },
  { size: 12 },
);
export const kvm_s390_ext_info = struct(
  'kvm_s390_ext_info',
  'le',
  { ext_params: u32, pad: u32, ext_params2: u64 },
  { size: 16 },
);
export const kvm_s390_mchk_info = struct(
  'kvm_s390_mchk_info',
  'le',
  {
    cr14: u64,
    mcic: u64,
    failing_storage_address: u64,
    ext_damage_code: u32,
    pad: u32,
    fixed_logout: bytes(16),
  },
  { size: 48 },
);
