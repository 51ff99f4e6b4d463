/** `--console`: where the lines come from that are typed at a guest's console, and at which machine's. */
import { UserError } from '../user_error.ts';
import { asksHelp, HelpRequested, type OptionRow } from './options.ts';
import { readVmNumbers } from './vm_numbers.ts';

export const CONSOLE_OPTION: OptionRow = {
  name: 'console',
  kind: 'text',
  value: 'PLACE',
  default: 'output',
  help: "stdio: lines of standard input are typed at the guest's console (SCLP), of several machines at the first one's, or with stdio,vm=1 at that one's; output: the guest gets none",
};

/** Number of the machine that standard input is typed at; undefined when it is not. @throws UserError, HelpRequested */
export function readConsolePlace(text: string, count: number): number | undefined {
  if (asksHelp(text)) throw new HelpRequested(`--console: ${CONSOLE_OPTION.help}\n`);
  if (text === 'output') return undefined;
  const match = /^stdio(?:,vm=(.*))?$/.exec(text);
  if (match === null)
    throw new UserError(`--console ${text}: unknown value; give output, stdio, or stdio,vm=N for machine N`);
  return readVmNumbers('console', match[1], count, false)[0];
}
