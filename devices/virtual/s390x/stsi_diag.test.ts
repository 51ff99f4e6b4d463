import { beforeEach, describe, expect, test } from 'vitest';
import type { Task } from '../../../kernel/lib/task.ts';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { DIAG_308, DIAGNOSE, diag } from './diag.ts';
import { ebcdicToAscii } from './ebcdic.ts';
import { STSI_BLOCKS, stsi } from './stsi.ts';

const AT = 0x7000;
let machine: FakeMachine;
let vcpu: FakeVcpu;
beforeEach(() => {
  machine = new FakeMachine();
  vcpu = new FakeVcpu(machine, 1);
});

function store(r0: number, r1: number, operand = AT) {
  vcpu.instruction([0xb2, 0x7d], operand);
  vcpu.setGpr(0, 0x1234_5678_0000_0000n | BigInt(r0));
  vcpu.setGpr(1, BigInt(r1));
  return machine.outcome(stsi(machine, { cpuCount: 2, machineType: '2817', vmName: 'toy' }, vcpu));
}
const text = (at: number, length: number) =>
  Buffer.from(ebcdicToAscii(machine.memory.bytes.slice(AT + at, AT + at + length))).toString();
const u16 = (at: number) => new DataView(machine.memory.bytes.buffer).getUint16(AT + at);

describe('STSI', () => {
  test('function 0 gives the level and changes nothing else', () => {
    expect(store(0, 0, 1)).toEqual({ value: 0 });
    expect(vcpu.gpr(0)).toBe(0x1234_5678_3000_0000n);
  });
  const CASES: [string, number, number, number, { value: number } | { interruption: number }][] = [
    ['1.1.1', 0x1000_0001, 1, AT, { value: 0 }],
    ['1.2.1', 0x1000_0002, 1, AT, { value: 0 }],
    ['1.2.2', 0x1000_0002, 2, AT, { value: 0 }],
    ['2.2.2', 0x2000_0002, 2, AT, { value: 0 }],
    ['3.2.2', 0x3000_0002, 2, AT, { value: 0 }],
    ['1.1.2 is missing', 0x1000_0001, 2, AT, { value: 3 }],
    ['2.2.1 is missing', 0x2000_0002, 1, AT, { value: 3 }],
    ['level 4 is missing, whatever else is wrong', 0x4fff_ff02, 2, AT + 1, { value: 3 }],
    ['reserved bits of GR0', 0x1000_0101, 1, AT, { interruption: 6 }],
    ['reserved bits of GR1', 0x1000_0001, 0x10001, AT, { interruption: 6 }],
    ['a block off its page', 0x1000_0001, 1, AT + 8, { interruption: 6 }],
    ['a block outside storage', 0x1000_0001, 1, 0x100_0000, { interruption: 5 }],
  ];
  for (const [name, r0, r1, operand, outcome] of CASES)
    test(name, () => {
      machine.memory.bytes.fill(0xee, AT, AT + 4096);
      expect(store(r0, r1, operand)).toEqual(outcome);
      expect(machine.memory.bytes[AT + 4095]).toBe('value' in outcome && outcome.value === 0 ? 0 : 0xee);
    });
  test('every block has a case', () => {
    for (const name of Object.keys(STSI_BLOCKS)) expect(CASES.some((row) => row[0] === name)).toBe(true);
  });
  test('what the blocks say', () => {
    store(0x1000_0001, 1);
    expect([text(32, 16).trim(), text(48, 4)]).toEqual(['minivisor', '2817']);
    store(0x1000_0002, 1);
    expect(u16(102)).toBe(1);
    store(0x1000_0002, 2);
    expect([u16(36), u16(38)]).toEqual([2, 2]);
    store(0x2000_0002, 2);
    expect([u16(36), u16(74)]).toEqual([2, 2]);
    store(0x3000_0002, 2);
    expect([machine.memory.bytes[AT + 31], text(44, 8), text(56, 3)]).toEqual([1, 'toy     ', 'KVM']);
  });
});

describe('DIAGNOSE', () => {
  const reset: number[] = [];
  const ipl = {
    *reset(subcode: number): Task {
      reset.push(subcode);
    },
  };
  const run = (code: number, withIpl = true) =>
    machine.outcome(diag(vcpu.instruction([0x83, 0x24], code), withIpl ? ipl : undefined));
  const subcode = (n: number, withIpl = true) => {
    vcpu.setGpr(4, BigInt(n));
    return run(0x308, withIpl);
  };
  test('yields do nothing; unknown codes are specification exceptions', () => {
    expect(run(0x44)).toEqual({ value: -1 });
    expect(run(0x9c)).toEqual({ value: -1 });
    for (const code of [0x204, 0x224, 0x258, 0x260, 0x288, 0x500, 0x5e1])
      expect([code, run(code)]).toEqual([code, { interruption: 6 }]);
    expect(Object.keys(DIAGNOSE).map(Number)).toEqual([0x44, 0x9c, 0x308]);
  });
  test('308: resets reach the machine', () => {
    for (const n of [0, 1, 3, 4]) expect(subcode(n)).toEqual({ value: -1 });
    expect(reset).toEqual([0, 1, 3, 4]);
    expect(subcode(1, false)).toEqual({ interruption: 6 });
    expect(Object.keys(DIAG_308).map(Number)).toEqual([0, 1, 3, 4, 5, 6]);
  });
  test('308: parameters: none are held, none are taken', () => {
    vcpu.setGpr(2, BigInt(AT));
    expect(subcode(6)).toEqual({ value: -1 });
    expect(vcpu.gpr(3)).toBe(0x0102n);
    expect(subcode(5)).toEqual({ value: -1 });
    expect(vcpu.gpr(3)).toBe(0x0402n);
    for (const n of [5, 6]) {
      vcpu.setGpr(2, BigInt(AT + 8));
      expect(subcode(n)).toEqual({ interruption: 6 });
      vcpu.setGpr(2, 0x100_0000n);
      expect(subcode(n)).toEqual({ interruption: 5 });
      vcpu.setGpr(4, BigInt(n));
      expect(machine.outcome(diag(vcpu.instruction([0x83, 0x34], 0x308), ipl))).toEqual({ interruption: 6 });
    }
    expect(subcode(2)).toEqual({ interruption: 6 });
    expect(subcode(0x10000)).toEqual({ interruption: 6 });
  });
  test('problem state is privileged', () => {
    vcpu.problemState = true;
    expect(run(0x44)).toEqual({ interruption: 2 });
    expect(store(0, 0)).toEqual({ interruption: 2 });
  });
});
