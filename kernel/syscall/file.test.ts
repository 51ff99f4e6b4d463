import { expect, test } from 'vitest';
import { codeOf, finish } from '../../test/support/small_machine.ts';
import { File, FileTable } from './file.ts';

const file = (name: string, log: string[] = []) =>
  new File(name, {
    *release() {
      log.push(name);
    },
  });

test('a file gets the lowest free descriptor', () => {
  const files = new FileTable();
  expect([0, 1, 2, 3].map((n) => files.install(file(`${n}`)))).toEqual([0, 1, 2, 3]);
  finish(files.close(2));
  finish(files.close(0));
  expect([...files.entries()].map(([fd, f]) => `${fd}=${f.name}`)).toEqual(['1=1', '3=3']);
  expect([files.install(file('a')), files.install(file('b')), files.install(file('c'))]).toEqual([0, 2, 4]);
});

test.each([-1, 0, 1.5, 5, 1e9, Number.NaN, Number.POSITIVE_INFINITY])('descriptor %d is EBADF', (fd) => {
  const files = new FileTable();
  expect(codeOf(() => files.file(fd))).toBe('EBADF');
  expect(codeOf(() => finish(files.close(fd)))).toBe('EBADF');
});

test('a closed descriptor is EBADF, and the 1025th file is EMFILE', () => {
  const files = new FileTable();
  for (let fd = 0; fd < 1024; fd++) expect(files.install(file('f'))).toBe(fd);
  expect(codeOf(() => files.install(file('one more')))).toBe('EMFILE');
  finish(files.close(500));
  expect(codeOf(() => files.file(500))).toBe('EBADF');
  expect(files.install(file('one more'))).toBe(500);
});

test('the last reference releases the file, once', () => {
  const log: string[] = [];
  const files = new FileTable();
  const shared = file('shared', log);
  const fd = files.install(shared);
  shared.get();
  finish(files.close(fd));
  expect(log).toEqual([]);
  finish(shared.put());
  expect(log).toEqual(['shared']);
  finish(new File('without release', {}).put());
});
