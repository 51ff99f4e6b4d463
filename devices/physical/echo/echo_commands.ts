/**
 * Commands of the echo control unit.
 *
 * | code | name | data |
 * |---|---|---|
 * | 01 | write | any length up to 64 KiB; kept in the buffer |
 * | 02 | read | what the last write left |
 * | 0C | read backward | the same, last byte first |
 * | 03 | no operation | none; immediate |
 * | 0B | control | any length; ignored |
 * | 13 | prepare ending | {@link PREPARE}: how the next command ends |
 * | 23 | delay | nanoseconds, 4 bytes; the command takes that long |
 * | 04 | basic sense | 32 bytes: byte 0 X'80' command reject, or what prepare ending said |
 * | E4 | sense ID | FF, control unit FFFE model 01, device FFFE model 01 |
 */
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import { struct, u8, u16, u32, type View } from '../../../kernel/lib/struct.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { DataPort } from '../css/channel_device.ts';
import type { EchoDevice } from './echo_device.ts';

/** What {@link PREPARE} makes of the status byte. */
export const HOW = {
  /** Beside channel end and device end of the next command. */
  TOGETHER: 0,
  /** The next command gives channel end; device end and the status come `ns` later. */
  SPLIT: 1,
  /** The status is presented by itself `ns` later; the next command ends as usual. */
  UNSOLICITED: 2,
  /** The first command of the next program is answered busy, beside the status; device end comes `ns` later. */
  BUSY: 3,
} as const;

/** Data of prepare ending, big-endian: device status, sense bytes 0 and 1 for a unit check, one of {@link HOW}, ns. */
export const PREPARE = struct(
  'echo_prepare',
  'be',
  { status: u8, sense0: u8, sense1: u8, how: u8, ns: u32 },
  { size: 8 },
);
export type Ending = Readonly<View<typeof PREPARE.fields>>;

/** Sense ID without command information words (SA22-7204). */
const SENSE_ID = struct(
  'sense_id',
  'be',
  { ff: u8, cuType: u16, cuModel: u8, deviceType: u16, deviceModel: u8 },
  { size: 7, offsets: { cuType: 1, deviceType: 4 } },
);
const IDENTITY = SENSE_ID.bytes(
  SENSE_ID.make({ ff: 0xff, cuType: 0xfffe, cuModel: 1, deviceType: 0xfffe, deviceModel: 1 }),
);

interface EchoCommand {
  readonly code: number;
  readonly immediate?: boolean;
  /** Leaves sense information as it is. */
  readonly keepsSense?: boolean;
  readonly perform: (device: EchoDevice, port: DataPort) => Task;
}

const atOnce = (perform: (device: EchoDevice, port: DataPort) => unknown): EchoCommand['perform'] =>
  function* (device, port) {
    perform(device, port);
  };

/** Bytes asked for at a time where the channel says how many there are. */
const PIECE = 4096;

/** Takes what the channel has, up to the size of the buffer, and hands it on piece by piece; returns how much. */
function takePieces(device: EchoDevice, port: DataPort, keep: (piece: Uint8Array, at: number) => void): number {
  let done = 0;
  while (done < device.buffer.length) {
    const piece = port.takeAll(Math.min(PIECE, device.buffer.length - done));
    keep(piece, done);
    done += piece.length;
    if (piece.length < PIECE) break;
  }
  return done;
}

/** A copy of a command's parameters; what the channel did not have is zero. */
function parameters(port: DataPort, size: number): DataView {
  const given = new Uint8Array(size);
  given.set(port.take(size));
  return new DataView(given.buffer);
}

const ROWS: readonly EchoCommand[] = [
  {
    code: 0x01,
    perform: atOnce((device, port) => {
      device.written = takePieces(device, port, (piece, at) => device.buffer.set(piece, at));
    }),
  },
  { code: 0x02, perform: atOnce((device, port) => port.give(device.buffer.subarray(0, device.written))) },
  { code: 0x0c, perform: atOnce((device, port) => port.give(device.buffer.slice(0, device.written).reverse())) },
  { code: 0x03, immediate: true, perform: atOnce(() => {}) },
  { code: 0x0b, perform: atOnce((device, port) => takePieces(device, port, () => {})) },
  {
    code: 0x13,
    perform: atOnce((device, port) => {
      const ending = PREPARE.at(parameters(port, PREPARE.size));
      if (ending.how === HOW.UNSOLICITED) device.presentLater(ending.ns, ending.status || DSTAT.ATTENTION);
      else device.prepare(ending);
    }),
  },
  {
    code: 0x23,
    *perform(_, port) {
      const ns = parameters(port, 4).getUint32(0);
      if (ns > 0) yield* port.delay(ns);
    },
  },
  { code: 0x04, keepsSense: true, perform: atOnce((device, port) => port.give(device.takeSense())) },
  { code: 0xe4, perform: atOnce((_, port) => port.give(IDENTITY)) },
];

/** The rows by code. */
export const ECHO_COMMANDS: ReadonlyMap<number, EchoCommand> = new Map(ROWS.map((row) => [row.code, row]));
