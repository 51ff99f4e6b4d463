/**
 * `--drive fault=KIND[@RATE][/after=N][/times=N][/ns=N|/us=N|/ms=N]`: one fault hook of a device. `fault=busy@0.01/ms=2`
 * makes one program in a hundred find the device busy for 2 ms; `fault=path-lost/after=100/times=1` takes its path away
 * at the 101st selection.
 */
import { FAULT_KIND_TABLE, FAULT_KINDS, type FaultConfig, type FaultKind } from '../../kernel/include/fault_kinds.ts';
import { NS_OF_UNIT, type TimeUnit } from '../time_units.ts';
import { UserError } from '../user_error.ts';

/** For help: the form of the value. */
export const FAULT_FORM = 'KIND[@RATE][/after=N][/times=N][/ns=N|/us=N|/ms=N]';

/** An hour: no device is slower. */
const MAX_NS = 3600e9;

/** The kinds, one line each, for `--drive help`. */
export function faultKindsHelp(): string {
  const width = Math.max(...FAULT_KINDS.map((kind) => kind.length));
  return [
    'fault kinds (RATE is the probability of each command, or of each program, 1 when omitted; after=N spares the first',
    'N, times=N ends it after N strikes):',
    ...FAULT_KINDS.map((kind) => {
      const { moment, meaning } = FAULT_KIND_TABLE[kind];
      return `  ${kind.padEnd(width)}  ${moment === 'program' ? 'program' : 'command'}  ${meaning}`;
    }),
    '',
  ].join('\n');
}

/** @throws UserError naming what was not understood */
export function parseFault(text: string): FaultConfig {
  const bad = (found: string, remedy: string) => new UserError(`--drive fault=${text}: ${found}; ${remedy}`);
  const [head, ...words] = text.split('/');
  const [kind, rateText, ...rest] = head.split('@');
  if (!Object.hasOwn(FAULT_KIND_TABLE, kind))
    throw bad(`no fault is called '${kind}'`, `give one of ${FAULT_KINDS.join(', ')}`);
  const rate = rateText === undefined ? 1 : Number(rateText);
  if (rest.length > 0 || (rateText !== undefined && !/^[\d.e+-]+$/i.test(rateText)) || !(rate >= 0 && rate <= 1))
    throw bad(`rate '${head.slice(kind.length + 1)}'`, 'give a probability from 0 to 1');
  const fault: { -readonly [K in keyof FaultConfig]: FaultConfig[K] } = { kind: kind as FaultKind, rate };
  for (const word of words) {
    const [, key, digits] = /^(after|times|ns|us|ms)=(\d+)$/.exec(word) ?? [];
    if (key === undefined) throw bad(`'${word}' is not understood`, `the form is ${FAULT_FORM}`);
    const name = key === 'after' || key === 'times' ? key : 'ns';
    if (fault[name] !== undefined) throw bad(`'${word}' after another ${name === 'ns' ? 'time' : name}`, 'give one');
    if (!Number.isSafeInteger(Number(digits))) throw bad(`'${word}' is out of range`, 'give less');
    fault[name] = Number(digits) * (name === 'ns' ? NS_OF_UNIT[key as TimeUnit] : 1);
  }
  if (fault.ns !== undefined && !('ns' in FAULT_KIND_TABLE[fault.kind]))
    throw bad(`${kind} takes no time`, 'leave it out');
  if ((fault.ns ?? 0) > MAX_NS) throw bad('longer than an hour', 'give less');
  return fault;
}
