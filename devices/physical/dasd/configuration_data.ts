/**
 * Read Configuration Data: node-element descriptors from the device up, and the general qualifier (vfio-ccw facts 5.2;
 * values as Hercules `dasdtab.c` has them; what Linux needs of it: `dasd_eckd_identify_conf_parts`).
 */
import { bytes, struct, u8, u16 } from '../../../kernel/lib/struct.ts';
import { CU_MODEL, CU_TYPE } from './characteristics.ts';
import type { EckdDrive } from './drive.ts';
import { toEbcdic } from './ebcdic.ts';
import { GEOMETRY_3390, modelOf } from './geometry.ts';

/** Bytes of the record and where the qualifier stands. */
const RCD_SIZE = 256;
const QUALIFIER_AT = 224;

/** Node-element descriptor; identifier 3 in the top bits of byte 0. */
const NED = struct(
  'ned',
  'be',
  {
    flags: u8,
    kind: u8,
    deviceClass: u8,
    level: u8,
    type: bytes(6),
    model: bytes(3),
    manufacturer: bytes(3),
    plant: bytes(2),
    sequence: bytes(12),
    subsystem: u8,
    unitAddress: u8,
  },
  { size: 32, offsets: { type: 4, sequence: 18, unitAddress: 31 } },
);
/** General node-element qualifier; identifier 2. */
const NEQ = struct(
  'neq',
  'be',
  { flags: u8, reserved1: bytes(5), timeout: u8, reserved2: u8, ssid: u16, rest: bytes(22) },
  { size: 32, offsets: { timeout: 6, ssid: 8 } },
);
const NEQ_FLAGS = 0x80;
/** Seconds a program should wait for an interruption: 30, with the power of ten in the top two bits. */
const NEQ_TIMEOUT = 0x1e;

/** Subsystem identifier of the control unit that has the devices of one 256-device range. */
export function ssidOf(devno: number): number {
  return 0x0100 | (devno >>> 8);
}

const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, '0');

/** Elements: the device, the string of devices it is in, the storage director, the subsystem. */
const ELEMENTS = [
  { flags: 0xdc, kind: 1, deviceClass: 1, level: 0, of: 'device' },
  { flags: 0xd4, kind: 2, deviceClass: 0, level: 0, of: 'device' },
  { flags: 0xd0, kind: 0, deviceClass: 0, level: 0, of: 'control unit' },
  { flags: 0xf0, kind: 0, deviceClass: 0, level: 1, of: 'control unit' },
] as const;

/** Bytes of a node descriptor record: the subsystem, a qualifier, and a second descriptor. */
const NODE_RECORD = 96;

/** What Set Interface Identifier prepares: the subsystem's descriptor, and unless `short` an empty rest of the record. */
export function nodeDescriptor(devno: number, short: boolean): Uint8Array {
  const record = new Uint8Array(short ? NED.size : NODE_RECORD);
  record.set(NED.bytes(NED.make({ ...naming(CU_TYPE, CU_MODEL, devno), level: 1 })));
  return record;
}

/** Type, model and serial number of an element. */
function naming(type: number, model: number, devno: number) {
  return {
    type: toEbcdic(hex(type, 6), 6),
    model: toEbcdic(hex(model, 3), 3),
    manufacturer: toEbcdic('MNV', 3),
    plant: toEbcdic('00', 2),
    sequence: toEbcdic(hex(ssidOf(devno), 12), 12),
  };
}

/** The record of a drive; the same on every path. */
export function configurationData({ image, options: { devno } }: EckdDrive): Uint8Array {
  const data = new Uint8Array(RCD_SIZE);
  const node = {
    device: [GEOMETRY_3390.type, modelOf(image.cylinders).model],
    'control unit': [CU_TYPE, CU_MODEL],
  } as const;
  for (const [i, { flags, kind, deviceClass, level, of }] of ELEMENTS.entries()) {
    const [type, model] = node[of];
    const ned = NED.make({
      flags,
      kind,
      deviceClass,
      level,
      ...naming(type, model, devno),
      subsystem: devno >>> 8,
      unitAddress: i === 0 ? devno & 0xff : 0,
    });
    data.set(NED.bytes(ned), i * NED.size);
  }
  const qualifier = NEQ.make({ flags: NEQ_FLAGS, timeout: NEQ_TIMEOUT, ssid: ssidOf(devno) });
  data.set(NEQ.bytes(qualifier), QUALIFIER_AT);
  return data;
}
