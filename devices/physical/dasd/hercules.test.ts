/** Together with Hercules (Debian package hercules): its programs read our images, we read theirs. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CkdImage, offsetOf } from './ckd_image.ts';
import { readDataset } from './dataset_reader.ts';
import { DSCB_EXTENT, DSCB_FORMAT, DSCB_KEY, DSCB1 } from './dscb.ts';
import { toEbcdic } from './ebcdic.ts';
import { formatTrack, parseTrack, type RecordContent } from './track.ts';
import { createVolume } from './volume.ts';
import { checkVolume } from './volume_check.ts';
import { listVolume } from './volume_reader.ts';

const TOOLS = ['dasdinit', 'dasdls', 'dasdcat', 'dasdisup', 'dasdpdsu', 'dasdcopy', 'cckd2ckd', 'dasdload'];
const missing = TOOLS.filter((tool) => spawnSync(tool).error !== undefined);
const reason = missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not found, apt-get install hercules)`;

const folder = mkdtempSync(join(tmpdir(), 'minivisor-hercules-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

/** Runs a program in the folder; everything it says. */
function run(tool: string, ...words: string[]): string {
  const { stdout, stderr, error } = spawnSync(tool, words, { cwd: folder, encoding: 'utf8' });
  if (error !== undefined) throw error;
  return stdout + stderr;
}
/** Runs a program that must succeed. */
const make = (tool: string, ...words: string[]) => execFileSync(tool, words, { cwd: folder, stdio: 'pipe' });

describe.skipIf(reason !== '')(`Hercules reads our images${reason}`, () => {
  test('dasdls and dasdisup read label and VTOC', () => {
    createVolume(path('ours.ckd'), { volser: 'OURS01', cylinders: 3, layout: 'cdl', pattern: true });
    expect(run('dasdls', 'ours.ckd')).toContain('VOLSER=OURS01');
    expect(run('dasdisup', 'ours.ckd')).toMatch(/SYS1\.SVCLIB not found in VTOC/);
  });

  test('dasdls finds no label on an LDL volume: that layout is not for Hercules', () => {
    createVolume(path('ldl.ckd'), { volser: 'LDL001', cylinders: 2, layout: 'ldl' });
    expect(run('dasdls', 'ldl.ckd')).toMatch(/read track error/);
    expect(listVolume(path('ldl.ckd')).label).toMatchObject({ volser: 'LDL001' });
  });

  test.each([['cdl'], ['ldl'], ['raw']] as const)(
    '%s: compressed and expanded again by dasdcopy and cckd2ckd it is the same, byte by byte',
    (layout) => {
      const [ours, packed, back] = ['', '-packed', '-back'].map((what) => `${layout}${what}.cpy`);
      createVolume(path(ours), { volser: 'COPY01', cylinders: 3, layout, pattern: true });
      make('dasdcopy', '-q', ours, packed);
      expect(() => listVolume(path(packed))).toThrow(/compressed CKD image; expand it with "cckd2ckd -lfs"/);
      make('cckd2ckd', '-q', '-lfs', packed, back);
      expect(readFileSync(path(back)).equals(readFileSync(path(ours)))).toBe(true);
    },
  );

  test('an image of eleven files is opened, and joined by dasdcopy', () => {
    createVolume(path('parts.ckd'), { volser: 'PARTS1', cylinders: 21, layout: 'cdl', pattern: true, split: 2 });
    createVolume(path('whole.ckd'), { volser: 'PARTS1', cylinders: 21, layout: 'cdl', pattern: true });
    expect(run('dasdls', 'parts_1.ckd')).toContain('VOLSER=PARTS1');
    make('dasdcopy', '-q', '-lfs', '-o', 'CKD', 'parts_1.ckd', 'joined.ckd');
    expect(readFileSync(path('joined.ckd')).equals(readFileSync(path('whole.ckd')))).toBe(true);
  });

  test('dasdls, dasdcat and dasdpdsu read a partitioned data set on our volume, and so do we', () => {
    const file = path('pds.ckd');
    createVolume(file, { volser: 'PDS001', cylinders: 2, layout: 'cdl' });
    const text = Array.from({ length: 30 }, (_, i) => `CARD ${i + 1}`);
    writePds(file, 'TEST.PDS', 'MEMBER1', text);
    expect(checkVolume(file).problems).toEqual([]);
    expect(run('dasdls', '-info', 'pds.ckd')).toMatch(/TEST\.PDS +.* PO +FB +80 +800 /);
    expect(run('dasdcat', '-i', 'pds.ckd', 'TEST.PDS/?')).toMatch(/^member1$/m);
    const theirs = run('dasdcat', '-i', 'pds.ckd', 'TEST.PDS/MEMBER1:c');
    expect(
      theirs
        .split('\n')
        .filter((line) => line.startsWith('CARD'))
        .map((line) => line.trim()),
    ).toEqual(text);
    run('dasdpdsu', 'pds.ckd', 'TEST.PDS', 'ascii');
    expect(readFileSync(path('member1.mac'), 'latin1')).toMatch(/^CARD 1\nCARD 2\n/);
    const output: unknown[] = [];
    readDataset(file, 'TEST.PDS', 'text', (piece) => output.push(piece));
    expect(output).toEqual(['MEMBER1\n']);
    output.length = 0;
    readDataset(file, 'test.pds(member1)', 'text', (piece) => output.push(piece));
    expect(output).toEqual(text.map((line) => `${line}\n`));
    expect(() => readDataset(file, 'TEST.PDS(X)', 'text', () => {})).toThrow(/no member X; it has MEMBER1/);
  });
});

