/**
 * Hot plug of PCI devices (QEMU hw/ppc/spapr_pci.c, spapr_pci_plug, spapr_pci_unplug_request; hw/vfio/pci.c,
 * vfio_req_notifier_handler). A guest that hears of hot-plug events takes a device over, and gives it back, by its slot's
 * connector; for one that does not, devices come and go at once. Methods are called with the machine's lock.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { RTAS_HP } from '../../../kernel/include/arch/ppc/rtas_event_log.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { SpaprEvents } from './spapr_events.ts';
import type { PciDrc, PluggedDevice, PlugPci, SpaprPhb } from './spapr_pci.ts';
import type { SpaprPhbs } from './spapr_rtas_pci.ts';

/** What became of a device that is to go: it is gone, or the guest has been asked for it. */
export type UnplugOutcome = 'unplugged' | 'asked';

export class SpaprPciHotplug {
  readonly #machine: Machine;
  readonly #phbs: SpaprPhbs;
  readonly #events: SpaprEvents;
  /** Devices that the host has asked for, and not got. */
  readonly #wanted = new WeakSet<PluggedDevice>();

  constructor(machine: Machine, phbs: SpaprPhbs, events: SpaprEvents) {
    this.#machine = machine;
    this.#phbs = phbs;
    this.#events = events;
  }

  /** Puts a device of the host on a running machine's bus, and tells a guest that hears of it. @throws Errno; Error */
  *plug(phb: SpaprPhb, options: PlugPci): Task<PluggedDevice> {
    const heard = this.#events.hotplugHeard;
    const plugged = yield* phb.plug(options, heard);
    if (heard) yield* this.#events.hotplug(RTAS_HP.ACTION_ADD, connector(phb, plugged).index);
    return plugged;
  }

  /** A device is to go. @throws Error, one sentence, when the guest has been asked for it already */
  *requestUnplug(phb: SpaprPhb, plugged: PluggedDevice): Task<UnplugOutcome> {
    const drc = connector(phb, plugged);
    if (drc.unplugRequested && this.#events.hotplugHeard)
      throw new Error(
        `device '${plugged.id}': the guest has been asked to release it already; info drc shows how far it is, system_reset takes it out`,
      );
    return yield* this.#unplug(drc);
  }
  *#unplug(drc: PciDrc): Task<UnplugOutcome> {
    if (!this.#events.hotplugHeard) {
      yield* drc.release();
      return 'unplugged';
    }
    if (yield* drc.requestUnplug()) return 'unplugged';
    yield* this.#events.hotplug(RTAS_HP.ACTION_REMOVE, drc.index);
    return 'asked';
  }

  /**
   * The host asks for a device. The guest is asked for it in turn; when the host asks again and still has not got it, it
   * is taken out: nobody answers.
   */
  *hostRequests(phb: SpaprPhb, plugged: PluggedDevice): Task {
    const drc = connector(phb, plugged);
    const name = nameOf(plugged);
    if (this.#wanted.has(plugged)) {
      this.#machine.notify(
        `${name}: the host asks for the device again; the guest has not released it, it is unplugged`,
      );
      return yield* drc.release();
    }
    this.#wanted.add(plugged);
    const asked = drc.unplugRequested || (yield* this.#unplug(drc)) === 'asked';
    this.#machine.notify(
      `${name}: the host asks for the device; ${asked ? 'the guest is asked to release it' : 'it is unplugged'}`,
    );
  }

  /** Machine reset, before that of the bridges: devices that were to go go, what stays is the guest's. */
  *reset(): Task {
    for (const phb of this.#phbs.all())
      for (const drc of phb.drcs) {
        const { device, unplugRequested } = drc;
        yield* drc.reset();
        if (unplugRequested && device !== undefined)
          this.#machine.notify(`${nameOf(device)}: the machine is reset; it is unplugged`);
      }
  }
}

/** A device in messages. */
function nameOf({ device, id }: PluggedDevice): string {
  return `${device.name} (${id})`;
}

/** The connector of a plugged device. @throws Error when it has none: a mistake of this program */
function connector(phb: SpaprPhb, { devfn }: PluggedDevice): PciDrc {
  const drc = phb.drcAt(devfn);
  if (drc === undefined) throw new Error(`host bridge ${phb.index}: device ${devfn >> 3} has no connector`);
  return drc;
}
