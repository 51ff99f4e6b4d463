/** A device of the 2016 RFC opened the way its QEMU opens it: no-IOMMU mode, bound, group, container; nothing is mapped. */
import { CCW1 } from '../../kernel/include/arch/s390/ccw.ts';
import { IRB } from '../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { SCSW, SCSW_FCTL_START_FUNC } from '../../kernel/include/arch/s390/scsw.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { Vma } from '../../kernel/mm/mm.ts';
import type { CioBus } from '../../kernel/s390/cio/cio_bus.ts';
import { startCss } from '../../kernel/s390/cio/start_css.ts';
import type { VfioCcwRfcDevice } from '../../kernel/s390/cio/vfio_ccw_cmd_request_drv.ts';
import type { VfioCcwRfc } from '../../kernel/s390/cio/vfio_ccw_cmd_request_private.ts';
import type { VfioCcwHost } from '../../kernel/s390/cio/vfio_ccw_private.ts';
import { registerType1 } from '../../kernel/vfio/vfio_iommu_type1.ts';
import { VfioCore } from '../../kernel/vfio/vfio_main.ts';
import type { CcwFields } from './ccw_fixture.ts';
import { FakeCss } from './fake_css.ts';
import { type FixtureOptions, KernelFixture } from './kernel_fixture.ts';

const { P, H } = ORB_CTRL0.mask;
/** The switch of no-IOMMU mode. */
export const NOIOMMU_PARAMETER = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
/** Bytes of memory of the process beside the buffer. */
const MEMORY = 1 << 18;

/** What a test says of a request; the rest is a program that can be started. */
export interface RequestOptions {
  readonly ctrl0?: number;
  readonly ctrl1?: number;
  readonly lpm?: number;
  readonly fctl?: number;
  readonly nr?: number;
  readonly buffer?: number;
  readonly argsz?: number;
}

export class CcwRfcFixture extends KernelFixture {
  readonly css: FakeCss;
  readonly core: VfioCore;
  readonly host: VfioCcwHost;
  /** The buffer with the program, and memory for data. */
  readonly buffer: Vma;
  readonly data: Vma;
  container = -1;
  group = -1;
  fd = -1;

  /** @param bus the channel subsystem; a fake one with two devices when omitted. */
  constructor(options: FixtureOptions = {}, bus?: (t: KernelFixture) => CioBus) {
    super(options);
    this.css = new FakeCss([0x1000, 0x1001]);
    this.core = new VfioCore(this.kernel);
    registerType1(this.core);
    this.host = startCss(this.kernel, this.core, bus?.(this) ?? this.css);
    this.buffer = this.kernel.mm.mmapAnonymous('program', uapi.VFIO_CCW_CHAIN.SIZE, true);
    this.data = this.kernel.mm.mmapAnonymous('data', MEMORY, true);
  }

  /** Gives a subchannel to the driver, with no-IOMMU mode on. */
  *bind(busId = '0.0.0000'): Task {
    const { user } = this;
    yield* user.writeFile(NOIOMMU_PARAMETER, '1');
    yield* user.writeFile(`/sys/bus/css/devices/${busId}/driver_override`, 'vfio_ccw_rfc');
    yield* user.writeFile('/sys/bus/css/drivers/io_subchannel/unbind', busId);
    yield* user.writeFile('/sys/bus/css/drivers/vfio_ccw_rfc/bind', busId);
  }

  /** Binds and opens 0.0.0000. */
  *openAll(): Task {
    const { user } = this;
    yield* this.bind();
    this.container = yield* user.open('/dev/vfio/vfio');
    this.group = yield* user.open('/dev/vfio/noiommu-0');
    yield* this.setContainer(this.group, this.container);
    yield* user.ioctl(this.container, ioctls.VFIO_SET_IOMMU, uapi.VFIO_NOIOMMU_IOMMU);
    this.fd = yield* this.openDevice();
  }
  *setContainer(group: number, container: number): Task<number> {
    const bytes = uapi.fd_argument.bytes(uapi.fd_argument.make({ fd: container }));
    return yield* this.user.ioctlBytes(group, ioctls.VFIO_GROUP_SET_CONTAINER, bytes);
  }
  *openDevice(name = '0.0.0000'): Task<number> {
    return yield* this.user.ioctlBytes(
      this.group,
      ioctls.VFIO_GROUP_GET_DEVICE_FD,
      new TextEncoder().encode(`${name}\0`),
    );
  }

  /** The kernel's state of the device. */
  get device(): VfioCcwRfc {
    return (this.kernel.files.file(this.fd).object as VfioCcwRfcDevice).device;
  }

  /** Memory of the process, at a user address. */
  poke(address: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const length = Math.min(bytes.length - done, 4096 - ((address + done) % 4096));
      this.user.bytes(address + done, length).set(bytes.subarray(done, done + length));
      done += length;
    }
  }

  /**
   * Fills the buffer. A CCW's data address is the user address of its data or IDAL, of a TIC the number of its target:
   * the offsets are made here.
   */
  program(ccws: readonly CcwFields[]): void {
    const bytes = new Uint8Array(uapi.VFIO_CCW_CHAIN.SIZE);
    const dv = new DataView(bytes.buffer);
    for (const [i, [cmd, flags, count, address]] of ccws.entries()) {
      const tic = cmd === 0x08;
      Object.assign(CCW1.at(dv, i * 8), { cmd, flags, count, cda: tic ? address * 8 : i * 8 });
      if (!tic) dv.setBigUint64(uapi.VFIO_CCW_CHAIN.CDA_OFFSET + i * 8, BigInt(address), true);
    }
    this.poke(this.buffer.start, bytes);
  }

  /** Makes the call with `nr` CCWs and waits for its end. */
  *request(nr: number, options: RequestOptions = {}): Task<{ scsw: ReturnType<typeof SCSW.at>; irb: Uint8Array }> {
    const {
      ctrl0 = P | H,
      ctrl1 = 0,
      lpm = 0x80,
      fctl = SCSW_FCTL_START_FUNC,
      argsz = uapi.vfio_ccw_cmd.size,
    } = options;
    const cmd = uapi.vfio_ccw_cmd.make({
      argsz,
      ccwchain_nr: options.nr ?? nr,
      orb_area: ORB.bytes(ORB.make({ intparm: 0x1234, ctrl0, ctrl1, lpm })),
      scsw_area: SCSW.bytes(SCSW.make({ ctrl: fctl })),
      ccwchain_buf: options.buffer ?? this.buffer.start,
    });
    yield* this.user.ioctlStruct(this.fd, ioctls.VFIO_DEVICE_CCW_CMD_REQUEST, cmd);
    const irb = cmd.irb_area.slice(0, IRB.size);
    return { scsw: SCSW.at(new DataView(cmd.scsw_area.slice().buffer)), irb };
  }

  /** Everything pinned, charged or allocated for channel programs. */
  get held(): string {
    let pins = 0;
    for (const vma of this.kernel.mm.vmas)
      for (let va = vma.start; va < vma.start + vma.size; va += 4096)
        pins += this.kernel.mm.space.frames.pins(this.kernel.mm.space.lookup(va, false));
    return `${pins} pins, ${this.kernel.mm.lockedVm} locked, ${this.host.pool.live} blocks`;
  }
}