/** Puts a partitioned data set with one member on cylinder 1: tracks 0 directory, 1 the member. */
function writePds(file: string, name: string, member: string, lines: readonly string[]): void {
  const image = new CkdImage(file);
  const edit = (cylinder: number, head: number, records: (old: RecordContent[]) => RecordContent[]) => {
    const bytes = image.track(cylinder, head);
    const old = parseTrack(bytes, cylinder, head).records.slice(1);
    const content = old.map((r) => {
      const at = r.at + 8;
      const key = bytes.slice(at, at + r.keyLength);
      return { record: r.record, key, data: bytes.slice(at + r.keyLength, at + r.keyLength + r.dataLength) };
    });
    formatTrack(bytes, cylinder, head, records(content));
    image.changed(cylinder, head);
  };
  const extent = DSCB_EXTENT.make({ type: 1, lowCylinder: 1, highCylinder: 1, highHead: 1 });
  const f1 = DSCB1.make({
    format: DSCB_FORMAT.DATASET,
    volser: toEbcdic('PDS001'),
    volumeSequence: 1,
    createdYear: 126,
    createdDay: 1,
    extentCount: 1,
    dsorg: 0x0200,
    recfm: 0x90,
    blksize: 800,
    lrecl: 80,
    lastTrack: 1,
    lastRecord: 4,
    extents: DSCB_EXTENT.bytes(extent),
  });
  edit(0, 1, (old) =>
    old.map((r) => (r.record === 3 ? { record: 3, key: toEbcdic(name, DSCB_KEY), data: DSCB1.bytes(f1) } : r)),
  );
  const directory = new Uint8Array(256);
  // Bytes used; the member with TTR 0001 01 and no user data; the end.
  directory.set([0, 2 + 12 + 12], 0);
  directory.set(toEbcdic(member, 8), 2);
  directory.set([0, 1, 1, 0], 10);
  directory.fill(0xff, 14, 22);
  edit(1, 0, () => [
    { record: 1, key: new Uint8Array(8).fill(0xff), data: directory },
    { record: 2, data: new Uint8Array(0) },
  ]);
  const cards = toEbcdic(lines.map((line) => line.padEnd(80)).join(''));
  edit(1, 1, () => [
    ...[0, 1, 2].map((i) => ({ record: i + 1, data: cards.subarray(i * 800, (i + 1) * 800) })),
    { record: 4, data: new Uint8Array(0) },
  ]);
  image.flush(true);
  image.close();
}

