/** What the disk must hold: the writes that the toy guest reported, applied to a fresh volume. */
import { CkdImage } from '../../devices/physical/dasd/ckd_image.ts';
import { GEOMETRY_3390 } from '../../devices/physical/dasd/geometry.ts';
import { type CkdTrack, dataOf, parseTrack } from '../../devices/physical/dasd/track.ts';
import { patternRecord } from '../../devices/physical/dasd/volume.ts';

/** One line of `guest/programs/toy/dasd_writeload.c`: device end was presented. */
export interface ReportedWrite {
  readonly number: number;
  readonly kind: 'update' | 'format';
  readonly cylinder: number;
  readonly head: number;
  /** Record of an update, record size of a format. */
  readonly detail: number;
}

/** Cylinders that the guest writes to. */
export const FIRST_CYLINDER = 1;
export const CYLINDERS = 2;
/** Records of each size on a track; the same table as in the guest. */
const RECORDS: Readonly<Record<number, number>> = { 4096: 12, 2048: 21, 1024: 33 };

/** The lines that arrived whole. */
export function reportedWrites(console: string): ReportedWrite[] {
  return Array.from(console.matchAll(/^write (\d+) (update|format) (\d+) (\d+) (\d+)\n/gm), ([, ...fields]) => {
    const [number, , cylinder, head, detail] = fields.map(Number);
    return { number, kind: fields[1] as ReportedWrite['kind'], cylinder, head, detail };
  });
}

/** What write `number` puts into a record: the guest's formula. */
export function writtenRecord(number: number, record: number, size: number): Uint8Array {
  const data = new Uint8Array(size);
  const dv = new DataView(data.buffer);
  const base = Math.imul(number * 16 + record, 0x9e3779b1);
  for (let offset = 0; offset < size; offset += 4) dv.setUint32(offset, base + Math.imul(offset, 0x85ebca6b));
  return data;
}

/** Data of records 1 and up of each track, by `cylinder/head`. */
type Disk = Map<string, Uint8Array[]>;

function freshDisk(): Disk {
  const disk: Disk = new Map();
  for (let cylinder = FIRST_CYLINDER; cylinder < FIRST_CYLINDER + CYLINDERS; cylinder++)
    for (let head = 0; head < GEOMETRY_3390.heads; head++)
      disk.set(
        `${cylinder}/${head}`,
        Array.from({ length: RECORDS[4096] }, (_, i) => patternRecord(cylinder, head, i + 1)),
      );
  return disk;
}

function formatted(number: number, size: number): Uint8Array[] {
  return Array.from({ length: RECORDS[size] }, (_, i) => writtenRecord(number, i + 1, size));
}

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
const sameTrack = (a: readonly Uint8Array[], b: readonly Uint8Array[]) =>
  a.length === b.length && a.every((data, i) => equal(data, b[i]));

/** Whether a track is `before` with write `number` done to it, of whatever kind: the one whose end nobody reported. */
function oneMoreWrite(track: readonly Uint8Array[], before: readonly Uint8Array[], number: number): boolean {
  const size = track[0]?.length ?? 0;
  if (RECORDS[size] !== undefined && sameTrack(track, formatted(number, size))) return true;
  const changed = before.flatMap((data, i) => (track[i] !== undefined && equal(track[i], data) ? [] : [i]));
  if (track.length !== before.length || changed.length !== 1) return false;
  const [index] = changed;
  return equal(track[index], writtenRecord(number, index + 1, before[index].length));
}

/**
 * Compares an image with what the guest reported; one sentence for each difference. The write after the last reported
 * one was on its way: it may be there as a whole, or not at all.
 */
export function differences(file: string, writes: readonly ReportedWrite[]): string[] {
  const disk = freshDisk();
  for (const { number, kind, cylinder, head, detail } of writes) {
    const track = disk.get(`${cylinder}/${head}`) as Uint8Array[];
    if (kind === 'format') disk.set(`${cylinder}/${head}`, formatted(number, detail));
    else track[detail - 1] = writtenRecord(number, detail, track[detail - 1].length);
  }
  const next = writes.length + 1;
  const problems: string[] = [];
  let unreported = 0;
  const image = new CkdImage(file, true);
  try {
    for (const [place, expected] of disk) {
      const [cylinder, head] = place.split('/').map(Number);
      const track: CkdTrack = parseTrack(image.track(cylinder, head), cylinder, head);
      const found = track.records.slice(1).map((record) => dataOf(track, record));
      if (sameTrack(found, expected)) continue;
      if (unreported++ === 0 && oneMoreWrite(found, expected, next)) continue;
      const last = writes.findLast((w) => w.cylinder === cylinder && w.head === head);
      problems.push(
        `cylinder ${cylinder} head ${head} is not what write ${last?.number ?? 0}, reported, left there, nor write ${next} after it`,
      );
    }
  } catch (error) {
    problems.push((error as Error).message);
  } finally {
    image.close();
  }
  return problems;
}
