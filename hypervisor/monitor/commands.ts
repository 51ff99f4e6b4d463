/** The monitor's commands as a table, with the names and habits of QEMU's human monitor. */
import type { PluggedDevice } from '../../devices/virtual/s390x/subchannel.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { matchTrace } from '../../kernel/lib/trace.ts';
import { DEVICE_MODELS, parseDevice } from './device_options.ts';
import { SUBJECTS } from './info.ts';
import { MonitorError, NO_SESSION, NOT_READ } from './monitor_error.ts';
import type { MonitorTarget, Unplugged } from './target.ts';

export interface MonitorCommand {
  readonly name: string;
  readonly alias?: readonly string[];
  /** Words that follow it, for help; each is needed unless it is in brackets. */
  readonly parameters: readonly string[];
  /** True: what follows the name is one parameter, blanks and all. */
  readonly verbatim?: true;
  readonly help: string;
  /** False: it is carried out whatever other command is under way. */
  readonly alone?: false;
  /** @param words the parameters, at most as many as there are names. @returns what is shown. @throws MonitorError, Errno, Error */
  readonly handler: (target: MonitorTarget, words: readonly string[]) => Task<string>;
}

const SYSFS = '/sys/';

export const COMMANDS: readonly MonitorCommand[] = [
  { name: 'help', alias: ['?'], parameters: ['[COMMAND]'], help: 'lists the commands, or explains one', handler: help },
  {
    name: 'info',
    parameters: ['[SUBJECT]'],
    help: 'shows something of the machine; without subject lists them',
    handler: info,
  },
  {
    name: 'vm',
    parameters: ['[N]'],
    help: "makes virtual machine N the one that the lines after this go to; 'vm1: COMMAND' is for machine 1 by itself",
    // The session's (session.ts), which alone knows what lines come after.
    *handler() {
      throw new MonitorError(NO_SESSION);
    },
  },
  {
    name: 'device_add',
    parameters: ['DEVICE'],
    help: `plugs a device: ${DEVICE_MODELS.map(({ driver, form }) => `${driver},${form}`).join(' or ')}; device_add help lists all keys`,
    *handler(target, [text]) {
      if (text === 'help' || DEVICE_MODELS.some(({ driver }) => text === `${driver},help`)) return deviceHelp(text);
      const request = parseDevice(text);
      if (request.driver === 'vfio-pci') yield* target.plugPci(request.options);
      else yield* target.plug(request.options);
      return '';
    },
  },
  {
    name: 'device_del',
    parameters: ['ID'],
    help: 'unplugs a device; what runs on it is ended, or a guest that hears of PCI hot plug is asked to release it',
    *handler(target, [id]) {
      const unplug = unplugOf(target, id);
      if (unplug === undefined) throw new MonitorError(`no device '${id}'; info qtree lists them`);
      const outcome = yield* unplug();
      if (outcome === false) throw new MonitorError(`device '${id}' is unplugged already`);
      return outcome === 'asked'
        ? `device '${id}': the guest is asked to release it; info drc shows how far it is\n`
        : '';
    },
  },
  {
    name: 'sysfs_read',
    parameters: ['PATH'],
    help: 'shows an attribute, a link or a directory of the host',
    alone: false,
    *handler({ machine }, [path]) {
      return yield* readSysfs(machine.sys, sysfsPath(path));
    },
  },
  {
    name: 'sysfs_write',
    parameters: ['PATH', 'VALUE'],
    help: 'writes an attribute of the host: /sys/devices/css0/chp0.80/status offline',
    // The host may wait for something that only another command gives: a device that has to be unplugged.
    alone: false,
    *handler({ machine }, [path, value]) {
      yield* machine.sys.writeFile(sysfsPath(path), value);
      return '';
    },
  },
  {
    name: 'trace-event',
    parameters: ['GLOB', 'on|off'],
    help: 'records events from now on, or no longer',
    *handler(target, [glob, state]) {
      if (state !== 'on' && state !== 'off') throw new MonitorError(`'${state}': give on or off`);
      if (matchTrace(glob).length === 0)
        throw new MonitorError(`'${glob}' matches no event; minivisor boot --trace help lists them`);
      target.trace(glob, state === 'on');
      return '';
    },
  },
  {
    name: 'console_input',
    parameters: ['[TEXT]'],
    verbatim: true,
    help: "types a line at the guest's console",
    *handler(target, [text = '']) {
      if (!(yield* target.type(`${text}\n`))) throw new MonitorError(NOT_READ);
      return '';
    },
  },
  {
    name: 'stop',
    parameters: [],
    help: 'stops every CPU',
    *handler(target) {
      return (yield* target.stop()) ? '' : 'the machine is stopped already\n';
    },
  },
  {
    name: 'cont',
    alias: ['c'],
    parameters: [],
    help: 'lets the CPUs go on',
    *handler(target) {
      return (yield* target.cont()) ? '' : 'the machine runs already\n';
    },
  },
  {
    name: 'system_reset',
    parameters: [],
    help: 'resets the machine and loads the guest anew',
    *handler(target) {
      yield* target.reset();
      return '';
    },
  },
  {
    name: 'quit',
    alias: ['q'],
    parameters: [],
    help: 'ends the run, with exit status 0; of several machines only this one, and the others go on',
    alone: false,
    *handler(target) {
      target.quit();
      return '';
    },
  },
];

