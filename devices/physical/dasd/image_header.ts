/**
 * The header of a Hercules CKD image file, and what is refused because of it (vfio-ccw facts 5.4; Hercules 3.13's
 * programs are the reference for all that concerns image files).
 */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import { GEOMETRY_3390 } from './geometry.ts';

/** Little-endian header, zero to byte 511. */
export const IMAGE_HEADER = struct(
  'ckd_image_header',
  'le',
  {
    magic: bytes(8),
    heads: u32,
    trackSize: u32,
    type: u8,
    /** 0: the only file; else the file's number in an image split over several, from 1. */
    sequence: u8,
    /** Highest cylinder in this file of a split image; 0 in its last file and in an image of one file. */
    highCylinder: u16,
    serial: bytes(12),
    reserved: bytes(480),
  },
  { size: 512, offsets: { heads: 8, trackSize: 12, type: 16, sequence: 17, highCylinder: 18, serial: 20 } },
);

/** Magic of the format that is read and written here. */
const MAGIC = 'CKD_P370';
/** Low byte of the device type. */
const TYPE_3390 = 0x90;
const EXPAND = 'expand it with "cckd2ckd -lfs", or make an image with "minivisor dasd create"';
const MERGE = 'make one image of it and its base with "cckd2ckd -lfs BASE sf=THIS NEW"';
const COPY = 'copy it with "dasdcopy -lfs -o CKD" of the Hercules that made it';
/** Related formats, named so that the error can say what to do. */
const OTHER_MAGICS: Readonly<Record<string, string>> = {
  CKD_C370: `a compressed CKD image; ${EXPAND}`,
  CKD_S370: `a shadow file, not an image of its own; ${MERGE}`,
  CKD_P064: `a 64-bit CKD image; ${COPY}`,
  CKD_C064: `a compressed 64-bit CKD image; ${COPY}`,
  CKD_S064: `a 64-bit shadow file, not an image of its own; ${COPY}`,
  FBA_C370: 'a compressed FBA image, not a CKD disk; make a 3390 with "minivisor dasd create" or "dasdinit"',
  FBA_S370: 'an FBA shadow file, not a CKD disk; make a 3390 with "minivisor dasd create" or "dasdinit"',
  FBA_P370: 'an FBA image, not a CKD disk; make a 3390 with "minivisor dasd create" or "dasdinit"',
};

/** An image cannot be used: one sentence with the file, what was found, and what to do. */
export class ImageError extends Error {
  constructor(file: string, found: string) {
    super(`${file}: ${found}`);
    this.name = 'ImageError';
  }
}

/** What a file says about itself. */
export interface ImageHeader {
  readonly sequence: number;
  readonly highCylinder: number;
}

/** A header for writing. */
export function makeHeader({ sequence, highCylinder }: ImageHeader): Uint8Array {
  return IMAGE_HEADER.bytes(
    IMAGE_HEADER.make({
      magic: Buffer.from(MAGIC, 'latin1'),
      heads: GEOMETRY_3390.heads,
      trackSize: GEOMETRY_3390.imageTrack,
      type: TYPE_3390,
      sequence,
      highCylinder,
    }),
  );
}

/** Checks the first bytes of a file, which may be fewer than a header has. @throws ImageError */
export function parseHeader(file: string, start: Uint8Array): ImageHeader {
  const padded = new Uint8Array(IMAGE_HEADER.size);
  padded.set(start);
  const header = IMAGE_HEADER.at(new DataView(padded.buffer));
  const magic = Buffer.from(header.magic).toString('latin1');
  if (OTHER_MAGICS[magic] !== undefined) throw new ImageError(file, `is ${OTHER_MAGICS[magic]}`);
  if (start.length < IMAGE_HEADER.size || magic !== MAGIC)
    throw new ImageError(
      file,
      `not a CKD image: begins with ${printable(start.subarray(0, 8))} instead of "${MAGIC}"; ` +
        'make one with "minivisor dasd create" or "dasdinit"',
    );
  if (header.type !== TYPE_3390)
    throw new ImageError(
      file,
      `holds a device of type 33${header.type.toString(16).padStart(2, '0')}, but only 3390 is supported; ` +
        'make one with "minivisor dasd create" or "dasdinit"',
    );
  if (header.heads !== GEOMETRY_3390.heads || header.trackSize !== GEOMETRY_3390.imageTrack)
    throw new ImageError(
      file,
      `has ${header.heads} heads and tracks of ${header.trackSize} bytes where a 3390 has ${GEOMETRY_3390.heads} ` +
        `and ${GEOMETRY_3390.imageTrack}; make it anew with "minivisor dasd create" or "dasdinit"`,
    );
  return { sequence: header.sequence, highCylinder: header.highCylinder };
}

function printable(magic: Uint8Array): string {
  if (magic.length === 0) return 'nothing';
  const text = Buffer.from(magic).toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) ? `"${text}"` : `X'${Buffer.from(magic).toString('hex').toUpperCase()}'`;
}
