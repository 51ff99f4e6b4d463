/** `--vm`: a virtual machine beside the first, on the same host; what it does not say is as for the first. */
import { UserError } from '../user_error.ts';
import { convertValue, type Keys, type OptionRow, type Values } from './options.ts';
import { GUEST_ROWS, TIER_ROWS } from './vm_rows.ts';

/** Virtual machines that one host runs at most: each takes a thread for its VMM, and one for each CPU. */
const MAX_VMS = 8;

const ROWS = [...GUEST_ROWS, ...TIER_ROWS];
/** A row's key: QEMU's short name where it has one. */
const KEYS: ReadonlyMap<string, OptionRow> = new Map(
  ROWS.map((row) => [row.name === 'cpus' ? 'smp' : row.name, row] as const),
);

export const VM_OPTION: OptionRow = {
  name: 'vm',
  kind: 'keys',
  value: 'KEY=VALUE,...',
  many: true,
  keys: Object.fromEntries([...KEYS].map(([key, { help }]) => [key, help])),
  notes:
    'What is not given is as for the first machine. vm=1 in --nic, --drive and --device gives the device to this one, vm=2 to the next;\n' +
    "its lines on the console begin with 'vm1: ', and so do monitor commands that are for it.\n",
  help: 'a further virtual machine on this host, with a VMM process of its own; its NICs, drives and devices say vm=1',
};

/** The options of every virtual machine, the first one's first. @throws UserError */
export function vmValues(values: Values): Values[] {
  const given = (values.vm as readonly Keys[] | undefined) ?? [];
  if (given.length >= MAX_VMS) throw new UserError(`--vm: ${given.length} of them; a host runs ${MAX_VMS} machines`);
  return [values, ...given.map((keys) => ownValues(values, keys))];
}

function ownValues(values: Values, keys: Keys): Values {
  const own = Object.fromEntries(
    Object.entries(keys).map(([key, text]) => {
      const row = KEYS.get(key) as OptionRow;
      return [row.name, convertValue({ ...row, name: `vm ${key}` }, text as string)];
    }),
  );
  // Another guest is not the first one's, whichever way that was named.
  const guest = own.guest !== undefined || own.kernel !== undefined ? { guest: undefined, kernel: undefined } : {};
  return { ...values, ...guest, ...own };
}
