/** All commands of the control unit, by their code. */

import { CONTROL_COMMANDS } from './commands_control.ts';
import { LOCATE_COMMANDS } from './commands_locate.ts';
import { PATH_COMMANDS } from './commands_path.ts';
import { READ_COMMANDS } from './commands_read.ts';
import { SEARCH_COMMANDS } from './commands_search.ts';
import { SENSE_COMMANDS } from './commands_sense.ts';
import { SUBSYSTEM_COMMANDS } from './commands_subsystem.ts';
import { TRACK_COMMANDS } from './commands_track.ts';
import { WRITE_COMMANDS } from './commands_write.ts';
import type { EckdCommand } from './eckd_command.ts';

const table = new Map<number, EckdCommand>();
for (const row of [
  ...SENSE_COMMANDS,
  ...PATH_COMMANDS,
  ...SUBSYSTEM_COMMANDS,
  ...CONTROL_COMMANDS,
  ...LOCATE_COMMANDS,
  ...SEARCH_COMMANDS,
  ...READ_COMMANDS,
  ...WRITE_COMMANDS,
  ...TRACK_COMMANDS,
]) {
  if (table.has(row.code)) throw new Error(`command ${row.code.toString(16)} has two rows`);
  table.set(row.code, row);
}

export const COMMANDS: ReadonlyMap<number, EckdCommand> = table;
