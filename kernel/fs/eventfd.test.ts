import { expect, test } from 'vitest';
import { codeOf, finish } from '../../test/support/small_machine.ts';
import { File } from '../syscall/file.ts';
import { EventFd } from './eventfd.ts';

const number = (bytes: Uint8Array) => new DataView(bytes.buffer).getBigUint64(0, true);
const eight = (value: bigint) => new Uint8Array(new BigUint64Array([value]).buffer);
const MAX = 2n ** 64n - 1n;

test('signals coalesce, and a read takes them all', () => {
  const file = EventFd.file(2);
  const context = EventFd.of(file);
  context.signal();
  context.signal();
  finish(file.operations.write?.(eight(5n), 0) as never);
  expect(number(finish(file.operations.read?.(8, 0) as never))).toBe(9n);
  expect([context.count, context.signals]).toEqual([0n, 3]);
});

test('a read of zero waits for a signal', () => {
  const file = EventFd.file(0);
  const reading = file.operations.read?.(8, 0) as Generator<{ ready(): boolean }, Uint8Array>;
  const step = reading.next();
  expect([step.done, (step.value as { ready(): boolean }).ready()]).toEqual([false, false]);
  EventFd.of(file).signal(3n);
  expect((step.value as { ready(): boolean }).ready()).toBe(true);
  expect(number(reading.next().value as Uint8Array)).toBe(3n);
});

test('the counter saturates, a write that does not fit waits, and the largest value is EINVAL', () => {
  const file = EventFd.file(0);
  const context = EventFd.of(file);
  const write = (value: bigint) => finish(file.operations.write?.(eight(value), 0) as never);
  expect(codeOf(() => write(MAX))).toBe('EINVAL');
  write(MAX - 1n);
  expect(() => write(1n)).toThrow('would wait: eventfd room');
  context.signal(10n);
  context.signal(10n);
  expect(context.count).toBe(MAX);
});

test('fewer than eight bytes are EINVAL, and other files are no eventfds', () => {
  const file = EventFd.file(1);
  expect(codeOf(() => finish(file.operations.read?.(7, 0) as never))).toBe('EINVAL');
  expect(codeOf(() => finish(file.operations.write?.(new Uint8Array(7), 0) as never))).toBe('EINVAL');
  expect(codeOf(() => EventFd.of(new File('x', {})))).toBe('EINVAL');
  for (const initial of [1.5, Number.NaN, 2 ** 32]) expect(EventFd.of(EventFd.file(initial)).count).toBeLessThan(2n);
});

test('the count can be taken without waiting for one', () => {
  const context = new EventFd(3);
  expect([context.take(), context.take(), context.count]).toEqual([3n, 0n, 0n]);
});

test('a reader that sleeps ends with EINTR when its process is ended; what is there already is read', () => {
  const process = { exiting: false };
  const file = EventFd.file(0, process);
  const reading = file.operations.read?.(8, 0) as Generator<{ ready(): boolean }, Uint8Array>;
  const wait = reading.next().value as { ready(): boolean };
  expect(wait.ready()).toBe(false);
  process.exiting = true;
  expect(wait.ready()).toBe(true);
  expect(codeOf(() => reading.next())).toBe('EINTR');
  EventFd.of(file).signal();
  expect(number(finish(file.operations.read?.(8, 0) as never))).toBe(1n);
});
