/**
 * The area `map.kvm`: what TCE hypercalls need, where every thread can read it. Fixed numbers of fixed-size slots, so
 * that real mode neither allocates nor follows a list that somebody frees.
 *
 * | words | written by | rule |
 * |---|---|---|
 * | header | kernel | a vCPU that misses a change is answered as before it |
 * | pointers, links, slots | kernel | the words of a slot first, then what makes it live: a pointer to a guest table, a link to a hardware table, a region's number of pages; that is cleared first, and nothing is freed or used again before every vCPU has left real mode (`vcpu_requests.ts`) |
 * | `mapped` of a region | any thread | atomic; +1 only while it is not 0, -1 only while it is above 1 |
 * | guest views | any thread, and the VMM through mmap | two 32-bit words per entry, each atomic: vCPUs that race on one entry may mix the halves of what they wrote |
 * | hardware tables, `it_userspace` | any thread | under the lock bit of the entry's `it_userspace` word: see `kernel/ppc/tce_ops.ts` |
 * | levels of a table | kernel | a level is cleared before the entry that names it is stored, and stays as long as the table |
 *
 * Native byte order, except for hardware tables.
 *
 * Real mode reads with plain loads, for an atomic one costs a call of several nanoseconds in JavaScript. What makes it
 * right: a word is never torn; the words of a slot do not change while it is live; a guest table is reached through its
 * pointer and a hardware table through its link, each stored after the words behind it, so that every address depends
 * on the load before; a region is looked at again after the atomic count of a new entry.
 */
import { HCALL } from '../include/arch/ppc/hcall.ts';
import { AREA } from '../lib/shared_map.ts';
import { bytes, s32, struct, u32 } from '../lib/struct.ts';

/** Hardware tables that can hang under one guest table: containers bound to one LIOBN. */
export const KVM_TCE_LINKS = 8;

/** The head of the area. */
export const KVM_HEADER = struct(
  'kvm_header',
  'le',
  {
    /** Bits of {@link HCALL_ENABLED}: hypercalls that real and virtual mode answer. */
    enabled: u32,
    /** Non-zero: the guest counts as a radix guest, and real mode answers nothing (arch/powerpc/kvm, kvm_is_radix). */
    radix: u32,
    reserved: bytes(56),
  },
  { size: 64 },
);

/** kvmppc_spapr_tce_table (arch/powerpc/include/asm/kvm_host.h): the guest's view of one DMA window. */
export const KVM_STT = struct(
  'kvmppc_spapr_tce_table',
  'le',
  {
    liobn: u32,
    /** log2 of the guest's IOMMU page. */
    pageShift: u32,
    /** Entries. */
    size: u32,
    /** Bus address of the first entry, in IOMMU pages: high and low word. */
    offsetHi: u32,
    offsetLo: u32,
    /** HPA of the guest view: `size` 64-bit words. */
    view: u32,
    /** Most hardware entries per guest entry in an attached table; 0 without one. */
    subpages: u32,
    /** Bytes of `tables` in use. */
    tablesEnd: u32,
    reserved: bytes(32),
    /** HPAs of the attached {@link IOMMU_TABLE} slots; 0 where there is none. */
    tables: bytes(4 * KVM_TCE_LINKS),
  },
  { size: 96, offsets: { tables: 64 } },
);

/** iommu_table (arch/powerpc/include/asm/iommu.h): a hardware table. */
export const IOMMU_TABLE = struct(
  'iommu_table',
  'le',
  {
    live: u32,
    /** HPA of the entries that the bridge reads, or of the first level of the table. */
    table: u32,
    entries: u32,
    pageShift: u32,
    /** HPA of `it_userspace`: a word per entry; 0 until VFIO maps for the first time, and in a table of several levels. */
    userspace: u32,
    /** PEs whose window this is: bit n stands for PE n. */
    pes: u32,
    /** Which of the PEs' windows. */
    window: u32,
    /** Levels of the table (it_indirect_levels + 1). Behind the entries of a lowest level follow their `it_userspace` words. */
    levels: u32,
    /** log2 of the entries in a level (it_level_size); 0 in a table of one level. */
    levelShift: u32,
    /** Bits of {@link TABLE_PINS}. */
    pins: u32,
    reserved: bytes(24),
  },
  { size: 64, offsets: { levels: 28 } },
);
/** A table without `it_userspace` whose pages are pinned one by one: the kernel's thread alone changes it, and while it may. */
export const TABLE_PINS = { PINS: 1, ENABLED: 2 } as const;

/** mm_iommu_table_group_mem_t (arch/powerpc/mm/book3s64/iommu_api.c): preregistered memory. */
export const IOMMU_MEM = struct(
  'mm_iommu_table_group_mem',
  'le',
  {
    /** Pages; 0: the slot is free. */
    entries: u32,
    /** User address of the first page, in pages. */
    uaPage: u32,
    /** log2 of the largest IOMMU page that may map a part of this region. */
    pageShift: u32,
    /** HPA of the array of page HPAs, a word each. */
    hpas: u32,
    /** Live hardware entries that name this region, plus 1 while it is registered. */
    mapped: s32,
    reserved: bytes(12),
  },
  { size: 32 },
);

/** Slots of each kind. */
export const KVM_STTS = 32;
export const IOMMU_TABLES = 64;
export const IOMMU_MEMS = 64;

/** Words that name the live guest tables' slots, 0 for none. */
const pointerBase = KVM_HEADER.size;
const sttBase = pointerBase + 4 * KVM_STTS;
const tableBase = sttBase + KVM_STTS * KVM_STT.size;
const memBase = tableBase + IOMMU_TABLES * IOMMU_TABLE.size;

/** Where the parts of the area begin. */
export const KVM_AREA = {
  sttPointer: pointerBase,
  stt: sttBase,
  table: tableBase,
  mem: memBase,
  end: memBase + IOMMU_MEMS * IOMMU_MEM.size,
} as const;
if (KVM_AREA.end > AREA.kvm) throw new Error('the KVM area does not fit its place in the shared map');

/** Bits of the header's `enabled`. */
export const HCALL_ENABLED = {
  H_GET_TCE: 1,
  H_PUT_TCE: 2,
  H_STUFF_TCE: 4,
  H_PUT_TCE_INDIRECT: 8,
  H_LOGICAL_CI_LOAD: 16,
  H_LOGICAL_CI_STORE: 32,
} as const;
/** Enabled when a virtual machine is made; the others wait for KVM_CAP_PPC_ENABLE_HCALL (book3s_hv.c, default_hcall_list). */
export const HCALL_ENABLED_DEFAULT = HCALL_ENABLED.H_GET_TCE | HCALL_ENABLED.H_PUT_TCE;

/** The switch of a hypercall in the header's `enabled`; 0 for calls that the kernel does not answer. */
export function hcallSwitch(nr: number): number {
  switch (nr) {
    case HCALL.H_PUT_TCE:
      return HCALL_ENABLED.H_PUT_TCE;
    case HCALL.H_GET_TCE:
      return HCALL_ENABLED.H_GET_TCE;
    case HCALL.H_STUFF_TCE:
      return HCALL_ENABLED.H_STUFF_TCE;
    case HCALL.H_PUT_TCE_INDIRECT:
      return HCALL_ENABLED.H_PUT_TCE_INDIRECT;
    case HCALL.H_LOGICAL_CI_LOAD:
      return HCALL_ENABLED.H_LOGICAL_CI_LOAD;
    case HCALL.H_LOGICAL_CI_STORE:
      return HCALL_ENABLED.H_LOGICAL_CI_STORE;
    default:
      return 0;
  }
}
