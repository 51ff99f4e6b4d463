/**
 * Whole tracks at once, inside a domain of Locate Record (Extended) that names how many. The first command is for the
 * track located, each further one for the next track, or the next of the domain's map.
 */

import type { Task } from '../../../kernel/lib/task.ts';
import { checkWrite, replace, takeFilled } from './commands_write.ts';
import type { CommandContext, EckdCommand } from './eckd_command.ts';
import type { Domain } from './locate.ts';
import { invalidTrackFormat, noRecordFound } from './sense.ts';
import { type CkdRecord, type CkdTrack, COUNT, countOf, dataOf, formatRecord } from './track.ts';

/** End of a track's records, on the disk and in the channel. */
const END = new Uint8Array(8).fill(0xff);

/** Goes on to the track of this command. */
function* trackOfDomain({ drive, port }: CommandContext): Task<CkdTrack> {
  const { tracks, count, remaining } = drive.domain as Domain;
  const done = count - remaining;
  if (done > 0) drive.advance(tracks === undefined ? 1 : tracks[done] - tracks[done - 1]);
  return yield* drive.track(port);
}

/** Records from the one located on; all of them but R0 on a further track. */
function recordsFrom({ drive }: CommandContext, track: CkdTrack): readonly CkdRecord[] {
  return track.records.slice(drive.area === 'count' ? drive.index : 1);
}

/** Read Track: R0 and all records with count, key and data, and an end mark. */
function* readTrack(context: CommandContext): Task<number> {
  const { drive, port } = context;
  const track = yield* trackOfDomain(context);
  for (const record of track.records) {
    const { byteOffset } = countOf(track, record);
    port.give(new Uint8Array(track.image.buffer, byteOffset, COUNT.size + record.keyLength + record.dataLength));
  }
  port.give(END);
  drive.orient(track.records.length - 1, 'data');
  return 0;
}

/** Read Track Data: data areas to the end of the track; of the last track as many bytes as the domain's length says. */
function* readTrackData(context: CommandContext): Task<number> {
  const { drive, port } = context;
  const { remaining, lengthGiven, transferLength } = drive.domain as Domain;
  const track = yield* trackOfDomain(context);
  let left = remaining === 1 && lengthGiven ? transferLength : Number.POSITIVE_INFINITY;
  const records = recordsFrom(context, track);
  if (records.length === 0) throw noRecordFound();
  for (const record of records) {
    if (left === 0) break;
    const data = dataOf(track, record).subarray(0, left);
    port.give(data);
    left -= data.length;
  }
  if (left > 0 && left !== Number.POSITIVE_INFINITY) throw noRecordFound();
  drive.orient(track.records.length - 1, 'data');
  return 0;
}

/** Write Track Data: data areas, all as long as the domain says, as far as the channel has bytes for them. */
function* writeTrackData(context: CommandContext): Task<number> {
  const { drive, port } = context;
  checkWrite(drive, 'update');
  const { transferLength } = drive.domain as Domain;
  const track = yield* trackOfDomain(context);
  const records = recordsFrom(context, track);
  if (records.length === 0) throw noRecordFound();
  const content = port.takeAll(records.length * transferLength);
  const written = records.slice(0, Math.ceil(content.length / transferLength));
  if (written.some(({ dataLength }) => dataLength !== transferLength))
    throw invalidTrackFormat('a record is not as long as the transfer');
  for (const [i, record] of written.entries()) {
    const data = new Uint8Array(transferLength);
    data.set(content.subarray(i * transferLength, (i + 1) * transferLength));
    replace(track, record, data);
  }
  drive.wrote();
  drive.orient(track.records.length - 1, 'data');
  return 0;
}

/**
 * Write Full Track: R0 and all records as Read Track gives them, to the end mark or the end of the channel's bytes. The
 * track changes only when all of them fit.
 */
function* writeFullTrack(context: CommandContext): Task<number> {
  const { drive, port } = context;
  checkWrite(drive, 'home');
  const track = yield* trackOfDomain(context);
  const made: CkdTrack = { image: Uint8Array.from(track.image), records: [] };
  for (;;) {
    const count = port.take(COUNT.size);
    if (count.length < COUNT.size || Buffer.compare(count, END) === 0) break;
    const { record, keyLength, dataLength } = COUNT.at(new DataView(count.buffer, count.byteOffset));
    if ((made.records.length === 0) !== (record === 0)) throw invalidTrackFormat(`record ${record} in a wrong place`);
    if (!formatRecord(made, made.records.length, count, takeFilled(port, keyLength + dataLength)))
      throw invalidTrackFormat('the records do not fit the track');
  }
  if (made.records.length === 0) throw invalidTrackFormat('no record 0');
  track.image.set(made.image);
  track.records = made.records;
  drive.wrote();
  drive.orient(track.records.length - 1, 'data');
  return 0;
}

/** Locate Record, Locate Record Extended, Prefix. */
const LOCATES = [0x47, 0x4b, 0xe7];

/** A command that is chained from the command that opens its domain, or from itself. */
const trackCommand = (
  code: number,
  name: string,
  domains: readonly Domain['kind'][],
  perform: EckdCommand['perform'],
): EckdCommand => ({ code, name, domains, domainOnly: true, after: [...LOCATES, code], perform });

export const TRACK_COMMANDS: readonly EckdCommand[] = [
  trackCommand(0xde, 'Read Track', ['read tracks', 'read trackset'], readTrack),
  trackCommand(0xa6, 'Read Track Data', ['read tracks'], readTrackData),
  trackCommand(0xa5, 'Write Track Data', ['write track data'], writeTrackData),
  trackCommand(0x95, 'Write Full Track', ['write full track'], writeFullTrack),
];
