/** `vm=` of --nic, --drive and --device: which virtual machine a device of the host is for. */
import { UserError } from '../user_error.ts';
import { machinesThere } from '../vms.ts';

/** Numbers of virtual machines, as `vm=0` gives them. @param several `0:1` is allowed. @throws UserError */
export function readVmNumbers(option: string, text: string | undefined, count: number, several: boolean): number[] {
  if (text === undefined) return [0];
  const numbers = text.split(':').map((part) => (/^\d$/.test(part) ? Number(part) : Number.NaN));
  const form = several ? 'a number, or two with a colon for a device that both want' : 'a number';
  if (numbers.some(Number.isNaN) || (!several && numbers.length > 1) || new Set(numbers).size !== numbers.length)
    throw new UserError(`--${option} vm=${text}: not understood; give ${form}`);
  const missing = numbers.find((number) => number >= count);
  if (missing === undefined) return numbers;
  throw new UserError(`--${option} vm=${text}: ${machinesThere(count)}; give --vm once for each further one`);
}
