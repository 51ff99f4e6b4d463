import { beforeEach, describe, expect, test } from 'vitest';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { CHSC_COMMANDS } from './chsc.ts';
import { ChannelSubsystem } from './css.ts';
import { ioinst } from './ioinst.ts';

const AT = 0x5000;
let machine: FakeMachine;
let css: ChannelSubsystem;
beforeEach(() => {
  machine = new FakeMachine();
  css = new ChannelSubsystem(machine);
  css.paths.set(0x80, { type: 0x1b, isVirtual: false });
  css.paths.set(0x81, { type: 0x1a, isVirtual: false });
});

/** Runs CHSC; gives the response as [length, code, param] and the bytes that follow. */
function call(length: number, command: number, params: readonly number[] = [], address = AT) {
  const dv = new DataView(machine.memory.bytes.buffer);
  machine.memory.bytes.fill(0, AT, AT + 4096);
  dv.setUint16(AT, length);
  dv.setUint16(AT + 2, command);
  for (const [i, param] of params.entries()) dv.setUint32(AT + 4 + 4 * i, param);
  const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x5f, 0, 0x20]);
  vcpu.setGpr(2, BigInt(address));
  const outcome = machine.outcome(ioinst(css, vcpu));
  const at = AT + length;
  return {
    outcome,
    response: [dv.getUint16(at), dv.getUint16(at + 2), dv.getUint32(at + 4)],
    data: Buffer.from(machine.memory.bytes.slice(at + 8, at + dv.getUint16(at))).toString('hex'),
  };
}

describe('the block', () => {
  test('off a page boundary is a specification exception', () => {
    expect(call(16, 0x10, [], AT + 8).outcome).toEqual({ interruption: 6 });
  });
  test('outside storage is an addressing exception', () => {
    expect(call(16, 0x10, [], 0x100_0000).outcome).toEqual({ interruption: 5 });
  });
  for (const length of [0, 8, 15, 20, 4096])
    test(`of ${length} bytes is an operand exception`, () => {
      expect(call(length, 0x10).outcome).toEqual({ interruption: 0x15 });
    });
});

/** Name, length, command, parameters, expected response. */
const ANSWERS: [string, number, number, number[], number[]][] = [
  ['unknown command', 16, 0x0004, [], [8, 4, 0]],
  ['store event information: none', 16, 0x000e, [], [8, 5, 0]],
  ['characteristics', 16, 0x0010, [], [4080, 1, 0]],
  ['characteristics, wrong length', 24, 0x0010, [], [8, 3, 0]],
  ['characteristics, wrong format', 16, 0x0010, [0x00010000], [8, 7, 0]],
  ['characteristics of another css', 16, 0x0010, [0x20000100], [8, 8, 0]],
  ['characteristics of the virtual css', 16, 0x0010, [0x2000fe00], [4080, 1, 0]],
  ['characteristics, reserved bits', 16, 0x0010, [0x00000001], [8, 3, 0]],
  ['paths, wrong length', 24, 0x0002, [0x80, 0x81], [8, 3, 0]],
  ['paths, wrong format', 16, 0x0002, [0x01000080, 0x81], [8, 7, 0]],
  ['paths of another css', 16, 0x0002, [0x20010080, 0x81], [8, 8, 0]],
  ['paths, last before first', 16, 0x0002, [0x81, 0x80], [8, 3, 0]],
  ['paths, reserved bits', 16, 0x0002, [0x80, 0x181], [8, 3, 0]],
  ['paths', 16, 0x0002, [0x80, 0x81], [24, 1, 0]],
  ['paths, long form', 16, 0x0002, [0x10000080, 0x80], [40, 1, 1]],
  ['all paths', 16, 0x0002, [0x00, 0xff], [24, 1, 0]],
  ['domain attributes: MCSS-E', 0x400, 0x0031, [0], [8, 1, 0]],
  ['domain attributes: MSS', 0x400, 0x0031, [2], [8, 1, 0]],
  ['domain attributes: unknown operation', 0x400, 0x0031, [1], [8, 3, 0]],
  ['domain attributes: wrong length', 16, 0x0031, [2], [8, 3, 0]],
  ['domain attributes: wrong format', 0x400, 0x0031, [0x01000002], [8, 7, 0]],
];
for (const [name, length, command, params, response] of ANSWERS)
  test(name, () => {
    const answer = call(length, command, params);
    expect(answer.outcome).toEqual({ value: 0 });
    expect(answer.response).toEqual(response);
  });
test('every command has an answer row', () => {
  for (const command of Object.keys(CHSC_COMMANDS))
    expect(ANSWERS.some((row) => row[2] === Number(command))).toBe(true);
});
test('a path description has validity, type and number', () => {
  expect(call(16, 0x0002, [0x80, 0x81]).data).toBe('80001b800000000080001a8100000000');
});
test('event information comes oldest first, says when there is more, and when some was lost', () => {
  const seen = () => {
    const { response, data } = call(16, 0x000e);
    return [...response, data];
  };
  const event = (rsid: number) => css.events.add({ contentCode: 2, reportingSource: 4, rsid });
  event(0x80);
  event(0x81);
  expect(seen()).toEqual([28, 1, 0, '8000040200000080000000000000000000000000']);
  expect(seen()).toEqual([28, 1, 0, '0000040200000081000000000000000000000000']);
  expect(seen()).toEqual([8, 5, 0, '']);
  for (let i = 0; i < 40; i++) event(i);
  expect(seen()[3]).toMatch(/^c000/);
  expect(seen()[3]).toMatch(/^8000/);
});
test('event information is asked for by type: none of type 2, and no wrong length', () => {
  css.events.add({ contentCode: 2, reportingSource: 4, rsid: 0x80 });
  expect(call(16, 0x000e, [0, 0x2000_0000, 0]).response).toEqual([8, 5, 0]);
  expect(call(24, 0x000e).response).toEqual([8, 3, 0]);
  expect(call(16, 0x000e, [0, 0xa000_0000, 0]).response).toEqual([28, 1, 0]);
});
test('an event is announced by a report of the channel subsystem', () => {
  machine.run(css.queueEvent({ contentCode: 2, reportingSource: 4, rsid: 0x80 }));
  expect(machine.channelReports).toBe(1);
  expect(css.reports.take()).toEqual({ flags: 0x0b00, rsid: 0 });
});
test('domain attributes take effect', () => {
  call(0x400, 0x0031, [0]);
  expect(css.mcsse).toBe(true);
});
