/** Trouble with images, told in one sentence. */
import { ImageError } from '../../../devices/physical/dasd/ckd_image.ts';
import { TrackFormatError } from '../../../devices/physical/dasd/track.ts';
import { UserError } from '../../user_error.ts';

/** What to do about what the host's file system answers. */
const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; choose a place where files can be made',
  EROFS: 'is on a read-only file system; choose a place where files can be made',
  ENOSPC: 'the disk is full; make room, or give fewer --cylinders',
  EDQUOT: 'the disk quota is used up; make room, or give fewer --cylinders',
  EFBIG: 'is more than this file system allows for one file; give --split',
  EIO: 'the disk gave an I/O error; see the log of the host',
};

/** Runs `body`; what a user can do something about becomes a UserError that names the file. */
export function guard<T>(file: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof ImageError) throw new UserError(error.message);
    if (error instanceof TrackFormatError)
      throw new UserError(`${file}: ${error.message}; "minivisor dasd check" lists all damage`);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined) throw new UserError(`${file}: ${REMEDIES[code] ?? code}`);
    throw error;
  }
}
