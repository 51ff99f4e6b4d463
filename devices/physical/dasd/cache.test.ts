import type * as fs from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import type { DataPort } from '../css/channel_device.ts';
import { type CacheMode, openDrive } from './drive.ts';
import { createVolume } from './volume.ts';

/** What the drive asked of the host, in order. */
const calls: string[] = [];
vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    writeSync: (...args: Parameters<typeof fs.writeSync>) => {
      calls.push('write');
      return real.writeSync(...args);
    },
    fdatasyncSync: (fd: number) => {
      calls.push('fdatasync');
      real.fdatasyncSync(fd);
    },
  };
});

const folder = mkdtempSync(join(tmpdir(), 'minivisor-cache-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A channel that supplies these bytes whatever is asked. */
const port = (data: readonly number[]): DataPort => ({
  take: (length) => Uint8Array.from({ length }, (_, i) => data[i] ?? 0),
  give: (bytes) => bytes.length,
  *delay() {},
});

test.each<[CacheMode | undefined, string[], string[]]>([
  [undefined, ['write', 'fdatasync'], []],
  ['writethrough', ['write', 'fdatasync'], []],
  ['writeback', ['write'], ['fdatasync']],
  ['unsafe', ['write'], []],
])('%s: what reaches the host before device end, and at power-off', (cache, before, after) => {
  const file = join(folder, `${cache}.ckd`);
  createVolume(file, { volser: 'CACHE1', cylinders: 1, layout: 'cdl' });
  const drive = openDrive({ schid: 0, devno: 0x100, file, cache });
  drive.begin();
  const program: [number, number[]][] = [
    [0x63, [0xc0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14]],
    [0x47, [1, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3, 1, 0, 0, 0]],
    [0x05, [1]],
    [0x05, [2]],
  ];
  calls.length = 0;
  for (const [command, data] of program)
    expect(drive.execute(command, port(data)).next()).toEqual({ done: true, value: { status: 0x0c } });
  expect(calls).toEqual([]);
  expect(drive.end()).toBe(0);
  expect(calls).toEqual(before);
  drive.close();
  expect(calls).toEqual([...before, ...after]);
});
