import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { deviceCharacteristics, senseId } from './characteristics.ts';
import { parseExtent, trackOf } from './extent.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { IMAGE_HEADER, makeHeader } from './image_header.ts';
import {
  type Command,
  countBytes,
  extentBytes,
  locateBytes,
  prefixBytes,
  runChain,
  seekBytes,
  testDrive,
} from './test_chain.ts';

describe('models by their cylinders', () => {
  test.each<[number, number, number, number]>([
    [4, 0x02, 0x26, 4],
    [1113, 0x02, 0x26, 1113],
    [2226, 0x06, 0x27, 2226],
    [3339, 0x0a, 0x24, 3339],
    [10017, 0x0c, 0x32, 10017],
    [32760, 0x0c, 0x32, 32760],
    [65520, 0x0c, 0x32, 65520],
    [65521, 0x0c, 0x32, 0xfffe],
    [262668, 0x0c, 0x32, 0xfffe],
  ])('%i', (cylinders, model, code, halfword) => {
    const rdc = Buffer.from(deviceCharacteristics(cylinders));
    expect([senseId(cylinders)[6], rdc[5], rdc[11], rdc[40], rdc[41]]).toEqual([model, model, code, code, code]);
    expect([rdc.readUInt16BE(12), rdc.readUInt32BE(60)]).toEqual([halfword, cylinders]);
  });
});

test('an extent of big cylinders', () => {
  const fields = { first: [65536, 3], last: [262667, 14] } as const;
  const extent = parseExtent(Uint8Array.from(extentBytes(fields)), 262668);
  expect([extent.first, extent.last]).toEqual([trackOf(65536, 3), trackOf(262667, 14)]);
});

describe('a volume of 70000 cylinders', () => {
  const CYLINDERS = 70000;
  const folder = mkdtempSync(join(tmpdir(), 'minivisor-large-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'large.ckd');
  // Nothing but its header: a track that was never written has R0 alone.
  const fd = openSync(file, 'w');
  writeSync(fd, makeHeader({ sequence: 0, highCylinder: 0 }));
  ftruncateSync(fd, IMAGE_HEADER.size + CYLINDERS * GEOMETRY_3390.heads * GEOMETRY_3390.imageTrack);
  closeSync(fd);

  const at = [66000, 7] as const;
  const whole = { last: [CYLINDERS - 1, 14] } as const;
  const data = Uint8Array.from({ length: 512 }, (_, i) => i & 0xff);

  test('formatted, written, read, and searched on cylinder 66000', () => {
    const drive = testDrive(file);
    const run = (...commands: Command[]) => runChain(drive, commands);
    const record: Command = [0x1d, [...countBytes(at, 1, 0, 512), ...data]];
    expect(
      run([0x63, extentBytes(whole)], [0x47, locateBytes({ op: 3, at, record: 0, length: 512 })], record).status,
    ).toBe(0x0c);
    expect(run([0xe7, prefixBytes({ at }, whole)], [0x86, 512]).bytes).toEqual(Buffer.from(data));
    const search: Command[] = [
      [0x07, seekBytes(...at)],
      [0x31, countBytes(at, 1, 0, 0).slice(0, 5), 'search'],
      [0x06, 512],
    ];
    expect(run(...search).bytes).toEqual(Buffer.from(data));
    expect([...run([0x07, seekBytes(...at)], [0x1a, 5]).bytes]).toEqual([0, 0x01, 0xd0, 0, 0x17]);
    const { sense } = run([0xe7, prefixBytes({ at, record: 2 }, whole)], [0x86, 512]);
    expect([sense[1], sense[5], sense[27], ...sense.subarray(28)]).toEqual([0x08, 0xff, 0xb0, 0x01, 0xd0, 0, 0x17]);
    drive.close();
  });
});
