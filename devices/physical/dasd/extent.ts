/** Define Extent: what part of the disk the rest of the program may use, and how (vfio-ccw facts 5.2). */

import { bitfield } from '../../../kernel/lib/bits.ts';
import { bytes, named, struct, u8, u16, type View } from '../../../kernel/lib/struct.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { MESSAGE, reject } from './sense.ts';

/** File mask: byte 0 of Define Extent and the whole parameter of Set File Mask. */
export const FILE_MASK = bitfield('file_mask', 8, {
  write: [0, 2],
  zero: [2, 1],
  seek: [3, 2],
  auth: [5, 2],
  pci: [7, 1],
});
/** Values of `write`. */
export const WRITE_CONTROL = { INHIBIT_HA_R0: 0, INHIBIT_ALL: 1, UPDATE_ONLY: 2, PERMIT_ALL: 3 } as const;
/** Values of `seek`. */
export const SEEK_CONTROL = { ALL: 0, CYLINDER_HEAD: 1, HEAD: 2, NONE: 3 } as const;
/** Attributes: byte 1. */
const ATTRIBUTES = bitfield('attributes', 8, {
  mode: [0, 2],
  conversion: [2, 1],
  cache: [3, 3],
  cfw: [6, 1],
  dfw: [7, 1],
});
/** `mode` of ECKD operation. */
const MODE_ECKD = 3;

export const DEFINE_EXTENT = struct(
  'define_extent',
  'be',
  {
    mask: named(u8, FILE_MASK),
    attributes: named(u8, ATTRIBUTES),
    blockSize: u16,
    fastWriteId: u16,
    reserved: u8,
    extended: u8,
    beginCylinder: u16,
    beginHead: u16,
    endCylinder: u16,
    endHead: u16,
  },
  { size: 16, offsets: { extended: 7, beginCylinder: 8, endCylinder: 12 } },
);
type DefineExtent = View<typeof DEFINE_EXTENT.fields>;

/** What a Define Extent allows. Tracks count from cylinder 0 head 0. */
export interface Extent {
  readonly mask: number;
  /** Longest transfer of a record, bytes. */
  readonly blockSize: number;
  readonly first: number;
  readonly last: number;
}

const { heads } = GEOMETRY_3390;
/** Longest block when Define Extent says 0. */
const MAX_BLOCK = GEOMETRY_3390.maxRecord0 + 8;

/** Parameter checks, in order. @param cylinders of the disk */
const CHECKS: readonly (readonly [reason: string, bad: (p: DefineExtent, cylinders: number) => boolean])[] = [
  ['bit 2 of the file mask', (p) => (p.mask & FILE_MASK.mask.zero) !== 0],
  ['not ECKD mode', (p) => ATTRIBUTES.get(p.attributes, 'mode') !== MODE_ECKD],
  ['CKD conversion mode', (p) => (p.attributes & ATTRIBUTES.mask.conversion) !== 0],
  ['block size', (p) => p.blockSize > MAX_BLOCK],
  ['byte 6', (p) => p.reserved !== 0],
  ['begin of the extent', (p, cylinders) => p.beginCylinder >= cylinders || p.beginHead >= heads],
  ['end of the extent', (p, cylinders) => p.endCylinder >= cylinders || p.endHead >= heads],
  ['extent ends before it begins', (p) => trackOf(p.endCylinder, p.endHead) < trackOf(p.beginCylinder, p.beginHead)],
];

/** Number of a track from the start of the disk. */
export function trackOf(cylinder: number, head: number): number {
  return cylinder * heads + head;
}

/** @throws UnitCheck when a parameter is invalid or too few bytes came. */
export function parseExtent(parameters: Uint8Array, cylinders: number): Extent {
  if (parameters.length < DEFINE_EXTENT.size) throw reject('Define Extent', MESSAGE.COUNT_TOO_SMALL);
  const p = DEFINE_EXTENT.at(new DataView(parameters.buffer, parameters.byteOffset));
  for (const [reason, bad] of CHECKS) if (bad(p, cylinders)) throw reject(reason, MESSAGE.INVALID_PARAMETER);
  return {
    mask: p.mask,
    blockSize: p.blockSize === 0 ? MAX_BLOCK : p.blockSize,
    first: trackOf(p.beginCylinder, p.beginHead),
    last: trackOf(p.endCylinder, p.endHead),
  };
}

