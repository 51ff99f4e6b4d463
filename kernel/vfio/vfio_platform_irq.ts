/**
 * Interrupts of a vfio-platform device (drivers/vfio/platform/vfio_platform_irq.c): its own, level-sensitive, masked when it
 * comes until user space unmasks it; and its message, which comes through a window that user space has given an MSI bank.
 * The kernel programs the message: user space writes no address and no data.
 */
import { EventFd } from '../fs/eventfd.ts';
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DEVICE_SET_IRQS } from '../include/uapi/ioctl.ts';
import { VFIO_IRQ_INFO, VFIO_IRQ_SET, type vfio_irq_info, type vfio_irq_set } from '../include/uapi/vfio.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { FslDmaChannel } from '../ppc/fsldma_channel.ts';
import type { DeviceMessage } from '../ppc/message_source.ts';
import type { PlatformDevice } from '../ppc/platform_bus.ts';
import type { Qoriq } from '../ppc/qoriq.ts';
import type { File } from '../syscall/file.ts';
import { validateSetIrqs } from './set_irqs.ts';

const { EVENTFD, MASKABLE, AUTOMASKED, NORESIZE } = VFIO_IRQ_INFO;
const { ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER, DATA_NONE, DATA_EVENTFD } = VFIO_IRQ_SET;

/** What each index can do; every one has one interrupt. */
const LINE = 0;
const MESSAGE = 1;
const FLAGS: readonly number[] = [EVENTFD | MASKABLE | AUTOMASKED, EVENTFD | NORESIZE];

/** An eventfd that user space has given. */
interface Trigger {
  readonly file: File;
  readonly eventfd: EventFd;
}

export class VfioPlatformIrqs {
  /** Indexes there are. */
  static readonly COUNT = FLAGS.length;
  readonly #host: Qoriq;
  readonly #device: PlatformDevice;
  readonly #channel: FslDmaChannel;
  readonly #triggers: (Trigger | undefined)[] = FLAGS.map(() => undefined);
  #message: DeviceMessage | undefined;
  #masked = false;
  /** The line came while it was masked. */
  #pending = false;

  constructor(host: Qoriq, device: PlatformDevice, channel: FslDmaChannel) {
    this.#host = host;
    this.#device = device;
    this.#channel = channel;
  }

  /** The device is opened. */
  open(): void {
    const irqs = this;
    this.#masked = false;
    this.#pending = false;
    this.#host.mpic.request(this.#device.node.source, function* () {
      irqs.#line();
    });
  }
  /** The device is closed; it does no more DMA. */
  *close(): Task {
    this.#host.mpic.free(this.#device.node.source);
    this.#disarm();
    for (const index of FLAGS.keys()) yield* this.#setTrigger(index, undefined);
  }

  /** VFIO_DEVICE_GET_IRQ_INFO. @throws Errno EINVAL for an index there is not */
  *info(info: View<typeof vfio_irq_info.fields>): Task<number> {
    if (info.index >= FLAGS.length) throw new Errno('EINVAL', `${this.#device.name}: interrupt ${info.index}`);
    info.flags = FLAGS[info.index];
    info.count = 1;
    return 0;
  }

  /**
   * VFIO_DEVICE_SET_IRQS. @throws Errno EINVAL; ENOTTY for a message and masking; EBADF; ENODEV without an MSI bank in the
   * container, ENOSPC without a free vector: nothing has changed then
   */
  *set(arg: number, header: View<typeof vfio_irq_set.fields>): Task<number> {
    const { flags, index, start, count } = header;
    const length = validateSetIrqs(
      header,
      FLAGS.map(() => 1),
    );
    const data = yield* this.#host.kernel.mm.space.copyIn(arg + VFIO_DEVICE_SET_IRQS.minsz, length);
    const action = flags & (ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER);
    if (action === ACTION_TRIGGER) yield* this.#trigger(index, flags, count, data);
    else if (index === MESSAGE || (action !== ACTION_MASK && action !== ACTION_UNMASK))
      throw new Errno('ENOTTY', `${this.#device.name}: interrupt ${index}, flags 0x${flags.toString(16)}`);
    else {
      if (start !== 0 || count !== 1 || (flags & DATA_EVENTFD) !== 0)
        throw new Errno('EINVAL', `${this.#device.name}: masking by eventfd, or of ${count} interrupts`);
      if ((flags & DATA_NONE) !== 0 || data[0] !== 0) this.#mask(action === ACTION_MASK);
    }
    return 0;
  }

  *#trigger(index: number, flags: number, count: number, data: Uint8Array): Task {
    if (count === 0 && (flags & DATA_NONE) !== 0) return yield* this.#unset(index);
    if (count !== 1) throw new Errno('EINVAL', `${this.#device.name}: ${count} interrupts`);
    if ((flags & DATA_EVENTFD) !== 0)
      return yield* this.#setEventfd(index, new DataView(data.buffer, data.byteOffset).getInt32(0, true));
    // Loopback: as if the device had sent it.
    if ((flags & DATA_NONE) === 0 && data[0] === 0) return;
    if (index === LINE) this.#line();
    else this.#triggers[index]?.eventfd.signal();
  }

  *#setEventfd(index: number, fd: number): Task {
    if (fd < 0) return yield* this.#unset(index);
    const file = this.#host.kernel.files.file(fd);
    const eventfd = EventFd.of(file);
    // Before anything changes: it may be refused.
    if (index === MESSAGE) this.#arm();
    yield* this.#setTrigger(index, { file: file.get(), eventfd });
  }

  *#unset(index: number): Task {
    if (index === MESSAGE) this.#disarm();
    yield* this.#setTrigger(index, undefined);
  }
  *#setTrigger(index: number, next: Trigger | undefined): Task {
    const old = this.#triggers[index];
    this.#triggers[index] = next;
    if (old !== undefined) yield* old.file.put();
  }

  // The line

  #line(): void {
    if (this.#masked) this.#pending = true;
    else {
      this.#masked = true;
      this.#triggers[LINE]?.eventfd.signal();
    }
  }
  #mask(masked: boolean): void {
    this.#masked = masked;
    if (masked || !this.#pending) return;
    this.#pending = false;
    this.#line();
  }

  // The message

  /** @throws Errno ENODEV, ENOSPC */
  #arm(): void {
    if (this.#message !== undefined) return;
    const { messages } = this.#device.owner;
    if (messages === undefined) throw new Errno('ENODEV', `${this.#device.name}: no container`);
    this.#message = messages.allocate(() => this.#triggers[MESSAGE]?.eventfd.signal());
    this.#channel.setMessage(this.#message);
  }
  #disarm(): void {
    this.#channel.setMessage(undefined);
    this.#message?.free();
    this.#message = undefined;
  }
  /** The device was reset: the message, if there is one, is programmed again. */
  reprogram(): void {
    if (this.#message !== undefined) this.#channel.setMessage(this.#message);
  }
}
