import { beforeEach, expect, test } from 'vitest';
import { FakeMachine } from '../../devices/virtual/fake_machine.ts';
import { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { addFakeDevice } from '../../devices/virtual/s390x/fake_device.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import { sleep, type Task, until } from '../../kernel/lib/task.ts';
import { VM_STATE } from '../../kernel/lib/vm_state.ts';
import type { MachineConfig } from '../config.ts';
import { COMMANDS } from './commands.ts';
import { SUBJECTS } from './info.ts';
import { Monitor, PATIENCE_NS } from './monitor.ts';
import type { MonitorTarget, PlugOptions } from './target.ts';

let machine: FakeMachine;
let css: ChannelSubsystem;
let done: string[];
let running: boolean;
let plug: (options: PlugOptions) => Task;
let monitor: Monitor;

beforeEach(() => {
  machine = new FakeMachine();
  css = new ChannelSubsystem(machine);
  done = [];
  running = true;
  plug = function* (options) {
    done.push(`plug ${JSON.stringify(options)}`);
  };
  const turn = (on: boolean) =>
    (function* () {
      const changed = running !== on;
      running = on;
      return changed;
    })();
  const target: MonitorTarget = {
    machine,
    css,
    phbs: [],
    config: {} as MachineConfig,
    exits: () => ({
      rows: [{ name: 'SSCH', samples: 7, sum: 7000, squares: 7e6, min: 1000, max: 1000 }],
      inKernel: { real: 5, virtual: 3 },
    }),
    systemCalls: 11,
    get running() {
      return running;
    },
    vms: () => [{ guest: 'toy', memory: 2 ** 27, cpus: 1, state: running ? VM_STATE.RUNNING : VM_STATE.PAUSED }],
    cpus: () => [{ address: 0, operating: running, psw: '0 1' }],
    stop: () => turn(false),
    cont: () => turn(true),
    *reset() {
      done.push('reset');
    },
    quit: () => done.push('quit'),
    *type(text) {
      done.push(`type ${text}`);
      return text !== 'full\n';
    },
    plug: (options) => plug(options),
    *plugPci(options) {
      done.push(`plugPci ${JSON.stringify(options)}`);
    },
    *unplugPci() {
      return true;
    },
    trace(pattern, on) {
      done.push(`trace ${pattern} ${on}`);
      return 1;
    },
    traced: () => ['css_crw', 'iop_start'],
  };
  monitor = new Monitor(target);
});
const say = (line: string) => machine.run(monitor.execute(line));

/** A device that can be unplugged. */
function device(id: string, unplug: () => Task<boolean> = unplugged) {
  const { sch } = addFakeDevice(css);
  Object.assign(sch.operations, {
    plugged: { id, driver: 'vfio-ccw', describe: () => ({ host: '0.0.0007', fd: '9' }), unplug },
  });
  return sch;
}
function* unplugged(): Task<boolean> {
  done.push('unplugged');
  return true;
}

test('help lists every command, explains one, and info lists every subject', () => {
  const all = say('help');
  for (const { name } of COMMANDS) expect(all).toMatch(new RegExp(`^${name}\\b.* -- `, 'm'));
  expect(say('? device_del')).toBe(
    'device_del ID -- unplugs a device; what runs on it is ended, or a guest that hears of PCI hot plug is asked to release it\n',
  );
  for (const { name } of SUBJECTS)
    for (const line of ['info', 'help info']) expect(say(line)).toContain(`info ${name} -- `);
});

test.each([
  ['fly', "unknown command 'fly'; help lists the commands"],
  ['help fly', "unknown command 'fly'; help lists the commands"],
  ['info weather', "info: unknown subject 'weather'; info alone lists them"],
  ['device_del', 'device_del: ID is missing: device_del ID'],
  ['device_del a b', "device_del: unexpected 'b': device_del ID"],
  ['device_del dasd9', "no device 'dasd9'; info qtree lists them"],
  ['device_add', 'device_add: DEVICE is missing: device_add DEVICE'],
  ['device_add e1000', "'e1000' is no device model here; give vfio-ccw,... or vfio-pci,..."],
  ['sysfs_read /dev/kvm', "'/dev/kvm': give a path below /sys/"],
  ['sysfs_read /sys/nothing', 'ENOENT'],
  ['sysfs_write /sys/a', 'sysfs_write: VALUE is missing: sysfs_write PATH VALUE'],
  ['trace-event css_crw maybe', "'maybe': give on or off"],
  ['trace-event nothing_* on', "'nothing_*' matches no event"],
  ['quit now', "quit: unexpected 'now': quit"],
  ['constructor', "unknown command 'constructor'"],
  ['vm 1', 'vm: chooses for lines that are typed; begin the command with the machine instead: vm1: stop'],
])('%s is refused in one sentence', (line, message) => {
  const answer = say(line);
  expect(answer).toContain(message);
  expect(answer).toMatch(/^Error: [^\n]+\n$/);
  expect(done).toEqual([]);
});

test('an empty line does nothing', () => {
  expect([say(''), say('   ')]).toEqual(['', '']);
});

test('a device is unplugged by its name; one that is gone meanwhile is told of', () => {
  device('dasd0');
  expect(say('device_del dasd0')).toBe('');
  expect(done).toEqual(['unplugged']);
  device('dasd1', function* () {
    return false;
  });
  expect(say('device_del dasd1')).toBe("Error: device 'dasd1' is unplugged already\n");
});

test('a device is plugged with its options; what the kernel or the device refuses is told', () => {
  expect(say('device_add vfio-ccw,drive=1,devno=fe.0.0191')).toBe('');
  expect(done).toEqual(['plug {"id":"dasd1","from":{"drive":1},"devno":401,"ssid":0,"forceOrbPfch":false}']);
  plug = function* () {
    throw new Errno('EBUSY', 'open /dev/vfio/7');
  };
  expect(say('device_add vfio-ccw,drive=1')).toMatch(/^Error: open \/dev\/vfio\/7: EBUSY/);
  plug = function* () {
    throw new Error('device number fe.0.0190 is in use: choose another devno=');
  };
  expect(say('device_add vfio-ccw,drive=1')).toBe('Error: device number fe.0.0190 is in use: choose another devno=\n');
  expect(say('device_add vfio-ccw,help')).toContain('force-orb-pfch=');
  expect(say('device_add vfio-pci,help')).toMatch(/^vfio-pci properties:\n(.|\n)*host=/);
  expect(say('device_add help')).toMatch(/vfio-ccw properties:(.|\n)*vfio-pci properties:/);
});

test('a bug is no refusal: it ends the run', () => {
  plug = function* () {
    throw new TypeError('undefined is not a function');
  };
  expect(() => say('device_add vfio-ccw,drive=1')).toThrow(TypeError);
});

test('info shows subchannels, devices, paths, exits, events and whether the machine runs', () => {
  expect(say('info subchannels')).toBe('no subchannels\n');
  expect(say('info chp')).toBe('no channel paths\n');
  const sch = device('dasd0');
  Object.assign(sch.schib.pmcw, { pim: 0x80, pam: 0x80, pom: 0xff, chpid: Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0) });
  sch.schib.scsw.ctrl = 0x6007;
  css.paths.set(0x80, { type: 0x1b, isVirtual: false });
  css.paths.set(0x33, { type: 0x32, isVirtual: true });
  machine.kernel.files.set('/sys/devices/css0/chp0.80/status', 'online');
  machine.kernel.files.set('/proc/self/status', 'Name:\tx\nVmLck:\t      12 kB');
  expect(say('info subchannels').split('\n').at(-2)).toMatch(
    /0\.0\.1234 +0\.0\.0000 +dasd0 +yes +80 +80 +ff +8000000000000000 +halt\+start\+status$/,
  );
  expect(say('info qtree')).toBe(
    'bus: virtual-css-bus (css fe)\n  dev: vfio-ccw, id "dasd0"\n    host = 0.0.0007\n    fd = 9\n',
  );
  expect(say('info vfio')).toBe('dasd0:\n  host: 0.0.0007\n  fd: 9\nlocked memory, pinned pages included: 12 kB\n');
  expect(say('info chp')).toMatch(/0\.33 +32 +virtual *\n +0\.80 +1b +online +ENOENT +0\.0\.0000\n$/);
  expect(say('info exits')).toMatch(/ SSCH +7 +100.00% .*5 real mode, 3 virtual mode\n.* calls .*: 11\n$/s);
  expect(say('info trace-events')).toBe('css_crw\niop_start\n');
  expect(say('info status')).toBe('VM status: running\n  cpu 0: operating, PSW at its last exit 0 1\n');
});

