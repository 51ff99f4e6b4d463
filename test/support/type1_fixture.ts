/** A type1 container with a mediated device that pins what a test wants, and perhaps a device with an IOMMU. */
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { IommuDomain, IommuGroup, VfioDevice, VfioKernelUsers } from '../../kernel/vfio/vfio.ts';
import { registerType1, type Type1Iommu } from '../../kernel/vfio/vfio_iommu_type1.ts';
import { VfioCore } from '../../kernel/vfio/vfio_main.ts';
import { KernelFixture } from './kernel_fixture.ts';

const K = 4096;
const R = uapi.VFIO_DMA_MAP_FLAG.READ;
const W = uapi.VFIO_DMA_MAP_FLAG.WRITE;

/** A mediated device that remembers what it was told, and unpins when told to. */
export class Pinner implements VfioDevice {
  readonly name = 'pinner';
  readonly group: IommuGroup;
  readonly operations = {};
  users: VfioKernelUsers | undefined;
  readonly pins: [iova: number, count: number][] = [];
  readonly told: [iova: number, size: number][] = [];
  deaf = false;
  /** Tries to pin again while it is told to let go. */
  stubborn = false;
  constructor(group: IommuGroup) {
    this.group = group;
  }
  *openDevice(users: VfioKernelUsers | undefined): Task {
    this.users = users;
  }
  *closeDevice(): Task {}
  *dmaUnmap(iova: number, size: number): Task {
    this.told.push([iova, size]);
    if (this.deaf) return;
    for (let i = this.pins.length - 1; i >= 0; i--) {
      const [at, count] = this.pins[i];
      if (at >= iova + size || at + count * K <= iova) continue;
      this.users?.unpinPages(this, at, count);
      this.pins.splice(i, 1);
    }
    if (this.stubborn) yield* this.pin(iova, 1);
  }
  *pin(iova: number, count: number, prot = R | W): Task<number[]> {
    const hpas = yield* (this.users as VfioKernelUsers).pinPages(this, iova, count, prot);
    this.pins.push([iova, count]);
    return hpas;
  }
}

export class Type1Fixture extends KernelFixture {
  readonly device: Pinner;
  readonly ram: number;
  readonly container: number;
  readonly groupFd: number;
  readonly fd: number;
  readonly core: VfioCore;
  constructor(options: { type?: number; lockLimit?: number; dmaEntryLimit?: number } = {}) {
    super(options);
    const core = new VfioCore(this.kernel);
    this.core = core;
    registerType1(core, { dmaEntryLimit: options.dmaEntryLimit });
    this.device = new Pinner(core.allocateGroup({ emulated: true }));
    core.addDevice(this.device);
    this.ram = this.kernel.mm.mmapAnonymous('ram', 64 * K, true).start;
    const { user } = this;
    this.container = this.run(user.open('/dev/vfio/vfio'));
    this.groupFd = this.run(user.open('/dev/vfio/0'));
    const argument = uapi.fd_argument.bytes(uapi.fd_argument.make({ fd: this.container }));
    this.run(user.ioctlBytes(this.groupFd, ioctls.VFIO_GROUP_SET_CONTAINER, argument));
    this.run(user.ioctl(this.container, ioctls.VFIO_SET_IOMMU, options.type ?? uapi.VFIO_TYPE1v2_IOMMU));
    const name = new TextEncoder().encode('pinner\0');
    this.fd = this.run(user.ioctlBytes(this.groupFd, ioctls.VFIO_GROUP_GET_DEVICE_FD, name));
  }
  /** One more group, with an IOMMU or a further mediated device; returns what SET_CONTAINER gives. */
  *join(device: VfioDevice): Task<number> {
    this.core.addDevice(device);
    const group = yield* this.user.open(`/dev/vfio/${device.group.id}`);
    this.groups.push(group);
    const argument = uapi.fd_argument.bytes(uapi.fd_argument.make({ fd: this.container }));
    return yield* this.user.ioctlBytes(group, ioctls.VFIO_GROUP_SET_CONTAINER, argument);
  }
  /** Descriptors of groups that {@link join} opened. */
  readonly groups: number[] = [];