/** A line as a command's name and its parameters. */
export function wordsOf(line: string): { readonly name: string; readonly words: readonly string[] } {
  const [, name, rest] = /^\s*(\S*)\s?(.*)$/s.exec(line) as RegExpExecArray;
  const verbatim = COMMANDS.some((row) => row.name === name && row.verbatim === true);
  if (verbatim) return { name, words: rest === '' ? [] : [rest] };
  return { name, words: rest.split(/\s+/).filter((word) => word !== '') };
}

/** @throws MonitorError */
export function findCommand(name: string): MonitorCommand {
  const command = COMMANDS.find((row) => row.name === name || row.alias?.includes(name) === true);
  if (command === undefined) throw new MonitorError(`unknown command '${name}'; help lists the commands`);
  return command;
}

const usage = ({ name, parameters }: MonitorCommand) => [name, ...parameters].join(' ');

/** Checks the number of words. @throws MonitorError */
export function checkWords(command: MonitorCommand, words: readonly string[]): void {
  const { parameters, name } = command;
  const needed = parameters.filter((parameter) => !parameter.startsWith('[')).length;
  if (words.length < needed)
    throw new MonitorError(`${name}: ${parameters[words.length]} is missing: ${usage(command)}`);
  if (words.length > parameters.length)
    throw new MonitorError(`${name}: unexpected '${words[parameters.length]}': ${usage(command)}`);
}

/** All commands, one line each. */
export function commandsHelp(): string {
  return COMMANDS.map((row) => `${usage(row)} -- ${row.help}\n`).join('');
}

function* help(_: MonitorTarget, [name]: readonly string[]): Task<string> {
  if (name === undefined) return commandsHelp();
  const row = findCommand(name);
  return `${usage(row)} -- ${row.help}\n${name === 'info' ? subjectsHelp() : ''}`;
}

function subjectsHelp(): string {
  return SUBJECTS.map((row) => `info ${row.name} -- ${row.help}\n`).join('');
}

function* info(target: MonitorTarget, [name]: readonly string[]): Task<string> {
  if (name === undefined) return subjectsHelp();
  const subject = SUBJECTS.find((row) => row.name === name);
  if (subject === undefined) throw new MonitorError(`info: unknown subject '${name}'; info alone lists them`);
  return yield* subject.show(target);
}

/** @param text `help` for every model, or `vfio-pci,help` */
function deviceHelp(text: string): string {
  return DEVICE_MODELS.filter(({ driver }) => text === 'help' || text === `${driver},help`)
    .map(
      ({ driver, keys }) => `${driver} properties:\n${keys.map(({ name, help }) => `  ${name}=  ${help}\n`).join('')}`,
    )
    .join('');
}

/** How the device with an id is unplugged; undefined when there is none. */
function unplugOf(target: MonitorTarget, id: string): (() => Task<Unplugged>) | undefined {
  const device = plugged(target.css.subchannels()).find((one) => one.id === id);
  if (device !== undefined) return () => device.unplug();
  for (const phb of target.phbs) {
    const found = phb.devices().find((one) => one.id === id);
    if (found !== undefined) return () => target.unplugPci(phb, found);
  }
  return undefined;
}

function plugged(
  subchannels: Iterable<{ readonly operations: { readonly plugged?: PluggedDevice } }>,
): PluggedDevice[] {
  return [...subchannels].flatMap(({ operations }) => (operations.plugged === undefined ? [] : [operations.plugged]));
}

/** @throws MonitorError for a path that is not below /sys */
function sysfsPath(path: string): string {
  if (!path.startsWith(SYSFS)) throw new MonitorError(`'${path}': give a path below ${SYSFS}`);
  return path;
}

/** What a node of sysfs holds: a link's target, a directory's names, an attribute's text. @throws Errno */
function* readSysfs(sys: MonitorTarget['machine']['sys'], path: string): Task<string> {
  const kinds = [
    function* () {
      return `-> ${yield* sys.readlink(path)}`;
    },
    function* () {
      return (yield* sys.readdir(path)).join('\n');
    },
  ];
  for (const kind of kinds) {
    try {
      return `${yield* kind()}\n`;
    } catch (error) {
      // Not of this kind; whatever else is wrong is wrong with the last way too.
      if (!(error instanceof Errno)) throw error;
    }
  }
  return `${yield* sys.readFile(path)}\n`;
}
