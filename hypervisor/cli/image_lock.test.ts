import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lockImage } from './image_lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** An image; what is in it does not matter here. */
function image(name: string): string {
  const file = join(folder, name);
  writeFileSync(file, '');
  return file;
}

test('an image has one owner at a time', () => {
  const file = image('a.ckd');
  const unlock = lockImage(file);
  expect(() => lockImage(file)).toThrow(
    `${file}: in use by process ${process.pid}; end it, or give another image with --drive file=...`,
  );
  unlock();
  expect(existsSync(`${file}.lock`)).toBe(false);
  lockImage(file)();
});

test('the lock of a process that is gone is taken over', () => {
  const file = image('b.ckd');
  // Process numbers end at 2^22 (Linux PID_MAX_LIMIT): this one cannot exist.
  writeFileSync(`${file}.lock`, '4194305\n');
  lockImage(file)();
});

test('an image under two names has one lock', () => {
  const file = image('c.ckd');
  const other = join(folder, 'other-name.ckd');
  symlinkSync(file, other);
  const unlock = lockImage(other);
  expect(existsSync(`${file}.lock`)).toBe(true);
  expect(() => lockImage(file)).toThrow(/in use by process/);
  unlock();
});

test.each(['', 'nobody\n', '0\n', '-1\n'])('a lock that names no process (%j) is not taken over, and told', (text) => {
  const file = image('d.ckd');
  writeFileSync(`${file}.lock`, text);
  expect(() => lockImage(file)).toThrow(`${file}.lock: names no process; remove it when`);
  rmSync(`${file}.lock`);
});

test('a lock that is given back leaves nothing behind for the end of the process', () => {
  const before = process.listenerCount('exit');
  lockImage(image('e.ckd'))();
  expect(process.listenerCount('exit')).toBe(before);
});
