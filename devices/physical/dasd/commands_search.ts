/**
 * Searches: compare what passes under the heads with bytes from the program; status modifier when satisfied, so that
 * the program's TIC back to the search is skipped. Not allowed inside a Locate Record domain. Writes may follow only
 * what compared equal in its whole length.
 */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { type CommandContext, type EckdCommand, withMultitrack } from './eckd_command.ts';
import { countOf, keyOf, TRACK_HEADER } from './track.ts';

/** Bytes of an identifier: cylinder, head, record. */
const ID_LENGTH = 5;
/** Longest key. */
const KEY_LENGTH = 255;

/** Satisfied for a comparison result of program's argument against the disk's bytes. */
type Relation = (order: number) => boolean;
/** The disk's bytes are equal to, higher than, or not lower than the argument. */
const RELATIONS: readonly (readonly [suffix: string, bits: number, relation: Relation])[] = [
  ['Equal', 0x20, (order) => order === 0],
  ['High', 0x40, (order) => order > 0],
  ['Equal or High', 0x60, (order) => order >= 0],
];

/** Compares as many bytes as both have, disk first. */
function compare(disk: Uint8Array, argument: Uint8Array): number {
  const length = Math.min(disk.length, argument.length);
  return Buffer.compare(disk.subarray(0, length), argument.subarray(0, length));
}

function searchId(relation: Relation, equal: boolean) {
  return function* ({ drive, port, multitrack }: CommandContext): Task<number> {
    const record = yield* drive.next(port, multitrack, true);
    const track = yield* drive.track(port);
    const argument = port.take(ID_LENGTH);
    if (argument.length === 0 || !relation(compare(countOf(track, record).subarray(0, ID_LENGTH), argument))) return 0;
    if (equal && argument.length === ID_LENGTH) drive.found = 'id';
    return DSTAT.STAT_MOD;
  };
}

function searchKey(relation: Relation, equal: boolean) {
  return function* ({ drive, port, multitrack }: CommandContext): Task<number> {
    // Right after a count area the key that follows is searched; else that of the next record.
    if (drive.area !== 'count') yield* drive.next(port, multitrack);
    const track = yield* drive.track(port);
    const key = keyOf(track, drive.orient(drive.index, 'key'));
    const argument = port.take(Math.min(key.length, KEY_LENGTH));
    if (argument.length === 0 || !relation(compare(key, argument))) return 0;
    if (equal && argument.length === key.length) drive.found = 'key';
    return DSTAT.STAT_MOD;
  };
}

function* searchHome({ drive, port, multitrack }: CommandContext): Task<number> {
  if (multitrack) drive.nextTrack();
  const track = yield* drive.track(port);
  drive.area = 'home';
  drive.found = undefined;
  const argument = port.take(TRACK_HEADER.size - 1);
  if (argument.length === 0 || compare(track.image.subarray(1, TRACK_HEADER.size), argument) !== 0) return 0;
  if (argument.length === TRACK_HEADER.size - 1) drive.found = 'home';
  return DSTAT.STAT_MOD;
}

export const SEARCH_COMMANDS: readonly EckdCommand[] = [
  ...RELATIONS.flatMap(([suffix, bits, relation]) => [
    {
      code: 0x11 | bits,
      name: `Search ID ${suffix}`,
      positioned: true,
      searches: true,
      perform: searchId(relation, bits === 0x20),
    },
    {
      code: 0x09 | bits,
      name: `Search Key ${suffix}`,
      positioned: true,
      searches: true,
      perform: searchKey(relation, bits === 0x20),
    },
  ]),
  { code: 0x39, name: 'Search Home Address Equal', positioned: true, perform: searchHome },
].flatMap(withMultitrack);
