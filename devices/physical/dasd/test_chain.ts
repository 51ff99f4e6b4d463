/** For unit tests: a drive without a channel. Chains of commands are given to it directly, and lengths are compared. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { DataPort } from '../css/channel_device.ts';
import { type DriveOptions, type EckdDrive, openDrive } from './drive.ts';
import { createVolume } from './volume.ts';

const { CHANNEL_END, DEVICE_END, STAT_MOD, UNIT_CHECK } = DSTAT;
const ENDED = CHANNEL_END | DEVICE_END;

/**
 * A command of a chain: bytes for it, or how many it may give. A wrong length ends the chain unless `sli`. A `search` is
 * repeated until it is satisfied, as a TIC behind it would have it, and its length may be wrong too.
 */
export type Command = readonly [code: number, data: number | Iterable<number>, how?: 'sli' | 'search'];

/** What a chain came to. */
export interface ChainResult {
  /** Device status of the last command, with what the end of the program added. */
  readonly status: number;
  /** Bytes given by each command. */
  readonly given: readonly Uint8Array[];
  /** All bytes given. */
  readonly bytes: Uint8Array;
  /** Sense information, when there was unit check. */
  readonly sense: Uint8Array;
  readonly incorrectLength: boolean;
  /** Commands performed. */
  readonly commands: number;
  /** Nanoseconds the device was busy, split endings included. */
  readonly busyNs: number;
  /** Nanoseconds of it after channel end of the last command. */
  readonly deviceEndNs: number;
}

/** Gives a chain of commands to a drive. @param path the channel path it comes on */
export function runChain(drive: EckdDrive, commands: readonly Command[], path = 0x80): ChainResult {
  drive.begin(path);
  const given: Uint8Array[] = [];
  let status = 0;
  let incorrectLength = false;
  let busyNs = 0;
  let deviceEndNs = 0;
  for (let i = 0; i < commands.length; ) {
    const [code, data, how] = commands[i];
    const count = typeof data === 'number' ? data : undefined;
    const bytes = typeof data === 'number' ? new Uint8Array(0) : Uint8Array.from(data);
    let used = 0;
    let excess = false;
    const gave: number[] = [];
    const take = (length: number) => {
      const part = bytes.slice(used, used + length);
      used += part.length;
      return part;
    };
    const port: DataPort = {
      take: (length) => {
        const part = take(length);
        if (part.length < length) excess = true;
        return part;
      },
      takeAll: take,
      give: (part) => {
        const room = Math.min(part.length, (count ?? 0) - gave.length);
        for (let at = 0; at < room; at++) gave.push(part[at]);
        if (room < part.length) excess = true;
        return room;
      },
      *delay(ns) {
        busyNs += ns;
      },
      chains: () => i < commands.length - 1,
    };
    const step = drive.execute(code, port).next();
    if (step.done !== true) throw new Error('the drive waits for something');
    const ending = step.value;
    deviceEndNs = ending.deviceEnd?.ns ?? 0;
    busyNs += deviceEndNs;
    status = ending.status | (ending.deviceEnd === undefined ? 0 : DEVICE_END | (ending.deviceEnd.status ?? 0));
    given.push(Uint8Array.from(gave));
    const residual = count === undefined ? bytes.length - used : count - gave.length;
    const refused = (status & UNIT_CHECK) !== 0;
    incorrectLength = !refused && how === undefined && ending.immediate !== true && (excess || residual !== 0);
    if (incorrectLength) break;
    if (how === 'search' && status === ENDED) continue;
    if (status !== (how === 'search' ? ENDED | STAT_MOD : ENDED)) break;
    i++;
  }
  status |= drive.end();
  const sense = (status & UNIT_CHECK) !== 0 ? drive.takeSense() : new Uint8Array(0);
  const commandsDone = given.length;
  const bytes = Buffer.concat(given);
  return { status, given, bytes, sense, incorrectLength, commands: commandsDone, busyNs, deviceEndNs };
}

