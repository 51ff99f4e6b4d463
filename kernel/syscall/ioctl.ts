/**
 * ioctl dispatch by table: a driver gives one row per command, and the rules that all VFIO and KVM commands share
 * (copying, `argsz`, unknown flags) are applied here once (vfio-tce facts 1.1). Errnos of a handler are checked against
 * its command's row.
 */
import { Errno } from '../include/uapi/errno.ts';
import type { Ioctl } from '../include/uapi/ioctl.ts';
import type { AddressSpace } from '../lib/address_space.ts';
import type { Fields, Struct, View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';

/**
 * A row's handler: what it returns, or the task that will. `view` is a private copy of the argument structure; with a
 * plain value it is absent.
 */
// biome-ignore lint/suspicious/noExplicitAny: one table mixes structures
export type IoctlHandler = (arg: number, view: any) => number | Task<number>;

/** One command a file understands. */
export interface IoctlRow {
  readonly ioctl: Ioctl;
  readonly handler: IoctlHandler;
  /** Copies of the argument structure that no call uses now. */
  readonly copies: ArgumentCopy[];
}

/** Builds a row; the handler's second parameter is typed by the command's structure. */
export function row<F extends Fields>(
  ioctl: Ioctl<F>,
  handler: (arg: number, view: View<F>) => number | Task<number>,
): IoctlRow {
  return { ioctl: ioctl as unknown as Ioctl, handler, copies: [] };
}

/** What dispatch needs of the kernel (`Kernel` has it): the caller's memory, and where bugs are told. */
export interface IoctlHost {
  readonly mm: { readonly space: AddressSpace };
  readonly log: (line: string) => void;
}

/** What a line about a bug of this kernel begins with, as in Linux (lib/bug.c). Tests fail when one is logged. */
export const BUG = 'BUG: ';

/** Makes the `ioctl` operation of a file from its rows. Unknown commands go to `otherwise` or fail with ENOTTY. */
export function ioctlOperation(
  host: IoctlHost,
  rows: readonly IoctlRow[],
  otherwise?: (command: number, arg: number) => Task<number>,
): (command: number, arg: number) => Task<number> {
  const table = new Map(rows.map((r) => [r.ioctl.number, r]));
  return (command, arg) => {
    const found = table.get(command);
    if (found !== undefined) return invoke(host, found, arg);
    if (otherwise !== undefined) return otherwise(command, arg);
    throw new Errno('ENOTTY', `ioctl 0x${command.toString(16)}`);
  };
}

/** One generator for a whole call, where there could be four: these are in the path of every exit to the VMM. */
function* invoke(host: IoctlHost, row: IoctlRow, arg: number): Task<number> {
  const { ioctl, handler, copies } = row;
  const { space } = host.mm;
  // A call that is over gives its copy to the next one of the same row; calls that overlap have copies of their own.
  let handling = false;
  const copy = ioctl.struct === undefined ? undefined : (copies.pop() ?? new ArgumentCopy(ioctl));
  try {
    if (copy !== undefined) {
      if (copy.optional) copy.all.fill(0);
      // Read once: a caller that changes its memory meanwhile gains nothing.
      if (!space.tryCopy(arg, copy.mandatory, false)) yield* space.copy(arg, copy.mandatory, false);
      checkArgument(ioctl, copy.view);
    }
    handling = true;
    const answer = handler(arg, copy?.view);
    const result = typeof answer === 'number' ? answer : yield* answer;
    handling = false;
    if (ioctl.out && copy !== undefined && !space.tryCopy(arg, copy.mandatory, true))
      yield* space.copy(arg, copy.mandatory, true);
    return result;
  } catch (error) {
    // The handler's: a bug of the kernel. The caller gets it all the same.
    if (handling && error instanceof Errno && !ioctl.errnos.includes(error.code))
      host.log(`${BUG}ioctl ${ioctl.name} gave ${error.code}, which its row does not list (${error.message})`);
    throw error;
  } finally {
    if (copy !== undefined) copies.push(copy);
  }
}

/** The rules that all commands share. @throws Errno EINVAL */
function checkArgument(ioctl: Ioctl, view: View<Fields>): void {
  if (ioctl.argsz && (view.argsz as number) < ioctl.minsz)
    throw new Errno('EINVAL', `${ioctl.name}: argsz ${view.argsz}`);
  if (ioctl.flags !== undefined && ((view.flags as number) & ~ioctl.flags) !== 0)
    throw new Errno('EINVAL', `${ioctl.name}: flags 0x${(view.flags as number).toString(16)}`);
}

/** The kernel's private copy of an argument structure. */
class ArgumentCopy {
  // biome-ignore lint/suspicious/noExplicitAny: fields of any structure
  readonly view: View<any>;
  readonly all: Uint8Array;
  /** Up to the end of the last mandatory field: what is copied in and out. */
  readonly mandatory: Uint8Array;
  /** Whether there are more. */
  readonly optional: boolean;
  constructor({ struct, minsz }: Ioctl) {
    this.view = (struct as Struct<Fields>).make();
    this.all = (struct as Struct<Fields>).bytes(this.view);
    this.mandatory = this.all.subarray(0, minsz);
    this.optional = this.mandatory.length < this.all.length;
  }
}
