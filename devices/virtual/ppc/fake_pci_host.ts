/**
 * The kernel's side of PCI pass-through for unit tests: three devices in two groups, a container with its windows, EEH.
 * Tests change what it offers and see what it was told.
 */
import { Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_EEH_PE, VFIO_IRQ_SET, VFIO_PCI, VFIO_PCI_IRQ } from '../../../kernel/include/uapi/vfio.ts';
import type { FakeIoctl, FakeKernel } from '../fake_machine.ts';

/** Devices of the host, and their groups. */
const GROUPS = [
  ['0000:01:00.0', 4],
  ['0000:01:00.1', 4],
  ['0000:02:00.0', 5],
] as const;
/** Bytes between two regions in the device descriptor. */
const REGION = 2 ** 40;
/** Bus address at which a container's second window begins. */
export const DDW = 2 ** 59;
/** Bytes of BAR 0, and of configuration space. */
const BAR_SIZE = 0x2000;
const CONFIG_SIZE = 256;

/**
 * Configuration space of a device with MSI of four vectors at 50 and MSI-X of three at 60: table at 1000 of BAR 0,
 * pending bits at 1800.
 */
const HEADER: readonly [at: number, bytes: readonly number[]][] = [
  [0x00, [0x86, 0x80, 0x0e, 0x10]],
  [0x06, [0x10, 0x00]],
  [0x08, [0x02, 0x00, 0x00, 0x02]],
  [0x34, [0x50]],
  [0x3c, [0x00, 0x01]],
  [0x50, [0x05, 0x60, 0x84, 0x00]],
  [0x60, [0x11, 0x00, 0x02, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x18, 0x00, 0x00]],
];

/** A device that is open. */
export class FakePciDevice {
  readonly config = new Uint8Array(CONFIG_SIZE);
  readonly bar = new Uint8Array(BAR_SIZE);
  /** Eventfds of the index in use. */
  eventfds: number[] = [];
  /** INTx, MSI or MSI-X, whichever is in use; -1: none. */
  index = -1;
  /** Times that the pin was unmasked. */
  unmasks = 0;
  /** Eventfd of the request notifier; -1: none. */
  request = -1;
  constructor() {
    for (const [at, bytes] of HEADER) this.config.set(bytes, at);
  }
}

/** Commands that succeed, and do nothing. */
const NOTHING = [
  'VFIO_GROUP_SET_CONTAINER',
  'VFIO_GROUP_UNSET_CONTAINER',
  'VFIO_SET_IOMMU',
  'VFIO_DEVICE_RESET',
  'VFIO_GET_API_VERSION',
  'VFIO_IOMMU_SPAPR_REGISTER_MEMORY',
  'VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY',
  'VFIO_IOMMU_SPAPR_TCE_GET_INFO',
  'VFIO_IOMMU_MAP_DMA',
  'VFIO_IOMMU_UNMAP_DMA',
  'VFIO_IOMMU_ENABLE',
  'VFIO_IOMMU_DISABLE',
  'KVM_ENABLE_CAP',
] as const;

export class FakePciHost {
  readonly kernel: FakeKernel;
  /** Devices that are open, by descriptor. */
  readonly devices = new Map<number, FakePciDevice>();
  /** Windows of the container, by bus address. */
  readonly windows = new Map<number, { readonly shift: number; readonly size: number }>();
  /** Operations of VFIO_EEH_PE_OP. */
  readonly eehOps: number[] = [];
  /** What it answers: the state of the PE, or an error. */
  eeh: number | ErrnoName = 0;
  /** The command that fails with EINVAL. */
  fails: string | undefined;
  /** What KVM was told of groups. */
  links = 0;
  /** The kernel has a request notifier for its devices. */
  notifies = true;

