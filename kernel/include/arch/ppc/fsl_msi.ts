/**
 * The message signalled interrupt banks of Freescale's MPIC (Linux arch/powerpc/sysdev/fsl_msi.c and fsl_msi.h,
 * Documentation/devicetree/bindings/powerpc/fsl/msi-pic.txt, boot/dts/fsl/qoriq-mpic.dtsi, qoriq-mpic4.3.dtsi).
 *
 * A bank has MSIRs of 32 bits; writing its index register, the doorbell, sets one of them. Each MSIR is an MPIC source,
 * and reading it clears it. Whoever can write a doorbell can raise every vector of the bank.
 */
import { CCSR } from './fsl_soc.ts';

/** Vectors of an MSIR (IRQS_PER_MSI_REG). */
export const IRQS_PER_MSIR = 32;
/** Bytes from one MSIR to the next (fsl_msi.c, the cascade's MSIR read). */
export const MSIR_STRIDE = 0x10;
/** Offset of MSIIR in a bank and in its alias page (fsl_msi.c, mpic_msi_feature). */
export const MSIIR_OFFSET = 0x140;
/** Offset of MSIIR1 (msi-pic.txt, "fsl,mpic-msi-v4.3"). */
export const MSIIR1_OFFSET = 0x148;
/** Bytes of a bank's registers in {@link CCSR.MPIC_MESSAGE} (qoriq-mpic.dtsi, msi@41600). */
export const MSI_BANK_SIZE = 0x200;
/** First bank in CCSR (qoriq-mpic.dtsi). */
export const MSI_BANK_BASE = CCSR.MPIC_MESSAGE + 0x600;
/** First alias page in CCSR: a page that holds nothing but one bank's doorbell (msi-pic.txt, second reg). */
export const MSI_ALIAS_BASE = 0x4_4000;
/** Bytes of an alias page. */
export const MSI_ALIAS_SIZE = 0x1000;

/** MPIC sources: MSIRs 0 to 7 of a bank, and 8 to 15 (qoriq-mpic4.3.dtsi). */
const SOURCE_LOW = 0xe0;
const SOURCE_HIGH = 0x100;
/** MSIRs of a bank that are neighbours among the sources. */
const SOURCES_TOGETHER = 8;
/** Global timers of the MPIC, in the same page as the banks: offsets in CCSR (mpic.h, MPIC_TIMER_BASE and following). */
export const MPIC_TIMERS = { start: CCSR.MPIC_MESSAGE + 0x100, end: CCSR.MPIC_MESSAGE + 0x200 } as const;

/** A generation of banks. Message data is (SRS << srsShift) | (IBS << ibsShift), written little-endian. */
export interface MsiModel {
  /** Compatible name in a device tree. */
  readonly compatible: string;
  readonly banks: number;
  /** MSIRs of a bank. */
  readonly msirs: number;
  /** Offset of the doorbell in the bank, and in the alias page. */
  readonly doorbell: number;
  readonly srsShift: number;
  readonly ibsShift: number;
  /** Whether every bank has an alias page. */
  readonly alias: boolean;
  /** True: the doorbell is MSIIR1. */
  readonly msiir1: boolean;
  /** Block revision register of the MPIC: its low half is the version, 0x0403 for v4.3; the other two are this machine's. */
  readonly brr1: number;
}

const CLASSIC = { banks: 3, msirs: 8, doorbell: MSIIR_OFFSET, srsShift: 5, ibsShift: 0, msiir1: false } as const;

/** The generations (msi-pic.txt; section "MSI address pages" of the same). */
export const MSI_MODELS = {
  /** The first chips with a PAMU: the doorbells share a page with each other and with the host's timers. */
  classic: { ...CLASSIC, compatible: 'fsl,mpic-msi', alias: false, brr1: 0x0040_0401 },
  /** The same with alias pages. */
  'classic-alias': { ...CLASSIC, compatible: 'fsl,mpic-msi', alias: true, brr1: 0x0040_0402 },
  'v4.3': {
    compatible: 'fsl,mpic-msi-v4.3',
    banks: 4,
    msirs: 16,
    doorbell: MSIIR1_OFFSET,
    srsShift: 0,
    ibsShift: 4,
    alias: true,
    msiir1: true,
    brr1: 0x0040_0403,
  },
} as const satisfies Record<string, MsiModel>;
export type MsiModelName = keyof typeof MSI_MODELS;

/** Offset of a bank's registers in CCSR. */
export function msiBank(bank: number): number {
  return MSI_BANK_BASE + bank * MSI_BANK_SIZE;
}
/** Offset of an MSIR in CCSR; reading it gives its vectors and clears them. */
export function msir(bank: number, srs: number): number {
  return msiBank(bank) + srs * MSIR_STRIDE;
}
/** Offset in CCSR of the doorbell that devices are given: in the alias page if there is one. */
export function msiDoorbell(model: MsiModel, bank: number): number {
  return (model.alias ? MSI_ALIAS_BASE + bank * MSI_ALIAS_SIZE : msiBank(bank)) + model.doorbell;
}
/** The MPIC source of an MSIR. */
export function msirSource(bank: number, srs: number): number {
  const together = bank * SOURCES_TOGETHER + (srs % SOURCES_TOGETHER);
  return (srs < SOURCES_TOGETHER ? SOURCE_LOW : SOURCE_HIGH) + together;
}
/** Message data that raises a vector. */
export function msiData(model: MsiModel, srs: number, ibs: number): number {
  return (srs << model.srsShift) | (ibs << model.ibsShift);
}
/** The vector that message data raises; bits beyond both fields do not count. */
export function msiVector(model: MsiModel, data: number): { readonly srs: number; readonly ibs: number } {
  return { srs: (data >>> model.srsShift) & (model.msirs - 1), ibs: (data >>> model.ibsShift) & (IRQS_PER_MSIR - 1) };
}
