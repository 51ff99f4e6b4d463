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
/** Values of `auth`: who may give diagnostic commands. */
export const AUTHORIZATION = { NORMAL: 0, DEVICE_SUPPORT: 1, DIAGNOSTIC: 2 } as const;
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
/** Last `cache` mode: record access (Linux `DASD_REC_ACCESS`). */
const CACHE_LAST = 5;
/** Extended attributes: byte 7. */
const EXTENDED = bitfield('extended', 8, {
  regularData: [1, 1],
  timeStamp: [4, 1],
  record0: [5, 1],
  parameter: [6, 1],
});
const EXTENDED_KNOWN =
  EXTENDED.mask.regularData | EXTENDED.mask.timeStamp | EXTENDED.mask.record0 | EXTENDED.mask.parameter;

export const DEFINE_EXTENT = struct(
  'define_extent',
  'be',
  {
    mask: named(u8, FILE_MASK),
    attributes: named(u8, ATTRIBUTES),
    blockSize: u16,
    fastWriteId: u16,
    reserved: u8,
    extended: named(u8, EXTENDED),
    beginCylinder: u16,
    beginHead: u16,
    endCylinder: u16,
    endHead: u16,
  },
  { size: 16, offsets: { extended: 7, beginCylinder: 8, endCylinder: 12 } },
);
type DefineExtent = View<typeof DEFINE_EXTENT.fields>;

/** The sixteen bytes that follow when the extended-parameter bit is on. */
export const EXTENT_PARAMETER = struct(
  'extent_parameter',
  'be',
  { timeStamp: bytes(8), format: u8, priority: u8, reserved1: u8, recordsPerTrack: u8, reserved2: bytes(4) },
  { size: 16, offsets: { format: 8, recordsPerTrack: 11 } },
);

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

const begin = (p: DefineExtent) => trackOf(cylinderOf(p.beginCylinder, p.beginHead), headOf(p.beginHead));
const end = (p: DefineExtent) => trackOf(cylinderOf(p.endCylinder, p.endHead), headOf(p.endHead));

/** Parameter checks, in order. @param cylinders of the disk */
const CHECKS: readonly (readonly [reason: string, bad: (p: DefineExtent, cylinders: number) => boolean])[] = [
  ['bit 2 of the file mask', (p) => (p.mask & FILE_MASK.mask.zero) !== 0],
  ['not ECKD mode', (p) => ATTRIBUTES.get(p.attributes, 'mode') !== MODE_ECKD],
  ['CKD conversion mode', (p) => (p.attributes & ATTRIBUTES.mask.conversion) !== 0],
  ['cache mode', (p) => ATTRIBUTES.get(p.attributes, 'cache') > CACHE_LAST],
  ['block size', (p) => p.blockSize > MAX_BLOCK],
  ['fast-write identifier', (p) => p.fastWriteId !== 0 && (p.attributes & ATTRIBUTES.mask.cfw) === 0],
  ['byte 6', (p) => p.reserved !== 0],
  ['extended attributes', (p) => (p.extended & ~EXTENDED_KNOWN) !== 0],
  [
    'time stamp without its parameter',
    (p) => (p.extended & EXTENDED.mask.timeStamp) !== 0 && (p.extended & EXTENDED.mask.parameter) === 0,
  ],
  ['begin of the extent', (p, cylinders) => outside(p.beginCylinder, p.beginHead, cylinders)],
  ['end of the extent', (p, cylinders) => outside(p.endCylinder, p.endHead, cylinders)],
  ['extent ends before it begins', (p) => end(p) < begin(p)],
];

/** The cylinder of a track address given by its halfwords: the head's upper twelve bits are the high ones (`cchh`). */
export function cylinderOf(cylinder: number, head: number): number {
  return ((head >>> 4) << 16) | cylinder;
}

/** The head of a track address' second halfword. */
export function headOf(head: number): number {
  return head & 0xf;
}

/** Whether a track address, given by its halfwords, is none of the disk. */
export function outside(cylinder: number, head: number, cylinders: number): boolean {
  return cylinderOf(cylinder, head) >= cylinders || headOf(head) >= heads;
}

/** Number of a track from the start of the disk. */
export function trackOf(cylinder: number, head: number): number {
  return cylinder * heads + head;
}

/** The extent in force when none was defined. */
export function wholeDisk(cylinders: number): Extent {
  return { mask: 0, blockSize: MAX_BLOCK, first: 0, last: cylinders * heads - 1 };
}

/** Whether sixteen bytes more belong to the parameters. */
export function hasExtentParameter(parameters: Uint8Array): boolean {
  return (parameters[DEFINE_EXTENT.offset.extended] & EXTENDED.mask.parameter) !== 0;
}

/** Parameters while they are looked at: V8 takes long to give a small array a view. */
const PARAMETERS = DEFINE_EXTENT.at(new DataView(new ArrayBuffer(DEFINE_EXTENT.size + EXTENT_PARAMETER.size)));

/**
 * @param parameters 16 bytes, or 32 when {@link hasExtentParameter}.
 * @throws UnitCheck when a parameter is invalid or too few bytes came.
 */
export function parseExtent(parameters: Uint8Array, cylinders: number): Extent {
  const extended = parameters.length >= DEFINE_EXTENT.size && hasExtentParameter(parameters);
  if (parameters.length < DEFINE_EXTENT.size + (extended ? EXTENT_PARAMETER.size : 0))
    throw reject('Define Extent', MESSAGE.COUNT_TOO_SMALL);
  const p = PARAMETERS;
  for (let i = 0; i < p.dv.byteLength; i++) p.dv.setUint8(i, parameters[i] ?? 0);
  for (const [reason, bad] of CHECKS) if (bad(p, cylinders)) throw reject(reason, MESSAGE.INVALID_PARAMETER);
  if (extended) {
    const { reserved1, reserved2 } = EXTENT_PARAMETER.at(p.dv, DEFINE_EXTENT.size);
    if (reserved1 !== 0 || reserved2.some((byte) => byte !== 0))
      throw reject('extended parameter', MESSAGE.INVALID_PARAMETER);
  }
  return { mask: p.mask, blockSize: p.blockSize === 0 ? MAX_BLOCK : p.blockSize, first: begin(p), last: end(p) };
}
