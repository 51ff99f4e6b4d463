import { expect, test } from 'vitest';
import { SimpleMachine } from '../cpu/simple_machine.ts';
import { PSW_EXTERNAL, PSW_IO, PSW_MACHINE_CHECK, PSW_PROBLEM, Registers } from './registers.ts';

const machine = new SimpleMachine(8192);
const { cpu } = machine;
const registers = new Registers(machine.memory, cpu.state.address);

test('halves of registers are those of the 64-bit registers', () => {
  for (let n = 0; n < 16; n++) {
    cpu.setGpr(n, 0x8000_0001_f000_0002n + BigInt(n));
    cpu.setCr(n, 0xffff_ffff_8000_0000n + BigInt(n));
  }
  for (let n = 0; n < 16; n++)
    expect([registers.gprHigh(n), registers.gprLow(n), registers.crLow(n)]).toEqual(
      [0x80000001, 0xf0000002 + n, 0x80000000 + n].map((word) => word | 0),
    );
  registers.setGpr(3, 0xdeadbeef, 0x12345678);
  expect(cpu.gpr(3)).toBe(0xdead_beef_1234_5678n);
  expect([cpu.gpr(2), cpu.gpr(4)]).toEqual([0x8000_0001_f000_0004n, 0x8000_0001_f000_0006n]);
});

test('a signed return code is extended to 64 bits', () => {
  for (const value of [0, 1, -2, 9999, -0x80000000, 0x7fffffff]) {
    registers.setGprSigned(2, value);
    expect(BigInt.asIntN(64, cpu.gpr(2))).toBe(BigInt(value));
  }
});

// SA22-7832 chapter 4: bit numbers of the PSW.
test.each([
  [PSW_IO, 6n],
  [PSW_EXTERNAL, 7n],
  [PSW_MACHINE_CHECK, 13n],
  [PSW_PROBLEM, 15n],
])('mask %i is one bit of the PSW', (mask, bit) => {
  cpu.setPsw((1n << (63n - bit)) | 0x1_8000_0000n, 0n);
  expect([PSW_IO, PSW_EXTERNAL, PSW_MACHINE_CHECK, PSW_PROBLEM].filter((b) => registers.masked(b))).toEqual([mask]);
});

test('I/O subclasses are open as CR6 says, while the PSW is', () => {
  cpu.setCr(6, 0xffff_ffff_a5ff_ffffn);
  cpu.setPsw(0x1_8000_0000n, 0n);
  expect(registers.openIscs()).toBe(0);
  cpu.setPsw(0x0200_0001_8000_0000n, 0n);
  expect(registers.openIscs()).toBe(0xa5);
});
