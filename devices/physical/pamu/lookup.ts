/**
 * What a PAMU does with an access: LIODN and bus address select an entry, the entry permits and translates. Nothing is
 * cached: every access reads the tables, so the cache bits of PC only keep their values.
 *
 * Checked in this order (the order, and which violation each is, are this machine's where the manual is silent):
 *
 * | | refused with |
 * |---|---|
 * | bypassed, or PC.PE = 0 | passes untranslated |
 * | PC.PGC = 1 | GCV |
 * | LIODN not in the primary table, its entry outside of memory, or V = 0 | LAV |
 * | not in [base, base + 2^(WSE+1)) | WAV |
 * | MW = 1 with a WCE above the largest, or windows below 4 KiB | WAV |
 * | the secondary entry not in its table, outside of memory, or V = 0 | WAV |
 * | behind 2^(SWSE+1) in its window | WAV |
 * | AP lacks the kind | APV |
 * | OTM reserved; indexed without a valid mapping of the operation; not indexed and no plain read or write | OTV |
 *
 * With MW = 0, SWSE bounds a translated window only if it is not zero: Linux writes it for sub-windows only, and makes
 * WSE the mapped length of a single window.
 */
import { CCSR, GUTS } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  EOE_VALID,
  IOE_IDX,
  OME_NUMBER_ENTRIES,
  OME_SIZE,
  PAACE,
  PAACE_AP,
  PAACE_ATM,
  PAACE_IA,
  PAACE_NUMBER_ENTRIES,
  PAACE_OP_INDEX,
  PAACE_OTM,
  PAACE_WIN,
  PAMU,
  PAMU_MAX_WCE,
  PAMU_PAGE_SIZE,
  PAMU_PC,
  PAMU_STRIDE,
  type PamuViolation,
  PPAACE_AF,
  windowCount,
  windowSize,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { fieldReader } from '../../../kernel/lib/bits.ts';
import { readPaaceWord } from './paact.ts';
import type { SocArea } from './soc_area.ts';

/** An access of a device, not crossing a 4 KiB boundary of the bus address. */
export interface PamuAccess {
  readonly liodn: number;
  /** 36 bits. */
  readonly address: number;
  /** Bytes, at least 1. */
  readonly length: number;
  readonly write: boolean;
  /** What the device asks for in particular ({@link IOE_IDX}); a plain read or write when omitted. */
  readonly operation?: number;
}

/** Let through: where to, and with which attributes. */
export interface PamuGranted {
  /** Host-physical, perhaps where nothing is. */
  readonly physical: number;
  /** Cache that the data is pushed to, as the entry says; undefined without translation. */
  readonly stash?: number;
  /** The operation on the interconnect (EOE_*), when the entry maps it. */
  readonly operation?: number;
}

/** Refused. */
export interface PamuRefused {
  readonly violation: PamuViolation;
  /** HPA of the entry that refused; 0 when there was none. */
  readonly entry: number;
  /** An entry was needed that lies outside of memory. */
  readonly fetchFailed?: boolean;
}

/** Offset in CCSR of a PAMU's register. */
export function pamuRegister(pamu: number, register: number): number {
  return CCSR.PAMU + pamu * PAMU_STRIDE + register;
}

/** An entry's HPA; 'absent' behind the table's limit, 'lost' where no memory is. */
function entryAt(
  area: SocArea,
  pamu: number,
  table: { readonly base: number; readonly limit: number },
  offset: number,
  size: number,
): number | 'absent' | 'lost' {
  const at = address64(area, pamu, table.base, PAMU_PAGE_SIZE) + offset;
  if (at + size > address64(area, pamu, table.limit, 1)) return 'absent';
  return at >= area.get('firstFrame') && at + size <= area.memory.size ? at : 'lost';
}

/** An address in two registers, high word first, rounded down to a power of two; the 36 bits that an address has. */
function address64(area: SocArea, pamu: number, high: number, align: number): number {
  const register = pamuRegister(pamu, high);
  return (area.load(register) & 0xf) * 0x1_0000_0000 + ((area.load(register + 4) & -align) >>> 0);
}

const PRIMARY = { base: PAMU.PPBAH, limit: PAMU.PPLAH };
const SECONDARY = { base: PAMU.SPBAH, limit: PAMU.SPLAH };
const OPERATIONS = { base: PAMU.OBAH, limit: PAMU.OLAH };

/** Fields of the entries: every access reads them. V and AP are where they are in entries of both tables. */
const validOf = fieldReader(PPAACE_AF, 'V');
const sizeCodeOf = fieldReader(PPAACE_AF, 'WSE');
const multipleOf = fieldReader(PPAACE_AF, 'MW');
const permissionOf = fieldReader(PPAACE_AF, 'AP');
const countCodeOf = fieldReader(PAACE_IA, 'WCE');
const translationOf = fieldReader(PAACE_IA, 'ATM');
const stashOf = fieldReader(PAACE_IA, 'CID');
const operationModeOf = fieldReader(PAACE_IA, 'OTM');
const mappedCodeOf = fieldReader(PAACE_WIN, 'SWSE');
/** Bytes and counts by their codes, for the same reason: codes have 6 and 4 bits. */
const SIZES = Float64Array.from({ length: 64 }, (_, code) => windowSize(code));
const COUNTS = Float64Array.from({ length: 16 }, (_, code) => windowCount(code));

