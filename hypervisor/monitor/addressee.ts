/** Which virtual machine a line of the monitor is for: `vm1: info status`, as console lines of several machines begin. */
import { machinesThere } from '../vms.ts';
import { MonitorError } from './monitor_error.ts';

export interface Addressed {
  /** Number of the machine that the line names; undefined when it names none. */
  readonly vm: number | undefined;
  /** The rest of the line, blanks and all but the one behind the colon. */
  readonly command: string;
}

/** Takes the machine's name off a line. @param count machines of the host. @throws MonitorError when it is not one of them */
export function addressee(line: string, count: number): Addressed {
  const match = /^\s*vm(\d+):\s?(.*)$/s.exec(line);
  if (match === null) return { vm: undefined, command: line };
  const [, number, command] = match;
  return { vm: vmNumber(number, count), command };
}

/** A machine's number as a user writes it. @throws MonitorError when there is no such machine */
export function vmNumber(text: string, count: number): number {
  if (!/^\d+$/.test(text)) throw new MonitorError(`vm ${text}: not understood; give a machine's number, vm 0`);
  const vm = Number(text);
  if (vm >= count) throw new MonitorError(`vm${text}: ${machinesThere(count)}`);
  return vm;
}
