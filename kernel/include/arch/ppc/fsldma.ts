/**
 * The eloplus DMA controller: four channels that copy memory to memory (Linux drivers/dma/fsldma.h and fsldma.c;
 * MPC8548E reference manual, chapter "DMA controller"; Documentation/devicetree/bindings/powerpc/fsl/dma.txt).
 * Registers and link descriptors are big-endian; addresses have 36 bits, the upper four in the attribute word.
 */
import { bitfield } from '../../../lib/bits.ts';
import { named, struct, u32, type View } from '../../../lib/struct.ts';
import { CCSR } from './fsl_soc.ts';

/** Offset in CCSR of DGSR, the SRs of all channels, channel 0 in the most significant byte (dma.txt, dma@100300). */
export const FSL_DMA_DGSR = CCSR.DMA + 0x300;

/** Register offsets in a channel (struct fsldma_chan_regs; the manual's names). */
export const FSL_DMA = {
  MR: 0x00,
  SR: 0x04,
  /** Extended current link descriptor address: bits 35:32. */
  ECLNDAR: 0x08,
  CLNDAR: 0x0c,
  /** Source attributes, {@link FSL_DMA_ATTRIBUTES}. */
  SATR: 0x10,
  SAR: 0x14,
  DATR: 0x18,
  DAR: 0x1c,
  BCR: 0x20,
  ENLNDAR: 0x24,
  NLNDAR: 0x28,
  /**
   * From here on this machine's own: the real controller has no message signalled interrupts. Bit 31 (1) of MSICR
   * makes the channel write MSIDATA, little-endian, to MSIARH:MSIAR through the PAMU instead of using its MPIC source.
   */
  MSICR: 0x50,
  MSIARH: 0x54,
  MSIAR: 0x58,
  MSIDATA: 0x5c,
  /** This machine's own: nanoseconds that each transaction takes, so that a transfer can be caught under way. */
  SLOW: 0x60,
} as const;

/** MR bits (FSL_DMA_MR_*). */
export const FSL_DMA_MR = {
  /** Channel start: set from zero, it starts an idle channel and lets a halted one go on; cleared, it halts a busy one. */
  CS: 0x0000_0001,
  /** Channel continue; not modelled. */
  CC: 0x0000_0002,
  /** Channel transfer mode: 1 direct, 0 chaining. */
  CTM: 0x0000_0004,
  /** Channel abort: the channel is idle when the register write is done. */
  CA: 0x0000_0008,
  /** Single-write start; not modelled, a start with it is a programming error. */
  CDSM: 0x0000_0010,
  /** Extended features (lists, stride); not modelled, a start with it is a programming error. */
  XFE: 0x0000_0020,
  /** Interrupt on error. */
  EIE: 0x0000_0040,
  EOLSIE: 0x0000_0080,
  /** Interrupt at the end of the chain. */
  EOLNIE: 0x0000_0100,
  /** Interrupt at the end of a direct transfer, or of every segment. */
  EOSIE: 0x0000_0200,
  SAHE: 0x0000_1000,
  DAHE: 0x0000_2000,
} as const;
/** SR bits (FSL_DMA_SR_*); write one to clear, but CH and CB. */
export const FSL_DMA_SR = {
  /** Transfer error: an address was refused. */
  TE: 0x80,
  /** Halted: CS was cleared while the channel was busy. */
  CH: 0x20,
  /** Programming error: a byte count of zero, or a feature that is not there. */
  PE: 0x10,
  /** End of links: the last descriptor is done, if MR.EOLNIE. */
  EOLNI: 0x08,
  /** Busy. */
  CB: 0x04,
  /** End of segment, if MR.EOSIE or the descriptor's EOSIE. */
  EOSI: 0x02,
  EOLSI: 0x01,
} as const;
/** The bits of SR that a one clears. */
export const FSL_DMA_SR_W1C = FSL_DMA_SR.TE | FSL_DMA_SR.PE | FSL_DMA_SR.EOLNI | FSL_DMA_SR.EOSI | FSL_DMA_SR.EOLSI;

/** SATR and DATR: transaction type (FSL_DMA_SATR_SREADTYPE_*), stride mode, address bits 35:32. Types are kept, no more. */
export const FSL_DMA_ATTRIBUTES = bitfield('fsl_dma_attributes', 32, { SME: [7, 1], TYPE: [12, 4], EAD: [28, 4] });
/** Type of a snooped read or write (FSL_DMA_SATR_SREADTYPE_SNOOP_READ, FSL_DMA_DATR_DWRITETYPE_SNOOP_WRITE). */
export const FSL_DMA_SNOOP = 0x0005_0000;
/** Largest byte count (FSL_DMA_BCR_MAX_CNT). */
export const FSL_DMA_BCR_MAX_CNT = 0x03ff_ffff;

/** Low word of a link: NLNDAR and the descriptor's (FSL_DMA_EOL, FSL_DMA_EOSIE, FSL_DMA_NLDA_MASK). */
export const FSL_DMA_LINK = bitfield('fsl_dma_link', 32, { NLNDA: [0, 27], EOSIE: [28, 1], EOLND: [31, 1] });
/** The address bits of a link; descriptors are 32-aligned. */
export const FSL_DMA_NLDA_MASK = 0xffff_ffe0;

/** Link descriptor (struct fsl_dma_ld_hw; MPC8548E, "Link descriptor format"). */
export const FSL_DMA_LD = struct(
  'fsl_dma_ld_hw',
  'be',
  {
    src_attr: named(u32, FSL_DMA_ATTRIBUTES),
    src_addr: u32,
    dst_attr: named(u32, FSL_DMA_ATTRIBUTES),
    dst_addr: u32,
    /** Bits 35:32 of the next descriptor's address. */
    next_ext: u32,
    next: named(u32, FSL_DMA_LINK),
    count: u32,
    reserved: u32,
  },
  { size: 32, offsets: { dst_attr: 8, next_ext: 16, next: 20, count: 24 } },
);
export type FslDmaLd = View<typeof FSL_DMA_LD.fields>;
