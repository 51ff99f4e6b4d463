/** Reads of home address, count, key and data. A record without data is end-of-file: unit exception. */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { Area } from './drive.ts';
import { type CommandContext, type EckdCommand, withMultitrack } from './eckd_command.ts';
import { AUTHORIZATION, FILE_MASK } from './extent.ts';
import { recordCells } from './geometry.ts';
import { HOME_ADDRESS } from './home_address.ts';
import type { Domain } from './locate.ts';
import { MESSAGE, noRecordFound, reject } from './sense.ts';
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
 * the next one. What a search has found stays found.
 */
function read(area: 'count' | 'key' | 'data', current: readonly Area[]) {
  return function* ({ drive, port, multitrack }: CommandContext): Task<number> {
    const found = current.includes(drive.area) ? drive.found : undefined;
    if (!current.includes(drive.area)) yield* drive.next(port, multitrack);
    const track = yield* drive.track(port);
    const record = drive.orient(drive.index, 'data', found);
    port.give(from(track, record, area));
    return endOfFile(record);
  };
}

function* readCount({ drive, port, multitrack }: CommandContext): Task<number> {
  const record = yield* drive.next(port, multitrack);
  port.give(countOf(yield* drive.track(port), record));
  return 0;
}

/** Multitrack outside a domain: on to the next track before its beginning is read. */
function beginTrack({ drive, multitrack }: CommandContext): void {
  if (multitrack && drive.domain === undefined) drive.nextTrack();
}

function* readHome(context: CommandContext): Task<number> {
  const { drive, port } = context;
  beginTrack(context);
  const track = yield* drive.track(port);
  drive.area = 'home';
  drive.found = undefined;
  port.give(track.image.subarray(0, TRACK_HEADER.size));
  return 0;
}

/** Diagnostic Read Home Address: the whole home address; outside a domain it wants diagnostic authorization. */
function* diagnosticReadHome({ drive, port }: CommandContext): Task<number> {
  if (drive.domain === undefined && FILE_MASK.get(drive.fileMask, 'auth') !== AUTHORIZATION.DIAGNOSTIC)
    throw reject('Diagnostic Read Home Address without authorization', MESSAGE.FILE_MASK);
  const { image } = yield* drive.track(port);
  const { cylinder, head } = TRACK_HEADER.at(new DataView(image.buffer, image.byteOffset));
  drive.area = 'home';
  drive.found = undefined;
  port.give(HOME_ADDRESS.bytes(HOME_ADDRESS.make({ cylinder, head })));
  return 0;
}

function* readRecord0(context: CommandContext): Task<number> {
  const { drive, port } = context;
  beginTrack(context);
  const track = yield* drive.track(port);
  const record = drive.orient(0, 'data');
  port.give(from(track, record, 'count'));
  return endOfFile(record);
}

/** Read Multiple Count, Key and Data: what is left of the track. */
function* readMultiple({ drive, port }: CommandContext): Task<number> {
  const track = yield* drive.track(port);
  const first = drive.area === 'index' || drive.area === 'home' ? 1 : drive.index + 1;
  if (first >= track.records.length) throw noRecordFound();
  for (const record of track.records.slice(first)) port.give(from(track, record, 'count'));
  drive.orient(track.records.length - 1, 'data');
  return 0;
}

/** Read IPL: the first record after R0 of cylinder 0 head 0. */
function* readIpl({ drive, port }: CommandContext): Task<number> {
  if (drive.extent !== undefined || drive.fileMaskSet) throw reject('Read IPL', MESSAGE.INVALID_SEQUENCE);
  drive.ipl = true;
  drive.position(0, 0);
  const record = yield* drive.next(port, false);
  const track = yield* drive.track(port);
  drive.orient(drive.index, 'data');
  port.give(dataOf(track, record));
  return endOfFile(record);
}

/** Cells between the index point and R1 as the sector formula counts them, and cells of a sector (vfio-ccw facts 5.3). */
const SECTOR_BEGIN = 49;
const SECTOR_CELLS = 8;

/** Read Sector: where on the track the record begins that was last processed. */
function* readSector({ drive, port }: CommandContext): Task<number> {
  const track = yield* drive.track(port);
  let cells = SECTOR_BEGIN;
  for (const { dataLength, keyLength } of track.records.slice(1, Math.max(1, drive.index)))
    cells += recordCells(dataLength, keyLength);
  port.give(Uint8Array.of(drive.index <= 0 ? 0 : Math.floor(cells / SECTOR_CELLS)));
  return 0;
}

const READ = ['read data', 'read'] as const;
const homeOrIndex = ({ kind, orientation }: Domain) =>
  kind !== 'read' || orientation === 'home' || orientation === 'index';
const index = ({ kind, orientation }: Domain) => kind !== 'read' || orientation === 'index';

export const READ_COMMANDS: readonly EckdCommand[] = [
  ...[
    {
      code: 0x06,
      name: 'Read Data',
      positioned: true,
      domains: READ,
      fits: ({ kind }: Domain, multitrack: boolean) => kind !== 'read' || multitrack,
      perform: read('data', ['count', 'key']),
    },
    { code: 0x0e, name: 'Read Key and Data', positioned: true, domains: READ, perform: read('key', ['count']) },
    {
      code: 0x12,
      name: 'Read Count',
      positioned: true,
      searches: true,
      domains: [...READ, 'write'] as const,
      fits: ({ kind, suffix, remaining }: Domain) => kind !== 'write' || (suffix && remaining === 1),
      perform: readCount,
    },
    { code: 0x16, name: 'Read Record Zero', positioned: true, domains: READ, fits: homeOrIndex, perform: readRecord0 },
    { code: 0x1a, name: 'Read Home Address', positioned: true, domains: READ, fits: index, perform: readHome },
    { code: 0x1e, name: 'Read Count, Key and Data', positioned: true, domains: READ, perform: read('count', []) },
  ].flatMap(withMultitrack),
  {
    code: 0x0a,
    name: 'Diagnostic Read Home Address',
    positioned: true,
    domains: READ,
    fits: index,
    perform: diagnosticReadHome,
  },
  { code: 0x5e, name: 'Read Multiple Count, Key and Data', positioned: true, perform: readMultiple },
  { code: 0x22, name: 'Read Sector', positioned: true, searches: true, perform: readSector },
  { code: 0x02, name: 'Read IPL', perform: readIpl },
];
