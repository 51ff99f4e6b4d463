/** Sense ID and Read Device Characteristics: what the device is (vfio-ccw facts 5.2; a 3990-6 in Hercules `dasdtab.c`). */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import { GEOMETRY_3390, modelOf } from './geometry.ts';
import { MAP_LENGTH } from './locate.ts';

/** Control unit 3990 model 6: the first with Locate Record Extended. Prefix and track data come from its successors. */
export const CU_TYPE = 0x3990;
export const CU_MODEL = 0xe9;

const SENSE_ID = struct(
  'sense_id',
  'be',
  {
    ff: u8,
    cuType: u16,
    cuModel: u8,
    deviceType: u16,
    deviceModel: u8,
    reserved: u8,
    rcd: u32,
    setInterface: u32,
    readNode: u32,
  },
  { size: 20, offsets: { cuType: 1, deviceType: 4, rcd: 8, readNode: 16 } },
);
/**
 * Command information words: type 0, Read Configuration Data, FA, 256 bytes; type 1, Set Interface Identifier, 27, 4
 * bytes; type 2, Read Node Identifier, 3E, 96 bytes.
 */
const CIW = { RCD: 0x40fa0100, SET_INTERFACE: 0x41270004, READ_NODE: 0x423e0060 } as const;

/** Device type, class and geometry, by the volume's cylinders. */
export function senseId(cylinders: number): Uint8Array {
  return SENSE_ID.bytes(
    SENSE_ID.make({
      ff: 0xff,
      cuType: CU_TYPE,
      cuModel: CU_MODEL,
      deviceType: GEOMETRY_3390.type,
      deviceModel: modelOf(cylinders).model,
      rcd: CIW.RCD,
      setInterface: CIW.SET_INTERFACE,
      readNode: CIW.READ_NODE,
    }),
  );
}

const CHARACTERISTICS = struct(
  'device_characteristics',
  'be',
  {
    cuType: u16,
    cuModel: u8,
    deviceType: u16,
    deviceModel: u8,
    facilities: u32,
    deviceClass: u8,
    deviceCode: u8,
    cylinders: u16,
    heads: u16,
    sectors: u8,
    trackLengthHigh: u8,
    trackLength: u16,
    overhead: u16,
    formula: u8,
    factors: bytes(5),
    alternateTrack: u16,
    alternateTracks: u16,
    reserved1: bytes(8),
    mdr: u8,
    obr: u8,
    cuCode: u8,
    parameterLength: u8,
    maxRecord0: u16,
    reserved2: u8,
    trackSet: u8,
    f6: u8,
    rps: u16,
    reserved4: bytes(5),
    realCu: u8,
    ff: u8,
    reserved5: u16,
    longCylinders: u32,
  },
  {
    size: 64,
    offsets: { facilities: 6, cylinders: 12, overhead: 20, factors: 23, mdr: 40, maxRecord0: 44, f6: 48, realCu: 56 },
  },
);
/**
 * Facilities (Linux `struct dasd_eckd_characteristics`): byte 6, Read Tracks (bit 1) and Read (bit 3) in Locate Record,
 * Prefix (bit 6); byte 9, Reset Allegiance (bit 6).
 */
const FACILITIES = 0x52000002;
/** Device class 20: direct access. */
const CLASS_DASD = 0x20;
/** Capacity formula 2 and its factors F1 to F5, then F6. */
const FORMULA = 2;
const FACTORS = Uint8Array.of(34, 19, 9, 6, 116);
const F6 = 6;
/** Factor of the sector calculation. */
const RPS_FACTOR = 0x7708;
/** Control-unit type code of a 3990 model 6. */
const CU_CODE = 0x15;
/** What the 16-bit field says when the volume has more cylinders than addresses of 16 bits. */
const LARGE_VOLUME = 0xfffe;
const MOST_SMALL = 65520;

/** Read Device Characteristics, 64 bytes. The volume has no alternate tracks: an image needs none. */
export function deviceCharacteristics(cylinders: number): Uint8Array {
  const { model, code } = modelOf(cylinders);
  return CHARACTERISTICS.bytes(
    CHARACTERISTICS.make({
      cuType: CU_TYPE,
      cuModel: CU_MODEL,
      deviceType: GEOMETRY_3390.type,
      deviceModel: model,
      facilities: FACILITIES,
      deviceClass: CLASS_DASD,
      deviceCode: code,
      cylinders: cylinders > MOST_SMALL ? LARGE_VOLUME : cylinders,
      heads: GEOMETRY_3390.heads,
      sectors: GEOMETRY_3390.sectors,
      trackLength: GEOMETRY_3390.trackLength,
      overhead: GEOMETRY_3390.overhead,
      formula: FORMULA,
      factors: FACTORS,
      mdr: code,
      obr: code,
      cuCode: CU_CODE,
      parameterLength: MAP_LENGTH,
      maxRecord0: GEOMETRY_3390.maxRecord0,
      f6: F6,
      rps: RPS_FACTOR,
      realCu: CU_CODE,
      ff: 0xff,
      longCylinders: cylinders,
    }),
  );
}
