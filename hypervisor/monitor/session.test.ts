import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { VM_STATE } from '../../kernel/lib/vm_state.ts';
import { type MonitoredVms, MonitorSession } from './session.ts';

/** What each machine was asked. */
let asked: string[][];
/** Machines that have ended. */
let ended: Set<number>;
let over: boolean;
/** Ends in the middle of a command. */
let dies: number | undefined;

beforeEach(() => {
  asked = [];
  ended = new Set();
  over = false;
  dies = undefined;
});

/** A user of `count` machines that answer each line in brackets, twice. */
function session(count: number): MonitorSession {
  asked = Array.from({ length: count }, () => []);
  const mailbox = (vm: number) => ({
    get ended() {
      return ended.has(vm);
    },
    async ask(line: string) {
      if (ended.has(vm)) return undefined;
      asked[vm].push(line);
      if (vm === dies || line === 'quit') ended.add(vm);
      if (vm === dies) return undefined;
      return { text: line === 'quit' ? '' : `<${line}>\n\n<${line}>\n`, cut: false };
    },
  });
  const vms: MonitoredVms = {
    mailboxes: Array.from({ length: count }, (_, vm) => mailbox(vm)),
    rows: () =>
      Array.from({ length: count }, (_, vm) => ({
        guest: vm === 0 ? 'toy' : 'net',
        memory: (vm + 1) << 24,
        cpus: vm + 1,
        state: ended.has(vm) ? VM_STATE.ENDED : VM_STATE.RUNNING,
      })),
    ended: () => over,
  };
  return new MonitorSession(vms);
}
const said = async (user: MonitorSession, line: string) => (await user.ask(line))?.text;

test('of one machine lines and answers are as they are, whatever they hold', async () => {
  const user = session(1);
  expect(user.prompt).toBe('(minivisor) ');
  for (const line of ['info status', '', '  c ', 'vm1', 'information vms']) {
    expect(await said(user, line)).toBe(`<${line}>\n\n<${line}>\n`);
    expect(asked[0].at(-1)).toBe(line);
  }
  ended.add(0);
  expect(await user.ask('info status')).toBeUndefined();
});

test('a line goes to the machine that it names, without the name; any other to the one that was chosen', async () => {
  const user = session(3);
  await user.ask('a');
  await user.ask('vm2: b');
  await user.ask('c');
  expect([await said(user, 'vm 1'), await said(user, 'vm'), user.prompt]).toEqual(['', 'vm1\n', '(minivisor vm1) ']);
  await user.ask('d');
  await user.ask(' vm0:console_input  two  blanks ');
  await user.ask('console_input vm0: e');
  expect(asked).toEqual([['a', 'c', 'console_input  two  blanks '], ['d', 'console_input vm0: e'], ['b']]);
});

test('of several machines every line of an answer begins with its machine', async () => {
  const user = session(2);
  expect(await said(user, 'x')).toBe('vm0: <x>\nvm0: \nvm0: <x>\n');
  expect(await said(user, 'vm1: x')).toBe('vm1: <x>\nvm1: \nvm1: <x>\n');
});

test('info vms lists the machines, and marks the one that was chosen', async () => {
  const user = session(2);
  await user.ask('vm 1');
  ended.add(0);
  expect(await said(user, 'info vms')).toBe(
    [
      '  Machine  State    Memory  CPUs  Guest\n',
      '  -------  -------  ------  ----  -----\n',
      '  vm0      ended    16 MiB     1  toy\n',
      '  vm1 *    running  32 MiB     2  net\n',
    ].join(''),
  );
  ended.clear();
  expect(await said(session(1), 'info vms')).toMatch(/ vm0 +running +16 MiB +1 +toy\n$/);
});

test.each([
  [2, 'vm2: stop', 'Error: vm2: there are machines 0 to 1\n'],
  [2, 'vm 99999999999999999999', 'Error: vm99999999999999999999: there are machines 0 to 1\n'],
  [2, 'vm one', "Error: vm one: not understood; give a machine's number, vm 0\n"],
  [2, 'vm -1', "Error: vm -1: not understood; give a machine's number, vm 0\n"],
  [2, 'vm 1 stop', "Error: vm: unexpected 'stop': vm [N]\n"],
  [1, 'vm1: stop', 'Error: vm1: there is machine 0 only\n'],
  [1, 'vm 1', 'Error: vm1: there is machine 0 only\n'],
])('of %i machines: %s is refused in one sentence, and nobody is asked', async (count, line, answer) => {
  const user = session(count);
  expect(await said(user, line)).toBe(answer);
  expect(asked.flat()).toEqual([]);
  expect(await said(user, 'vm')).toBe('vm0\n');
});

test('a machine that has ended says so, and the others go on', async () => {
  const user = session(2);
  expect(await said(user, 'quit')).toBe('vm0: the machine has ended\n');
  const sentence = 'vm0: Error: the machine has ended; info vms lists all, vm N chooses another one\n';
  expect(await said(user, 'info status')).toBe(sentence);
  dies = 1;
  expect(await said(user, 'vm1: stop')).toBe('vm1: the machine has ended\n');
  expect(await said(user, 'vm1: stop')).toBe(sentence.replace('vm0', 'vm1'));
  over = true;
  expect(await user.ask('info status')).toBeUndefined();
});

test('no line brings it to more than one sentence, or to a machine that is not there', async () => {
  const words = fc.constantFrom('vm', 'vm0', 'vm1', 'vm9', ':', ' ', '0', '1', '9', 'info', 'vms', 'x', '-', '\t');
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 8 }), async (parts) => {
      const answer = await said(session(2), parts.join(''));
      if (answer?.startsWith('Error: ')) expect(answer).toMatch(/^Error: [^\n]+\n$/);
      else expect(answer).toMatch(/^(|vm[01]\n|vm[01]: [\s\S]*\n| +Machine [\s\S]*\n)$/);
      expect(asked.flat().length).toBeLessThanOrEqual(1);
    }),
  );
});