describe.skipIf(reason !== '')(`we read the images of Hercules${reason}`, () => {
  test('a volume formatted by dasdinit -linux has the same header and tracks as ours, but for the owner', () => {
    make('dasdinit', '-linux', 'theirs.ckd', '3390', 'SAME01', '3');
    createVolume(path('same.ckd'), { volser: 'SAME01', cylinders: 3, layout: 'cdl' });
    expect(listVolume(path('theirs.ckd')).vtoc).toEqual(listVolume(path('same.ckd')).vtoc);
    expect(checkVolume(path('theirs.ckd'))).toEqual(checkVolume(path('same.ckd')));
    const [a, b] = ['theirs.ckd', 'same.ckd'].map((name) => readFileSync(path(name)));
    expect(a.subarray(0, 512)).toEqual(b.subarray(0, 512));
    for (let track = 0; track < 45; track++) {
      const size = offsetOf(track + 1) - offsetOf(track);
      const [x, y] = [a, b].map((file) => Buffer.from(file.subarray(offsetOf(track), offsetOf(track) + size)));
      const owner = 5 + 16 + 8 + 28 + 8 + 148 + 8 + 4 + 37;
      if (track === 0) for (const image of [x, y]) image.fill(0x40, owner, owner + 14);
      expect([track, Buffer.compare(x, y)]).toEqual([track, 0]);
    }
  });

  test('dasdinit -r makes what --layout raw makes, byte by byte', () => {
    make('dasdinit', '-r', 'their-raw.ckd', '3390', '3');
    createVolume(path('our-raw.ckd'), { volser: '', cylinders: 3, layout: 'raw' });
    expect(readFileSync(path('their-raw.ckd')).equals(readFileSync(path('our-raw.ckd')))).toBe(true);
  });

  test('a plain volume of dasdinit: a label, and no table of contents yet', () => {
    make('dasdinit', 'plain.ckd', '3390', 'PLAIN1', '2');
    expect(listVolume(path('plain.ckd'))).toMatchObject({
      label: { layout: 'cdl', volser: 'PLAIN1' },
      vtoc: undefined,
    });
    expect(checkVolume(path('plain.ckd')).problems).toEqual([]);
  });

  test('a compressed volume is refused with the program that expands it; then it is read', () => {
    make('dasdinit', '-z', '-linux', 'packed.ckd', '3390', 'PACKED', '2');
    expect(() => listVolume(path('packed.ckd'))).toThrow(/compressed CKD image; expand it with "cckd2ckd -lfs"/);
    make('cckd2ckd', '-q', '-lfs', 'packed.ckd', 'expanded.ckd');
    expect(checkVolume(path('expanded.ckd'))).toMatchObject({ tracks: 30, records: 390, problems: [] });
  });

  test('another device type is refused', () => {
    make('dasdinit', 'other.ckd', '3380', 'OTHER1', '2');
    expect(() => listVolume(path('other.ckd'))).toThrow(/type 3380, but only 3390 is supported; make one with/);
  });

  test('data sets of dasdload: names, attributes, extents, free space and content', () => {
    const lines = Array.from({ length: 300 }, (_, i) => `LINE ${i + 1} OF A SEQUENTIAL DATA SET`);
    writeFileSync(path('lines.bin'), toEbcdic(lines.map((line) => line.padEnd(80)).join('')));
    const control = [
      'LOAD01 3390 20',
      'SYSVTOC VTOC TRK 2',
      'MY.SEQ.DATA SEQ lines.bin CYL 2 1 0 PS FB 80 3120',
      'MY.EMPTY.PDS EMPTY TRK 3 1 2 PO FB 80 6160',
    ];
    writeFileSync(path('control'), `${control.join('\n')}\n`);
    make('dasdload', 'control', 'load.ckd');
    const { label, vtoc } = listVolume(path('load.ckd'));
    expect(label).toMatchObject({ volser: 'LOAD01', owner: 'HERCULES' });
    const attributes = { recfm: 'FB', lrecl: 80 };
    expect(vtoc).toMatchObject({
      extent: { first: 1, last: 2 },
      datasets: [
        { ...attributes, name: 'MY.SEQ.DATA', dsorg: 'PS', blksize: 3120, extents: [{ first: 15, last: 44 }] },
        { ...attributes, name: 'MY.EMPTY.PDS', dsorg: 'PO', blksize: 6160, extents: [{ first: 45, last: 47 }] },
      ],
      free: [
        { first: 3, last: 14 },
        { first: 48, last: 299 },
      ],
      problems: [],
    });
    const names = run('dasdls', 'load.ckd').match(/^MY\.\S+/gm);
    expect(vtoc?.datasets.map(({ name }) => name)).toEqual(names);
    const output: string[] = [];
    readDataset(path('load.ckd'), 'MY.SEQ.DATA', 'text', (piece) => output.push(piece as string));
    expect(output).toEqual(lines.map((line) => `${line}\n`));
    expect(checkVolume(path('load.ckd')).problems).toEqual([]);
  });
});
