/** An eventfd that a driver holds on to (eventfd_ctx_fdget, eventfd_ctx_put), and the virqfd that waits for one. */
import { EventFd } from '../fs/eventfd.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { type Task, until } from '../lib/task.ts';
import type { File } from '../syscall/file.ts';

export class EventFdRef {
  readonly eventfd: EventFd;
  readonly #file: File;

  /** @throws Errno EBADF; EINVAL when the descriptor is no eventfd */
  constructor(kernel: Kernel, fd: number) {
    const file = kernel.files.file(fd);
    this.eventfd = EventFd.of(file);
    this.#file = file.get();
  }
  signal(): void {
    this.eventfd.signal();
  }
  *put(): Task {
    yield* this.#file.put();
  }
}

/** Calls a function whenever an eventfd is signalled (virt/kvm/vfio.c's counterpart drivers/vfio/virqfd.c). */
export class Virqfd {
  readonly #ref: EventFdRef;
  #stopped = false;

  /** @param name for the task list */
  constructor(kernel: Kernel, fd: number, name: string, handler: () => void) {
    this.#ref = new EventFdRef(kernel, fd);
    kernel.actor.spawn(name, this.#serve(handler));
  }
  *#serve(handler: () => void): Task {
    const ref = this.#ref;
    for (;;) {
      yield* until('virqfd', () => this.#stopped || ref.eventfd.signalled);
      if (this.#stopped) break;
      // Somebody else may have read it meanwhile. Nothing waits between the test of `#stopped` and the call.
      if (ref.eventfd.take() !== 0n) handler();
    }
    yield* ref.put();
  }
  /** vfio_virqfd_disable: the handler is not called any more. */
  disable(): void {
    this.#stopped = true;
  }
}

/** The descriptor in SET_IRQS data. @throws Errno EINVAL when there is no room for one */
export function descriptor(data: Uint8Array, index = 0): number {
  if (data.length < 4 * (index + 1)) throw new Errno('EINVAL', 'vfio: no descriptor');
  return new DataView(data.buffer, data.byteOffset).getInt32(4 * index, true);
}
