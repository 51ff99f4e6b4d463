/**
 * Machine `toy`: RAM, CPUs, the passed-through DASDs and the DMA port with its LIOBN, brought up in the order QEMU
 * brings up a machine: memory, CPUs, devices, program.
 */
import { SpaprPhb } from '../../devices/virtual/ppc/spapr_pci.ts';
import { VFIOCCWDevice, type VfioCcwOptions } from '../../devices/virtual/vfio/ccw.ts';
import { VFIOCCWRequestDevice } from '../../devices/virtual/vfio/ccw_cmd_request.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { MachineConfig } from '../config.ts';
import { passThrough, passThroughUnsafe } from './host_setup.ts';
import { mapRam, realizePlatform } from './machine_platform.ts';
import type { Vmm } from './vmm.ts';

/** Brings the machine up; afterwards only the program is missing. @throws Errno; Error, one sentence */
export function* realizeMachine(vmm: Vmm): Task {
  const { config, kvm, sys, memory } = vmm;
  yield* sys.start((va) => memory.space.lookup(va, true));
  yield* kvm.open();
  const ram = yield* mapRam(sys, config);
  memory.mapped(ram.va);
  yield* kvm.setMemory(0, 0, config.memory, ram.va);
  yield* kvm.createDevices();
  for (const vcpu of vmm.vcpus) vcpu.fd = yield* kvm.createVcpu(vcpu.address);
  for (const [number, drive] of config.drives.entries()) {
    const sysfsdev = yield* hostSetup(config)(sys, drive);
    yield* plugCcw(vmm, { id: driveId(number), sysfsdev, devno: drive.devno });
  }
  yield* realizePlatform(vmm, ram);
  if (pciDevices(config).length > 0) yield* realizePci(vmm);
}

/** What a drive is called in the monitor. */
export function driveId(number: number): string {
  return `dasd${number}`;
}

/** Puts a subchannel of the host into the machine, at start or while it runs. @throws Errno; Error, one sentence */
export function* plugCcw(vmm: Vmm, options: VfioCcwOptions): Task {
  if (vmm.config.ccwApi === 'cmd-request') yield* VFIOCCWRequestDevice.realize(vmm.board.css, options);
  else yield* VFIOCCWDevice.realize(vmm.board.css, options);
}

/** How the host gives a drive away: to the merged vfio-ccw, or to that of the 2016 RFC. */
function hostSetup({ ccwApi }: Pick<MachineConfig, 'ccwApi'>): typeof passThrough {
  return ccwApi === 'cmd-request' ? passThroughUnsafe : passThrough;
}

/**
 * The PCI devices of the host, each on a host bridge of its own: its errors, windows and pins are then its alone, as sPAPR
 * guests want it (EEH takes one group in a container). The DMA port's bridge comes first.
 */
function* realizePci(vmm: Vmm): Task {
  const { hypercalls, memory, config } = vmm;
  const { irq, tce, ci, phbs } = hypercalls;
  for (const [index, host] of pciDevices(config).entries()) {
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
    });
    yield* phb.plug({ host });
    phbs.add(phb);
  }
  yield* hypercalls.start();
}

/** Addresses of the host's PCI devices: each PE has one, on bus 1, and its number is the device number. */
function pciDevices({ dmaPort, nics = [] }: MachineConfig): string[] {
  const count = (dmaPort ? 1 : 0) + nics.length;
  return Array.from({ length: count }, (_, pe) => `0000:01:${pe.toString(16).padStart(2, '0')}.0`);
}
