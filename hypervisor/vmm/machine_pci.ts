/**
 * PCI devices of machine `toy`, passed through: at power-on each on a host bridge of its own, so that its errors, windows
 * and pins are its alone, as sPAPR guests want it (EEH takes one group in a container); later as the monitor plugs them.
 */
import { type PluggedDevice, SpaprPhb } from '../../devices/virtual/ppc/spapr_pci.ts';
import { BarSlots } from '../../devices/virtual/vfio/bar_slots.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { MachineConfig } from '../config.ts';
import type { PlugPciOptions, Unplugged } from '../monitor/target.ts';
import type { Vmm } from './vmm.ts';

/** A PCI device of the host. */
interface HostPci {
  /** Each PE has one, on bus 1, and its number is the device number. */
  readonly host: string;
  /** What it is called in the monitor. */
  readonly id: string;
  /** In the machine when that is switched on. */
  readonly plugged: boolean;
}

/** The host's PCI devices that the machine gets, in the order of their PEs: the DMA port, then the NICs. */
function pciDevices({ dmaPort, nics = [], pes }: MachineConfig): HostPci[] {
  const all = [
    ...(dmaPort ? [{ id: 'dmaport', plugged: true }] : []),
    ...nics.map(({ id, plug }, number) => ({ id: id ?? `nic${number}`, plugged: plug !== false })),
  ];
  return all.map((device, i) => ({ ...device, host: `0000:01:${(pes?.[i] ?? i).toString(16).padStart(2, '0')}.0` }));
}

/** A host bridge for each PCI device of the host, and the devices on them. @throws Errno; Error */
export function* realizePci(vmm: Vmm): Task {
  const devices = pciDevices(vmm.config);
  if (devices.length === 0) return;
  const { hypercalls, memory, config } = vmm;
  const { irq, tce, ci, phbs } = hypercalls;
  const slots = config.mmio === 'exit' ? undefined : new BarSlots(vmm);
  for (const [index, device] of devices.entries()) {
    const phb = yield* SpaprPhb.realize(vmm, {
      index,
      irq,
      tce,
      ci,
      mapped: (va) => memory.space.lookup(va, true),
      // Frames can only move when RAM is not pinned as a whole: then every page is pinned when it is mapped, in KVM's
      // virtual mode or by VFIO.
      preregister: !config.memoryPressure,
      bind: config.tceBind,
      slots,
      hostRequests: (asking, devfn) => hostRequests(vmm, asking, devfn),
    });
    if (device.plugged) yield* phb.plug(device);
    phbs.add(phb);
  }
  yield* hypercalls.start();
}

/**
 * Plugs a device of the host while the machine runs. The guest finds it in configuration space, and is told if it hears of
 * hot-plug events; firmware has given its BARs addresses. @throws Errno; Error, one sentence
 */
export function* plugPci(vmm: Vmm, { host, id, bus, slot, requests }: PlugPciOptions): Task {
  yield* vmm.bql.lock();
  try {
    const phbs = vmm.hypercalls.phbs.all();
    const there = phbs.flatMap((phb) => phb.devices());
    const name = id ?? pciDevices(vmm.config).find((device) => device.host === host)?.id ?? host;
    const ccw = [...vmm.board.css.subchannels()].some(({ operations }) => operations.plugged?.id === name);
    if (there.some((device) => device.host === host)) throw new Error(`vfio-pci ${host}: device is already attached`);
    if (ccw || there.some((device) => device.id === name))
      throw new Error(`vfio-pci ${host}: id=${name} is another device's: choose another id=`);
    yield* vmm.hypercalls.hotplug.plug(busFor(phbs, host, bus), { host, id: name, slot, requests });
  } finally {
    vmm.bql.unlock();
  }
}

/** The bridge whose bus has a name, or the first one without a device. @throws Error */
function busFor(phbs: readonly SpaprPhb[], host: string, bus: string | undefined): SpaprPhb {
  if (bus !== undefined) {
    const named = phbs.find((phb) => phb.busName === bus);
    if (named === undefined) {
      const known = phbs.map((phb) => phb.busName).join(', ');
      throw new Error(`Bus '${bus}' not found; ${known === '' ? 'the machine has no PCI bus' : `there is ${known}`}`);
    }
    return named;
  }
  const free = phbs.find((phb) => phb.devices().length === 0);
  if (free !== undefined) return free;
  throw new Error(
    phbs.length === 0
      ? `No 'PCI' bus found for device 'vfio-pci'; start with --nic, which makes a host bridge`
      : `vfio-pci ${host}: every host bridge has its device; give bus=pci.N to share one`,
  );
}

/**
 * Takes a device out of the running machine, or asks a guest that hears of hot-plug events to let go of it.
 * @returns true when it is gone; false when somebody else took it out before. @throws Errno; Error, one sentence
 */
export function* unplugPci(vmm: Vmm, phb: SpaprPhb, plugged: PluggedDevice): Task<Unplugged> {
  yield* vmm.bql.lock();
  try {
    if (!phb.devices().includes(plugged)) return false;
    const outcome = yield* vmm.hypercalls.hotplug.requestUnplug(phb, plugged);
    return outcome === 'unplugged' ? true : outcome;
  } finally {
    vmm.bql.unlock();
  }
}

/** The host asks for a device: vfio-pci is to leave it. */
function* hostRequests(vmm: Vmm, phb: SpaprPhb, devfn: number): Task {
  yield* vmm.bql.lock();
  try {
    const plugged = phb.devices().find((device) => device.devfn === devfn);
    if (plugged !== undefined) yield* vmm.hypercalls.hotplug.hostRequests(phb, plugged);
  } finally {
    vmm.bql.unlock();
  }
}
