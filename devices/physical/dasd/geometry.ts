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

/** Most cylinders of a 3390 (model 54); large volumes with 28-bit cylinder numbers are not modelled. */
export const MAX_CYLINDERS = 65520;
