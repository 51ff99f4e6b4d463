/** Looking at a volume without a machine: its image opened for reading, tracks by number. */
import { CkdImage } from './ckd_image.ts';
import { readLabel, type VolumeLabel } from './labels.ts';
import { type CkdTrack, parseTrack } from './track.ts';
import { readVtoc, type TrackReader, type Vtoc } from './vtoc.ts';

export interface OpenVolume {
  readonly image: CkdImage;
  readonly tracks: number;
  /** A track by its number; undefined outside the volume. @throws TrackFormatError */
  readonly track: TrackReader;
}

/** Opens an image for reading, as long as `body` runs. @throws ImageError, TrackFormatError */
export function withVolume<T>(file: string, body: (volume: OpenVolume) => T): T {
  const image = new CkdImage(file, true);
  try {
    const tracks = image.cylinders * image.heads;
    const track = (number: number): CkdTrack | undefined => {
      if (number >= tracks) return undefined;
      const cylinder = Math.floor(number / image.heads);
      const head = number % image.heads;
      return parseTrack(image.track(cylinder, head), cylinder, head);
    };
    return body({ image, tracks, track });
  } finally {
    image.close();
  }
}

/** What a volume says about itself. */
export interface VolumeListing {
  readonly cylinders: number;
  readonly label?: VolumeLabel;
  /** Of a VOL1 label, when it names one. */
  readonly vtoc?: Vtoc;
}

/** Reads label and VTOC. @throws ImageError, TrackFormatError */
export function listVolume(file: string): VolumeListing {
  return withVolume(file, listingOf);
}

/** Label and VTOC of an open volume. @throws TrackFormatError */
export function listingOf({ image, tracks, track }: OpenVolume): VolumeListing {
  const { cylinders } = image;
  const label = readLabel(track(0) as CkdTrack);
  if (label?.layout !== 'cdl') return { cylinders, label };
  return { cylinders, label, vtoc: readVtoc(label.vtoc, tracks, track) };
}
