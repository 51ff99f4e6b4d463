/**
 * An echo control unit: a device for testing channel programs without a disk. It gives back what was written to it, and
 * ends commands in whatever way it is told beforehand. Its commands are the rows of `echo_commands.ts`.
 *
 * Its control-unit and device type are FFFE, a number that no product has.
 */
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ChannelDevice, CommandEnding, DataPort, DeviceHost, Trouble } from '../css/channel_device.ts';
import { ECHO_COMMANDS, type Ending, HOW } from './echo_commands.ts';

/** Bytes of the buffer. */
export const ECHO_BUFFER = 0x10000;
/** Bytes of sense information. */
export const ECHO_SENSE = 32;

const ENDED = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;
/** Sense byte 0, bit 0. */
const COMMAND_REJECT: Trouble = { byte0: 0x80, byte1: 0, byte7: 0 };

export class EchoDevice implements ChannelDevice {
  readonly type = 'echo';
  readonly buffer = new Uint8Array(ECHO_BUFFER);
  /** Bytes of the buffer that the last write filled. */
  written = 0;
  #sense = new Uint8Array(ECHO_SENSE);
  /** How the next command will end. */
  #next: Ending | undefined;
  #host: DeviceHost | undefined;
  #first = false;
  /** Initial status while the device owes a device end. */
  #busy: number | undefined;

  attach(host: DeviceHost): void {
    this.#host = host;
  }

  operational(): boolean {
    return true;
  }

  begin(): void {
    this.#first = true;
  }

  *execute(command: number, port: DataPort): Task<CommandEnding> {
    const first = this.#first;
    this.#first = false;
    const row = ECHO_COMMANDS.get(command);
    const ending = this.#take(first, row?.keepsSense === true);
    if (ending?.how === HOW.BUSY) {
      this.#busy = DSTAT.BUSY | ending.status;
      this.#host?.presentLater(ending.ns, DSTAT.DEVICE_END, () => {
        this.#busy = undefined;
      });
    }
    // Until it has said that it is busy no more: the channel may ask before.
    if (this.#busy !== undefined && first) return { status: this.#busy };
    if (row?.keepsSense !== true) this.#sense.fill(0);
    if (row === undefined) return { status: ENDED | this.fail(COMMAND_REJECT) };
    yield* row.perform(this, port);
    return this.#ended(ending, row.immediate);
  }

  /** The next command will end like that. */
  prepare(ending: Ending): void {
    this.#next = ending;
  }

  /** Status that nobody asked for. */
  presentLater(ns: number, dstat: number): void {
    this.#host?.presentLater(ns, dstat);
  }

  fail({ byte0, byte1, byte7 }: Trouble): number {
    this.#sense.fill(0);
    this.#sense[0] = byte0;
    this.#sense[1] = byte1;
    this.#sense[7] = byte7;
    return DSTAT.UNIT_CHECK;
  }

  end(): number {
    return 0;
  }

  takeSense(): Uint8Array {
    const sense = this.#sense;
    this.#sense = new Uint8Array(ECHO_SENSE);
    return sense;
  }

  reset(): void {
    this.#sense.fill(0);
    this.#next = undefined;
    this.#busy = undefined;
  }

  close(): void {}

  /** The prepared ending, if this command takes it: busy is for what begins a program, and basic sense ends as usual. */
  #take(first: boolean, sense: boolean): Ending | undefined {
    const ending = this.#next;
    if (sense || (ending?.how === HOW.BUSY && !first)) return undefined;
    this.#next = undefined;
    return ending;
  }

  #ended(ending: Ending | undefined, immediate: boolean | undefined): CommandEnding {
    if (ending === undefined) return { status: ENDED, immediate };
    const { status, sense0, sense1, how, ns } = ending;
    if ((status & DSTAT.UNIT_CHECK) !== 0) this.fail({ byte0: sense0, byte1: sense1, byte7: 0 });
    if (how !== HOW.SPLIT) return { status: ENDED | status, immediate };
    return { status: DSTAT.CHANNEL_END, deviceEnd: { ns, status }, immediate };
  }
}