const SEARCH = struct('search', 'be', { cylinder: u16, head: u16, record: u8 }, { size: 5 });

export const LOCATE_RECORD = struct(
  'locate_record',
  'be',
  {
    operation: u8,
    auxiliary: u8,
    reserved: u8,
    count: u8,
    seekCylinder: u16,
    seekHead: u16,
    search: bytes(SEARCH.size),
    sector: u8,
    transferLength: u16,
  },
  { size: 16, offsets: { count: 3, seekCylinder: 4, search: 8, sector: 13, transferLength: 14 } },
);
type LocateRecord = View<typeof LOCATE_RECORD.fields>;

/** Where Locate Record leaves the device: bits 0-1 of the operation byte. */
const ORIENTATION = ['count', 'home', 'data', 'index'] as const;
export type Orientation = (typeof ORIENTATION)[number];

/** Commands a domain admits. */
export type DomainKind = 'orient' | 'write' | 'format' | 'read';

/** Operation codes (bits 2-7), with the orientations each goes with. */
const OPERATIONS: readonly (readonly [code: number, kind: DomainKind, orientations: readonly Orientation[]])[] = [
  [0x00, 'orient', ['count', 'home', 'data', 'index']],
  [0x01, 'write', ['count', 'data']],
  [0x03, 'format', ['count', 'home', 'data']],
  [0x06, 'read', ['count', 'home', 'data']],
  [0x16, 'read', ['count', 'home', 'data', 'index']],
];

/** Auxiliary byte: transfer-length factor valid, read-count suffix. */
const AUX_TLF = 0x80;
const AUX_SUFFIX = 0x01;

/** A Locate Record in force. */
export interface Domain {
  readonly kind: DomainKind;
  readonly orientation: Orientation;
  readonly cylinder: number;
  readonly head: number;
  /** CCHHR to search for. */
  readonly search: Uint8Array;
  /** Commands left. */
  remaining: number;
}

const LOCATE_CHECKS: readonly (readonly [
  reason: string,
  bad: (p: LocateRecord, extent: Extent, cylinders: number) => boolean,
])[] = [
  ['auxiliary byte', (p) => (p.auxiliary & ~(AUX_TLF | AUX_SUFFIX)) !== 0],
  ['byte 2', (p) => p.reserved !== 0],
  ['count', (p) => (p.count === 0) !== ((p.operation & 0x3f) === 0)],
  ['seek address', (p, _, cylinders) => p.seekCylinder >= cylinders || p.seekHead >= heads],
  ['sector', (p) => p.sector >= GEOMETRY_3390.sectors && p.sector !== 0xff],
  ['transfer-length factor', (p, extent) => (p.auxiliary & AUX_TLF) !== 0 && p.transferLength > extent.blockSize],
];

/** @throws UnitCheck when a parameter is invalid or too few bytes came. Extent limits are the caller's check. */
export function parseLocate(parameters: Uint8Array, extent: Extent, cylinders: number): Domain {
  if (parameters.length < LOCATE_RECORD.size) throw reject('Locate Record', MESSAGE.COUNT_TOO_SMALL);
  const p = LOCATE_RECORD.at(new DataView(parameters.buffer, parameters.byteOffset));
  const orientation = ORIENTATION[p.operation >>> 6];
  const row = OPERATIONS.find(([code]) => code === (p.operation & 0x3f));
  if (row === undefined || !row[2].includes(orientation)) throw reject('operation', MESSAGE.INVALID_PARAMETER);
  for (const [reason, bad] of LOCATE_CHECKS)
    if (bad(p, extent, cylinders)) throw reject(reason, MESSAGE.INVALID_PARAMETER);
  return {
    kind: row[1],
    orientation,
    cylinder: p.seekCylinder,
    head: p.seekHead,
    search: Uint8Array.from(p.search),
    remaining: p.count,
  };
}
