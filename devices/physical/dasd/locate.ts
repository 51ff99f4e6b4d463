/** Parameters of Locate Record and Locate Record Extended (vfio-ccw facts 5.2; pairs as in Hercules `ckddasd.c`). */

import { bytes, struct, u8, u16, type View } from '../../../kernel/lib/struct.ts';
import { cylinderOf, type Extent, headOf, outside } from './extent.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { MESSAGE, reject } from './sense.ts';

/** Bytes of a search argument, CCHHR. */
const SEARCH_SIZE = 5;

const LOCATE_FIELDS = {
  operation: u8,
  auxiliary: u8,
  /** Zero in Locate Record, a command for transport mode in Locate Record Extended. */
  imbeddedCommand: u8,
  count: u8,
  seekCylinder: u16,
  seekHead: u16,
  search: bytes(SEARCH_SIZE),
  sector: u8,
  transferLength: u16,
};
export const LOCATE_RECORD = struct('locate_record', 'be', LOCATE_FIELDS, {
  size: 16,
  offsets: { count: 3, seekCylinder: 4, search: 8, sector: 13, transferLength: 14 },
});
export const LOCATE_RECORD_EXTENDED = struct(
  'locate_record_extended',
  'be',
  { ...LOCATE_FIELDS, imbeddedCount: u8, extendedOperation: u8, parameterLength: u16 },
  { size: 20, offsets: { imbeddedCount: 16, extendedOperation: 17, parameterLength: 18 } },
);
type LocateRecord = View<typeof LOCATE_FIELDS>;
type LocateRecordExtended = View<typeof LOCATE_RECORD_EXTENDED.fields>;

/** Where the device is left: bits 0-1 of the operation byte. */
const ORIENTATION = ['count', 'home', 'data', 'index'] as const;
export type Orientation = (typeof ORIENTATION)[number];

/** What the commands of a domain do. */
export type DomainKind =
  | 'orient'
  | 'write'
  | 'format'
  | 'write track'
  | 'read tracks'
  | 'read data'
  | 'read'
  | 'write full track'
  | 'write track data'
  | 'read trackset';

/** An operation code. */
interface Operation {
  readonly code: number;
  readonly kind: DomainKind;
  readonly orientations: readonly Orientation[];
  /** A Read Count may be the last command of the domain. */
  readonly suffix?: boolean;
  /** The extended parameter is a map of tracks, the first bit the track located. */
  readonly map?: boolean;
}

/** Operation codes (bits 2-7 of the operation byte) that both commands have. */
const OPERATIONS: readonly Operation[] = [
  { code: 0x01, kind: 'write', orientations: ['count', 'data'], suffix: true },
  { code: 0x03, kind: 'format', orientations: ['count', 'home', 'index'] },
  { code: 0x06, kind: 'read data', orientations: ['count', 'home', 'data'] },
  { code: 0x0b, kind: 'write track', orientations: ['count'] },
  { code: 0x0c, kind: 'read tracks', orientations: ['count', 'home'] },
  { code: 0x16, kind: 'read', orientations: ['count', 'home', 'data', 'index'], suffix: true },
];
/** Of Locate Record alone: positions, and opens no domain. */
const ORIENT: Operation = { code: 0x00, kind: 'orient', orientations: ['count', 'home', 'data'] };
const LOCATE_OPERATIONS: readonly Operation[] = [ORIENT, ...OPERATIONS];
/** Operation code of Locate Record Extended that sends to the extended operation byte. */
const EXTENDED_OPERATION = 0x3f;
/** Extended operation codes: byte 17. */
const EXTENDED_OPERATIONS: readonly Operation[] = [
  { code: 0x0e, kind: 'read trackset', orientations: ['count', 'home'], map: true },
  { code: 0x11, kind: 'write full track', orientations: ['count'], map: true },
  { code: 0x23, kind: 'write track data', orientations: ['count'] },
];
/** Longest map of tracks, bytes: byte 43 of the device characteristics. */
export const MAP_LENGTH = 2;

/** Auxiliary byte. */
const AUX = { LENGTH: 0x80, SCOPE: 0x40, SUFFIX: 0x01 } as const;

/** A Locate Record in force. */
export interface Domain {
  readonly kind: DomainKind;
  readonly orientation: Orientation;
  readonly cylinder: number;
  readonly head: number;
  /** CCHHR to search for; undefined when the operation orients to no record. */
  readonly search: Uint8Array | undefined;
  /** Bytes of every record a write domain may write; of the last track's transfer for Read Track Data. */
  readonly transferLength: number;
  /** The program gave `transferLength` here; else it is the extent's block size. */
  readonly lengthGiven: boolean;
  /** The last command is a Read Count. */
  readonly suffix: boolean;
  /** Tracks of a map, as distances from the first. */
  readonly tracks: readonly number[] | undefined;
  /** Commands of the domain. */
  readonly count: number;
  /** Commands left. */
  remaining: number;
}

type Check<P> = readonly [reason: string, bad: (p: P, operation: Operation, extent: Extent) => boolean];

