/** How a host subchannel comes into the machine and goes: what both generations of vfio-ccw do alike. */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_DEVICE_RESET } from '../../../kernel/include/uapi/ioctl.ts';
import type { Mutex, Task } from '../../../kernel/lib/task.ts';
import type { ChannelSubsystem } from '../s390x/css.ts';
import type { PluggedDevice, Subchannel } from '../s390x/subchannel.ts';
import type { CcwHost } from './ccw_host.ts';

/** A plugged device that stands for a subchannel of the host. */
type PassedThrough = PluggedDevice & { readonly host?: CcwHost };

/**
 * Nothing of the host is in the machine twice, and no two devices have one name.
 * @param id the name that the user gave it, if any. @throws Error, one sentence naming the device
 */
export function checkPlug(css: ChannelSubsystem, driver: string, host: CcwHost, id: string | undefined): void {
  const name = `${driver} ${host.busId}`;
  for (const { operations } of css.subchannels()) {
    const plugged: PassedThrough | undefined = operations.plugged;
    if (plugged?.driver === driver && plugged.host?.busId === host.busId)
      throw new Error(`${name}: this subchannel of the host is in the machine already`);
    if (id !== undefined && plugged?.id === id)
      throw new Error(`${name}: id=${id} is another device's: choose another id=`);
  }
}

/** Opens what a device needs; when that fails half-way, closes what is open. @throws what `realize` throws */
export function* realizeOrRelease(realize: Task, release: () => Task): Task {
  try {
    yield* realize;
  } catch (error) {
    yield* release();
    throw error;
  }
}

/**
 * Takes a subchannel out of the machine, closes what is open of it, and tells the guest. Of two that ask (the host and
 * the monitor) the second waits for the first.
 * @returns false when it was unplugged already
 */
export function* unplugSubchannel(
  css: ChannelSubsystem,
  sch: Subchannel,
  plugging: Mutex,
  release: () => Task,
): Task<boolean> {
  yield* plugging.lock();
  try {
    if (!css.holds(sch)) return false;
    yield* sch.lock.lock();
    try {
      yield* css.remove(sch);
    } finally {
      sch.lock.unlock();
    }
    yield* release();
    yield* css.reportSubchannel(sch);
    return true;
  } finally {
    plugging.unlock();
  }
}

/** The kernel's reset ends what runs; what it says of it is of no interest. */
export function* quietReset({ sys }: Machine, fd: number): Task {
  try {
    yield* sys.ioctl(fd, VFIO_DEVICE_RESET);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
  }
}
