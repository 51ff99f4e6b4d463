/** `device_add vfio-ccw,id=...,drive=0`: QEMU's comma list, as a table of keys. */
import { MonitorError } from './monitor_error.ts';
import type { PlugOptions } from './target.ts';

/** The device model that can be plugged. */
export const DRIVER = 'vfio-ccw';

interface Key {
  readonly name: string;
  readonly help: string;
  /** What the value must look like, and how that is said. */
  readonly pattern: RegExp;
  readonly wanted: string;
}

export const DEVICE_KEYS: readonly Key[] = [
  {
    name: 'id',
    help: "name in the monitor; the mediated device's UUID without",
    pattern: /^[\w.-]+$/,
    wanted: 'letters and digits',
  },
  {
    name: 'sysfsdev',
    help: "the mediated device's directory in sysfs",
    pattern: /^\/sys\/./,
    wanted: 'a path below /sys',
  },
  {
    name: 'drive',
    help: 'number of a --drive, from 0: its mediated device, made if need be',
    pattern: /^\d{1,3}$/,
    wanted: 'a number',
  },
  {
    name: 'devno',
    help: "device number in the guest, fe.0.0190 or 0190; without it the drive's own, or the first free one",
    pattern: /^(fe\.[0-3]\.)?[0-9a-f]{1,4}$/i,
    wanted: 'fe.0.0190, or up to four hexadecimal digits',
  },
  { name: 'force-orb-pfch', help: 'on: prefetch is set in every ORB', pattern: /^(on|off)$/, wanted: 'on or off' },
];

/** @throws MonitorError */
export function parseDevice(text: string): PlugOptions {
  const [driver, ...parts] = text
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
  if (driver !== DRIVER) throw new MonitorError(`'${driver}' is no device model here; give ${DRIVER},...`);
  const given = keysOf(parts);
  const { id, sysfsdev, drive, devno } = given;
  if ((sysfsdev === undefined) === (drive === undefined))
    throw new MonitorError(`${DRIVER}: give either sysfsdev=/sys/... or drive=N`);
  return {
    id: id ?? (drive === undefined ? undefined : `dasd${Number(drive)}`),
    from: sysfsdev === undefined ? { drive: Number(drive) } : { sysfsdev },
    ...(devno === undefined ? {} : placeOf(devno)),
    forceOrbPfch: given['force-orb-pfch'] === 'on',
  };
}

function keysOf(parts: readonly string[]): Readonly<Record<string, string | undefined>> {
  const given: Record<string, string> = {};
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const key = DEVICE_KEYS.find((row) => row.name === name);
    if (key === undefined)
      throw new MonitorError(
        `${DRIVER}: unknown property '${name}'; properties: ${DEVICE_KEYS.map((row) => row.name).join(', ')}`,
      );
    const value = equals < 0 ? '' : part.slice(equals + 1);
    if (!key.pattern.test(value)) throw new MonitorError(`${DRIVER}: ${name}=${value}: give ${key.wanted}`);
    if (name in given) throw new MonitorError(`${DRIVER}: ${name} is given twice`);
    given[name] = value;
  }
  return given;
}

/** `fe.1.0190`: subchannel set 1. */
function placeOf(devno: string): { devno: number; ssid: number } {
  const parts = devno.split('.');
  return { devno: Number.parseInt(parts[parts.length - 1], 16), ssid: parts.length === 1 ? 0 : Number(parts[1]) };
}
