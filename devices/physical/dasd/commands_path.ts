/** Path groups and reservation. Reserve and release end like Basic Sense: they give sense information, and clear it. */

import { atOnce, type CommandContext, type EckdCommand } from './eckd_command.ts';
import { PGID_SIZE } from './path_group.ts';
import { MESSAGE, reject, SENSE_SIZE } from './sense.ts';

const setPathGroup = atOnce(({ drive, port }) => {
  const parameter = port.take(1 + PGID_SIZE);
  if (parameter.length < 1 + PGID_SIZE) throw reject('Set Path Group ID', MESSAGE.COUNT_TOO_SMALL);
  drive.paths.set(drive.path, parameter);
  return 0;
});

/** What is given, and done before. */
const sensing = (act: (context: CommandContext) => void) =>
  atOnce((context) => {
    act(context);
    context.port.give(context.drive.takeSense());
    return 0;
  });

const reserve = sensing(({ drive }) => drive.paths.reserve(drive.path));

const release = sensing(({ drive }) => {
  if (drive.extent !== undefined || drive.fileMaskSet || drive.ipl)
    throw reject('Device Release', MESSAGE.INVALID_SEQUENCE);
  drive.paths.release();
});

/** Reset Allegiance: byte 0 whether there was a reservation, byte 1, then the path-group identifier (as Hercules). */
const ALLEGIANCE = { RESERVED: 0x90, FREE: 0x80, BYTE1: 0x20, PGID: 5 } as const;

const resetAllegiance = atOnce(({ drive, port }) => {
  const data = new Uint8Array(SENSE_SIZE);
  data[0] = drive.paths.reserved ? ALLEGIANCE.RESERVED : ALLEGIANCE.FREE;
  data[1] = ALLEGIANCE.BYTE1;
  data.set(drive.paths.sense(drive.path).subarray(1), ALLEGIANCE.PGID);
  port.give(data);
  return 0;
});

export const PATH_COMMANDS: readonly EckdCommand[] = [
  {
    code: 0x34,
    name: 'Sense Path Group ID',
    first: true,
    last: true,
    perform: atOnce(({ drive, port }) => {
      port.give(drive.paths.sense(drive.path));
      return 0;
    }),
  },
  { code: 0xaf, name: 'Set Path Group ID', first: true, last: true, perform: setPathGroup },
  { code: 0xb4, name: 'Device Reserve', first: true, keepsSense: true, perform: reserve },
  { code: 0x14, name: 'Unconditional Reserve', first: true, keepsSense: true, perform: reserve },
  { code: 0x94, name: 'Device Release', keepsSense: true, perform: release },
  { code: 0x44, name: 'Reset Allegiance', first: true, perform: resetAllegiance },
];