test('stop, cont, system_reset, trace-event and quit reach the machine', () => {
  expect([say('stop'), say('stop'), say('info status')]).toEqual([
    '',
    'the machine is stopped already\n',
    'VM status: paused\n  cpu 0: stopped, PSW at its last exit 0 1\n',
  ]);
  expect(say('info vms').split('\n').at(-2)).toBe('  vm0      paused  128 MiB     1  toy');
  expect([say('c'), say('cont')]).toEqual(['', 'the machine runs already\n']);
  say('system_reset');
  say('trace-event css_* on');
  say('trace-event css_* off');
  say('q');
  expect(done).toEqual(['reset', 'trace css_* true', 'trace css_* false', 'quit']);
});

test('sysfs is read and written', () => {
  machine.kernel.files.set('/sys/devices/css0/chp0.80/type', '1b');
  machine.kernel.links.set('/sys/bus/css/devices/0.0.0000', '../../../devices/css0/0.0.0000');
  expect(say('sysfs_read /sys/devices/css0/chp0.80/type')).toBe('1b\n');
  expect(say('sysfs_read /sys/bus/css/devices/0.0.0000')).toBe('-> ../../../devices/css0/0.0.0000\n');
  expect(say('sysfs_write /sys/devices/css0/chp0.80/status offline')).toBe('');
  expect(machine.kernel.calls.at(-1)).toBe('write /sys/devices/css0/chp0.80/status offline');
});

