/** What an I/O processor and a control unit with its device say to each other: the I/O interface. */
import type { Task } from '../../../kernel/lib/task.ts';

/** Data moves through the channel: the device names bytes, never storage addresses. */
export interface DataPort {
  /** Memory to device: up to `length` bytes; fewer when the channel's count is used up. */
  take(length: number): Uint8Array;
  /**
   * Memory to device: all that the channel has, up to `limit` bytes. For a device whose blocks have whatever length
   * they are given (a tape): that there is no more is not an incorrect length.
   */
  takeAll(limit: number): Uint8Array;
  /** Device to memory: how many of the bytes the channel's count had room for. */
  give(data: Uint8Array): number;
  /** Whether the command is followed by command chaining, unless its status breaks that: the channel tells (suppress out). */
  chains?(): boolean;
  /** The device is busy for `ns` nanoseconds. Ends the command from inside when halt or clear comes. */
  delay(ns: number): Task;
}

/** How a command ended. */
export interface CommandEnding {
  /** Device-status byte, `DSTAT` of `scsw.ts`: with channel end, and with device end unless `deviceEnd` says otherwise. */
  readonly status: number;
  /**
   * The device goes on after channel end and presents device end, with `status` beside it, `ns` nanoseconds later: a
   * seek, say. Under command chaining the channel waits for it; at the end of a program the ending status is split.
   */
  readonly deviceEnd?: { readonly ns: number; readonly status?: number };
  /** The command was executed at once, without data (SA22-7832 chapter 15, "Immediate Operation"). */
  readonly immediate?: boolean;
}

/** What the device may ask of the I/O processor it hangs on. */
export interface DeviceHost {
  /** Nanoseconds since power-on. */
  now(): number;
  /** Presents device status of its own accord, `ns` nanoseconds from now. @param about called just before, with nothing between */
  presentLater(ns: number, dstat: number, about?: () => void): void;
}

/** Trouble as sense information tells it: bytes 0 and 1, and byte 7, format and message. */
export interface Trouble {
  readonly byte0: number;
  readonly byte1: number;
  readonly byte7: number;
}

/** A control unit with one device, as seen by the channel. All calls come from the I/O processor's tasks. */
export interface ChannelDevice {
  /** Device type for people: `3390`. */
  readonly type: string;
  /** Called once, before anything else. */
  attach?(host: DeviceHost): void;
  /** False: selection on this path (one bit, 0x80 the first) fails, the path is not operational. */
  operational(path: number): boolean;
  /** A channel program begins on a path, or goes on after a suspension: nothing is chained to what was before. */
  begin(path: number): void;
  /**
   * Performs a command. Ends by itself with the sense information kept when it gives unit check.
   *
   * The first command of a program may be answered with busy, before any data moves: alone (device busy) or with
   * status modifier (control unit busy). The start stays pending, and is tried again when the I/O processor's
   * `attention` brings device end or control unit end, or after a short while.
   */
  execute(command: number, port: DataPort): Task<CommandEnding>;
  /** The program has ended, in whatever way. Returns device status to add to its own: 0, or unit check. */
  end(): number;
  /** Sense information of the last unit check, for concurrent sense; the device forgets it. */
  takeSense(): Uint8Array;
  /** Fault hook, asked when status is about to be presented for a program: true loses it, once. */
  loseEnding?(): boolean;
  /** Fault hook: keeps sense information as if the device had found the trouble itself; returns unit check. */
  fail?(trouble: Trouble): number;
  /** Selective reset: the clear signal. */
  reset(): void;
  /** Power off. */
  close(): void;
}

/** Commands of the ordinary kinds by the low bits of the code (SA22-7832 chapter 15, "Command Code"). */
export const DIRECTION = {
  WRITE: 'write',
  READ: 'read',
  CONTROL: 'control',
  SENSE: 'sense',
  READ_BACKWARD: 'read backward',
} as const;
export type Direction = (typeof DIRECTION)[keyof typeof DIRECTION];

/** Which way a command moves data. TIC and invalid codes have no direction. */
export function directionOf(command: number): Direction | undefined {
  if ((command & 0x03) === 0x01) return DIRECTION.WRITE;
  if ((command & 0x03) === 0x02) return DIRECTION.READ;
  if ((command & 0x03) === 0x03) return DIRECTION.CONTROL;
  if ((command & 0x0f) === 0x04) return DIRECTION.SENSE;
  if ((command & 0x0f) === 0x0c) return DIRECTION.READ_BACKWARD;
  return undefined;
}
