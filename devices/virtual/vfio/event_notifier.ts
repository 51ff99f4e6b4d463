/** An eventfd that a device signals, and the task that serves it (QEMU's EventNotifier on the main loop). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { irqCount, setIrqEventfd } from './device.ts';

export class EventNotifier {
  readonly eventfd: number;
  /** Names device and interrupt. */
  readonly name: string;
  readonly #machine: Machine;
  readonly #device: number;
  readonly #index: number;
  #stopped = false;

  private constructor(machine: Machine, device: number, index: number, name: string, eventfd: number) {
    this.#machine = machine;
    this.#device = device;
    this.#index = index;
    this.name = name;
    this.eventfd = eventfd;
  }

  /**
   * Registers an eventfd for interrupt `index` and starts a task that runs `handler` per wake-up. Signals that come
   * before the handler runs coalesce.
   * @param name names device and interrupt in errors and in the task list. @throws Errno; Error when there is no such interrupt
   */
  static *register(
    machine: Machine,
    device: number,
    index: number,
    name: string,
    handler: () => Task,
  ): Task<EventNotifier> {
    if ((yield* irqCount(machine, device, index)) < 1)
      throw new Error(`${name}: the device has no interrupt of index ${index}: the host kernel is too old`);
    const eventfd = yield* machine.sys.eventfd();
    try {
      yield* setIrqEventfd(machine, device, index, eventfd);
    } catch (error) {
      yield* machine.sys.close(eventfd);
      throw error;
    }
    const notifier = new EventNotifier(machine, device, index, name, eventfd);
    machine.actor.spawn(name, notifier.#serve(handler));
    return notifier;
  }

  *#serve(handler: () => Task): Task {
    const { sys } = this.#machine;
    let signal = yield* sys.beginEventfdRead(this.eventfd);
    for (;;) {
      sys.tell();
      yield* signal;
      if (this.#stopped) break;
      // Before the handler: its first system call tells the kernel of the next wait too, which would otherwise wake it
      // just when the guest has its interruption, and the CPU is wanted for what the guest does next.
      signal = yield* sys.beginEventfdRead(this.eventfd);
      yield* handler();
    }
    yield* sys.close(this.eventfd);
  }

  /** The device stops signalling and the task ends; it closes the eventfd. May be called from the handler. */
  *unregister(): Task {
    if (this.#stopped) return;
    this.#stopped = true;
    yield* setIrqEventfd(this.#machine, this.#device, this.#index, -1);
    // The task sleeps in read(2): a count of one is what wakes it.
    yield* this.#machine.sys.pwrite(this.eventfd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 0, 'write eventfd');
  }
}
