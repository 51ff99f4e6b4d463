/** The channel as a device sees it while a program runs: its side of the I/O interface. One object serves a program. */
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { type Actor, type Task, untilDeadline } from '../../../kernel/lib/task.ts';
import type { ChannelData } from './channel_data.ts';
import type { DataPort } from './channel_device.ts';
import type { Subchannel } from './subchannel.ts';

/** A signal came while the device was busy: unwinds the device's command. */
export class Signalled extends Error {}

export class ProgramPort implements DataPort {
  readonly #data: ChannelData;
  readonly #subchannel: Subchannel;
  readonly #actor: Actor;
  readonly #onTaken: () => void;
  /** The first command is with the device, which has not yet taken it: it may still say that it is busy. */
  offered = false;

  /** @param onTaken the device took the first command, as its first use of the port shows. */
  constructor(data: ChannelData, subchannel: Subchannel, actor: Actor, onTaken: () => void) {
    this.#data = data;
    this.#subchannel = subchannel;
    this.#actor = actor;
    this.#onTaken = onTaken;
  }

  take(length: number): Uint8Array {
    this.taken();
    return this.#data.take(length);
  }

  takeAll(limit: number): Uint8Array {
    this.taken();
    return this.#data.takeAll(limit);
  }

  give(bytes: Uint8Array): number {
    this.taken();
    return this.#data.give(bytes);
  }

  chains(): boolean {
    return (this.#data.ccw.flags & CCW_FLAG.CC) !== 0;
  }

  *delay(ns: number): Task {
    this.taken();
    const subchannel = this.#subchannel;
    const signalled = yield* untilDeadline('device', () => subchannel.signalled(), this.#actor.now() + ns);
    if (signalled) throw new Signalled();
  }

  /** The device takes the first command, unless it has done so before. */
  taken(): void {
    if (!this.offered) return;
    this.offered = false;
    this.#onTaken();
  }
}