/** A folder of the test's own. Removed by `remove`. */
export function testVolume(cylinders = 4): { readonly file: string; reset(): void; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'minivisor-chain-'));
  const file = join(folder, 'disk.ckd');
  const reset = () => createVolume(file, { volser: 'CHAIN1', cylinders, layout: 'cdl', pattern: true, force: true });
  reset();
  return { file, reset, remove: () => rmSync(folder, { recursive: true }) };
}

/** Device 0.0.1234 on an image. */
export function testDrive(file: string, options: Partial<DriveOptions> = {}, log?: (line: string) => void): EckdDrive {
  return openDrive({ schid: 0, devno: 0x1234, file, cache: 'unsafe', ...options }, log);
}

/** Halfword, big-endian. */
export const u16be = (value: number) => [value >>> 8, value & 0xff];
/** Track address as programs write it, big form included. */
export const cchh = (cylinder: number, head: number) => [
  ...u16be(cylinder & 0xffff),
  ...u16be(((cylinder >>> 16) << 4) | head),
];

export interface ExtentFields {
  readonly mask?: number;
  readonly attributes?: number;
  readonly block?: number;
  readonly fastWrite?: number;
  readonly byte6?: number;
  readonly extended?: number;
  readonly first?: readonly [number, number];
  readonly last?: readonly [number, number];
}

/** Define Extent's sixteen bytes: everything permitted on cylinders 0 to 3. */
export function extentBytes(fields: ExtentFields = {}): number[] {
  const { mask = 0xc0, attributes = 0xc0, block = 0, fastWrite = 0, byte6 = 0, extended = 0 } = fields;
  const { first = [0, 0], last = [3, 14] } = fields;
  const head = [mask, attributes, ...u16be(block), ...u16be(fastWrite), byte6, extended];
  return [...head, ...cchh(...first), ...cchh(...last)];
}

export interface LocateFields {
  readonly op?: number;
  readonly aux?: number;
  readonly byte2?: number;
  readonly count?: number;
  readonly at?: readonly [number, number];
  readonly record?: number;
  readonly sector?: number;
  readonly length?: number;
  readonly imbeddedCount?: number;
  readonly extendedOp?: number;
  readonly parameter?: readonly number[];
  readonly parameterLength?: number;
}

/** Locate Record's sixteen bytes: read one record, 1 of cylinder 1 head 0. A length sets the bit that says so. */
export function locateBytes(fields: LocateFields = {}): number[] {
  const { op = 6, length = 0, aux = length > 0 ? 0x80 : 0, byte2 = 0, count = 1 } = fields;
  const { at = [1, 0], record = 1, sector = 0xff } = fields;
  return [op, aux, byte2, count, ...cchh(...at), ...cchh(...at), record, sector, ...u16be(length)];
}

/** Locate Record Extended. */
export function extendedBytes(fields: LocateFields = {}): number[] {
  const { imbeddedCount = 0, extendedOp = 0, parameter = [], parameterLength = parameter.length } = fields;
  return [...locateBytes(fields), imbeddedCount, extendedOp, ...u16be(parameterLength), ...parameter];
}

/** Define Extent and Locate Record. */
export const located = (locate: LocateFields = {}, extent: ExtentFields = {}): Command[] => [
  [0x63, extentBytes(extent)],
  [0x47, locateBytes(locate)],
];

/** Prefix of format 1, with the 32-byte extent. */
export function prefixBytes(
  locate: LocateFields = {},
  extent: ExtentFields = {},
  head: readonly number[] = [],
): number[] {
  const begin = [1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (const [i, byte] of head.entries()) begin[i] = byte;
  return [...begin, ...extentBytes(extent), ...new Array<number>(16).fill(0), ...extendedBytes(locate)];
}

/** Seek's parameter. */
export const seekBytes = (cylinder: number, head: number) => [0, 0, ...cchh(cylinder, head)];
/** A count area. */
export const countBytes = (at: readonly [number, number], record: number, keyLength: number, dataLength: number) => [
  ...cchh(...at),
  record,
  keyLength,
  ...u16be(dataLength),
];