/** Looks an access up; the caller holds the area's lock until the data has moved. */
export function lookup(area: SocArea, pamu: number, access: PamuAccess): PamuGranted | PamuRefused {
  const control = area.load(pamuRegister(pamu, PAMU.PC));
  const bypassed = (area.load(GUTS.PAMUBYPENR) & (0x8000_0000 >>> pamu)) !== 0;
  if (bypassed || (control & PAMU_PC.PE) === 0) return { physical: access.address };
  if ((control & PAMU_PC.PGC) !== 0) return { violation: 'GCV', entry: 0 };

  const { memory } = area;
  const { liodn, address, length } = access;
  if (liodn >= PAACE_NUMBER_ENTRIES) return { violation: 'LAV', entry: 0 };
  const primary = entryAt(area, pamu, PRIMARY, liodn * PAACE.size, PAACE.size);
  if (typeof primary === 'string') return { violation: 'LAV', entry: 0, fetchFailed: primary === 'lost' };
  const af = readPaaceWord(memory, primary, PAACE.offset.addr_bitfields);
  if (validOf(af) === 0) return { violation: 'LAV', entry: primary };

  const outside: PamuRefused = { violation: 'WAV', entry: primary };
  const base = readPaaceWord(memory, primary, PAACE.offset.wbah) * 0x1_0000_0000 + ((af & PPAACE_AF.mask.WBAL) >>> 0);
  const aperture = SIZES[sizeCodeOf(af)];
  const inAperture = address - base;
  if (inAperture < 0 || inAperture + length > aperture) return outside;
  if (multipleOf(af) === 0) return throughEntry(area, pamu, access, { entry: primary, offset: inAperture });

  const wce = countCodeOf(readPaaceWord(memory, primary, PAACE.offset.impl_attr));
  const size = aperture / COUNTS[wce];
  if (wce > PAMU_MAX_WCE || size < PAMU_PAGE_SIZE) return outside;
  const window = Math.floor(inAperture / size);
  const offset = inAperture - window * size;
  if (window === 0) return throughEntry(area, pamu, access, { entry: primary, offset, bounded: true });
  const index = readPaaceWord(memory, primary, PAACE.offset.fspi) + window - 1;
  const entry = entryAt(area, pamu, SECONDARY, index * PAACE.size, PAACE.size);
  if (typeof entry === 'string') return { ...outside, fetchFailed: entry === 'lost' };
  if (validOf(readPaaceWord(memory, entry, PAACE.offset.addr_bitfields)) === 0) return { violation: 'WAV', entry };
  return throughEntry(area, pamu, access, { entry, offset, bounded: true });
}

/** The entry of a window, and the access's place in the window. */
interface InWindow {
  readonly entry: number;
  readonly offset: number;
  /** SWSE says how much of the window is mapped, whatever it is. */
  readonly bounded?: boolean;
}

function throughEntry(
  area: SocArea,
  pamu: number,
  { address, length, write, operation: asked = write ? IOE_IDX.WRITE : IOE_IDX.READ }: PamuAccess,
  { entry, offset, bounded = false }: InWindow,
): PamuGranted | PamuRefused {
  const { memory } = area;
  const word = (field: keyof typeof PAACE.offset) => readPaaceWord(memory, entry, PAACE.offset[field]);
  const [attributes, window] = [word('impl_attr'), word('win_bitfields')];
  const translated = (translationOf(attributes) & PAACE_ATM.WINDOW_XLATE) !== 0;
  const swse = mappedCodeOf(window);
  if ((bounded || (translated && swse !== 0)) && offset + length > SIZES[swse]) return { violation: 'WAV', entry };
  const permission = permissionOf(word('addr_bitfields'));
  if ((permission & (write ? PAACE_AP.UPDATE : PAACE_AP.QUERY)) === 0) return { violation: 'APV', entry };
  const operation = mapOperation(area, pamu, entry, asked);
  if (operation === 'invalid') return { violation: 'OTV', entry };
  const base = word('twbah') * 0x1_0000_0000 + ((window & PAACE_WIN.mask.TWBAL) >>> 0);
  const physical = translated ? base + offset : address;
  return { physical, stash: stashOf(attributes), operation };
}

/** The operation on the interconnect; undefined when the entry leaves it as it is. @param asked of {@link IOE_IDX} */
function mapOperation(area: SocArea, pamu: number, entry: number, asked: number): number | undefined | 'invalid' {
  const mode = operationModeOf(readPaaceWord(area.memory, entry, PAACE.offset.impl_attr));
  if (mode === PAACE_OTM.RESERVED) return 'invalid';
  // Immediate encodings replace particular inbound operations; plain reads and writes are as they were. The others mean
  // nothing on the interconnect unless they are mapped.
  if (mode !== PAACE_OTM.INDEXED) return asked <= IOE_IDX.WRITE ? undefined : 'invalid';
  const index = PAACE_OP_INDEX.get(readPaaceWord(area.memory, entry, PAACE.offset.op_encode), 'OMI');
  if (index >= OME_NUMBER_ENTRIES) return 'invalid';
  const row = entryAt(area, pamu, OPERATIONS, index * OME_SIZE, OME_SIZE);
  if (typeof row === 'string') return 'invalid';
  if (asked >= OME_SIZE) return 'invalid';
  const encoding = area.memory.u8[row + asked];
  return (encoding & EOE_VALID) === 0 ? 'invalid' : encoding & ~EOE_VALID;
}
