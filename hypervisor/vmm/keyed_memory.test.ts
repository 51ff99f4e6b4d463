import { expect, test } from 'vitest';
import { PGM, ProgramInterruption } from '../machine_api.ts';
import type { Syscalls } from '../syscall.ts';
import { KeyedMemory } from './keyed_memory.ts';

test('an address that no number holds exactly is out of reach, and not absolute 0', () => {
  const heap = { alloc: () => 0, free: () => {}, bytes: () => new Uint8Array(8) };
  const ioctlStruct = () => {
    throw new Error('the kernel was asked');
  };
  const memory = new KeyedMemory({ heap, ioctlStruct } as unknown as Syscalls, 3, 5);
  const addressing = new ProgramInterruption(PGM.ADDRESSING);
  expect(() => memory.read(2 ** 64, 8).next()).toThrow(addressing);
  expect(() => memory.write(2 ** 53, new Uint8Array(8)).next()).toThrow(addressing);
});
