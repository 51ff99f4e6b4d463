/** The vfio device of a subchannel (drivers/s390/cio/vfio_ccw_ops.c): open, close, regions, ioctls (vfio-ccw facts 3.5). */
import { IRB } from '../../include/arch/s390/irb.ts';
import { Errno } from '../../include/uapi/errno.ts';
import {
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
} from '../../include/uapi/ioctl.ts';
import {
  ccw_cmd_region,
  ccw_io_region,
  VFIO_CCW_IRQ,
  VFIO_CCW_OFFSET_SHIFT,
  VFIO_DEVICE_FLAGS,
  VFIO_IRQ_INFO,
  VFIO_REGION_INFO_CAP_TYPE,
  VFIO_REGION_TYPE_CCW,
  type vfio_region_info,
  vfio_region_info_cap_type,
} from '../../include/uapi/vfio.ts';
import type { View } from '../../lib/struct.ts';
import type { Task } from '../../lib/task.ts';
import type { FileOperations } from '../../syscall/file.ts';
import { ioctlOperation, row } from '../../syscall/ioctl.ts';
import { storeRegionInfo } from '../../vfio/info_cap.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { IommuGroup, VfioDevice, VfioKernelUsers } from '../../vfio/vfio.ts';
import { asyncRegion } from './vfio_ccw_async.ts';
import { crwRegion, schibRegion } from './vfio_ccw_chp.ts';
import { setIrqs } from './vfio_ccw_irqs.ts';
import { reset } from './vfio_ccw_open.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';
import { type CcwRegion, ioRegion } from './vfio_ccw_regions.ts';

const REGION_SPAN = 1 << VFIO_CCW_OFFSET_SHIFT;
/** Requests between two log lines (facts 3.7). */
const REQUEST_LOG_PERIOD = 10;

/**
 * Requests and status of who had the device before, perhaps another process: none of the next one's business. (Linux
 * leaves them in the regions.)
 */
function forgetRequests({ ioRegion, cmdRegion, irb }: VfioCcwPrivate): void {
  ccw_io_region.bytes(ioRegion).fill(0);
  ccw_cmd_region.bytes(cmdRegion).fill(0);
  IRB.bytes(irb).fill(0);
}

export class VfioCcwDevice implements VfioDevice {
  readonly device: VfioCcwPrivate;
  readonly group: IommuGroup;
  readonly operations: FileOperations;
  readonly #io: CcwRegion;

  constructor(device: VfioCcwPrivate, group: IommuGroup) {
    this.device = device;
    device.vfioDevice = this;
    this.group = group;
    this.#io = ioRegion(device);
    this.operations = {
      ioctl: ioctlOperation(device.host.kernel, this.#rows()),
      read: (count, offset) => this.#at(offset, (region, position) => region.read(position, count)),
      write: (bytes, offset) => this.#at(offset, (region, position) => region.write(position, bytes)),
    };
  }

  get name(): string {
    return this.device.name;
  }

  *openDevice(users: VfioKernelUsers | undefined): Task {
    const { device } = this;
    yield* device.resetMutex.lock();
    try {
      if (device.state === 'NOT_OPER') throw new Errno('EINVAL', `vfio-ccw ${device.sch.busId}: not operational`);
      if (users === undefined) throw new Errno('EINVAL', `vfio-ccw ${device.sch.busId}: the IOMMU has no pinning`);
      device.users = users;
      forgetRequests(device);
      device.regions = [asyncRegion(device), schibRegion(device), crwRegion(device)];
      yield* device.fsm('OPEN');
      if ((device.state as string) === 'NOT_OPER') {
        this.#dropRegions();
        throw new Errno('EINVAL', `vfio-ccw ${device.sch.busId}: cannot be enabled`);
      }
    } finally {
      device.resetMutex.unlock();
    }
  }

  *closeDevice(): Task {
    const { device } = this;
    yield* device.resetMutex.lock();
    try {
      yield* device.fsm('CLOSE');
      yield* device.host.workqueue.cancel(device.crwWork);
    } finally {
      this.#dropRegions();
      device.ioTrigger = undefined;
      device.crwTrigger = undefined;
      device.reqTrigger = undefined;
      device.resetMutex.unlock();
    }
  }

  #dropRegions(): void {
    for (const region of this.device.regions) region.release?.();
    this.device.regions = [];
    this.device.users = undefined;
  }

