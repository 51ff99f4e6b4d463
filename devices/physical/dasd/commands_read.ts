/** Reads of count, key and data. A record without data is end-of-file: unit exception. */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { Area } from './drive.ts';
import { type CommandContext, type EckdCommand, withMultitrack } from './eckd_command.ts';
import { type CkdRecord, type CkdTrack, COUNT, countOf, dataOf, TRACK_HEADER } from './track.ts';

const endOfFile = (record: CkdRecord) => (record.dataLength === 0 ? DSTAT.UNIT_EXCEP : 0);

/** Bytes of a record from one of its areas to the end of its data. */
function from(track: CkdTrack, record: CkdRecord, area: 'count' | 'key' | 'data'): Uint8Array {
  if (area === 'data') return dataOf(track, record);
  const count = countOf(track, record);
  const length = COUNT.size + record.keyLength + record.dataLength;
  const whole = new Uint8Array(count.buffer, count.byteOffset, length);
  return area === 'count' ? whole : whole.subarray(COUNT.size);
}

/**
 * @param area what the read begins with.
 * @param current when the heads have just passed one of these areas of a record, the read is of that record; else of
 * the next one.
 */
function read(area: 'count' | 'key' | 'data', current: readonly Area[]) {
  return function* ({ drive, port, multitrack }: CommandContext): Task<number> {
    if (!current.includes(drive.area)) yield* drive.next(port, multitrack);
    const track = yield* drive.track(port);
    const record = drive.orient(drive.index, 'data');
    port.give(from(track, record, area));
    drive.progressed();
    return endOfFile(record);
  };
}

function* readCount({ drive, port, multitrack }: CommandContext): Task<number> {
  const record = yield* drive.next(port, multitrack);
  port.give(countOf(yield* drive.track(port), record));
  drive.progressed();
  return 0;
}

function* readHome({ drive, port }: CommandContext): Task<number> {
  const track = yield* drive.track(port);
  drive.area = 'home';
  port.give(track.image.subarray(0, TRACK_HEADER.size));
  drive.progressed();
  return 0;
}

function* readRecord0({ drive, port }: CommandContext): Task<number> {
  const track = yield* drive.track(port);
  const record = drive.orient(0, 'data');
  port.give(from(track, record, 'count'));
  drive.progressed();
  return 0;
}

/** Read IPL: the first record after R0 of cylinder 0 head 0. */
function* readIpl({ drive, port }: CommandContext): Task<number> {
  drive.ipl = true;
  drive.position(0, 0);
  const record = yield* drive.next(port, false);
  const track = yield* drive.track(port);
  drive.orient(drive.index, 'data');
  port.give(dataOf(track, record));
  return endOfFile(record);
}

const READ = ['read'] as const;
/** A write domain admits reads of key and data too, of what it oriented to. */
const READ_DATA = ['read', 'write'] as const;

export const READ_COMMANDS: readonly EckdCommand[] = [
  ...[
    { code: 0x06, name: 'Read Data', track: READ_DATA, perform: read('data', ['count', 'key']) },
    { code: 0x0e, name: 'Read Key and Data', track: READ_DATA, perform: read('key', ['count']) },
    { code: 0x12, name: 'Read Count', track: READ, perform: readCount },
    { code: 0x16, name: 'Read Record Zero', track: READ, perform: readRecord0 },
    { code: 0x1a, name: 'Read Home Address', track: READ, perform: readHome },
    { code: 0x1e, name: 'Read Count, Key and Data', track: READ, perform: read('count', []) },
  ].flatMap(withMultitrack),
  { code: 0x02, name: 'Read IPL', track: [], perform: readIpl },
];