  /** @param kernel scripted from now on */
  constructor(kernel: FakeKernel) {
    this.kernel = kernel;
    for (const [host, group] of GROUPS)
      kernel.links.set(`/sys/bus/pci/devices/${host}/iommu_group`, `../../../kernel/iommu_groups/${group}`);
    for (const name of NOTHING) this.#on(name, () => 0);
    this.#on('VFIO_CHECK_EXTENSION', () => 1);
    this.#on('KVM_CHECK_EXTENSION', () => 1);
    this.#on('KVM_CREATE_SPAPR_TCE_64', () => kernel.install('table'));
    this.#on('KVM_SET_DEVICE_ATTR', () => 0);
    this.#on('VFIO_GROUP_GET_STATUS', ({ view }) => {
      view.flags = 1;
      return 0;
    });
    this.#scriptWindows();
    this.#scriptDevices();
  }

  /** Scripts a command; it fails when it is the one that {@link fails} names. */
  #on(name: string, answer: FakeIoctl): void {
    this.kernel.ioctls.set(name, (call) => {
      if (name === 'KVM_SET_DEVICE_ATTR') this.links++;
      if (this.fails === name) throw new Errno('EINVAL', name);
      return answer(call);
    });
  }

  #scriptWindows(): void {
    const { windows } = this;
    this.#on('VFIO_IOMMU_SPAPR_TCE_CREATE', ({ view }) => {
      view.start_addr = windows.has(0) ? DDW : 0;
      windows.set(view.start_addr, { shift: view.page_shift, size: view.window_size });
      return 0;
    });
    this.#on('VFIO_IOMMU_SPAPR_TCE_REMOVE', ({ view }) => {
      windows.delete(view.start_addr);
      return 0;
    });
    this.#on('VFIO_EEH_PE_OP', ({ view }) => {
      this.eehOps.push(view.op);
      if (typeof this.eeh === 'string') throw new Errno(this.eeh, 'eeh');
      return view.op === VFIO_EEH_PE.GET_STATE ? this.eeh : 0;
    });
  }
  #scriptDevices(): void {
    const { kernel, devices } = this;
    this.#on('VFIO_GROUP_GET_DEVICE_FD', () => {
      const fd = kernel.install('device');
      devices.set(fd, new FakePciDevice());
      return fd;
    });
    this.#on('VFIO_DEVICE_GET_INFO', ({ view }) => {
      Object.assign(view, { flags: 3, num_regions: VFIO_PCI.NUM_REGIONS, num_irqs: VFIO_PCI.NUM_IRQS });
      return 0;
    });
    this.#on('VFIO_DEVICE_GET_REGION_INFO', ({ view }) => {
      view.size = view.index === 0 ? BAR_SIZE : view.index === VFIO_PCI.CONFIG_REGION_INDEX ? CONFIG_SIZE : 0;
      view.offset = view.index * REGION;
      return 0;
    });
    this.#on('VFIO_DEVICE_GET_IRQ_INFO', ({ view }) => {
      if (view.index === VFIO_PCI_IRQ.REQ && !this.notifies) throw new Errno('EINVAL', 'no request notifier');
      view.count = 1;
      return 0;
    });
    this.#on('VFIO_DEVICE_SET_IRQS', ({ fd, view, tail }) => this.#setIrqs(this.device(fd), view, tail));
    const region = (fd: number, position: number) =>
      position >= VFIO_PCI.CONFIG_REGION_INDEX * REGION ? this.device(fd).config : this.device(fd).bar;
    kernel.read = (fd, count, position) => region(fd, position).slice(position % REGION, (position % REGION) + count);
    kernel.write = (fd, bytes, position) => {
      region(fd, position).set(bytes, position % REGION);
      return bytes.length;
    };
  }
  #setIrqs(
    device: FakePciDevice,
    { flags, index, count }: { readonly flags: number; readonly index: number; readonly count: number },
    tail: Uint8Array | undefined,
  ): number {
    const eventfds = tail === undefined ? [] : [...new Int32Array(tail.slice().buffer)];
    if (index === VFIO_PCI_IRQ.REQ) [device.request] = eventfds;
    else if ((flags & VFIO_IRQ_SET.ACTION_UNMASK) !== 0) device.unmasks++;
    else if (count === 0) device.index = -1;
    else {
      if (device.index !== -1) throw new Error(`interrupt ${index} is set while ${device.index} is in use`);
      Object.assign(device, { index, eventfds });
    }
    return 0;
  }

  /** The device behind a descriptor. */
  device(fd: number): FakePciDevice {
    const device = this.devices.get(fd);
    if (device === undefined) throw new Error(`descriptor ${fd} is no device`);
    return device;
  }
}
