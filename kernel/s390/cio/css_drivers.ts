/** The css bus: which driver has which subchannel, and bind, unbind and driver_override (drivers/base/bus.c, dd.c). */
import { Errno } from '../../include/uapi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import { Mutex, type Task } from '../../lib/task.ts';
import type { CssDriver, Subchannel } from './subchannel.ts';

export class CssDrivers {
  readonly #kernel: Kernel;
  readonly #subchannels: ReadonlyMap<number, Subchannel>;
  readonly #drivers: readonly CssDriver[];
  /** device_lock of each subchannel: held while a driver probes or removes. */
  readonly #locks = new Map<Subchannel, Mutex>();
  /** A subchannel that appears is offered to the drivers at once (bus drivers_autoprobe). */
  autoprobe: boolean;

  constructor(
    kernel: Kernel,
    subchannels: ReadonlyMap<number, Subchannel>,
    drivers: readonly CssDriver[],
    autoprobe = true,
  ) {
    this.#kernel = kernel;
    this.#subchannels = subchannels;
    this.#drivers = drivers;
    this.autoprobe = autoprobe;
    const { vfs } = kernel;
    const bus = this;
    vfs.attribute(
      '/sys/bus/css/drivers_autoprobe',
      () => (this.autoprobe ? '1' : '0'),
      function* (value) {
        bus.autoprobe = !value.startsWith('0');
      },
    );
    vfs.add('/sys/bus/css/devices', { kind: 'directory' });
    vfs.add('/sys/bus/css/drivers_probe', {
      kind: 'attribute',
      store: (busId) => this.probe(this.#find(busId)),
    });
    for (const driver of drivers) {
      const directory = `/sys/bus/css/drivers/${driver.name}`;
      vfs.add(`${directory}/bind`, { kind: 'attribute', store: (busId) => this.#bind(driver, busId) });
      vfs.add(`${directory}/unbind`, { kind: 'attribute', store: (busId) => this.#unbind(driver, busId) });
    }
  }

  /** @throws Errno ENODEV */
  #find(busId: string): Subchannel {
    for (const sch of this.#subchannels.values()) if (sch.busId === busId && !sch.unregistering) return sch;
    throw new Errno('ENODEV', `no subchannel ${busId}`);
  }

  /** css_bus_match: every driver here is for I/O subchannels; an override picks one by name. */
  #matches(driver: CssDriver, sch: Subchannel): boolean {
    return sch.driverOverride === undefined || sch.driverOverride === driver.name;
  }

  *#locked(sch: Subchannel, body: () => Task): Task {
    let lock = this.#locks.get(sch);
    if (lock === undefined) {
      lock = new Mutex(`device ${sch.busId}`);
      this.#locks.set(sch, lock);
    }
    yield* lock.lock();
    try {
      yield* body();
    } finally {
      lock.unlock();
    }
  }

  *#attach(driver: CssDriver, sch: Subchannel): Task {
    if (sch.driver !== undefined) throw new Errno('EBUSY', `${sch.busId} is bound to ${sch.driver.name}`);
    sch.driver = driver;
    try {
      yield* driver.probe(sch);
    } catch (error) {
      sch.driver = undefined;
      throw error;
    }
    const { vfs } = this.#kernel;
    vfs.add(`${sch.path}/driver`, { kind: 'link', target: `../../../bus/css/drivers/${driver.name}` });
    vfs.add(`/sys/bus/css/drivers/${driver.name}/${sch.busId}`, {
      kind: 'link',
      target: `../../../../devices/css0/${sch.busId}`,
    });
  }

  *#detach(sch: Subchannel): Task {
    const { driver } = sch;
    if (driver === undefined) return;
    const { vfs } = this.#kernel;
    // The driver keeps its interruptions until it has let go.
    yield* driver.remove(sch);
    sch.driver = undefined;
    vfs.remove(`${sch.path}/driver`);
    vfs.remove(`/sys/bus/css/drivers/${driver.name}/${sch.busId}`);
  }

  /** device_attach: the first driver that matches and takes it. */
  *probe(sch: Subchannel): Task {
    yield* this.#locked(sch, () => this.#probeLocked(sch));
  }
  *#probeLocked(sch: Subchannel): Task {
    for (const driver of this.#drivers) {
      if (sch.driver !== undefined) return;
      if (!this.#matches(driver, sch)) continue;
      try {
        yield* this.#attach(driver, sch);
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        this.#kernel.log(`${driver.name}: probe of ${sch.busId}: ${error.message}`);
      }
    }
  }

  *#bind(driver: CssDriver, busId: string): Task {
    const sch = this.#find(busId);
    if (!this.#matches(driver, sch)) throw new Errno('ENODEV', `${busId}: driver_override ${sch.driverOverride}`);
    yield* this.#locked(sch, () => this.#attach(driver, sch));
  }

  *#unbind(driver: CssDriver, busId: string): Task {
    const sch = this.#find(busId);
    if (sch.driver !== driver) throw new Errno('ENODEV', `${busId} is not bound to ${driver.name}`);
    yield* this.#locked(sch, () => this.#detach(sch));
  }

  /** The subchannel goes: its driver lets go, and nothing binds to it again. */
  *release(sch: Subchannel): Task {
    yield* this.#locked(sch, () => this.#detach(sch));
    this.#locks.delete(sch);
  }
}
