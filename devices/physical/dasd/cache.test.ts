import type * as fs from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import type { DataPort } from '../css/channel_device.ts';
import { type CacheMode, openDrive } from './drive.ts';
import { createVolume } from './volume.ts';

/** What the drive asked of the host, in order: of the image, or of the journal beside it. */
const calls: string[] = [];
/** Descriptors of journals. */
const journals = new Set<number>();
const name = (fd: number) => (journals.has(fd) ? 'journal' : 'image');
vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    openSync: (path: string, flags: string) => {
      const fd = real.openSync(path, flags);
      if (path.endsWith('.journal')) journals.add(fd);
      else journals.delete(fd);
      return fd;
    },
    writeSync: (...args: Parameters<typeof fs.writeSync>) => {
      calls.push(`write ${name(args[0])}`);
      return real.writeSync(...args);
    },
    fdatasyncSync: (fd: number) => {
      calls.push(`fdatasync ${name(fd)}`);
      real.fdatasyncSync(fd);
    },
  };
});

const folder = mkdtempSync(join(tmpdir(), 'minivisor-cache-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A channel that supplies these bytes whatever is asked. */
const port = (data: readonly number[]): DataPort => ({
  take: (length) => Uint8Array.from({ length }, (_, i) => data[i] ?? 0),
  takeAll: () => Uint8Array.from(data),
  give: (bytes) => bytes.length,
  *delay() {},
});

const BEFORE = ['write journal', 'write image'];
const SYNCED = ['write journal', 'fdatasync journal', 'write image'];

test.each<[CacheMode | undefined, string[], string[]]>([
  [undefined, SYNCED, ['fdatasync image']],
  ['writethrough', SYNCED, ['fdatasync image']],
  ['writeback', BEFORE, ['fdatasync journal', 'fdatasync image']],
  ['unsafe', BEFORE, []],
])('%s: what reaches the host before device end, and at power-off', (cache, before, after) => {
  const file = join(folder, `${cache}.ckd`);
  createVolume(file, { volser: 'CACHE1', cylinders: 1, layout: 'cdl' });
  const drive = openDrive({ schid: 0, devno: 0x100, file, cache });
  const program: [number, number[]][] = [
    [0x63, [0xc0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14]],
    [0x47, [1, 0x80, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3, 1, 0, 0x10, 0]],
    [0x85, [1]],
    [0x85, [2]],
  ];
  // The first program makes the journal, too.
  for (const _ of ['first', 'second']) {
    calls.length = 0;
    drive.begin(0x80);
    for (const [command, data] of program)
      expect(drive.execute(command, port(data)).next()).toMatchObject({ done: true, value: { status: 0x0c } });
    expect(calls).toEqual([]);
    expect(drive.end()).toBe(0);
    program[2][1][0]++;
  }
  expect(calls).toEqual(before);
  drive.close();
  expect(calls).toEqual([...before, ...after]);
});
