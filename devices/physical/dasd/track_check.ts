/** What can be wrong with a track that is still a track: addresses, order and sizes of its records. */
import { cchh, fitsTrack, GEOMETRY_3390 } from './geometry.ts';
import { type CkdRecord, parseTrack, TrackFormatError } from './track.ts';

/** Record 0 as every formatter writes it: no key, eight bytes. */
const RECORD_0_DATA = 8;

/** One rule for the records of a track; returns what breaks it, in words. */
type Rule = (records: readonly CkdRecord[], home: { cylinder: number; head: number }) => string | undefined;

const RULES: readonly Rule[] = [
  ([r0]) => {
    if (r0.keyLength === 0 && r0.dataLength === RECORD_0_DATA) return undefined;
    return `record 0 has a key of ${r0.keyLength} and ${r0.dataLength} bytes instead of 0 and ${RECORD_0_DATA}`;
  },
  (records, home) => {
    const stray = records.find(({ cylinder, head }) => cylinder !== home.cylinder || head !== home.head);
    return stray && `the count of record ${stray.record} says cylinder ${stray.cylinder} head ${stray.head}`;
  },
  (records) => {
    const at = records.findIndex(({ record }, i) => i > 0 && record <= records[i - 1].record);
    return at < 0 ? undefined : `record ${records[at].record} follows record ${records[at - 1].record}`;
  },
  (records) => {
    const long = records.find(({ keyLength, dataLength }) => keyLength + dataLength > GEOMETRY_3390.maxRecord);
    return long && `record ${long.record} has ${long.keyLength + long.dataLength} bytes, more than a 3390 can hold`;
  },
  (records) => (fitsTrack(records.slice(1)) ? undefined : `${records.length - 1} records are more than a track holds`),
];

/** Records of a track, and one sentence for each thing that is wrong with it. */
export function checkTrack(
  image: Uint8Array,
  cylinder: number,
  head: number,
): { readonly records: number; readonly problems: readonly string[] } {
  try {
    const { records } = parseTrack(image, cylinder, head);
    const home = cchh(cylinder, head);
    const problems = RULES.map((rule) => rule(records, home)).filter((problem) => problem !== undefined);
    return { records: records.length, problems: problems.map((p) => `cylinder ${cylinder} head ${head}: ${p}`) };
  } catch (error) {
    if (!(error instanceof TrackFormatError)) throw error;
    return { records: 0, problems: [error.message] };
  }
}
