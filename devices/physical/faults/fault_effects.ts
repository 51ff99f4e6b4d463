/** What each kind of fault does to a command or to a channel program. */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { FaultKind } from '../../../kernel/include/fault_kinds.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import {
  type ChannelDevice,
  type CommandEnding,
  type DataPort,
  DIRECTION,
  directionOf,
  type Trouble,
} from '../css/channel_device.ts';

/** A command that a fault has struck. */
export interface StruckCommand {
  readonly device: ChannelDevice;
  readonly port: DataPort;
  readonly ns: number;
  /** Performs the command itself, through the port given. */
  go(port: DataPort): Task<CommandEnding>;
}

/** What a program suffers, set by the faults that struck at its start. */
export interface ProgramFaults {
  /** The device is busy for so many nanoseconds; then it presents device end. */
  busyNs: number | undefined;
  /** The ending status will be lost. */
  loses: boolean;
}

/** A row: exactly one of the three says what the fault does. */
export interface FaultEffect {
  /** Commands that draw; those of the `command` effects only. */
  readonly applies?: (command: number) => boolean;
  readonly command?: (struck: StruckCommand) => Task<CommandEnding>;
  readonly program?: (faults: ProgramFaults, ns: number) => void;
  /** The path is lost for so many ns. */
  readonly path?: true;
  /** Needs `ChannelDevice.fail`. */
  readonly trouble?: Trouble;
}

const ENDED = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;

/** Commands that fetch sense information are spared: nobody could learn what happened. */
const notSense = (command: number) => directionOf(command) !== DIRECTION.SENSE;
const movesData = (command: number) => {
  const direction = directionOf(command);
  return direction === DIRECTION.READ || direction === DIRECTION.WRITE || direction === DIRECTION.READ_BACKWARD;
};

/** The command is not performed: unit check, with sense information. */
function check(trouble: Trouble, applies: (command: number) => boolean): FaultEffect {
  return {
    applies,
    trouble,
    *command({ device }) {
      return { status: ENDED | (device.fail as (trouble: Trouble) => number).call(device, trouble) };
    },
  };
}

/** A port whose first transfer is cut in half, and that moves nothing afterwards. */
function shortPort(port: DataPort): DataPort {
  let first = true;
  const share = (length: number) => {
    const part = first ? length >>> 1 : 0;
    first = false;
    return part;
  };
  return {
    take: (length) => port.take(share(length)),
    takeAll: (limit) => port.takeAll(share(limit)),
    give: (data) => port.give(data.subarray(0, share(data.length))),
    delay: (ns) => port.delay(ns),
  };
}

/**
 * The table. Sense bytes: 3990 Storage Control Reference (GA32-0274), "Sense Data": byte 0 bit 3 equipment check; byte
 * 1 bit 4 no record found; byte 7 X'10' format 1, device equipment check, no message; X'00' format 0, no message.
 */
export const FAULT_EFFECTS: Readonly<Record<FaultKind, FaultEffect>> = {
  'equipment-check': check({ byte0: 0x10, byte1: 0, byte7: 0x10 }, notSense),
  'no-record-found': check({ byte0: 0, byte1: 0x08, byte7: 0 }, movesData),
  'path-lost': { path: true },
  busy: {
    program(faults, ns) {
      faults.busyNs = ns;
    },
  },
  slow: {
    applies: () => true,
    *command({ port, ns, go }) {
      yield* port.delay(ns);
      return yield* go(port);
    },
  },
  'lost-interrupt': {
    program(faults) {
      faults.loses = true;
    },
  },
  'short-transfer': { applies: movesData, command: ({ port, go }) => go(shortPort(port)) },
};