  /** Type1 is about to unmap: if the running program has a page there, it is stopped. */
  *dmaUnmap(iova: number, size: number): Task {
    const { device } = this;
    const pinned = () => device.cp.iovaPinned(iova, size);
    if (!pinned()) return;
    yield* raceWindow(device.host.kernel.actor);
    try {
      yield* reset(device, pinned);
    } catch (error) {
      // Not operational: closing has freed the program all the same.
      if (!(error instanceof Errno)) throw error;
      device.host.kernel.log(error.message);
    }
  }

  /** The host wants the device back. */
  request(count: number): void {
    const { device } = this;
    const { log } = device.host.kernel;
    if (device.reqTrigger === undefined) {
      if (count === 0)
        log(`vfio-ccw ${device.sch.busId}: no device request channel registered, blocked until released by user`);
      return;
    }
    if (count % REQUEST_LOG_PERIOD === 0) log(`vfio-ccw ${device.sch.busId}: requesting device from user (#${count})`);
    device.reqTrigger.signal();
  }

  #region(index: number): CcwRegion | undefined {
    return index === 0 ? this.#io : this.device.regions[index - 1];
  }

  *#at<T>(offset: number, access: (region: CcwRegion, position: number) => Task<T>): Task<T> {
    const index = Math.floor(offset / REGION_SPAN);
    const region = this.#region(index);
    if (region === undefined) throw new Errno('EINVAL', `vfio-ccw ${this.device.sch.busId}: no region ${index}`);
    return yield* access(region, offset % REGION_SPAN);
  }

  #rows() {
    const { device } = this;
    return [
      row(VFIO_DEVICE_GET_INFO, function* (_arg, info) {
        info.flags = VFIO_DEVICE_FLAGS.CCW | VFIO_DEVICE_FLAGS.RESET;
        info.num_regions = 1 + device.regions.length;
        info.num_irqs = VFIO_CCW_IRQ.NUM;
        return 0;
      }),
      row(VFIO_DEVICE_GET_REGION_INFO, (arg, info) => this.#regionInfo(arg, info)),
      row(VFIO_DEVICE_GET_IRQ_INFO, function* (_arg, info) {
        if (info.index >= VFIO_CCW_IRQ.NUM) throw new Errno('EINVAL', `VFIO_DEVICE_GET_IRQ_INFO: index ${info.index}`);
        info.count = 1;
        info.flags = VFIO_IRQ_INFO.EVENTFD;
        return 0;
      }),
      row(VFIO_DEVICE_SET_IRQS, (arg, header) => setIrqs(device, arg, header)),
      row(VFIO_DEVICE_RESET, function* () {
        yield* reset(device);
        return 0;
      }),
    ];
  }

  *#regionInfo(arg: number, info: View<typeof vfio_region_info.fields>): Task<number> {
    const region = this.#region(info.index);
    if (region === undefined) throw new Errno('EINVAL', `VFIO_DEVICE_GET_REGION_INFO: index ${info.index}`);
    const { space } = this.device.host.kernel.mm;
    info.offset = info.index * REGION_SPAN;
    info.size = region.size;
    info.flags = region.flags;
    // The I/O region needs no type: it is the first one of every vfio-ccw device.
    const type = vfio_region_info_cap_type.make({ type: VFIO_REGION_TYPE_CCW, subtype: region.subtype });
    const bytes = vfio_region_info_cap_type.bytes(type);
    const capabilities = info.index === 0 ? [] : [{ id: VFIO_REGION_INFO_CAP_TYPE, version: 1, bytes }];
    return yield* storeRegionInfo(space, arg, info, capabilities);
  }
}
