/** A row of the command table: everything the drive knows about one channel command. */

import type { Task } from '../../../kernel/lib/task.ts';
import type { DataPort } from '../css/channel_device.ts';
import type { EckdDrive } from './drive.ts';
import type { Domain, DomainKind } from './locate.ts';

/** What a command handler works with. */
export interface CommandContext {
  readonly drive: EckdDrive;
  readonly port: DataPort;
  /** Bit 0 of the code: the command goes on to the next track at the end of one. */
  readonly multitrack: boolean;
}

/** One channel command. Its place in the chain is checked by `sequence.ts` from what stands here. */
export interface EckdCommand {
  readonly code: number;
  readonly name: string;
  /** Executed at once, without data. */
  readonly immediate?: boolean;
  /** Locate Record domains it is admitted in; refused in every other. */
  readonly domains?: readonly DomainKind[];
  /** Admitted in those domains only. */
  readonly domainOnly?: boolean;
  /** More about its place in a domain: false refuses it. */
  readonly fits?: (domain: Domain, multitrack: boolean) => boolean;
  /** Wants the heads positioned by this program: Seek, Seek Cylinder, Locate Record, Read IPL or Recalibrate. */
  readonly positioned?: boolean;
  /**
   * Goes round the track without getting anywhere: when nothing but such commands come between two index points, what
   * they look for does not exist.
   */
  readonly searches?: boolean;
  /** Must be the first command, or the second after Suspend Multipath Reconnection. */
  readonly first?: boolean;
  /** Must be the last command. */
  readonly last?: boolean;
  /** Commands of which it must be chained from one; `BEGINNING` of `sequence.ts` for none. */
  readonly after?: readonly number[];
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

/** A command that does nothing here. */
export const nothing = atOnce(() => 0);

/** Bit 0 of a code: multitrack. */
export const MULTITRACK = 0x80;

/** The row and its multitrack form. */
export function withMultitrack(row: EckdCommand): readonly EckdCommand[] {
  return [row, { ...row, code: row.code | MULTITRACK, name: `${row.name} MT` }];
}
