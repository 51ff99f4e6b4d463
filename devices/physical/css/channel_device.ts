/** What an I/O processor and a control unit with its device say to each other: the I/O interface. */
import type { Task } from '../../../kernel/lib/task.ts';

/** Data moves through the channel: the device names bytes, never storage addresses. */
export interface DataPort {
  /** Memory to device: up to `length` bytes; fewer when the channel's count is used up. */
  take(length: number): Uint8Array;
  /** Device to memory: how many of the bytes the channel's count had room for. */
  give(data: Uint8Array): number;
  /** The device is busy for `ns` nanoseconds. Ends the command from inside when halt or clear comes. */
  delay(ns: number): Task;
}

/** How a command ended. */
export interface CommandEnding {
  /** Device-status byte, `DSTAT` of `scsw.ts`; always with channel end and device end. */
  readonly status: number;
  /** The command was executed at once, without data (SA22-7832 chapter 15, "Immediate Operation"). */
  readonly immediate?: boolean;
}

/** A control unit with one device, as seen by the channel. All calls come from the I/O processor's tasks. */
export interface ChannelDevice {
  /** Device type for people: `3390`. */
  readonly type: string;
  /** False: selection fails, the path is not operational. */
  operational(): boolean;
  /** A channel program begins, or goes on after a suspension: nothing is chained to what was before. */
  begin(): void;
  /** Performs a command. Ends by itself with the sense information kept when it gives unit check. */
  execute(command: number, port: DataPort): Task<CommandEnding>;
  /** The program has ended, in whatever way. Returns device status to add to its own: 0, or unit check. */
  end(): number;
  /** Sense information of the last unit check, for concurrent sense; the device forgets it. */
  takeSense(): Uint8Array;
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
