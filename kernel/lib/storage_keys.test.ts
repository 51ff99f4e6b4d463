import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { keyPermits, OVERRIDE, STORAGE_KEY, StorageKeys } from './storage_keys.ts';

const { FETCH, STORAGE } = OVERRIDE;

// SA22-7832 figure 3-6: access key, storage key, fetch allowed, store allowed; then with the overrides.
test.each([
  [0, 0x00, 0, true, true],
  [0, 0xf8, 0, true, true],
  [3, 0x30, 0, true, true],
  [3, 0x38, 0, true, true],
  [3, 0x40, 0, true, false],
  [3, 0x48, 0, false, false],
  [3, 0x00, 0, true, false],
  [3, 0x08, 0, false, false],
  [3, 0x48, FETCH, true, false],
  [3, 0x98, STORAGE, true, true],
  [3, 0x90, STORAGE, true, true],
  [3, 0x98, FETCH, true, false],
  [3, 0x88, STORAGE, false, false],
  [9, 0x38, STORAGE, false, false],
])('access key %i, storage key %i, overrides %i: fetch %s, store %s', (accessKey, key, overrides, fetch, store) => {
  for (const bits of [0, STORAGE_KEY.REFERENCE, STORAGE_KEY.CHANGE]) {
    expect(keyPermits(key | bits, accessKey, false, overrides)).toBe(fetch);
    expect(keyPermits(key | bits, accessKey, true, overrides)).toBe(store);
  }
});

test('keys of neighbouring frames do not touch each other, and byte 0 bit 7 is never set', () => {
  const keys = new StorageKeys(new HostMemory(createMemory(65536)), 0x100);
  for (let frame = 0; frame < 9; frame++) keys.set(frame * 4096 + 5, 0xff - frame * 0x11);
  for (let frame = 0; frame < 9; frame++) expect(keys.get(frame * 4096)).toBe((0xff - frame * 0x11) & 0xfe);
  expect(keys.update(0x3fff, STORAGE_KEY.REFERENCE, 0)).toBe(0xcc);
  expect([keys.get(0x2000), keys.get(0x3000), keys.get(0x4000)]).toEqual([0xdc, 0xc8, 0xba]);
});

test('a permitted access notes reference and change; a refused one notes nothing', () => {
  const keys = new StorageKeys(new HostMemory(createMemory(65536)), 0x100);
  keys.set(0, 0x30);
  expect([keys.access(0, 4, true), keys.get(0)]).toEqual([false, 0x30]);
  expect([keys.access(0, 4, false), keys.get(0)]).toEqual([true, 0x34]);
  expect([keys.access(0, 3, true), keys.get(0)]).toEqual([true, 0x36]);
});

test('an access whose key changes under it goes by the new key', () => {
  const memory = new HostMemory(createMemory(65536));
  const keys = new StorageKeys(memory, 0x100);
  let changes = 0;
  const racing = new (class extends HostMemory {
    override cas(hpa: number, expected: number, value: number): number {
      if (changes++ === 0) keys.set(0, 0x58);
      return super.cas(hpa, expected, value);
    }
  })(memory.memory);
  expect(new StorageKeys(racing, 0x100).access(0, 3, false)).toBe(false);
  expect([changes, keys.get(0)]).toEqual([1, 0x58]);
});
