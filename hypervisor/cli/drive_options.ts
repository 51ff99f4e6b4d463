/** `--drive`: its keys, and how they become the configuration of a channel device. */
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { DriveConfig } from '../config.ts';
import { UserError } from '../user_error.ts';
import { FAULT_FORM, faultKindsHelp, parseFault } from './fault_option.ts';
import { fileProblem } from './file_problem.ts';
import { type Keys, ON_OFF, type OptionRow } from './options.ts';
import { readVmNumbers } from './vm_numbers.ts';

/** The DASD image that a boot without --drive makes for itself in the current directory. */
export const DEFAULT_DRIVE = resolve('toy-3390.ckd');
/** Cylinder of the default drive that answers slowly, so that there is something to halt and to clear. */
const SLOW_CYLINDER = 9;
const SLOW_MS = 200;
/** Device number of the first drive unless it is given. */
const FIRST_DEVNO = 0x190;
/** Subchannels, I/O processors and paths of a device that the physical machine has (`devices/physical/css`). */
const MAX_DRIVES = 64;
const MAX_IOP = 7;
const MAX_PATHS = 8;
/** An hour: no device is slower. */
const MAX_MS = 3_600_000;

/** Keys that only a 3390 has. */
const OF_3390 = ['file', 'readonly', 'cache', 'service-us', 'slow-cylinder', 'slow-ms'] as const;

export const DRIVE_OPTION: OptionRow = {
  name: 'drive',
  kind: 'keys',
  value: 'file=...,...',
  many: true,
  keys: {
    file: 'CKD image, as made by minivisor dasd create or Hercules dasdinit; a comma in its name is doubled',
    type: '3390 (default), or echo: a control unit for testing channel programs, which has no file',
    devno: `device number, hexadecimal (from ${FIRST_DEVNO.toString(16).padStart(4, '0')} on)`,
    readonly: `${ON_OFF}; writes end in unit check`,
    cache: 'writethrough (default: a write is on disk when the guest sees device end), writeback, unsafe',
    'service-us': 'time every channel program takes, microseconds',
    'slow-cylinder': 'a cylinder that answers slowly',
    'slow-ms': `its time, milliseconds (default ${SLOW_MS})`,
    chpid: 'channel paths, hexadecimal, up to eight (80, or 80:81:82)',
    iop: `the channel I/O processor that serves it, 0 to ${MAX_IOP}: a host thread each`,
    fault: `${FAULT_FORM}; may be repeated`,
    vm: 'number of the virtual machine that gets it (default 0, the first; see --vm)',
  },
  repeatable: ['fault'],
  notes: faultKindsHelp(),
  help: 'a device passed through with vfio-ccw; without it toy-3390.ckd is made in the current directory',
};

/** The devices of a command line. @param vms virtual machines there are. @throws UserError */
export function readDrives(given: readonly Keys[] | undefined, vms = 1): DriveConfig[] {
  const all = given ?? [{ file: DEFAULT_DRIVE, 'slow-cylinder': `${SLOW_CYLINDER}` }];
  if (all.length > MAX_DRIVES)
    throw new UserError(`--drive: ${all.length} of them; the machine has ${MAX_DRIVES} subchannels`);
  const drives = all.map((keys, index) => readDrive(keys, index, given !== undefined, vms));
  checkDevnos(drives);
  checkFiles(drives);
  return drives;
}

