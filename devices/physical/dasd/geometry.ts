/** The 3390's geometry: how many records a track holds, and where on it they lie (GX26-4577; vfio-ccw facts 5.3). */

/** A device type and its fixed numbers. */
export const GEOMETRY_3390 = {
  /** Device type as the image header and Sense ID name it. */
  type: 0x3390,
  /** Tracks in a cylinder. */
  heads: 15,
  /** Longest record without key, bytes. */
  maxRecord: 56664,
  /** Longest record 0. */
  maxRecord0: 57326,
  /** Track length, bytes, as Read Device Characteristics gives it: 1729 cells of 34 bytes. */
  trackLength: 58786,
  /** Bytes that home address and record 0 take. */
  overhead: 1428,
  /** Rotational positions. */
  sectors: 224,
  /** Bytes of a track in an image file: header, R0, longest record and end mark, rounded up to 512. */
  imageTrack: 56832,
} as const;

/** Bytes of a cell, the unit of the capacity formula. */
const CELL = 34;
/** Cells of a track. */
const CELLS = GEOMETRY_3390.trackLength / CELL;
/** Fixed cells of a record: count area and gap. */
const COUNT_CELLS = 19;
/** Fixed cells of a key area. */
const KEY_CELLS = 9;
/** Bytes of check code: 6 for each started segment of 232 bytes, and 6 more. */
const SEGMENT = 232;
const CHECK = 6;

const area = (length: number) => {
  const checks = Math.ceil((length + CHECK) / SEGMENT) + 1;
  return Math.ceil((length + CHECK * checks) / CELL);
};

/** Cells that a record takes on the track. */
export function recordCells(dataLength: number, keyLength = 0): number {
  return COUNT_CELLS + area(dataLength) + (keyLength === 0 ? 0 : KEY_CELLS + area(keyLength));
}

/** Equal records that fit on one track beside R0. */
export function recordsPerTrack(dataLength: number, keyLength = 0): number {
  return Math.floor(CELLS / recordCells(dataLength, keyLength));
}

/** Whether records of these lengths fit together on one track beside R0. */
export function fitsTrack(records: readonly { readonly keyLength: number; readonly dataLength: number }[]): boolean {
  let cells = 0;
  for (const { dataLength, keyLength } of records) cells += recordCells(dataLength, keyLength);
  return cells <= CELLS;
}

/** Cylinders of the models that were sold; the last row takes everything bigger. */
const MODELS = [
  [1113, 0x02, 0x26],
  [2226, 0x06, 0x27],
  [3339, 0x0a, 0x24],
  [Number.POSITIVE_INFINITY, 0x0c, 0x32],
] as const;

/** Device model (Sense ID) and device-type code (RDC byte 11) for a number of cylinders. */
export function modelOf(cylinders: number): { readonly model: number; readonly code: number } {
  const [, model, code] = MODELS.find(([most]) => cylinders <= most) ?? MODELS[3];
  return { model, code };
}

/** Cylinders of the models a new volume can be asked for by name; 3390-27 and 3390-54 were sold by control units only. */
export const MODEL_CYLINDERS = {
  '3390-1': 1113,
  '3390-2': 2226,
  '3390-3': 3339,
  '3390-9': 10017,
  '3390-27': 32760,
  '3390-54': 65520,
} as const;

/** Most cylinders of a 3390 whose addresses are 16 bits of cylinder and 16 of head (model 54). */
export const MAX_CYLINDERS = 65520;
/** Most cylinders of an extended-address volume, model A (SC26-7473 "Extended address volumes"). */
export const MAX_LARGE_CYLINDERS = 262668;

/**
 * The four bytes CCHH of a track as two halfwords. Cylinders of 65536 and above keep their high 12 bits in bits 0-11 of
 * the head's halfword, the head in bits 12-15 (28-bit cylinder addresses); below, the head's halfword is the head.
 */
export function cchh(cylinder: number, head: number): { readonly cylinder: number; readonly head: number } {
  return { cylinder: cylinder & 0xffff, head: ((cylinder >>> 16) << 4) | head };
}

/** Number of the track, from the start of the disk, that two halfwords CCHH name. */
export function trackOfCchh(cylinder: number, head: number): number {
  return (((head >>> 4) << 16) | cylinder) * GEOMETRY_3390.heads + (head & 0xf);
}
