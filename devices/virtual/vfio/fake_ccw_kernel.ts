/** The kernel's side of a vfio-ccw device for unit tests: what it offers, what was written to it, what it answers. */
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import { ccw_io_region, vfio_region_info, vfio_region_info_cap_type } from '../../../kernel/include/uapi/vfio.ts';
import { FAKE_RAM_VA, FakeMachine } from '../fake_machine.ts';

export const UUID = '7e270a25-e163-4922-af60-757fc8ed48c6';
export const PARENT = '/sys/devices/css0/0.0.0313';
export const SYSFSDEV = `/sys/bus/mdev/devices/${UUID}`;
export const ASYNC = 1 << 10;
export const SCHIB_REGION = 2 << 10;
export const CRW = 3 << 10;

const be32 = (value: number) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];

/** What the kernel's device offers; tests change it. */
interface DeviceOffer {
  flags: number;
  regions: { size: number; subtype: number }[];
  irqs: number[];
}

/** Arguments that are not the ones the kernel must get end the test. */
function demand(got: readonly unknown[], expected: readonly unknown[]): void {
  if (got.join() !== expected.join()) throw new Error(`the kernel got ${got.join()}, not ${expected.join()}`);
}

export class FakeCcwKernel {
  readonly machine: FakeMachine;
  device: DeviceOffer = {
    flags: 0x11,
    regions: [
      { size: 124, subtype: 0 },
      { size: 8, subtype: 1 },
      { size: 52, subtype: 2 },
      { size: 8, subtype: 3 },
    ],
    irqs: [1, 1, 1],
  };
  /** Eventfds by interrupt index. */
  readonly eventfds = [-1, -1, -1];
  readonly writes: { offset: number; bytes: Uint8Array }[] = [];
  /** Errors of the next writes, in order. */
  writeErrors: ErrnoName[] = [];
  readonly irb = IRB.make();
  readonly schib = SCHIB.make();
  /** Error of every read of the I/O and SCHIB regions. */
  readError: ErrnoName | 'short' | undefined;
  /** Channel reports that the CRW region gives. */
  crws: number[] = [];

  constructor(seed: number) {
    this.machine = new FakeMachine(seed);
    const { kernel } = this.machine;
    kernel.links.set(SYSFSDEV, `../../../devices/css0/0.0.0313/${UUID}`);
    kernel.links.set(`${PARENT}/${UUID}/iommu_group`, '../../../../kernel/iommu_groups/7');
    kernel.files.set(`${PARENT}/pimpampom`, 'c0 c0 ff');
    kernel.files.set(`${PARENT}/chpids`, '80 81 00 00 00 00 00 00');
    kernel.files.set('/sys/devices/css0/chp0.80/type', '1b');
    const ok = () => 0;
    for (const name of [
      'VFIO_GROUP_SET_CONTAINER',
      'VFIO_GROUP_UNSET_CONTAINER',
      'VFIO_SET_IOMMU',
      'VFIO_DEVICE_RESET',
    ])
      kernel.ioctls.set(name, ok);
    kernel.ioctls.set('VFIO_GET_API_VERSION', ok);
    kernel.ioctls.set('VFIO_CHECK_EXTENSION', () => 1);
    kernel.ioctls.set('VFIO_IOMMU_MAP_DMA', ({ view }) => {
      demand([view.iova, view.vaddr, view.size, view.flags], [0, FAKE_RAM_VA, this.machine.memory.size, 3]);
      return 0;
    });
    kernel.ioctls.set('VFIO_IOMMU_UNMAP_DMA', ok);
    kernel.ioctls.set('KVM_SET_DEVICE_ATTR', ok);
    kernel.ioctls.set('VFIO_GROUP_GET_STATUS', ({ view }) => {
      view.flags = 1;
      return 0;
    });
    kernel.ioctls.set('VFIO_GROUP_GET_DEVICE_FD', ({ view }) => {
      demand([new TextDecoder().decode(view)], [`${UUID}\0`]);
      return kernel.install('device');
    });
    kernel.ioctls.set('VFIO_DEVICE_GET_INFO', ({ view }) => {
      Object.assign(view, { flags: this.device.flags, num_regions: this.device.regions.length, num_irqs: 3 });
      return 0;
    });
    kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', ({ view, tail }) => {
      const region = this.device.regions[view.index];
      Object.assign(view, { size: region.size, offset: view.index << 10, flags: 3 });
      if (region.subtype === 0) return 0;
      Object.assign(view, { argsz: vfio_region_info.size + vfio_region_info_cap_type.size, flags: 11 });
      if (tail === undefined) return 0;
      view.cap_offset = vfio_region_info.size;
      const capability = vfio_region_info_cap_type.make({ id: 2, version: 1, type: 2, subtype: region.subtype });
      tail.set(vfio_region_info_cap_type.bytes(capability));
      return 0;
    });
    kernel.ioctls.set('VFIO_DEVICE_GET_IRQ_INFO', ({ view }) => {
      view.count = this.device.irqs[view.index];
      return 0;
    });
    kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', ({ view, tail }) => {
      demand([view.argsz, view.flags, view.start, view.count], [24, 0x24, 0, 1]);
      this.eventfds[view.index] = new DataView(tail!.buffer).getInt32(0, true);
      return 0;
    });
    kernel.write = (_fd, bytes, offset) => {
      this.writes.push({ offset, bytes: bytes.slice() });
      const error = this.writeErrors.shift();
      if (error !== undefined) throw new Errno(error, 'region');
      return bytes.length;
    };
    kernel.read = (_fd, count, offset) => {
      if (offset === CRW) return Uint8Array.of(...be32(this.crws.shift() ?? 0), 0, 0, 0, 0);
      if (offset === SCHIB_REGION) {
        if (this.readError !== undefined) throw new Errno(this.readError as ErrnoName, 'schib');
        return SCHIB.bytes(this.schib).slice();
      }
      if (this.readError === 'short') return new Uint8Array(count - 1);
      if (this.readError !== undefined) throw new Errno(this.readError, 'region');
      const region = ccw_io_region.make();
      region.irb_area.set(IRB.bytes(this.irb));
      return ccw_io_region.bytes(region).slice();
    };
  }
}
