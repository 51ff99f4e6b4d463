import { expect, test } from 'vitest';
import { deadlockText, endingText, notGiven, waitingText } from './ending.ts';

const cpu = (missing: string[] = []) => ({ instructions: 5, psw: '0 1f0', lastInstructions: ['lr', 'j'], missing });
const actors = { kernel: {}, vcpu0: cpu(), vcpu1: { ...cpu(), instructions: 0 } };
const result = (status: number) => ({ status, reason: status === 0 ? '' : 'it waits disabled' });

test('a good ending is silent', () => {
  expect(endingText({ result: result(0), actors }, undefined, true)).toBe('');
});

test('a run that is cut has a line for each CPU that ran; the instructions are for --verbose', () => {
  const cut = 'no end within 1 s (--timeout)';
  const first = 'minivisor: the guest was stopped: no end within 1 s (--timeout)\n';
  expect(endingText({ result: result(0), actors }, cut, false)).toBe(`${first}vcpu0: PSW 0 1f0\n`);
  expect(endingText({ result: result(0), actors }, cut, true)).toBe(
    `${first}vcpu0: PSW 0 1f0; last instructions:\n  lr\n  j\n`,
  );
});

test('a guest that ended badly is told with its last instructions, and a missing instruction before all', () => {
  expect(endingText({ result: result(1), actors: { vcpu0: cpu(['frob']) } }, undefined, false)).toBe(
    'vcpu0: no such instruction here: frob\nminivisor: it waits disabled\nvcpu0: PSW 0 1f0; last instructions:\n  lr\n  j\n',
  );
});

test('--at commands that never came are told in one line', () => {
  const at = [
    { ns: 5e6, time: '5ms', command: 'stop' },
    { ns: 7e6, time: '7ms', command: 'cont' },
    { ns: 9e9, time: '9s', command: 'quit' },
  ];
  expect(notGiven(at, 6_000_000)).toBe('minivisor: --at: the run ended at 6.000 ms, before 7ms:cont, 9s:quit\n');
  expect(notGiven(at, 9e9)).toBe('');
  expect(notGiven(at, 8e6, 'vm1')).toBe('minivisor: --at: vm1 ended at 8.000 ms, before 9s:quit\n');
  expect(notGiven(undefined, 0)).toBe('');
});

test('of several machines those are named that wait for ever', () => {
  expect(waitingText([])).toBe('');
  expect(waitingText([{ vm: 1, sinceNs: 3_210_000 }])).toBe(
    'minivisor: vm1 has waited since 3.210 ms for an interruption that did not come: it has no timer set\n',
  );
  expect(deadlockText({ actors: ['vmm', 'kernel', 'vcpu0'] }, 1)).toMatch(/^the guest waits for .*--at 'TIME:COMMAND'/);
  expect(deadlockText({ actors: ['kernel', 'vm1.vmm', 'vm1.vcpu0'] }, 2)).toMatch(
    /^the guest of vm1 waits for .*--at 'TIME:vm1: COMMAND'/,
  );
  expect(deadlockText({ actors: ['vmm', 'vcpu0', 'vm2.vmm'] }, 3)).toMatch(/^the guests of vm0 and vm2 wait for /);
});
