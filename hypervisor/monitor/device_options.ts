/** `device_add vfio-ccw,id=...,drive=0` and `device_add vfio-pci,host=...`: QEMU's comma list, as tables of keys. */
import { MonitorError } from './monitor_error.ts';
import type { PlugOptions, PlugPciOptions } from './target.ts';

interface Key {
  readonly name: string;
  readonly help: string;
  /** What the value must look like, and how that is said. */
  readonly pattern: RegExp;
  readonly wanted: string;
}

const ID: Key = { name: 'id', help: 'name in the monitor', pattern: /^[\w.:-]+$/, wanted: 'letters and digits' };

const CCW_KEYS: readonly Key[] = [
  { ...ID, help: "name in the monitor; the mediated device's UUID without" },
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

const PCI_KEYS: readonly Key[] = [
  { ...ID, help: "name in the monitor; without it that of the machine's own devices (nic0, dmaport)" },
  {
    name: 'host',
    help: "the device's address on the host, 0000:01:01.0 or 01:01.0; NIC n is 01:0(n+1).0",
    pattern: /^([0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i,
    wanted: 'a PCI address, as in 0000:01:01.0',
  },
  {
    name: 'bus',
    help: 'pci.N, the bus of host bridge N; without it the first bus that has no device',
    pattern: /^[\w.-]+$/,
    wanted: 'the name of a bus, as in pci.1',
  },
  {
    name: 'addr',
    help: 'device number on that bus, hexadecimal, 3 or 3.0; the lowest free one without',
    pattern: /^[01]?[0-9a-f](\.0)?$/i,
    wanted: 'up to 1f, or 1f.0',
  },
  {
    name: 'x-req',
    help: "off: when the host asks for the device, it is not heard, and the host's unbind waits",
    pattern: /^(on|off)$/,
    wanted: 'on or off',
  },
];

type Given = Readonly<Record<string, string | undefined>>;

/** What `device_add` is to plug. */
export type PlugRequest =
  | { readonly driver: 'vfio-ccw'; readonly options: PlugOptions }
  | { readonly driver: 'vfio-pci'; readonly options: PlugPciOptions };

/** The device models that can be plugged, their keys and what follows from them. */
export const DEVICE_MODELS: readonly {
  readonly driver: PlugRequest['driver'];
  /** The least that must be given. */
  readonly form: string;
  readonly keys: readonly Key[];
  readonly read: (given: Given) => PlugRequest;
}[] = [
  {
    driver: 'vfio-ccw',
    form: 'drive=N',
    keys: CCW_KEYS,
    read: (given) => ({ driver: 'vfio-ccw', options: ccwOptions(given) }),
  },
  {
    driver: 'vfio-pci',
    form: 'host=0000:01:01.0',
    keys: PCI_KEYS,
    read: (given) => ({ driver: 'vfio-pci', options: pciOptions(given) }),
  },
];

/** @throws MonitorError */
export function parseDevice(text: string): PlugRequest {
  const [driver, ...parts] = text
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
  const model = DEVICE_MODELS.find((row) => row.driver === driver);
  if (model === undefined) {
    const all = DEVICE_MODELS.map((row) => `${row.driver},...`).join(' or ');
    throw new MonitorError(`'${driver}' is no device model here; give ${all}`);
  }
  return model.read(keysOf(driver, model.keys, parts));
}

function keysOf(driver: string, keys: readonly Key[], parts: readonly string[]): Given {
  const given: Record<string, string> = {};
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const key = keys.find((row) => row.name === name);
    if (key === undefined)
      throw new MonitorError(
        `${driver}: unknown property '${name}'; properties: ${keys.map((row) => row.name).join(', ')}`,
      );
    const value = equals < 0 ? '' : part.slice(equals + 1);
    if (!key.pattern.test(value)) throw new MonitorError(`${driver}: ${name}=${value}: give ${key.wanted}`);
    if (name in given) throw new MonitorError(`${driver}: ${name} is given twice`);
    given[name] = value;
  }
  return given;
}

function ccwOptions(given: Given): PlugOptions {
  const { id, sysfsdev, drive, devno } = given;
  if ((sysfsdev === undefined) === (drive === undefined))
    throw new MonitorError('vfio-ccw: give either sysfsdev=/sys/... or drive=N');
  return {
    id: id ?? (drive === undefined ? undefined : `dasd${Number(drive)}`),
    from: sysfsdev === undefined ? { drive: Number(drive) } : { sysfsdev },
    ...(devno === undefined ? {} : placeOf(devno)),
    forceOrbPfch: given['force-orb-pfch'] === 'on',
  };
}

/** `fe.1.0190`: subchannel set 1. */
function placeOf(devno: string): { devno: number; ssid: number } {
  const parts = devno.split('.');
  return { devno: Number.parseInt(parts[parts.length - 1], 16), ssid: parts.length === 1 ? 0 : Number(parts[1]) };
}

function pciOptions({ id, host, bus, addr, 'x-req': req }: Given): PlugPciOptions {
  if (host === undefined) throw new MonitorError('vfio-pci: No provided host device; give host=0000:01:01.0');
  const full = host.length < '0000:01:01.0'.length ? `0000:${host}` : host;
  return {
    host: full.toLowerCase(),
    ...(id === undefined ? {} : { id }),
    ...(bus === undefined ? {} : { bus }),
    ...(addr === undefined ? {} : { slot: Number.parseInt(addr, 16) }),
    ...(req === 'off' ? { requests: false } : {}),
  };
}
