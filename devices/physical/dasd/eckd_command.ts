/** A row of the command table: everything the drive knows about one channel command. */

import type { Task } from '../../../kernel/lib/task.ts';
import type { DataPort } from '../css/channel_device.ts';
import type { EckdDrive } from './drive.ts';
import type { DomainKind } from './extent.ts';

/** What a command handler works with. */
export interface CommandContext {
  readonly drive: EckdDrive;
  readonly port: DataPort;
  /** Bit 0 of the code: the command goes on to the next track at the end of one. */
  readonly multitrack: boolean;
}

/** One channel command. */
export interface EckdCommand {
  readonly code: number;
  readonly name: string;
  /** Executed at once, without data. */
  readonly immediate?: boolean;
  /** Works on tracks, and inside a Locate Record domain only when its kind is listed here. */
  readonly track?: readonly DomainKind[];
  /** Leaves sense information as it is. */
  readonly keepsSense?: boolean;
  /** Performs the command; returns device status to add to channel end and device end. @throws UnitCheck */
  readonly perform: (context: CommandContext) => Task<number>;
}

/** A command that needs no waiting, as a task. */
export function atOnce(perform: (context: CommandContext) => number | undefined): EckdCommand['perform'] {
  return function* (context) {
    return perform(context) ?? 0;
  };
}

/** Bit 0 of a code: multitrack. */
export const MULTITRACK = 0x80;

/** The row and its multitrack form. */
export function withMultitrack(row: EckdCommand): readonly EckdCommand[] {
  return [row, { ...row, code: row.code | MULTITRACK, name: `${row.name} MT` }];
}
