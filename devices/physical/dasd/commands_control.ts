/** Control commands: arm movement, file mask, path groups. */

import type { EckdDrive } from './drive.ts';
import { atOnce, type EckdCommand } from './eckd_command.ts';
import { FILE_MASK, SEEK_CONTROL } from './extent.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { MESSAGE, reject, SENSE1, UnitCheck } from './sense.ts';

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
    drive.position(...move(drive, dv.getUint16(2), dv.getUint16(4)));
    return 0;
  });
}

function checkSeekMask(drive: EckdDrive, allowed: SeekMasks): void {
  if (!allowed.includes(FILE_MASK.get(drive.fileMask, 'seek')))
    throw new UnitCheck('the file mask forbids the seek', 0, SENSE1.FILE_PROTECTED);
}

const setFileMask = atOnce(({ drive, port }) => {
  const [mask] = port.take(1);
  if (mask === undefined) throw reject('Set File Mask', MESSAGE.COUNT_TOO_SMALL);
  if (drive.fileMaskSet || drive.extent !== undefined) throw reject('Set File Mask', MESSAGE.INVALID_SEQUENCE);
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

/** Parameter of Set Path Group ID: function byte and an identifier of 11 bytes. */
const PGID_LENGTH = 12;
/** Function byte: multipath mode, and the function in bits 1-2. */
const PGID_MULTIPATH = 0x80;
const PGID_FUNCTION = 0x60;
const PGID_ESTABLISH = 0x00;
const PGID_DISBAND = 0x20;
const PGID_RESIGN = 0x40;
/** Path states. */
const UNGROUPED = 0x80;
const GROUPED = 0xc0;

const setPathGroup = atOnce(({ drive, port }) => {
  const parameter = port.take(PGID_LENGTH);
  if (parameter.length < PGID_LENGTH) throw reject('Set Path Group ID', MESSAGE.COUNT_TOO_SMALL);
  const group = drive.pathGroup;
  const id = parameter.slice(1);
  const other = group.state !== 0 && Buffer.compare(group.id, id) !== 0;
  switch (parameter[0] & PGID_FUNCTION) {
    case PGID_ESTABLISH:
      // An identifier stays until the path is reset: another one is refused.
      if (other) throw reject('another path-group identifier', MESSAGE.INVALID_PARAMETER);
      group.id = id;
      group.state = GROUPED;
      group.multipath = (parameter[0] & PGID_MULTIPATH) !== 0;
      break;
    case PGID_DISBAND:
    case PGID_RESIGN:
      if (other) throw reject('another path-group identifier', MESSAGE.INVALID_PARAMETER);
      group.id = id;
      group.state = UNGROUPED;
      group.multipath = false;
      break;
    default:
      throw reject('Set Path Group ID function', MESSAGE.INVALID_PARAMETER);
  }
  return 0;
});

export const CONTROL_COMMANDS: readonly EckdCommand[] = [
  { code: 0x03, name: 'No-Operation', immediate: true, perform: atOnce(() => 0) },
  { code: 0x07, name: 'Seek', track: [], perform: seek([SEEK_CONTROL.ALL], (_, cylinder, head) => [cylinder, head]) },
  {
    code: 0x0b,
    name: 'Seek Cylinder',
    track: [],
    perform: seek([SEEK_CONTROL.ALL, SEEK_CONTROL.CYLINDER_HEAD], (_, cylinder, head) => [cylinder, head]),
  },
  {
    code: 0x1b,
    name: 'Seek Head',
    track: [],
    perform: seek([SEEK_CONTROL.ALL, SEEK_CONTROL.CYLINDER_HEAD, SEEK_CONTROL.HEAD], (drive, _, head) => [
      drive.cylinder,
      head,
    ]),
  },
  {
    code: 0x13,
    name: 'Recalibrate',
    immediate: true,
    track: [],
    perform: atOnce(({ drive }) => {
      checkSeekMask(drive, [SEEK_CONTROL.ALL]);
      drive.position(0, 0);
      return 0;
    }),
  },
  { code: 0x1f, name: 'Set File Mask', track: [], perform: setFileMask },
  { code: 0x23, name: 'Set Sector', track: [], perform: setSector },
  { code: 0xaf, name: 'Set Path Group ID', perform: setPathGroup },
];
