/** A vfio-pci device in a test host, opened, with calls on its descriptor: what the unit tests of vfio-pci start from. */
import { setPin } from '../../devices/physical/phb/interrupts.ts';
import { sendVector } from '../../devices/physical/phb/msix.ts';
import { peBlock } from '../../devices/physical/phb/pe.ts';
import { EventFd } from '../fs/eventfd.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { littleEndian, littleEndianBytes } from '../include/uapi/pci_regs.ts';
import { VFIO_IRQ_SET, type vfio_irq_set } from '../include/uapi/vfio.ts';
import { TestHost } from '../kvm/test_host.ts';
import { preempt, type Task } from '../lib/task.ts';
import { regionOffset } from './vfio_pci_rdwr.ts';

/** Turns that the kernel's tasks get to see what has changed. */
const TURNS = 20;
const CONFIG_REGION = 7;

export class TestPci {
  readonly host: TestHost;
  readonly pe: number;
  readonly device: number;
  readonly group: number;
  readonly container: number;

  constructor(pe = 1, options: ConstructorParameters<typeof TestHost>[0] = {}) {
    const host = new TestHost(options);
    this.host = host;
    this.pe = pe;
    const { fd, groups } = host.run(() => host.container([pe]));
    this.container = fd;
    this.group = groups[0];
    this.device = this.open();
  }
  /** Opens the device once more. */
  open(): number {
    const { host, group, pe } = this;
    host.poke(0, new TextEncoder().encode(`0000:01:0${pe}.0\0`));
    return host.run(() => host.ioctl(group, ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user));
  }
  get block(): number {
    return peBlock(this.host.phbBase, this.pe);
  }

  get #operations() {
    return this.host.kernel.files.file(this.device).operations;
  }
  readTask(count: number, offset: number): Task<Uint8Array> {
    return this.#operations.read?.(count, offset) as Task<Uint8Array>;
  }
  writeTask(bytes: Uint8Array, offset: number): Task<number> {
    return this.#operations.write?.(bytes, offset) as Task<number>;
  }
  mmapTask(length: number, offset: number): Task<number> {
    return this.#operations.mmap?.(length, offset) as Task<number>;
  }
  /** A little-endian value of a region. */
  load(region: number, at: number, size = 4): number {
    return littleEndian(
      this.host.run(() => this.readTask(size, regionOffset(region) + at)),
      0,
      size,
    );
  }
  store(region: number, at: number, value: number, size = 4): void {
    this.host.run(() => this.writeTask(littleEndianBytes(value, size), regionOffset(region) + at));
  }
  config(at: number, size = 4): number {
    return this.load(CONFIG_REGION, at, size);
  }
  setConfig(at: number, value: number, size = 4): void {
    this.store(CONFIG_REGION, at, value, size);
  }
  /** What the device itself has, past the kernel's copy. */
  hardware(at: number, size = 4): number {
    return this.host.bridge.configRead(this.pe, at, size);
  }

  /** SET_IRQS. `data`: descriptors, or truth values where the flags have BOOL. */
  setIrqs(
    values: Partial<Record<keyof typeof vfio_irq_set.fields, number>>,
    data: readonly number[] = [],
  ): Task<unknown> {
    const bool = ((values.flags ?? 0) & VFIO_IRQ_SET.DATA_BOOL) !== 0;
    const tail = bool ? Uint8Array.from(data) : new Uint8Array(Int32Array.from(data).buffer);
    return this.host.ioctlStruct(this.device, ioctls.VFIO_DEVICE_SET_IRQS, { count: data.length, ...values }, tail);
  }
  eventfd(): { readonly fd: number; readonly eventfd: EventFd } {
    const fd = this.host.kernel.files.install(EventFd.file(0));
    return { fd, eventfd: EventFd.of(this.host.kernel.files.file(fd)) };
  }

  /** The device changes the level of its pin, or sends on an MSI-X vector. */
  pin(asserted: boolean): void {
    setPin(this.host.memory, this.block, asserted);
    this.settle();
  }
  send(vector: number): void {
    sendVector(this.host.memory, this.block, vector);
    this.settle();
  }
  /** Lets the kernel's tasks run. */
  settle(): void {
    this.host.run(function* () {
      for (let i = 0; i < TURNS; i++) yield* preempt();
    });
  }
}
