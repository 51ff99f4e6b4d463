/** One track for people. */
import { ImageError } from './ckd_image.ts';
import { fromEbcdic } from './ebcdic.ts';
import { type CkdTrack, dataOf, keyOf } from './track.ts';
import { withVolume } from './volume_reader.ts';

/** Bytes of a dump line. */
const LINE = 32;
/** Lines of an area that are shown at most, unless all are wanted. */
const LINES = 16;

/** Count areas in clear, keys and data in hexadecimal, EBCDIC and ASCII; long data cut unless `all`. */
export function dumpTrack(file: string, cylinder: number, head: number, all = false): string {
  return withVolume(file, ({ image, track: read }) => {
    if (cylinder >= image.cylinders)
      throw new ImageError(file, `has no cylinder ${cylinder}; give 0 to ${image.cylinders - 1}`);
    if (head >= image.heads) throw new ImageError(file, `has no head ${head}; give 0 to ${image.heads - 1}`);
    const track = read(cylinder * image.heads + head) as CkdTrack;
    const lines = [`cylinder ${cylinder} head ${head}: ${track.records.length} records`];
    for (const record of track.records) {
      const { keyLength, dataLength } = record;
      const end = keyLength === 0 && dataLength === 0 ? ' (end of file)' : '';
      lines.push(`R${record.record} cc=${record.cylinder} hh=${record.head} key=${keyLength} data=${dataLength}${end}`);
      lines.push(...hexLines('key', keyOf(track, record), all), ...hexLines('data', dataOf(track, record), all));
    }
    return `${lines.join('\n')}\n`;
  });
}

function hexLines(name: string, data: Uint8Array, all: boolean): string[] {
  const lines: string[] = [];
  for (let at = 0; at < data.length && (all || lines.length < LINES); at += LINE) {
    const part = data.subarray(at, at + LINE);
    const hex = Buffer.from(part)
      .toString('hex')
      .padEnd(2 * LINE);
    const ascii = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    const place = at.toString(16).padStart(4, '0');
    lines.push(`  ${name.padEnd(4)} +${place} ${hex} |${fromEbcdic(part).padEnd(LINE)}|${ascii.padEnd(LINE)}|`);
  }
  const shown = lines.length * LINE;
  if (shown < data.length) lines.push(`  ${name.padEnd(4)} ... ${data.length - shown} more bytes`);
  return lines;
}
