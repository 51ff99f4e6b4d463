/** `minivisor ioctls`: prints the ioctl table that the host kernel dispatches by. */
import type { Ioctl } from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/ioctl.ts';
import { UserError } from '../user_error.ts';
import type { Command } from './commands.ts';
import { parseOptions } from './options.ts';
import { table } from './table.ts';

/** Type and number of a command, without direction and size (`_IOC_TYPE`, `_IOC_NR`): the order of the headers. */
const TYPE_AND_NUMBER = 0xffff;

/** The rows whose name contains `part`, in the order of the headers. */
function select(part: string): Ioctl[] {
  return Object.values<Ioctl>(uapi)
    .filter(({ name }) => name.includes(part.toUpperCase()))
    .sort((a, b) => (a.number & TYPE_AND_NUMBER) - (b.number & TYPE_AND_NUMBER));
}

function cells({ number, name, on, direction, struct, argument, errnos }: Ioctl): string[] {
  const points = struct === undefined ? (argument ?? '') : `${struct.name} (${struct.size})`;
  return [
    `0x${number.toString(16)}`,
    name,
    on,
    direction === 'none' ? '' : direction,
    points,
    errnos.length === 0 ? '-' : errnos.join(' '),
  ];
}

/** The printed table. @param part of the names to show; all rows when empty */
export function ioctlTable(part = ''): string {
  return table(['number', 'name', 'on', 'direction', 'argument (bytes)', 'errnos'], select(part).map(cells), '><<<<<');
}

export const ioctls: Command = {
  name: 'ioctls',
  summary: 'lists the ioctls of the host kernel, with their structures and errnos',
  help: () =>
    [
      'usage: minivisor ioctls [PART]',
      '',
      '  PART  only commands with this in their names, such as dma or KVM_CREATE',
      '',
      '  number     the command as ioctl(2) takes it',
      '  on         the descriptors that take it; type1 and spapr are containers with that IOMMU set',
      '  direction  in: the kernel reads the argument through the pointer; in out: it writes it back too;',
      '             value: the argument is no pointer',
      '  errnos     what the command itself can fail with, - for nothing. Beyond these every structure can give EFAULT',
      '             (bad pointer) and one that begins with argsz EINVAL (argsz too small, unknown flags), and every',
      '             descriptor gives EBADF when it is not open and ENOTTY for a command that it does not take (EINVAL a',
      '             container without an IOMMU set).',
      '',
    ].join('\n'),
  async run(words) {
    const { rest } = parseOptions('ioctls', [], words);
    const [part = '', ...more] = rest;
    if (more.length > 0) throw new UserError(`ioctls ${rest.join(' ')}: give one part of a name, or none`);
    if (select(part).length === 0)
      throw new UserError(`ioctls ${part}: no command has this in its name; minivisor ioctls lists them all`);
    process.stdout.write(ioctlTable(part));
    return 0;
  },
};
