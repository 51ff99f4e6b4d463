import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lockImage } from './image_lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('an image has one owner at a time', () => {
  const file = join(folder, 'a.ckd');
  const unlock = lockImage(file);
  expect(() => lockImage(file)).toThrow(
    `${file}: in use by process ${process.pid}; end it, or give another image with --drive file=...`,
  );
  unlock();
  expect(existsSync(`${file}.lock`)).toBe(false);
  lockImage(file)();
});

test('the lock of a process that is gone is taken over', () => {
  const file = join(folder, 'b.ckd');
  // Process numbers end at 2^22 (Linux PID_MAX_LIMIT): this one cannot exist.
  writeFileSync(`${file}.lock`, '4194305\n');
  lockImage(file)();
});
