import { expect, test } from 'vitest';
import { Simulation } from '../../kernel/lib/simulated.ts';
import { parseAt, timedCommands } from './at.ts';
import type { Monitor } from './monitor.ts';

test.each([
  ['5ms:device_del dasd1', 5e6, 'device_del dasd1'],
  ['1.5us: info status ', 1500, 'info status'],
  ['0s:quit', 0, 'quit'],
  ['2s:sysfs_write /sys/a:b 1', 2e9, 'sysfs_write /sys/a:b 1'],
])('%s', (text, ns, command) => {
  expect(parseAt(text, 1)).toMatchObject({ ns, command, vm: 0 });
});

test.each([
  ['5ms:vm1: device_del dasd0', 1, 'device_del dasd0'],
  ['5ms:vm0:stop', 0, 'stop'],
  ['5ms vm1: stop', 1, 'stop'],
  ['5ms: vm1: console_input vm0: hello', 1, 'console_input vm0: hello'],
  ['5ms:console_input vm1: hello', 0, 'console_input vm1: hello'],
])('%s is for the machine that it names', (text, vm, command) => {
  expect(parseAt(text, 2)).toEqual({ ns: 5e6, time: '5ms', vm, command });
});

test.each([
  ['5:quit', /not understood; give TIME:COMMAND/],
  ['5ms', /not understood/],
  ['5ms:', /not understood/],
  ['-5ms:quit', /not understood/],
  ['5min:quit', /not understood/],
  ['5ms:fly', /--at 5ms:fly: unknown command 'fly'/],
  ['5ms:device_del', /device_del: ID is missing: device_del ID$/],
  ['5ms:quit now', /quit: unexpected 'now': quit$/],
  ['5ms quit', /not understood; give TIME:COMMAND/],
  ['5ms:vm2: quit', /^--at 5ms:vm2: quit: vm2: there are machines 0 to 1$/],
  ['5ms:vm1: fly', /^--at 5ms:vm1: fly: unknown command 'fly'/],
  ['5ms:vm1:', /: unknown command ''/],
  [
    '5ms:vm 1',
    /^--at 5ms:vm 1: vm: chooses for lines that are typed; begin the command with the machine instead: vm1: stop$/,
  ],
])('%s is refused before the machine is started', (text, message) => {
  expect(() => parseAt(text, 2)).toThrow(message);
});

test('commands come at their times, of equal times in the order given; a late one at once', () => {
  const simulation = new Simulation(1);
  const actor = simulation.actor('vmm');
  const shown: string[] = [];
  const times: number[] = [];
  const monitor = {
    *execute(line: string) {
      times.push(simulation.now);
      if (line === 'a') actor.consume(2e6);
      return `<${line}>\n`;
    },
  } as unknown as Monitor;
  const commands = [
    { ns: 3e6, time: '3ms', command: 'late' },
    { ns: 1e6, time: '1ms', command: 'a' },
    { ns: 1e6, time: '1ms', command: 'b' },
    { ns: 2e6, time: '2ms', command: 'c' },
  ];
  actor.spawn(
    'at',
    timedCommands(actor, monitor, commands, (text) => shown.push(text)),
  );
  simulation.run(() => shown.length === 8, 100);
  expect(shown).toEqual(
    ['a', 'b', 'c', 'late'].flatMap((c, i) => [`(minivisor ${['1ms', '1ms', '2ms', '3ms'][i]}) ${c}\n`, `<${c}>\n`]),
  );
  expect(times.map((t) => Math.floor(t / 1e6))).toEqual([1, 3, 3, 3]);
});
