/** What `minivisor dasd ls` shows of a volume. */
import { GEOMETRY_3390 } from '../../../devices/physical/dasd/geometry.ts';
import { listVolume } from '../../../devices/physical/dasd/volume_reader.ts';
import { type Dataset, type TrackRange, tracksIn, type Vtoc } from '../../../devices/physical/dasd/vtoc.ts';
import { table } from '../table.ts';

const { heads } = GEOMETRY_3390;
/** Cylinder and head, as dasdls writes them. */
const place = (track: number) => `${Math.floor(track / heads)}/${track % heads}`;
const sum = (ranges: readonly TrackRange[]) => ranges.reduce((tracks, range) => tracks + tracksIn(range), 0);
const or = (value: string | number | undefined) => (value === undefined || value === '' ? '-' : `${value}`);

/** Said where a volume of the Linux disk layout is made or shown: whoever knows volumes looks for its data sets. */
export const LDL_HAS_NO_VTOC =
  "  no VTOC: Hercules' dasdls cannot list a volume of this layout (nor one of CMS); minivisor dasd ls shows its label\n";

/** Title, data sets with their extents, free space. @throws ImageError, TrackFormatError */
export function listing(file: string): string {
  const { cylinders, label, vtoc } = listVolume(file);
  if (label === undefined) return `${file}: no label, ${cylinders} cylinders\n`;
  const title = `${file}: volume ${label.volser}, ${label.layout}, ${cylinders} cylinders`;
  if (label.layout === 'ldl') {
    const blocks = label.blocks === undefined ? '' : `, ${label.blocks} blocks`;
    return `${title}${blocks} of ${label.blockSize} bytes\n${LDL_HAS_NO_VTOC}`;
  }
  const owner = label.owner === '' ? '' : `, owner ${label.owner}`;
  if (vtoc === undefined) return `${title}${owner}, no table of contents\n`;
  return `${title}${owner}\n${datasets(vtoc.datasets)}${space(vtoc, cylinders * heads)}`;
}

function datasets(found: readonly Dataset[]): string {
  if (found.length === 0) return '';
  const rows = found.flatMap((dataset) => {
    const { name, dsorg, recfm, lrecl, blksize, created, extents, usedTracks } = dataset;
    const about = [name, or(dsorg), or(recfm), or(lrecl), or(blksize), or(created)];
    const [first, ...others] = extents.map(({ first, last }) => [place(first), place(last)]);
    return [
      [...about, `${sum(extents)}`, or(usedTracks), ...(first ?? ['-', '-'])],
      ...others.map((extent) => [...Array<string>(8).fill(''), ...extent]),
    ];
  });
  const head = ['data set', 'org', 'recfm', 'lrecl', 'blksize', 'created', 'tracks', 'used', 'from', 'to'];
  return table(head, rows, '<<<>>>>>>>');
}

function space({ extent, dscbs, freeDscbs, datasets, free }: Vtoc, tracks: number): string {
  const largest = Math.max(0, ...free.map(tracksIn));
  return [
    `  VTOC ${place(extent.first)} to ${place(extent.last)}: ${datasets.length} data sets, ${freeDscbs} of ${dscbs} DSCBs free\n`,
    `  free: ${sum(free)} of ${tracks} tracks in ${free.length} ${free.length === 1 ? 'extent' : 'extents'}, `,
    `the largest of ${largest}\n`,
  ].join('');
}
