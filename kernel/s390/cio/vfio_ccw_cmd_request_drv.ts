/**
 * The driver of the 2016 RFC beside the merged one: the subchannel itself is the VFIO device, in a no-IOMMU group of its
 * own; no mediated device, no regions, no interrupts. Bound through /sys/bus/css/drivers/vfio_ccw_rfc, once
 * enable_unsafe_noiommu_mode is on. (The RFC sits on the ccw bus, one level up; nothing here would differ.)
 */
import { PMCW_FLAGS } from '../../include/arch/s390/schib.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { VFIO_DEVICE_CCW_CMD_REQUEST, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_RESET } from '../../include/uapi/ioctl.ts';
import { VFIO_DEVICE_FLAGS } from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import type { FileOperations } from '../../syscall/file.ts';
import { ioctlOperation, row } from '../../syscall/ioctl.ts';
import type { IommuGroup, VfioDevice } from '../../vfio/vfio.ts';
import type { VfioCore } from '../../vfio/vfio_main.ts';
import { cioUpdateSchib } from './cio.ts';
import type { CssDriver, Subchannel } from './subchannel.ts';
import { cmdRequest, rfcIrq } from './vfio_ccw_cmd_request.ts';
import { VfioCcwRfc } from './vfio_ccw_cmd_request_private.ts';
import type { VfioCcwHost } from './vfio_ccw_private.ts';

/** Name of the driver on the css bus. */
const DRIVER = 'vfio_ccw_rfc';

/** @param host asked when first needed: the css core, which is made with its drivers, is part of it. */
export function vfioCcwRfcDriver(vfio: VfioCore, host: () => VfioCcwHost): CssDriver {
  const devices = new Map<Subchannel, VfioCcwRfcDevice>();
  const stateOf = (sch: Subchannel) => devices.get(sch)?.device;
  return {
    name: DRIVER,
    *probe(sch) {
      if (PMCW_FLAGS.get(sch.schib.pmcw.flags, 'QF') === 1) throw new Errno('ENODEV', `${DRIVER} ${sch.busId}: QDIO`);
      const group = vfio.noiommu.allocateGroup(`${DRIVER} ${sch.busId}`);
      const device = new VfioCcwRfcDevice(new VfioCcwRfc(host(), sch), group);
      devices.set(sch, device);
      vfio.addDevice(device, sch.path);
    },
    *remove(sch) {
      const device = devices.get(sch);
      if (device === undefined) return;
      yield* vfio.removeDevice(device);
      devices.delete(sch);
    },
    *irq(sch) {
      const device = stateOf(sch);
      if (device !== undefined) yield* rfcIrq(device);
    },
    *schEvent(sch) {
      const device = stateOf(sch);
      if (device !== undefined && device.state !== 'NOT_OPER' && cioUpdateSchib(sch) !== 0) device.notOper();
    },
    // The RFC leaves path events for later.
    *chpEvent() {},
    *shutdown(sch) {
      const device = stateOf(sch);
      if (device === undefined) return;
      yield* device.resetMutex.lock();
      try {
        if (device.state === 'IDLE') yield* device.stop();
      } finally {
        device.resetMutex.unlock();
      }
    },
  };
}

export class VfioCcwRfcDevice implements VfioDevice {
  readonly device: VfioCcwRfc;
  readonly group: IommuGroup;
  readonly operations: FileOperations;

  constructor(device: VfioCcwRfc, group: IommuGroup) {
    this.device = device;
    this.group = group;
    device.vfioDevice = this;
    this.operations = {
      ioctl: ioctlOperation(device.host.kernel, [
        row(VFIO_DEVICE_GET_INFO, function* (_arg, info) {
          info.flags = VFIO_DEVICE_FLAGS.CCW | VFIO_DEVICE_FLAGS.RESET;
          info.num_regions = 0;
          info.num_irqs = 0;
          return 0;
        }),
        row(VFIO_DEVICE_RESET, () => reset(device)),
        row(VFIO_DEVICE_CCW_CMD_REQUEST, (arg, cmd) => cmdRequest(device, arg, cmd)),
      ]),
    };
  }

  /** The subchannel's bus identification. */
  get name(): string {
    return this.device.sch.busId;
  }

  *openDevice(): Task {
    const { device } = this;
    yield* device.resetMutex.lock();
    try {
      if (device.state === 'STANDBY') yield* device.open();
      if (device.state !== 'IDLE') throw new Errno('EINVAL', `${device.what}: not operational`);
    } finally {
      device.resetMutex.unlock();
    }
  }

  /** Nobody is in a call: a call holds the file open. */
  *closeDevice(): Task {
    const { device } = this;
    yield* device.resetMutex.lock();
    try {
      if (device.state === 'IDLE') yield* device.stop();
    } finally {
      device.resetMutex.unlock();
    }
  }

  /** The host wants the device back. There is no interrupt that could tell user space. */
  request(count: number): void {
    const { device } = this;
    if (count === 0)
      device.host.kernel.log(`${device.what}: no way to ask for the device, blocked until released by user`);
  }
}

/** VFIO_DEVICE_RESET, which stands for the RFC's VFIO_DEVICE_CCW_HOT_RESET: off and on again. @throws Errno EINVAL */
function* reset(device: VfioCcwRfc): Task<number> {
  yield* device.resetMutex.lock();
  try {
    if (device.state === 'IDLE') yield* device.stop();
    if (device.state === 'STANDBY') yield* device.open();
    if (device.state !== 'IDLE') throw new Errno('EINVAL', `${device.what}: reset: not operational`);
    return 0;
  } finally {
    device.resetMutex.unlock();
  }
}
