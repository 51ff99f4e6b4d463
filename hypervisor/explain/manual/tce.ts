/** Words for translation control entries (PAPR) and for what KVM and the host keep of them. */
import { struct, u32, u64 } from '../../../kernel/lib/struct.ts';
import { type BitDoc, manual } from './manual.ts';

/** The LIOBN in a register of 64 bits, whose upper half is zero; the fields are QEMU's (SPAPR_PCI_LIOBN). */
export const LIOBN_DOC = {
  title: 'LIOBN, logical I/O bus number: which DMA window of which host bridge',
  ranges: { PCI: [32, 1], phb: [48, 8], window: [56, 8] },
  bits: { PCI: 'a PCI window, not virtual I/O', phb: 'host bridge', window: 'window of its endpoint' },
} as const;

/** Bus address of a 4K window: entry number and offset. */
export const IOBA_DOC = {
  title: 'IOBA, I/O bus address: the address that the device will use',
  ranges: { page: [0, 52], offset: [52, 12] },
  bits: { page: 'which entry of the table', offset: 'inside the 4K page; must be zero here' },
} as const;

const tceBits = (address: string): Readonly<Record<string, string | BitDoc>> => ({
  RPN: { title: address, means: (value) => `page at 0x${(value << 12n).toString(16)}` },
  W: 'the device may write',
  R: 'the device may read',
});
const TCE_RANGES = { RPN: [0, 52], W: [62, 1], R: [63, 1] } as const;

/** The TCE that a guest gives. */
export const GUEST_TCE_DOC = {
  title: 'TCE, translation control entry: a page and what the device may do with it',
  ranges: TCE_RANGES,
  bits: tceBits('real page number: a guest-physical page'),
} as const;

/** An entry of the table that the host bridge reads. */
export const TCE_MANUAL = manual(struct('tce', 'be', { tce: u64 }, { size: 8 }), {
  name: 'TCE',
  title: "entry of the hardware's table, big-endian, as the host bridge fetches it",
  source: 'PAPR, "Translation Control Entries"',
  fields: {
    tce: {
      title: 'translation control entry',
      ranges: TCE_RANGES,
      bits: tceBits('real page number: a host-physical page'),
    },
  },
});

/** An entry of the guest's view. */
export const VIEW_MANUAL = manual(struct('tce_view', 'le', { tce: u64 }, { size: 8 }), {
  name: 'guest view',
  title: 'what the guest believes stands there: H_GET_TCE reads it',
  source: 'arch/powerpc/kvm/book3s_64_vio.c, kvmppc_spapr_tce_table',
  fields: {
    tce: {
      title: 'translation control entry',
      ranges: TCE_RANGES,
      bits: tceBits('real page number: a guest-physical page'),
    },
  },
});

/** A word of `it_userspace`. */
export const USERSPACE_MANUAL = manual(struct('it_userspace', 'le', { page: u32 }, { size: 4 }), {
  name: 'it_userspace',
  title: "which page of the VMM's address space the entry maps",
  source: 'arch/powerpc/include/asm/iommu.h, struct iommu_table',
  fields: {
    page: {
      title: 'lock bit and page number',
      ranges: { L: [0, 1], page: [1, 31] },
      bits: {
        L: 'somebody changes the entry',
        page: { title: 'page number', means: (value) => `user address 0x${(value << 12n).toString(16)}` },
      },
    },
  },
});
