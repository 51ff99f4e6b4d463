/** What sysfs tells of the host's subchannel behind a mediated device (vfio-ccw facts 2.2, steps 1 and 2). */
import { posix } from 'node:path';
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ChannelSubsystem } from '../s390x/css.ts';
import type { Subchannel } from '../s390x/subchannel.ts';

/** Where a vfio-ccw device is. */
export interface CcwHost {
  /** The mediated device's name: its UUID. */
  readonly uuid: string;
  /** Its directory, every link resolved. */
  readonly directory: string;
  /** The subchannel's directory and bus identification, `0.0.0000`. */
  readonly parent: string;
  readonly busId: string;
  /** Number of the subchannel on the host. */
  readonly schid: number;
}

/** Path masks and channel paths of the host's subchannel. */
export interface CcwPaths {
  readonly pim: number;
  readonly pam: number;
  readonly pom: number;
  readonly chpids: readonly number[];
  /** Type of each channel path in `chpids`; 0 when the host does not say. */
  readonly types: readonly number[];
}

/** Bus identification of a subchannel: css, set, number. */
const BUS_ID = /^([0-9a-f]{1,2})\.([0-3])\.([0-9a-f]{4})$/;

/** Finds the device behind `sysfsdev`. @throws Error naming `sysfsdev` when it is no mediated device of a subchannel */
export function* ccwHost(machine: Machine, sysfsdev: string): Task<CcwHost> {
  const directory = yield* resolve(machine, posix.normalize(sysfsdev).replace(/\/$/, ''));
  const parent = posix.dirname(directory);
  const busId = posix.basename(parent);
  const match = BUS_ID.exec(busId);
  if (match === null)
    throw new Error(
      `vfio-ccw: sysfsdev=${sysfsdev} is no mediated device of a subchannel: its parent is ${busId}, not like 0.0.0000`,
    );
  return { uuid: posix.basename(directory), directory, parent, busId, schid: Number.parseInt(match[3], 16) };
}

/** The same of a subchannel that is a VFIO device itself, as in the 2016 RFC. @throws Error naming `sysfsdev` when it is none */
export function* subchannelHost(machine: Machine, sysfsdev: string): Task<CcwHost> {
  const directory = yield* resolve(machine, posix.normalize(sysfsdev).replace(/\/$/, ''), 'bind the subchannel first');
  const busId = posix.basename(directory);
  const match = BUS_ID.exec(busId);
  if (match === null)
    throw new Error(`vfio-ccw-rfc: sysfsdev=${sysfsdev} is no subchannel: its name is ${busId}, not like 0.0.0000`);
  return { uuid: '', directory, parent: directory, busId, schid: Number.parseInt(match[3], 16) };
}

/** Follows the link that `path` is, if it is one. @throws Error when there is nothing */
function* resolve(machine: Machine, path: string, remedy = 'create the mediated device first'): Task<string> {
  try {
    return posix.resolve(posix.dirname(path), yield* machine.sys.readlink(path));
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    if (error.code === 'ENOENT')
      throw new Error(`vfio-ccw: sysfsdev=${path} does not exist: ${remedy}`, { cause: error });
    return path;
  }
}

/** Reads the masks and paths. @throws Error naming the device and the attribute */
function* ccwPaths(machine: Machine, { parent, busId }: CcwHost): Task<CcwPaths> {
  const [pim, pam, pom] = yield* hexBytes(machine, `${parent}/pimpampom`, 3, busId);
  const chpids = yield* hexBytes(machine, `${parent}/chpids`, 8, busId);
  const types: number[] = [];
  // Only installed paths have a folder: the others would leave a line in the host's log for each try.
  for (const [i, chpid] of chpids.entries())
    types.push((pim & (0x80 >> i)) === 0 ? 0 : yield* pathType(machine, posix.dirname(parent), busId, chpid));
  return { pim, pam, pom, chpids, types };
}

/** Path masks and channel paths are the host's; the rest of the PMCW is the guest's. The VMM can time what it starts. */
export function* buildSchib(machine: Machine, host: CcwHost, { schib }: Subchannel): Task<CcwPaths> {
  const paths = yield* ccwPaths(machine, host);
  const { pim, pam, pom } = paths;
  Object.assign(schib.pmcw, { lpm: pim, pim, pam, pom, chpid: Uint8Array.from(paths.chpids) });
  schib.pmcw.flags |= PMCW_FLAGS.mask.T;
  return paths;
}
/** Makes the host's paths the machine's; returns those that are new. They stay when the device goes. */
export function addPaths({ paths }: ChannelSubsystem, { pim, chpids, types }: CcwPaths): number[] {
  const added: number[] = [];
  for (const [i, chpid] of chpids.entries()) {
    if ((pim & (0x80 >> i)) === 0 || paths.has(chpid)) continue;
    paths.set(chpid, { type: types[i], isVirtual: false });
    added.push(chpid);
  }
  return added;
}

function* hexBytes(machine: Machine, path: string, count: number, busId: string): Task<number[]> {
  const text = yield* machine.sys.readFile(path);
  const bytes = text.split(/\s+/).filter((word) => /^[0-9a-f]{1,2}$/i.test(word));
  if (bytes.length < count)
    throw new Error(`vfio-ccw ${busId}: ${path} holds "${text}", not ${count} hexadecimal bytes`);
  return bytes.slice(0, count).map((word) => Number.parseInt(word, 16));
}

/** Type of a channel path; a host without such a node says nothing. */
function* pathType(machine: Machine, css: string, busId: string, chpid: number): Task<number> {
  const name = `chp${busId.slice(0, busId.indexOf('.'))}.${chpid.toString(16).padStart(2, '0')}`;
  try {
    return Number.parseInt(yield* machine.sys.readFile(`${css}/${name}/type`), 16) & 0xff;
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    return 0;
  }
}
