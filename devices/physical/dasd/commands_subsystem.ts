/**
 * Perform Subsystem Function and what it prepares for Read Subsystem Data; Reset Summary Unit Check (vfio-ccw facts 5.1,
 * 5.2; forms of the answers as Hercules `ckddasd.c` gives them; feature bits as Linux `dasd_eckd.c` tests them).
 */

import type { DataPort } from '../css/channel_device.ts';
import { nodeDescriptor, ssidOf } from './configuration_data.ts';
import type { EckdDrive } from './drive.ts';
import { atOnce, type EckdCommand } from './eckd_command.ts';
import { MESSAGE, reject } from './sense.ts';
import { READ_SUBSYSTEM_DATA } from './sequence.ts';

/** An order of Perform Subsystem Function. */
interface Order {
  readonly code: number;
  /** Bytes of its parameters, order byte included. */
  readonly length: number;
  /** @throws UnitCheck */
  readonly perform: (drive: EckdDrive, parameters: Uint8Array) => void;
}

/** A suborder of Prepare for Read Subsystem Data. */
interface Suborder {
  readonly code: number;
  /** Parameter bytes from 8 on that may be other than zero; as many as stand here. */
  readonly variable?: number;
  readonly prepare: (drive: EckdDrive, parameters: Uint8Array) => Uint8Array;
}

const data = (length: number, bytes: Readonly<Record<number, number>>) => {
  const result = new Uint8Array(length);
  for (const [at, value] of Object.entries(bytes)) result[Number(at)] = value;
  return result;
};

/** Storage path status: the storage path is valid and attached, with one logical path. */
const storagePathStatus = () => data(24, { 0: 0xc0, 1: 0x80, 16: 1 });

/** Subsystem statistics: a device without a cache has counted nothing. Byte 8 of the parameters asks for the long form. */
function statistics(drive: EckdDrive, parameters: Uint8Array): Uint8Array {
  const { devno } = drive.options;
  if (parameters[8] > 1) throw reject('form of subsystem statistics', MESSAGE.INVALID_PARAMETER);
  const ssid = ssidOf(devno);
  return data(parameters[8] === 0 ? 96 : 192, { 1: devno & 0xff, 94: ssid >>> 8, 95: ssid & 0xff });
}

/** Attention message: length 9, format 0 (no message), the identifier that was asked for. */
function attentionMessage(_: EckdDrive, parameters: Uint8Array): Uint8Array {
  const message = data(9, { 1: 9 });
  message.set(parameters.subarray(8, 12), 4);
  return message;
}

/** Unit-address configuration: 256 pairs of type and base; type 0 not configured, 1 base device. */
const unitAddressConfiguration = ({ options: { devno } }: EckdDrive) => data(512, { [(devno & 0xff) * 2]: 1 });

/** Feature codes: byte 8 bit 7 Prefix, byte 9 bit 2 Read Track Data, byte 12 bit 1 Write Track Data, in command mode. */
const featureCodes = () => data(256, { 8: 0x01, 9: 0x20, 12: 0x40 });

const SUBORDERS: readonly Suborder[] = [
  { code: 0x00, prepare: storagePathStatus },
  { code: 0x01, variable: 1, prepare: statistics },
  { code: 0x03, variable: 4, prepare: attentionMessage },
  { code: 0x0e, prepare: unitAddressConfiguration },
  { code: 0x41, prepare: featureCodes },
];

/** Where the suborder stands, and where what varies begins. */
const SUBORDER = 6;
const VARIABLE = 8;

function prepare(drive: EckdDrive, parameters: Uint8Array): void {
  const suborder = SUBORDERS.find(({ code }) => code === parameters[SUBORDER]);
  if (suborder === undefined) throw reject('suborder', MESSAGE.INVALID_PARAMETER);
  const zero = (from: number, to: number) => parameters.subarray(from, to).every((byte) => byte === 0);
  if (!zero(1, SUBORDER) || !zero(SUBORDER + 1, VARIABLE) || !zero(VARIABLE + (suborder.variable ?? 0), 12))
    throw reject('reserved bytes of Prepare for Read Subsystem Data', MESSAGE.INVALID_PARAMETER);
  drive.subsystemData = suborder.prepare(drive, parameters);
}

/** What the program can do is noted by a real control unit to choose its messages; none of them exist here. */
function setSubsystemCharacteristics(_: EckdDrive, parameters: Uint8Array): void {
  if (parameters[1] !== 0) throw reject('flags of Set Subsystem Characteristics', MESSAGE.INVALID_PARAMETER);
}

/** Set Interface Identifier: flag 1 asks for the short form of the node descriptor record. */
function setInterfaceIdentifier(drive: EckdDrive, parameters: Uint8Array): void {
  if (parameters[1] > 1) throw reject('flags of Set Interface Identifier', MESSAGE.INVALID_PARAMETER);
  drive.subsystemData = nodeDescriptor(drive.options.devno, parameters[1] === 1);
}

const ORDERS: readonly Order[] = [
  { code: 0x18, length: 12, perform: prepare },
  { code: 0x1d, length: 66, perform: setSubsystemCharacteristics },
  { code: 0xb0, length: 4, perform: setInterfaceIdentifier },
];

/** @param begin parameters that came already; the rest is taken from the channel. @throws UnitCheck */
export function performSubsystemFunction(drive: EckdDrive, port: DataPort, begin: Uint8Array): void {
  if (begin.length < 2) throw reject('Perform Subsystem Function', MESSAGE.COUNT_TOO_SMALL);
  const order = ORDERS.find(({ code }) => code === begin[0]);
  if (order === undefined) throw reject('order', MESSAGE.INVALID_PARAMETER);
  const parameters = Buffer.concat([begin, port.take(order.length - begin.length)]);
  if (parameters.length < order.length) throw reject('Perform Subsystem Function', MESSAGE.COUNT_TOO_SMALL);
  order.perform(drive, parameters);
}

const readSubsystemData = atOnce(({ drive, port }) => {
  if (drive.subsystemData === undefined) throw reject('nothing was prepared', MESSAGE.INVALID_SEQUENCE);
  port.give(drive.subsystemData);
  drive.subsystemData = undefined;
  return 0;
});

/** Parameter of Reset Summary Unit Check: a reason, and fifteen bytes more. */
const RESET_LENGTH = 16;

/** No summary unit check is ever pending: aliases, which cause them, do not exist here. */
const resetSummaryUnitCheck = atOnce(({ port }) => {
  if (port.take(RESET_LENGTH).length < RESET_LENGTH) throw reject('Reset Summary Unit Check', MESSAGE.COUNT_TOO_SMALL);
  return 0;
});

export const SUBSYSTEM_COMMANDS: readonly EckdCommand[] = [
  {
    code: 0x27,
    name: 'Perform Subsystem Function',
    perform: atOnce(({ drive, port }) => {
      performSubsystemFunction(drive, port, port.take(2));
      return 0;
    }),
  },
  { code: READ_SUBSYSTEM_DATA, name: 'Read Subsystem Data', perform: readSubsystemData },
  { code: 0xf9, name: 'Reset Summary Unit Check', perform: resetSummaryUnitCheck },
];
