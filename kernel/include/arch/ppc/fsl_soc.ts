/**
 * Where things are on the modelled Freescale SoC: a QorIQ with one eloplus DMA controller, five PAMUs and an MPIC
 * (Linux arch/powerpc/boot/dts/fsl/p4080si-post.dtsi, qoriq-dma-0.dtsi, qoriq-mpic.dtsi). Offsets are from the start
 * of CCSR, the block of all configuration, control and status registers; registers are 32 bits, big-endian.
 */

/** Host-physical address of CCSR (Linux arch/powerpc/boot/dts/fsl/p4080ds.dts, soc@ffe000000). */
export const CCSR_BASE = 0xf_fe00_0000;
/** Bytes of CCSR that this machine has. */
export const CCSR_SIZE = 0x20_0000;
/** Addresses of devices and of the interconnect have 36 bits (P4080 reference manual, "Local access windows"). */
export const PHYSICAL_ADDRESS_LIMIT = 2 ** 36;

/** The pages of CCSR that answer (the device trees named above). */
export const CCSR = {
  /** The first PAMU; the others follow, 0x1000 bytes each. */
  PAMU: 0x2_0000,
  /** MPIC global registers; the first word is the block revision. */
  MPIC: 0x4_0000,
  /** MPIC timers and the shared message signalled interrupt registers of every bank. */
  MPIC_MESSAGE: 0x4_1000,
  /** Device configuration and pin control ("guts"). */
  GUTS: 0xe_0000,
  /** DMA controller 1. */
  DMA: 0x10_0000,
} as const;

/** MPIC block revision register BRR1 (Linux arch/powerpc/include/asm/mpic.h, MPIC_FSL_BRR1). */
export const MPIC_BRR1 = CCSR.MPIC;
/** Major and minor version in BRR1 (Linux arch/powerpc/sysdev/mpic.c, MPIC_FSL_BRR1_VER). */
export const MPIC_BRR1_VERSION = 0xffff;

/** Guts registers (P4080 reference manual, "Device configuration"; Linux drivers/iommu/fsl_pamu.c for the bypass). */
export const GUTS = {
  /**
   * LIODN of DMA channel 0, those of the others follow; 12 bits. The real chip has one register a controller
   * (DMA1LIODNR); one a channel is this machine's, so that channels can be given away one by one.
   */
  DMA_LIODNR: 0xe_0580,
  /** PAMUBYPENR: bit 0 (the most significant) set: the first PAMU lets everything pass; and so on. All set at power-on. */
  PAMUBYPENR: 0xe_0604,
} as const;

/** MPIC sources, numbered as in device trees (p4080si-post.dtsi: iommu, error interrupt; qoriq-dma-0.dtsi). */
export const MPIC_SOURCE = {
  /** Hardware errors, shared; PAMU operation errors among them. */
  ERROR: 16,
  /** Access violation of any PAMU. */
  PAMU: 24,
  /** DMA channel 0; the others follow. */
  DMA: 28,
} as const;
/** Sources are below this number (the MSIRs of MPIC v4.3 end at 0x11f). */
export const MPIC_SOURCES = 0x120;

/** A DMA channel as the device tree and the boot firmware tell of it. */
export interface DmaChannelNode {
  readonly name: string;
  /** Offset of its registers in CCSR. */
  readonly registers: number;
  /** Its MPIC source. */
  readonly source: number;
  /** The PAMU it is behind (fsl,iommu-parent; p4080si-post.dtsi has DMA controller 1 behind the first). */
  readonly pamu: number;
  /** Its LIODN (fsl,liodn); channels with equal ones cannot be told apart by the PAMU: one IOMMU group. */
  readonly liodn: number;
}

/** A node whose LIODNs the PAMU driver treats in a way of their own, by what it is compatible with. */
export interface QbmanNode {
  readonly compatible: 'fsl,qman' | 'fsl,bman' | 'fsl,qman-portal';
  /** fsl,liodn, as the boot firmware gives it. */
  readonly liodns: readonly number[];
}

/** Software portals of the queue manager (qoriq-qman1-portals.dtsi). */
const QMAN_PORTALS = 10;
/**
 * Queue manager, buffer manager and portals, with the LIODNs that U-Boot gives them on a P4080 (p4080_ids.c): a portal has
 * one for its dequeue ring and one for frame data. This machine has none of their engines; their entries are the host's.
 */
export const QBMAN_NODES: readonly QbmanNode[] = [
  { compatible: 'fsl,qman', liodns: [31] },
  { compatible: 'fsl,bman', liodns: [32] },
  ...Array.from({ length: QMAN_PORTALS }, (_, i) => ({
    compatible: 'fsl,qman-portal' as const,
    liodns: [2 * i + 1, 2 * i + 2],
  })),
];

/** Channel registers (qoriq-dma-0.dtsi, dma-channel@0). */
const DMA_CHANNEL = 0x10_0100;
/** Bytes of a channel's registers (qoriq-dma-0.dtsi). */
export const DMA_CHANNEL_SIZE = 0x80;
/** The LIODNs that the boot firmware gives the channels: two of their own, and a pair that shares. */
const DMA_LIODNS = [0x40, 0x41, 0x42, 0x42] as const;

/** The four channels. */
export const DMA_CHANNELS: readonly DmaChannelNode[] = DMA_LIODNS.map((liodn, channel) => ({
  name: `dma${channel}`,
  registers: DMA_CHANNEL + channel * DMA_CHANNEL_SIZE,
  source: MPIC_SOURCE.DMA + channel,
  pamu: 0,
  liodn,
}));
