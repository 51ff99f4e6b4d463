/** Makes a volume as a command does: nobody else uses or makes it meanwhile. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { type CreateVolumeOptions, createVolume } from '../../../devices/physical/dasd/volume.ts';
import { lockImage } from '../image_lock.ts';

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * {@link createVolume} under the image's lock, so that an unfinished file is known to have no owner any more and is
 * replaced. @returns the files' names. @throws UserError when another process has the image; ImageError
 */
export function makeVolume(file: string, options: CreateVolumeOptions): string[] {
  // Where no lock can be made no volume can be made either, and createVolume says why.
  const unlock = writable(dirname(file)) ? lockImage(file, 'choose a place where files can be made') : () => {};
  try {
    return createVolume(file, { ...options, alone: true });
  } finally {
    unlock();
  }
}