test('commands are carried out one at a time', () => {
  const order: string[] = [];
  plug = function* () {
    order.push('begin');
    for (let i = 0; i < 5; i++) yield { what: 'work', ready: () => true };
    order.push('end');
  };
  let ended = 0;
  for (let i = 0; i < 2; i++)
    machine.actor.spawn(
      `command ${i}`,
      (function* (): Task {
        yield* monitor.execute('device_add vfio-ccw,drive=0');
        ended++;
      })(),
    );
  machine.runUntil(() => ended === 2);
  expect(order).toEqual(['begin', 'end', 'begin', 'end']);
});

test('a command that does not end leaves the monitor to others: quit, and what it waits for', () => {
  let released = false;
  machine.sys.writeFile = function* (path) {
    yield* until('a descriptor to be closed', () => released);
    done.push(`written ${path}`);
  };
  device('dasd0', function* () {
    released = true;
    return true;
  });
  const goesOn = /^sysfs_write: goes on, its answer comes with a later command's; quit ends the run at once\n$/;
  expect(say('sysfs_write /sys/a/unbind 0.0.0000')).toMatch(goesOn);
  expect(machine.simulation.now).toBeGreaterThanOrEqual(PATIENCE_NS);
  expect(say('info status')).toMatch(/^VM status: running/);
  expect(say('device_del dasd0')).toBe('');
  machine.runUntil(() => done.length > 0);
  expect(say('cont')).toBe('(sysfs_write /sys/a/unbind 0.0.0000: has ended)\nthe machine runs already\n');
});

test('what became of a device that no command waits for is told before the next answer, once', () => {
  monitor.note('nic0: the guest has released it');
  expect([say('info status').split('\n')[0], say('')]).toEqual(['(nic0: the guest has released it)', '']);
});

test('quit does not wait for a command that changes the machine; another such command does', () => {
  let released = false;
  plug = function* () {
    while (!released) yield* sleep(machine.actor, 1e6);
    throw new Errno('EBUSY', 'open /dev/vfio/7');
  };
  const began = machine.simulation.now;
  expect(say('device_add vfio-ccw,drive=0')).toContain('device_add: goes on');
  expect(machine.simulation.now - began).toBeLessThan(PATIENCE_NS + 2e6);
  expect(say('stop')).toContain('stop: goes on');
  expect(running).toBe(true);
  say('quit');
  expect(done).toEqual(['quit']);
  released = true;
  machine.runUntil(() => !running);
  expect(say('')).toMatch(/^\(device_add .*: has ended\)\nError: open \/dev\/vfio\/7: EBUSY/);
});

test('a line is typed at the console as it stands, and again when the guest has read', () => {
  expect([say('console_input  two  blanks '), say('console_input')]).toEqual(['', '']);
  expect(done).toEqual(['type  two  blanks \n', 'type \n']);
  expect(say('console_input full')).toMatch(/^Error: the guest has not read .*\n$/);
});
