/** Control commands: arm movement, file mask, sector, diagnostic control. */

import type { EckdDrive } from './drive.ts';
import { atOnce, type EckdCommand, nothing } from './eckd_command.ts';
import { AUTHORIZATION, cylinderOf, FILE_MASK, headOf, SEEK_CONTROL } from './extent.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { fileProtected, MESSAGE, reject } from './sense.ts';
import { SUSPEND_MULTIPATH } from './sequence.ts';

/** Parameter of the seeks: two zero bytes, cylinder, head. */
const SEEK_LENGTH = 6;
/** Which `seek` values of the file mask allow a seek. */
type SeekMasks = readonly number[];

/** @param move chooses the target from where the arm is and what the parameter says. */
function seek(
  allowed: SeekMasks,
  move: (drive: EckdDrive, cylinder: number, head: number) => readonly [cylinder: number, head: number],
): EckdCommand['perform'] {
  return atOnce(({ drive, port }) => {
    const parameter = port.take(SEEK_LENGTH);
    if (parameter.length < SEEK_LENGTH) throw reject('seek', MESSAGE.COUNT_TOO_SMALL);
    checkSeekMask(drive, allowed);
    const dv = new DataView(parameter.buffer, parameter.byteOffset);
    if (dv.getUint16(0) !== 0) throw reject('seek address', MESSAGE.INVALID_PARAMETER);
    const head = dv.getUint16(4);
    drive.seek(...move(drive, cylinderOf(dv.getUint16(2), head), headOf(head)));
    return 0;
  });
}

function checkSeekMask(drive: EckdDrive, allowed: SeekMasks): void {
  if (!allowed.includes(FILE_MASK.get(drive.fileMask, 'seek'))) throw fileProtected('the file mask forbids the seek');
}

const recalibrate = atOnce(({ drive }) => {
  checkSeekMask(drive, [SEEK_CONTROL.ALL]);
  if (FILE_MASK.get(drive.fileMask, 'auth') === AUTHORIZATION.DIAGNOSTIC)
    throw fileProtected('recalibrate under diagnostic authorization');
  drive.seek(0, 0);
  return 0;
});

const setFileMask = atOnce(({ drive, port }) => {
  const [mask] = port.take(1);
  if (mask === undefined) throw reject('Set File Mask', MESSAGE.COUNT_TOO_SMALL);
  if (drive.fileMaskSet || drive.extent !== undefined || drive.ipl)
    throw reject('Set File Mask', MESSAGE.INVALID_SEQUENCE);
  if ((mask & FILE_MASK.mask.zero) !== 0) throw reject('file mask', MESSAGE.INVALID_PARAMETER);
  drive.fileMask = mask;
  drive.fileMaskSet = true;
  return 0;
});

const setSector = atOnce(({ port }) => {
  const [sector] = port.take(1);
  if (sector === undefined) throw reject('Set Sector', MESSAGE.COUNT_TOO_SMALL);
  if (sector >= GEOMETRY_3390.sectors && sector !== 0xff) throw reject('sector', MESSAGE.INVALID_PARAMETER);
  return 0;
});

/** Parameter of Diagnostic Control: subcommand, modifier, two zero bytes. */
const DIAGNOSTIC_LENGTH = 4;
/** Maintenance query, the only subcommand an emulated storage path can answer (as Hercules has it). */
const MAINTENANCE_QUERY = 0x10;

const diagnosticControl = atOnce(({ drive, port }) => {
  const parameter = port.take(DIAGNOSTIC_LENGTH);
  if (parameter.length < DIAGNOSTIC_LENGTH) throw reject('Diagnostic Control', MESSAGE.COUNT_TOO_SMALL);
  if (parameter[0] !== MAINTENANCE_QUERY || parameter[2] !== 0 || parameter[3] !== 0)
    throw reject('subcommand of Diagnostic Control', MESSAGE.INVALID_PARAMETER);
  if (FILE_MASK.get(drive.fileMask, 'auth') === AUTHORIZATION.NORMAL)
    throw reject('Diagnostic Control without authorization', MESSAGE.FILE_MASK);
  return 0;
});

export const CONTROL_COMMANDS: readonly EckdCommand[] = [
  { code: 0x03, name: 'No-Operation', immediate: true, perform: nothing },
  { code: 0x07, name: 'Seek', perform: seek([SEEK_CONTROL.ALL], (_, cylinder, head) => [cylinder, head]) },
  {
    code: 0x0b,
    name: 'Seek Cylinder',
    perform: seek([SEEK_CONTROL.ALL, SEEK_CONTROL.CYLINDER_HEAD], (_, cylinder, head) => [cylinder, head]),
  },
  {
    code: 0x1b,
    name: 'Seek Head',
    positioned: true,
    perform: seek([SEEK_CONTROL.ALL, SEEK_CONTROL.CYLINDER_HEAD, SEEK_CONTROL.HEAD], (drive, _, head) => [
      drive.cylinder,
      head,
    ]),
  },
  // Hercules refuses it on a 3390, as dropped from later control units; nothing is lost by having it.
  { code: 0x13, name: 'Recalibrate', immediate: true, perform: recalibrate },
  { code: 0x1f, name: 'Set File Mask', perform: setFileMask },
  { code: 0x23, name: 'Set Sector', positioned: true, perform: setSector },
  { code: SUSPEND_MULTIPATH, name: 'Suspend Multipath Reconnection', immediate: true, perform: nothing },
  { code: 0xf3, name: 'Diagnostic Control', perform: diagnosticControl },
];
