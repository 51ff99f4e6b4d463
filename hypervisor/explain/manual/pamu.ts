/** Words for PAMU's tables and registers and for a DMA channel's (QorIQ manuals; Linux drivers/iommu/fsl_pamu.h, fsldma.h). */
import { FSL_DMA_ATTRIBUTES, FSL_DMA_MR, FSL_DMA_SR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import {
  PAACE,
  PAMU_AVS1,
  type PAMU_VIOLATION,
  PPAACE_AF,
  SPAACE_AF,
  windowCount,
  windowSize,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { named, struct, u32 } from '../../../kernel/lib/struct.ts';
import { type BitDoc, type FieldDoc, type Manual, manual } from './manual.ts';

/** `4 KiB`, `64 MiB`: a power of two. */
export function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${bytes / 1024 ** unit} ${units[unit]}`;
}

const size = (value: bigint) => sizeText(windowSize(Number(value)));
const COMMON: Readonly<Record<string, BitDoc>> = {
  AP: { title: 'access permission', means: { 0: 'none', 1: 'read', 2: 'write', 3: 'read and write' } },
  DD: { title: 'destination domain', means: { 0: 'the host', 1: 'an I/O device' } },
  PT: { title: 'table', means: { 0: 'primary', 1: 'secondary' } },
  V: { title: 'valid', means: { 0: 'devices with this LIODN get nowhere', 1: 'the entry counts' } },
};

const FIELDS: Readonly<Record<keyof typeof PAACE.fields, FieldDoc>> = {
  wbah: { title: 'WBAH: window base, upper bits' },
  addr_bitfields: { title: 'address and permissions' },
  domain_attr: {
    title: 'destination',
    bits: { DID: 'destination', PID: 'partition', SNPID: 'snoop domain', CR: 'coherency required' },
  },
  impl_attr: {
    title: 'attributes',
    bits: {
      CID: 'cache to stash into',
      WCE: { title: 'window count', means: (value) => `${windowCount(Number(value))} windows, if MW` },
      ATM: { title: 'address translation', means: { 0: 'none', 1: 'by window', 2: 'by page', 3: 'both' } },
      OTM: { title: 'operation translation', means: { 0: 'none', 1: 'immediate', 2: 'indexed' } },
    },
  },
  twbah: { title: 'TWBAH: translated window base, upper bits' },
  win_bitfields: {
    title: 'what the window leads to',
    bits: {
      TWBAL: {
        title: 'translated base',
        means: (value) => `host-physical 0x${(value << 12n).toString(16)}, with TWBAH above it`,
      },
      SWSE: { title: 'how much of it is mapped', means: size },
    },
  },
  fspi: { title: 'first secondary entry: where windows 1 and up are' },
  op_encode: { title: 'operation mapping' },
  reserved: { title: 'not used' },
};

/** The table's layout with the bits of one kind of entry. */
function entry(kind: 'ppaace' | 'spaace', bits: typeof PPAACE_AF | typeof SPAACE_AF) {
  return struct(kind, 'be', { ...PAACE.fields, addr_bitfields: named(u32, bits) }, { size: PAACE.size });
}

export const PPAACE_MANUAL = manual(entry('ppaace', PPAACE_AF), {
  name: 'PPAACE',
  title: 'primary peripheral access authorization and control entry: one a LIODN',
  source: 'QorIQ P4080 manual, PAMU; fsl_pamu.h',
  fields: {
    ...FIELDS,
    addr_bitfields: {
      title: 'aperture: the bus addresses that the device may use at all',
      bits: {
        WBAL: 'window base, bits 31:12',
        WSE: { title: 'size of the aperture', means: size },
        MW: 'the aperture is divided into windows',
        ...COMMON,
      },
    },
  },
});

export const SPAACE_MANUAL = manual(entry('spaace', SPAACE_AF), {
  name: 'SPAACE',
  title: 'secondary entry: one window of the aperture',
  source: 'QorIQ P4080 manual, PAMU; fsl_pamu.h',
  fields: { ...FIELDS, addr_bitfields: { title: 'whose, and permissions', bits: { LIODN: 'whose', ...COMMON } } },
});

const word = (name: string, fields: Readonly<Record<string, FieldDoc>>, words: Pick<Manual, 'title' | 'source'>) =>
  manual(
    struct(name, 'be', Object.fromEntries(Object.keys(fields).map((field) => [field, u32])), {
      size: 4 * Object.keys(fields).length,
    }),
    { name, fields, ...words },
  );

const VIOLATIONS: Readonly<Record<keyof typeof PAMU_VIOLATION, string>> = {
  OTV: 'operation translation violation',
  APV: 'access permission violation',
  WAV: 'window address violation: no window is there, or nothing is mapped at this place of it',
  LAV: 'LIODN authorization violation: its entry is not valid',
  GCV: 'gate closed',
};

/** The registers in which a violation is captured; as a program loads them. */
export const VIOLATION_MANUAL = word(
  'PAMU registers',
  {
    POEAH: { title: 'address of the entry that refused, upper bits' },
    POEAL: { title: 'address of the entry that refused, lower bits' },
    AVS1: {
      title: 'access violation status 1',
      masks: { LIODN: 0xffff_0000, ...PAMU_AVS1 },
      bits: {
        LIODN: 'whose access it was',
        AV: 'a violation is captured here',
        PDV: 'reserved for pool dispatch',
        ...VIOLATIONS,
      },
    },
    AVS2: { title: 'access violation status 2', means: { 1: 'a read', 2: 'a write' } },
    AVAH: { title: 'violating address, upper bits' },
    AVAL: { title: 'violating address, lower bits' },
  },
  { title: 'violation capture of PAMU 0', source: 'fsl_pamu.h, PAMU_AVS1 and on' },
);

/** The registers of a DMA channel. */
export const CHANNEL_MANUAL = word(
  'channel registers',
  {
    MR: {
      title: 'mode',
      masks: FSL_DMA_MR,
      bits: {
        CS: 'channel start',
        CC: 'channel continue',
        CTM: 'transfer mode: direct, without a list',
        CA: 'channel abort',
        CDSM: 'start by a single write',
        XFE: 'extended features',
        EIE: 'interrupt on error',
        EOLSIE: 'interrupt at the end of lists',
        EOLNIE: 'interrupt at the end of links',
        EOSIE: 'interrupt at the end of a segment',
        SAHE: 'source address hold',
        DAHE: 'destination address hold',
      },
    },
    SR: {
      title: 'status',
      masks: FSL_DMA_SR,
      bits: {
        TE: 'transfer error: an address was refused',
        CH: 'halted',
        PE: 'programming error',
        EOLNI: 'end of links',
        CB: 'busy',
        EOSI: 'end of segment',
        EOLSI: 'end of lists',
      },
    },
    ECLNDAR: { title: 'current link descriptor, upper bits: not used in direct mode' },
    CLNDAR: { title: 'current link descriptor, lower bits' },
    SATR: { title: 'source attributes', ranges: FSL_DMA_ATTRIBUTES.fields, bits: attributes() },
    SAR: { title: 'source address, lower bits' },
    DATR: { title: 'destination attributes', ranges: FSL_DMA_ATTRIBUTES.fields, bits: attributes() },
    DAR: { title: 'destination address, lower bits' },
    BCR: { title: 'bytes left', decimal: true },
  },
  { title: 'DMA channel 0', source: 'MPC8548E manual, DMA controller; fsldma.h' },
);

function attributes(): Readonly<Record<string, string>> {
  return { SME: 'stride mode', TYPE: 'transaction type: 5 is snooped', EAD: 'address, upper bits' };
}
