/**
 * What the two sides of the 4K-page IOMMU share: in the SoC's area, behind its header.
 *
 * | words | written by | read by |
 * |---|---|---|
 * | present | the thread that powers on, once | everyone |
 * | enabled, deviceTable, messageTable | kernel, holding the SoC's lock | engines, holding it |
 * | fault words | engines, holding the lock; `pending` is cleared by the kernel | kernel, holding the lock |
 */
import { struct, u32 } from '../../../kernel/lib/struct.ts';
import type { SocArea } from '../pamu/soc_area.ts';

/** Offset in the SoC's area: the header's page has room. */
const IOMMU4K_OFFSET = 0x800;

const IOMMU4K_WORDS = struct(
  'iommu4k',
  'le',
  {
    present: u32,
    enabled: u32,
    deviceTable: u32,
    messageTable: u32,
    /** 1: the other fault words are those of a fault that the kernel has not taken. */
    pending: u32,
    /** Faults since power-on. */
    faults: u32,
    liodn: u32,
    addressHigh: u32,
    addressLow: u32,
    write: u32,
    reason: u32,
  },
  { size: 44 },
);
export type Iommu4kWord = keyof typeof IOMMU4K_WORDS.offset;

export function iommu4kWord({ memory, base }: SocArea, word: Iommu4kWord): number {
  return memory.load(base + IOMMU4K_OFFSET + IOMMU4K_WORDS.offset[word]) >>> 0;
}
export function setIommu4kWord({ memory, base }: SocArea, word: Iommu4kWord, value: number): void {
  memory.store(base + IOMMU4K_OFFSET + IOMMU4K_WORDS.offset[word], value);
}