  *dirtyPages(flags: number, range?: { iova: number; size: number; bits: number; bytes?: number; pgsize?: number }) {
    const { user } = this;
    const dirty = uapi.vfio_iommu_type1_dirty_bitmap.make({ argsz: range === undefined ? 8 : 48, flags });
    if (range === undefined) return yield* user.ioctlStruct(this.container, ioctls.VFIO_IOMMU_DIRTY_PAGES, dirty);
    const { iova, size, bits, bytes = 8, pgsize = K } = range;
    const get = uapi.vfio_iommu_type1_dirty_bitmap_get.make({ iova, size });
    Object.assign(get.bitmap, { pgsize, size: bytes, data: bits });
    const tail = uapi.vfio_iommu_type1_dirty_bitmap_get.bytes(get);
    return yield* user.ioctlStruct(this.container, ioctls.VFIO_IOMMU_DIRTY_PAGES, dirty, tail);
  }
  /** Page numbers that are dirty in a range. @param before what the bitmap holds when the kernel gets it */
  *dirty(iova: number, pages: number, before = new Uint8Array(Math.ceil(pages / 64) * 8)): Task<number[]> {
    const bits = this.user.buffer(before);
    const range = { iova, size: pages * K, bits, bytes: before.length };
    yield* this.dirtyPages(uapi.VFIO_IOMMU_DIRTY_PAGES_FLAG.GET_BITMAP, range);
    const bytes = this.user.bytes(bits, before.length);
    return Array.from({ length: before.length * 8 }, (_, i) => i).filter((i) => (bytes[i >> 3] & (1 << (i & 7))) !== 0);
  }

  *mapDma(iova: number, size: number, vaddr = this.ram, flags = R | W, argsz = 32): Task<number> {
    const map = uapi.vfio_iommu_type1_dma_map.make({ argsz, flags, iova, vaddr, size });
    return yield* this.user.ioctlStruct(this.container, ioctls.VFIO_IOMMU_MAP_DMA, map);
  }
  *unmapDma(iova: number, size: number, flags = 0, argsz = 24): Task<number> {
    const unmap = uapi.vfio_iommu_type1_dma_unmap.make({ argsz, flags, iova, size });
    yield* this.user.ioctlStruct(this.container, ioctls.VFIO_IOMMU_UNMAP_DMA, unmap);
    return unmap.size;
  }
  get iommu(): Type1Iommu {
    const group = (this.kernel.files.file(this.groupFd).object as { container?: { iommu?: Type1Iommu } }).container;
    return group?.iommu as Type1Iommu;
  }
  get mappings(): string {
    return [...this.iommu.mappings].map(({ iova, size }) => `${iova / K}+${size / K}`).join(' ');
  }
}

/** A device behind an IOMMU that type1 drives: remembers what it translates. */
export class WithIommu implements VfioDevice {
  readonly name: string;
  readonly group: IommuGroup;
  readonly operations = {};
  /** HPA by page address. */
  readonly table = new Map<number, number>();
  /** Refuses the mapping at this address. */
  refuses = -1;
  /** Called when pages go, while they are still pinned. */
  onUnmap: (iova: number, size: number) => void = () => {};

  constructor(core: VfioCore, name: string, refusal: () => Error) {
    const device = this;
    const domain: IommuDomain = {
      map(iova, hpas) {
        if (iova === device.refuses) throw refusal();
        for (const [i, hpa] of hpas.entries()) device.table.set(iova + i * K, hpa);
      },
      unmap(iova, size) {
        device.onUnmap(iova, size);
        for (let at = iova; at < iova + size; at += K) device.table.delete(at);
      },
    };
    this.name = name;
    this.group = { ...core.allocateGroup({ emulated: false }), domain };
  }
  *openDevice(): Task {}
  *closeDevice(): Task {}
}
