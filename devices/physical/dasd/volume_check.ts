/** Checks a whole volume: every track, the label, the table of contents. */
import { TrackFormatError } from './track.ts';
import { checkTrack } from './track_check.ts';
import { listingOf, type OpenVolume, withVolume } from './volume_reader.ts';

/** Result of {@link checkVolume}. */
export interface VolumeCheck {
  readonly tracks: number;
  readonly records: number;
  /** Tracks that were never written: they read as R0 alone. */
  readonly neverWritten: number;
  /** Writes of a machine that was killed, which its next boot completes; the check sees them as completed. */
  readonly pending: number;
  /** One sentence for everything that is wrong. */
  readonly problems: readonly string[];
}

/** Checks every track and the VTOC. @param progress told after every cylinder. @throws ImageError when the file is no image at all. */
export function checkVolume(file: string, progress?: (done: number, all: number) => void): VolumeCheck {
  return withVolume(file, (volume) => {
    const { image, tracks } = volume;
    const problems: string[] = [];
    let records = 0;
    let neverWritten = 0;
    for (let cylinder = 0; cylinder < image.cylinders; cylinder++) {
      for (let head = 0; head < image.heads; head++) {
        const checked = checkTrack(image.track(cylinder, head), cylinder, head);
        records += checked.records;
        problems.push(...checked.problems);
        if (checked.records === 1 && image.neverWritten(cylinder, head)) neverWritten++;
      }
      progress?.(cylinder + 1, image.cylinders);
    }
    problems.push(...vtocProblems(volume));
    return { tracks, records, neverWritten, pending: image.pending, problems };
  });
}

/** A damaged track in the VTOC's way is among the tracks' problems already. */
function vtocProblems(volume: OpenVolume): readonly string[] {
  try {
    return listingOf(volume).vtoc?.problems ?? [];
  } catch (error) {
    if (error instanceof TrackFormatError) return [];
    throw error;
  }
}
