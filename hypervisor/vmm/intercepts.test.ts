import { expect, test } from 'vitest';
import { FakeMachine } from '../../devices/virtual/fake_machine.ts';
import { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { IO_INSTRUCTIONS } from '../../devices/virtual/s390x/ioinst.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { smallMachine } from '../../test/support/small_machine.ts';
import { type Board, intercept } from './intercepts.ts';
import { VcpuHandle } from './vcpu_handle.ts';

/** A board whose parts tell that they were called. */
function setUp() {
  const machine = new FakeMachine();
  const { memory, map } = smallMachine(1);
  const vcpu = new VcpuHandle(memory, map, machine.memory, 0);
  const called: string[] = [];
  const board = {
    machine,
    css: new ChannelSubsystem(machine),
    sclp: {
      *servc(): Task<number> {
        called.push('servc');
        return 2;
      },
    },
    cpus: { count: 1, busy: () => false, state: () => 'operating', externalCallPending: () => false },
    information: { cpuCount: 1, machineType: '2817' },
    ipl: {
      *reset(subcode: number): Task {
        called.push(`reset ${subcode}`);
      },
    },
  } as unknown as Board;
  const run = (text: string, operand = 0n, mask = 0x1_8000_0000n) => {
    vcpu.run.text = Uint8Array.from({ length: 8 }, (_, i) => Buffer.from(text, 'hex')[i] ?? 0);
    vcpu.run.operand = operand;
    vcpu.run.psw_mask = mask;
    return machine.outcome(intercept(board, vcpu));
  };
  return { run, called, vcpu };
}

test('SERVICE CALL goes to SCLP', () => {
  const { run, called } = setUp();
  expect([run('b2200012'), called]).toEqual([{ value: 2 }, ['servc']]);
});

test('DIAGNOSE goes by its code: time-slice end, re-IPL, and a specification exception for an unknown one', () => {
  const { run, called, vcpu } = setUp();
  vcpu.setGpr(3, 4n);
  expect(run('83000044', 0x44n)).toEqual({ value: -1 });
  expect([run('83130308', 0x308n), called]).toEqual([{ value: -1 }, ['reset 4']]);
  for (const code of [0n, 0x500n, 0xffffn]) expect(run('83000000', code)).toEqual({ interruption: 6 });
});

test('SIGP and STSI go to theirs', () => {
  const { run, vcpu } = setUp();
  // Sense of CPU 0 (GPR 4), which operates: accepted. CPU 5 is not there.
  expect(run('ae240001', 1n)).toEqual({ value: 0 });
  vcpu.setGpr(4, 5n);
  expect(run('ae240001', 1n)).toEqual({ value: 3 });
  // STSI function code 0: the current level, in GPR 0.
  expect(run('b27d0000')).toEqual({ value: 0 });
  expect(vcpu.gpr(0)).not.toBe(0n);
});

test('every instruction of the channel subsystem is known, and privileged', () => {
  const { run } = setUp();
  const opcodes = Object.keys(IO_INSTRUCTIONS).map(Number);
  expect(opcodes).toContain(0xb233);
  for (const opcode of opcodes)
    expect(run(`${opcode.toString(16)}0000`, 0n, 0x0001_0001_8000_0000n)).toEqual({ interruption: 2 });
});

test.each(['0000', '07f0', 'b2ff0000', 'b9ac0000', 'ff0000000000'])(
  '%s is no instruction of the VMM’s: operation exception',
  (text) => {
    expect(setUp().run(text)).toEqual({ interruption: 1 });
  },
);
