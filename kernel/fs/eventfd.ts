/** eventfd(2): a counter that the kernel signals and the VMM reads (fs/eventfd.c). */
import { Errno } from '../include/uapi/errno.ts';
import type { Task } from '../lib/task.ts';
import { File } from '../syscall/file.ts';

/** A count as it is read: eight bytes, little-endian. */
function countBytes(count: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  // A signal or a few, as a rule: V8 takes long to give a small array a view.
  if (count < 256n) bytes[0] = Number(count);
  else new DataView(bytes.buffer).setBigUint64(0, count, true);
  return bytes;
}

/** ULLONG_MAX: where the counter saturates; a write leaves it below (eventfd_signal, eventfd_write). */
const COUNT_MAX = 0xffff_ffff_ffff_ffffn;

/** The process that has it: calls that sleep end when it is being ended (fatal_signal_pending). */
export interface Mortal {
  readonly exiting: boolean;
}
const FOREVER: Mortal = { exiting: false };

/** eventfd_ctx: what an interrupt handler signals. */
export class EventFd {
  #count: bigint;
  /** Whether it is above 0: asked at every look at the kernel's tasks, where a bigint takes longer. */
  #signalled: boolean;
  readonly #owner: Mortal;
  /** How often it was signalled, for tests and state inspection. */
  signals = 0;

  constructor(initial = 0, owner = FOREVER) {
    this.#count = BigInt(initial >>> 0);
    this.#signalled = this.#count !== 0n;
    this.#owner = owner;
  }
  get count(): bigint {
    return this.#count;
  }
  /** The count is not 0. */
  get signalled(): boolean {
    return this.#signalled;
  }
  /** Adds to the counter, which saturates; signals before a read coalesce. */
  signal(value = 1n): void {
    this.#count = value < COUNT_MAX - this.#count ? this.#count + value : COUNT_MAX;
    this.#signalled ||= value !== 0n;
    this.signals++;
  }

  /** The count, which is 0 afterwards; does not wait (eventfd_ctx_do_read). */
  take(): bigint {
    const count = this.#count;
    this.#count = 0n;
    this.#signalled = false;
    return count;
  }

  /** wait_event_interruptible. @throws Errno EINTR */
  *#wait(what: string, ready: () => boolean): Task {
    if (ready()) return;
    yield { what, ready: () => this.#owner.exiting || ready() };
    if (!ready()) throw new Errno('EINTR', what);
  }

  /** A file for it: read takes the counter (8 bytes, host order) and waits for a signal when it is 0. */
  static file(initial: number, owner?: Mortal): File {
    const context = new EventFd(initial, owner);
    return new File(
      'anon_inode:[eventfd]',
      {
        *read(count) {
          if (count < 8) throw new Errno('EINVAL', 'eventfd read');
          yield* context.#wait('eventfd', () => context.#signalled);
          return countBytes(context.take());
        },
        *write(bytes) {
          if (bytes.length < 8) throw new Errno('EINVAL', 'eventfd write');
          const value = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
          if (value === COUNT_MAX) throw new Errno('EINVAL', 'eventfd write');
          yield* context.#wait('eventfd room', () => value < COUNT_MAX - context.#count);
          context.signal(value);
          return 8;
        },
      },
      context,
    );
  }

  /** The context behind an open descriptor's file. @throws Errno EINVAL when it is no eventfd */
  static of(file: File): EventFd {
    if (!(file.object instanceof EventFd)) throw new Errno('EINVAL', `${file.name} is no eventfd`);
    return file.object;
  }
}
