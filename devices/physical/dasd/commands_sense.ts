/** Commands that tell what the device is and what happened (vfio-ccw facts 5.2). */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import type { EckdDrive } from './drive.ts';
import { toEbcdic } from './ebcdic.ts';
import { atOnce, type EckdCommand } from './eckd_command.ts';
import { GEOMETRY_3390, modelOf } from './geometry.ts';

/** Control unit 3990 and its model with ECKD commands. */
const CU_TYPE = 0x3990;
const CU_MODEL = 0xc2;
/** Command information word of Read Configuration Data: type 0, command FA, 256 bytes. */
const CIW_RCD = 0x40fa0100;

const SENSE_ID = struct(
  'sense_id',
  'be',
  { ff: u8, cuType: u16, cuModel: u8, deviceType: u16, deviceModel: u8, reserved: u8, ciw: u32 },
  { size: 12, offsets: { cuType: 1, deviceType: 4, ciw: 8 } },
);

function senseId(drive: EckdDrive): Uint8Array {
  const { model } = modelOf(drive.image.cylinders);
  return SENSE_ID.bytes(
    SENSE_ID.make({
      ff: 0xff,
      cuType: CU_TYPE,
      cuModel: CU_MODEL,
      deviceType: GEOMETRY_3390.type,
      deviceModel: model,
      ciw: CIW_RCD,
    }),
  );
}

/** Read Device Characteristics, 64 bytes. */
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
/** Byte 6 bit 3: Locate Record with operation Read. Read Tracks (bit 1) and prefix (bit 6) have no row yet. */
const FACILITIES = 0x10000000;
/** Device class 20: direct access. */
const CLASS_DASD = 0x20;
/** Capacity formula 2 and its factors F1 to F5, then F6. */
const FORMULA = 2;
const FACTORS = Uint8Array.of(34, 19, 9, 6, 116);
const F6 = 6;
/** Factor of the sector calculation. */
const RPS_FACTOR = 0x7708;
/** Control-unit type code of a 3990 (GA32-0274 "Read Device Characteristics"). */
const CU_CODE = 0x10;
/** Bytes of the Set System Characteristics parameter, and the track set (byte 47). */
const PARAMETER_LENGTH = 2;
const TRACK_SET = 1;

function characteristics(drive: EckdDrive): Uint8Array {
  const { cylinders } = drive.image;
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
      cylinders,
      heads: GEOMETRY_3390.heads,
      sectors: GEOMETRY_3390.sectors,
      trackLength: GEOMETRY_3390.trackLength,
      overhead: GEOMETRY_3390.overhead,
      formula: FORMULA,
      factors: FACTORS,
      mdr: code,
      obr: code,
      cuCode: CU_CODE,
      parameterLength: PARAMETER_LENGTH,
      trackSet: TRACK_SET,
      maxRecord0: GEOMETRY_3390.maxRecord0,
      f6: F6,
      rps: RPS_FACTOR,
      ff: 0xff,
      longCylinders: cylinders,
    }),
  );
}

/** Node-element descriptor; identifier 3 in the top bits of byte 0. */
const NED = struct(
  'ned',
  'be',
  {
    flags: u8,
    kind: u8,
    deviceClass: u8,
    reserved: u8,
    type: bytes(6),
    model: bytes(3),
    manufacturer: bytes(3),
    plant: bytes(2),
    sequence: bytes(12),
    tag: u16,
  },
  { size: 32, offsets: { type: 4, sequence: 18, tag: 30 } },
);
/** General node-element qualifier; identifier 2. */
const NEQ = struct(
  'neq',
  'be',
  { flags: u8, selector: u8, reserved: bytes(6), ssid: u16, rest: bytes(22) },
  { size: 32 },
);
/** NED with serial number and token. */
const NED_FLAGS = 0xcc;
const NEQ_FLAGS = 0x80;
/** Kinds: 1 device, 2 control unit. */
const KIND_DEVICE = 1;
const KIND_CU = 2;
/** Subsystem identifier of the control unit; every drive of a machine hangs on its own. */
const SSID_BASE = 0x0100;
/** Bytes of the record and where the qualifier stands. */
const RCD_SIZE = 256;
const NEQ_AT = 224;

const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, '0');
const ssidOf = (drive: EckdDrive) => SSID_BASE | (drive.options.devno >>> 8);

function configuration(drive: EckdDrive): Uint8Array {
  const data = new Uint8Array(RCD_SIZE);
  const { model } = modelOf(drive.image.cylinders);
  const ned = (kind: number, type: string, modelText: string, tag: number) =>
    NED.bytes(
      NED.make({
        flags: NED_FLAGS,
        kind,
        deviceClass: kind === KIND_DEVICE ? 1 : 0,
        type: toEbcdic(type, 6),
        model: toEbcdic(modelText, 3),
        manufacturer: toEbcdic('MNV', 3),
        plant: toEbcdic('00', 2),
        sequence: toEbcdic(hex(ssidOf(drive), 12), 12),
        tag,
      }),
    );
  data.set(ned(KIND_DEVICE, '003390', `0${hex(model, 2)}`, drive.options.devno & 0xff), 0);
  data.set(ned(KIND_CU, '003990', `0${hex(CU_MODEL, 2)}`, 0), NED.size);
  data.set(NEQ.bytes(NEQ.make({ flags: NEQ_FLAGS, ssid: ssidOf(drive) })), NEQ_AT);
  return data;
}

/** Sense Subsystem Status: 40 bytes, no cache installed. */
const SUBSYSTEM_SIZE = 40;
/** Where the subsystem identifier stands. */
const SUBSYSTEM_SSID = 38;

function subsystemStatus(drive: EckdDrive): Uint8Array {
  const data = new Uint8Array(SUBSYSTEM_SIZE);
  data[1] = drive.options.devno & 0xff;
  new DataView(data.buffer).setUint16(SUBSYSTEM_SSID, ssidOf(drive));
  return data;
}

/** Path state: the path that asks; multipath mode 08. */
const MULTIPATH_STATE = 0x08;

function pathGroup({ pathGroup: { id, state, multipath } }: EckdDrive): Uint8Array {
  return Uint8Array.of(state | (multipath ? MULTIPATH_STATE : 0), ...id);
}

/** A command that gives the program what `data` makes. */
const tell = (data: (drive: EckdDrive) => Uint8Array) =>
  atOnce(({ drive, port }) => {
    port.give(data(drive));
    return 0;
  });

export const SENSE_COMMANDS: readonly EckdCommand[] = [
  { code: 0x04, name: 'Basic Sense', keepsSense: true, perform: tell((drive) => drive.takeSense()) },
  { code: 0xe4, name: 'Sense ID', perform: tell(senseId) },
  { code: 0x34, name: 'Sense Path Group ID', perform: tell(pathGroup) },
  { code: 0x64, name: 'Read Device Characteristics', perform: tell(characteristics) },
  { code: 0xfa, name: 'Read Configuration Data', perform: tell(configuration) },
  { code: 0x54, name: 'Sense Subsystem Status', perform: tell(subsystemStatus) },
];