function readDrive(keys: Keys, schid: number, mustExist: boolean, vms: number): DriveConfig {
  const text = (key: string) => keys[key] as string | undefined;
  const bad = (key: string, wanted: string) =>
    new UserError(`--drive ${key}=${text(key)}: not understood; give ${wanted}`);
  const choice = <T extends string>(key: string, choices: readonly T[]): T => {
    const value = text(key) ?? choices[0];
    if (!(choices as readonly string[]).includes(value))
      throw bad(key, `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`);
    return value as T;
  };
  const number = (key: string, fallback: number, max: number) => {
    const value = text(key);
    if (value === undefined) return fallback;
    if (!/^-?\d+$/.test(value)) throw bad(key, 'a whole number');
    if (Number(value) < 0 || Number(value) > max)
      throw new UserError(`--drive ${key}=${value}: out of range; give 0 to ${max}`);
    return Number(value);
  };
  const type = choice('type', ['3390', 'echo']);
  const devno = text('devno');
  if (devno !== undefined && !/^[0-9a-f]{1,4}$/i.test(devno)) throw bad('devno', 'up to four hexadecimal digits');
  const common = {
    type,
    schid,
    devno: devno === undefined ? FIRST_DEVNO + schid : Number.parseInt(devno, 16),
    chpids: text('chpid') === undefined ? undefined : chpids(text('chpid') as string),
    iop: text('iop') === undefined ? undefined : number('iop', 0, MAX_IOP),
    faults: ((keys.fault ?? []) as readonly string[]).map(parseFault),
    ...(text('vm') === undefined ? {} : { vm: readVmNumbers('drive', text('vm'), vms, false)[0] }),
  };
  if (type === 'echo') {
    const alien = OF_3390.find((key) => text(key) !== undefined);
    if (alien !== undefined) throw new UserError(`--drive ${alien}=...: type=echo has none; leave it out`);
    return { ...common, file: '', readonly: true, cache: 'unsafe', serviceTimeNs: 0 };
  }
  if (text('slow-ms') !== undefined && text('slow-cylinder') === undefined)
    throw new UserError(`--drive slow-ms=${text('slow-ms')}: of which cylinder? give slow-cylinder=... too`);
  return {
    ...common,
    file: imageFile(text('file'), mustExist),
    readonly: choice('readonly', ['off', 'on']) === 'on',
    cache: choice('cache', ['writethrough', 'writeback', 'unsafe']),
    serviceTimeNs: number('service-us', 0, MAX_MS * 1000) * 1000,
    slow:
      text('slow-cylinder') === undefined
        ? undefined
        : { cylinder: number('slow-cylinder', 0, 0xfff_ffff), ns: number('slow-ms', SLOW_MS, MAX_MS) * 1e6 },
  };
}

function imageFile(given: string | undefined, mustExist: boolean): string {
  if (given === undefined)
    throw new UserError('--drive: file=... is missing; make an image with minivisor dasd create');
  const file = resolve(given);
  try {
    if (mustExist) accessSync(file, constants.R_OK);
  } catch (error) {
    throw new UserError(`--drive file=${given}: ${fileProblem(error)}; make an image with minivisor dasd create`);
  }
  return file;
}

function chpids(text: string): number[] {
  const given = text.split(':');
  const fail = (found: string) =>
    new UserError(`--drive chpid=${text}: ${found}; give one to ${MAX_PATHS} different hexadecimal numbers (80:81)`);
  if (!given.every((one) => /^[0-9a-f]{1,2}$/i.test(one))) throw fail('not understood');
  const numbers = given.map((one) => Number.parseInt(one, 16));
  if (numbers.length > MAX_PATHS) throw fail(`${numbers.length} paths`);
  if (new Set(numbers).size !== numbers.length) throw fail('a path twice');
  return numbers;
}

function checkDevnos(drives: readonly DriveConfig[]): void {
  drives.forEach(({ devno }, index) => {
    if (devno > 0xffff || drives.findIndex((drive) => drive.devno === devno) !== index)
      throw new UserError(
        `--drive: two devices with number ${devno.toString(16).padStart(4, '0')}; give one of them another devno=...`,
      );
  });
}

/** Whatever names they are given by, two drives that write must not share an image. */
function checkFiles(drives: readonly DriveConfig[]): void {
  const seen = new Map<string, DriveConfig>();
  for (const drive of drives) {
    const there = drive.file === '' ? undefined : statSync(drive.file, { throwIfNoEntry: false });
    if (there === undefined) continue;
    const key = `${there.dev}:${there.ino}`;
    const other = seen.get(key);
    if (other !== undefined && !(other.readonly && drive.readonly))
      throw new UserError(
        `--drive file=${drive.file}: two drives on one image; give each its own, or readonly=on to both`,
      );
    seen.set(key, drive);
  }
}
