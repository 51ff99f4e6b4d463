/** A vfio-ccw device opened the way a VMM opens it: bound, made, group, container, mapped memory. */
import { CCW1 } from '../../kernel/include/arch/s390/ccw.ts';
import { ORB, ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { SCSW, SCSW_FCTL_START_FUNC } from '../../kernel/include/arch/s390/scsw.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import type { View } from '../../kernel/lib/struct.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { Vma } from '../../kernel/mm/mm.ts';
import type { CioBus } from '../../kernel/s390/cio/cio_bus.ts';
import { startCss } from '../../kernel/s390/cio/start_css.ts';
import type { VfioCcwDevice } from '../../kernel/s390/cio/vfio_ccw_ops.ts';
import type { VfioCcwHost, VfioCcwPrivate } from '../../kernel/s390/cio/vfio_ccw_private.ts';
import { registerType1 } from '../../kernel/vfio/vfio_iommu_type1.ts';
import { VfioCore } from '../../kernel/vfio/vfio_main.ts';
import { FakeCss } from './fake_css.ts';
import { type FixtureOptions, KernelFixture } from './kernel_fixture.ts';

export const UUID = '7e270a25-e163-4922-af60-757fc8ed48c6';
/** Bytes of guest memory mapped at iova 0. */
export const RAM = 1 << 18;
const PROT = uapi.VFIO_DMA_MAP_FLAG.READ | uapi.VFIO_DMA_MAP_FLAG.WRITE;
/** Offsets of the regions. */
export const REGION = { IO: 0, ASYNC: 1 << 10, SCHIB: 2 << 10, CRW: 3 << 10 };

/** A CCW of format 1, by its fields. */
export type CcwFields = readonly [cmd: number, flags: number, count: number, cda: number];

export class CcwFixture extends KernelFixture {
  readonly css: FakeCss;
  readonly core: VfioCore;
  readonly host: VfioCcwHost;
  readonly ram: Vma;
  container = -1;
  group = -1;
  fd = -1;
  io = -1;

  readonly #autoprobe: boolean;

  /**
   * @param options.autoprobe whether the host's own driver gets the subchannels first
   * @param bus the channel subsystem; a fake one with two devices when omitted.
   */
  constructor(options: FixtureOptions & { readonly autoprobe?: boolean } = {}, bus?: (t: KernelFixture) => CioBus) {
    super(options);
    this.css = new FakeCss([0x1000, 0x1001]);
    this.core = new VfioCore(this.kernel);
    registerType1(this.core);
    this.#autoprobe = options.autoprobe ?? true;
    this.host = startCss(this.kernel, this.core, bus?.(this) ?? this.css, { autoprobe: this.#autoprobe });
    this.ram = this.kernel.mm.mmapAnonymous('guest ram', RAM, true);
  }

  /** Binds subchannel 0.0.0000 to vfio_ccw and makes a mediated device. */
  *make(): Task {
    const { user } = this;
    yield* user.writeFile('/sys/bus/css/devices/0.0.0000/driver_override', 'vfio_ccw');
    if (this.#autoprobe) yield* user.writeFile('/sys/bus/css/drivers/io_subchannel/unbind', '0.0.0000');
    yield* user.writeFile('/sys/bus/css/drivers/vfio_ccw/bind', '0.0.0000');
    yield* user.writeFile('/sys/bus/css/devices/0.0.0000/mdev_supported_types/vfio_ccw-io/create', UUID);
  }

  /** Opens it, with guest memory mapped and the I/O eventfd set. */
  *openAll(type = uapi.VFIO_TYPE1v2_IOMMU): Task {
    const { user } = this;
    yield* this.make();
    this.container = yield* user.open('/dev/vfio/vfio');
    this.group = yield* user.open('/dev/vfio/0');
    const argument = uapi.fd_argument.make({ fd: this.container });
    yield* user.ioctlBytes(this.group, ioctls.VFIO_GROUP_SET_CONTAINER, uapi.fd_argument.bytes(argument));
    yield* user.ioctl(this.container, ioctls.VFIO_SET_IOMMU, type);
    yield* this.mapDma(0, this.ram.start, RAM);
    this.fd = yield* this.openDevice();
    this.io = yield* this.setEventfd(uapi.VFIO_CCW_IRQ.IO);
  }

  *openDevice(): Task<number> {
    const name = new TextEncoder().encode(`${UUID}\0`);
    return yield* this.user.ioctlBytes(this.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, name);
  }

  *setEventfd(index: number): Task<number> {
    const fd = yield* this.user.eventfd();
    const flags = uapi.VFIO_IRQ_SET.DATA_EVENTFD | uapi.VFIO_IRQ_SET.ACTION_TRIGGER;
    const data = new Uint8Array(4);
    new DataView(data.buffer).setInt32(0, fd, true);
    const header = uapi.vfio_irq_set.make({ argsz: 24, flags, index, start: 0, count: 1 });
    yield* this.user.ioctlStruct(this.fd, ioctls.VFIO_DEVICE_SET_IRQS, header, data);
    return fd;
  }

  *mapDma(iova: number, vaddr: number, size: number, flags: number = PROT): Task<number> {
    const map = uapi.vfio_iommu_type1_dma_map.make({ argsz: 32, flags, iova, vaddr, size });
    return yield* this.user.ioctlStruct(this.container, ioctls.VFIO_IOMMU_MAP_DMA, map);
  }
  /** Returns the size unmapped. */
  *unmapDma(iova: number, size: number, flags = 0): Task<number> {
    const unmap = uapi.vfio_iommu_type1_dma_unmap.make({ argsz: 24, flags, iova, size });
    yield* this.user.ioctlStruct(this.container, ioctls.VFIO_IOMMU_UNMAP_DMA, unmap);
    return unmap.size;
  }

  /** The kernel's state of the device. */
  get device(): VfioCcwPrivate {
    const file = this.kernel.files.file(this.fd);
    return (file.object as VfioCcwDevice).device;
  }

  /** Guest memory, byte by byte address. */
  poke(gpa: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = gpa + done;
      const length = Math.min(bytes.length - done, 4096 - (at % 4096));
      this.user.bytes(this.ram.start + at, length).set(bytes.subarray(done, done + length));
      done += length;
    }
  }
  /** Writes CCWs of format 1 to guest memory. */
  program(gpa: number, ccws: readonly CcwFields[]): void {
    const bytes = new Uint8Array(ccws.length * 8);
    const dv = new DataView(bytes.buffer);
    for (const [i, [cmd, flags, count, cda]] of ccws.entries()) {
      const ccw = CCW1.at(dv, i * 8);
      ccw.cmd = cmd;
      ccw.flags = flags;
      ccw.count = count;
      ccw.cda = cda;
    }
    this.poke(gpa, bytes);
  }

  /** The 124 bytes of a start request. @param extra other ORB bits, by name. */
  request(
    cpa: number,
    orb: { ctrl0?: number; ctrl1?: number; lpm?: number } = {},
    fctl = SCSW_FCTL_START_FUNC,
  ): Uint8Array {
    const region = uapi.ccw_io_region.make();
    const { F, P } = ORB_CTRL0.mask;
    region.orb_area = ORB.bytes(ORB.make({ intparm: 0x1234, ctrl0: F | P, lpm: 0x80, cpa, ...orb }));
    region.scsw_area = SCSW.bytes(SCSW.make({ ctrl: fctl }));
    return uapi.ccw_io_region.bytes(region);
  }
  /** SSCH of the VMM: writes the region. */
  *ssch(cpa: number, orb: { ctrl0?: number; ctrl1?: number; lpm?: number } = {}): Task<number> {
    return yield* this.user.pwrite(this.fd, this.request(cpa, orb), REGION.IO);
  }
  /** HSCH (1) or CSCH (2). */
  *command(command: number): Task<number> {
    const region = uapi.ccw_cmd_region.make({ command });
    return yield* this.user.pwrite(this.fd, uapi.ccw_cmd_region.bytes(region), REGION.ASYNC);
  }
  /** What the VMM reads after an interruption. */
  *irb(): Task<View<typeof SCSW.fields>> {
    const bytes = yield* this.user.pread(this.fd, uapi.ccw_io_region.size, REGION.IO);
    return SCSW.at(new DataView(bytes.buffer), uapi.ccw_io_region.offset.irb_area);
  }
  /** Interruptions signalled so far. */
  get signals(): number {
    return this.user.signals(this.io);
  }
  /** Everything pinned, charged or allocated for channel programs, as one word: `0 pins, 0 locked, 0 blocks`. */
  get held(): string {
    const pins = [...this.pinned()].reduce((sum, n) => sum + n, 0);
    return `${pins} pins, ${this.kernel.mm.lockedVm} locked, ${this.host.pool.live} blocks`;
  }
  *pinned(): Iterable<number> {
    for (let va = this.ram.start; va < this.ram.start + RAM; va += 4096)
      yield this.kernel.mm.space.frames.pins(this.kernel.mm.space.lookup(va, false));
  }
}

/** What {@link CcwFixture.held} says when nothing is. */
export const NOTHING = '0 pins, 0 locked, 0 blocks';