/** Checks of both commands, in order. */
const CHECKS: readonly Check<LocateRecord>[] = [
  ['orientation', (p, { orientations }) => !orientations.includes(ORIENTATION[p.operation >>> 6])],
  ['Read Count suffix', (p, { suffix }) => (p.auxiliary & AUX.SUFFIX) !== 0 && suffix !== true],
  ['byte 2', (p) => p.imbeddedCommand !== 0],
  ['count', (p, { kind }) => (p.count === 0) !== (kind === 'orient')],
  ['count with a suffix', (p) => (p.auxiliary & AUX.SUFFIX) !== 0 && p.count < 2],
  ['sector', (p) => p.sector >= GEOMETRY_3390.sectors && p.sector !== 0xff],
  ['transfer-length factor', (p) => ((p.auxiliary & AUX.LENGTH) !== 0) !== (p.transferLength !== 0)],
  ['long transfer', (p, _, extent) => p.transferLength > extent.blockSize],
];
const LOCATE_CHECKS: readonly Check<LocateRecord>[] = [
  ['auxiliary byte', (p) => (p.auxiliary & ~(AUX.LENGTH | AUX.SUFFIX)) !== 0],
  ...CHECKS,
];
/** Imbedded commands and counts, and check bytes, belong to transport mode: refused here. */
const EXTENDED_CHECKS: readonly Check<LocateRecordExtended>[] = [
  ['auxiliary byte', (p) => (p.auxiliary & ~(AUX.LENGTH | AUX.SCOPE | AUX.SUFFIX)) !== 0],
  ['length scope', (p) => (p.auxiliary & AUX.SCOPE) !== 0 && (p.auxiliary & AUX.LENGTH) === 0],
  ...CHECKS,
  ['imbedded count', (p) => p.imbeddedCount !== 0],
  [
    'length of the extended parameter',
    (p, { map }) =>
      map === true ? p.parameterLength === 0 || p.parameterLength > MAP_LENGTH : p.parameterLength !== 0,
  ],
];

/** Parameters while they are looked at: V8 takes long to give a small array a view. */
const PARAMETERS = LOCATE_RECORD.make();

/** @throws UnitCheck when a parameter is invalid or too few bytes came. Extent limits are the caller's check. */
export function parseLocate(parameters: Uint8Array, extent: Extent, cylinders: number): Domain {
  if (parameters.length < LOCATE_RECORD.size) throw reject('Locate Record', MESSAGE.COUNT_TOO_SMALL);
  const p = PARAMETERS;
  for (let i = 0; i < LOCATE_RECORD.size; i++) p.dv.setUint8(i, parameters[i]);
  const operation = find(LOCATE_OPERATIONS, p.operation & 0x3f);
  check(LOCATE_CHECKS, p, operation, extent);
  return domainOf(p, operation, extent, cylinders);
}

/**
 * @param take gets the extended parameter, once its length is known to be good.
 * @throws UnitCheck as {@link parseLocate}.
 */
export function parseLocateExtended(
  parameters: Uint8Array,
  extent: Extent,
  cylinders: number,
  take: (length: number) => Uint8Array,
): Domain {
  if (parameters.length < LOCATE_RECORD_EXTENDED.size) throw reject('Locate Record Extended', MESSAGE.COUNT_TOO_SMALL);
  const p = LOCATE_RECORD_EXTENDED.at(new DataView(parameters.buffer, parameters.byteOffset));
  const code = p.operation & 0x3f;
  if (code !== EXTENDED_OPERATION && p.extendedOperation !== 0)
    throw reject('extended operation', MESSAGE.INVALID_PARAMETER);
  const operation =
    code === EXTENDED_OPERATION ? find(EXTENDED_OPERATIONS, p.extendedOperation) : find(OPERATIONS, code);
  check(EXTENDED_CHECKS, p, operation, extent);
  const map = take(p.parameterLength);
  if (map.length < p.parameterLength) throw reject('extended parameter', MESSAGE.COUNT_TOO_SMALL);
  return domainOf(p, operation, extent, cylinders, operation.map === true ? tracksOf(map, p.count) : undefined);
}

function find(operations: readonly Operation[], code: number): Operation {
  const operation = operations.find((row) => row.code === code);
  if (operation === undefined) throw reject('operation', MESSAGE.INVALID_PARAMETER);
  return operation;
}

function check<P>(checks: readonly Check<P>[], p: P, operation: Operation, extent: Extent): void {
  for (const [reason, bad] of checks) if (bad(p, operation, extent)) throw reject(reason, MESSAGE.INVALID_PARAMETER);
}

/** Distances of a map's tracks: its first bit is on, and it has as many as the count says. */
function tracksOf(map: Uint8Array, count: number): number[] {
  const tracks: number[] = [];
  for (let bit = 0; bit < map.length * 8; bit++) if ((map[bit >>> 3] & (0x80 >>> (bit & 7))) !== 0) tracks.push(bit);
  if (tracks[0] !== 0 || tracks.length !== count) throw reject('map of tracks', MESSAGE.INVALID_PARAMETER);
  return tracks;
}

function domainOf(
  p: LocateRecord,
  operation: Operation,
  extent: Extent,
  cylinders: number,
  tracks?: readonly number[],
): Domain {
  if (outside(p.seekCylinder, p.seekHead, cylinders)) throw reject('seek address', MESSAGE.INVALID_PARAMETER);
  const lengthGiven = (p.auxiliary & AUX.LENGTH) !== 0;
  return {
    kind: operation.kind,
    orientation: ORIENTATION[p.operation >>> 6],
    cylinder: cylinderOf(p.seekCylinder, p.seekHead),
    head: headOf(p.seekHead),
    search: operation.map === true ? undefined : p.search.slice(),
    transferLength: lengthGiven ? p.transferLength : extent.blockSize,
    lengthGiven,
    suffix: (p.auxiliary & AUX.SUFFIX) !== 0,
    tracks,
    count: p.count,
    remaining: p.count,
  };
}
