import { expect, test } from 'vitest';
import { FakeMachine } from '../../devices/virtual/fake_machine.ts';
import { loadGuest } from './loader.ts';

const image = (...segments: [number, number[]][]) => ({
  entry: 0x1_0000n,
  segments: segments.map(([address, bytes]) => ({ address, bytes: Uint8Array.from(bytes), memorySize: 4096 })),
});

test('segments go where they belong; the guest starts at the entry point in 64-bit mode with everything disabled', () => {
  const machine = new FakeMachine();
  const psw = machine.run(loadGuest(machine.memory, image([0x10000, [1, 2, 3]], [0x200, [9]]), ''));
  expect(psw).toEqual({ mask: 0x1_8000_0000n, address: 0x1_0000n });
  expect([...machine.memory.bytes.subarray(0x10000, 0x10004), machine.memory.bytes[0x200]]).toEqual([1, 2, 3, 0, 9]);
});

test('the command line is stored behind the image, ended by a zero, whatever the image has there', () => {
  const machine = new FakeMachine();
  machine.run(loadGuest(machine.memory, image([0x10400, new Array(0x200).fill(0xff)]), 'a=1 b=\xe4'));
  const line = machine.memory.bytes.subarray(0x10480, 0x10480 + 9);
  expect(Buffer.from(line).toString('latin1')).toBe('a=1 b=\xe4\0\xff');
});

test('loaded again, a segment is as it was in its file, and zero beyond it; what lies outside stays', () => {
  const machine = new FakeMachine();
  const { bytes } = machine.memory;
  bytes.fill(0xee);
  machine.run(loadGuest(machine.memory, image([0x10000, [1, 2, 3]]), '', true));
  expect([...bytes.subarray(0x10000, 0x10005)]).toEqual([1, 2, 3, 0, 0]);
  expect([bytes[0x10fff], bytes[0x11000], bytes[0xffff]]).toEqual([0, 0xee, 0xee]);
});
