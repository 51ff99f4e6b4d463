import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkUnlocked, lockImage } from './image_lock.ts';

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
  expect(() => lockImage(file)).toThrow(`${file}: is given twice; give each --drive an image of its own`);
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

test('the lock of another process that lives is respected, also by who only reads', () => {
  const file = image('f.ckd');
  writeFileSync(`${file}.lock`, `${process.ppid}\n`);
  const message = `${file}: in use by process ${process.ppid}; end it, or give another image with --drive file=...`;
  expect(() => lockImage(file)).toThrow(message);
  expect(() => checkUnlocked(file)).toThrow(message);
});

test('a lock of a process whose number another process has now is stale', () => {
  const file = image('g.ckd');
  // Our own number, but we hold no such lock; and a number in use, with a start time that is not that process's.
  for (const text of [`${process.pid} 1\n`, `${process.ppid} 1\n`]) {
    writeFileSync(`${file}.lock`, text);
    lockImage(file)();
  }
});

test('an image that is still to be made has one owner too', () => {
  const file = join(folder, 'new.ckd');
  const unlock = lockImage(file);
  expect(existsSync(`${file}.lock`)).toBe(true);
  expect(() => lockImage(file)).toThrow(/is given twice/);
  unlock();
});

test('an image under two names has one lock', () => {
  const file = image('c.ckd');
  const other = join(folder, 'other-name.ckd');
  symlinkSync(file, other);
  const unlock = lockImage(other);
  expect(existsSync(`${file}.lock`)).toBe(true);
  expect(() => lockImage(file)).toThrow(/is given twice/);
  expect(() => checkUnlocked(file)).toThrow(/is given twice/);
  unlock();
  checkUnlocked(file);
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
