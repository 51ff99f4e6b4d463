/**
 * Machine `toy`: RAM, CPUs, the passed-through DASDs and the DMA port with its LIOBN, brought up in the order QEMU
 * brings up a machine: memory, CPUs, devices, program.
 */
import { SpaprTceTable } from '../../devices/virtual/ppc/spapr_iommu.ts';
import { VFIOCCWDevice, type VfioCcwOptions } from '../../devices/virtual/vfio/ccw.ts';
import { VFIOCCWRequestDevice } from '../../devices/virtual/vfio/ccw_cmd_request.ts';
import { VFIOPCIDevice } from '../../devices/virtual/vfio/pci.ts';
import { attachTable, openSpaprContainer } from '../../devices/virtual/vfio/spapr.ts';
import { PAGE_SHIFT } from '../../kernel/lib/host_memory.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { MachineConfig } from '../config.ts';
import { DMA_PORT } from '../dma_port.ts';
import { passThrough, passThroughUnsafe } from './host_setup.ts';
import type { Vmm } from './vmm.ts';

/** Brings the machine up; afterwards only the program is missing. @throws Errno; Error, one sentence */
export function* realizeMachine(vmm: Vmm): Task {
  const { config, kvm, sys, memory } = vmm;
  yield* sys.start((va) => memory.space.lookup(va, true));
  yield* kvm.open();
  const ram = yield* sys.mmap(-1, config.memory);
  memory.mapped(ram);
  yield* kvm.setMemory(0, 0, config.memory, ram);
  yield* kvm.createDevices();
  for (const vcpu of vmm.vcpus) vcpu.fd = yield* kvm.createVcpu(vcpu.address);
  for (const [number, drive] of config.drives.entries()) {
    const sysfsdev = yield* hostSetup(config)(sys, drive);
    yield* plugCcw(vmm, { id: driveId(number), sysfsdev, devno: drive.devno });
  }
  if (config.dmaPort) yield* realizeDmaPort(vmm);
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

function* realizeDmaPort(vmm: Vmm): Task {
  const { hypercalls, memory, config } = vmm;
  // Frames can only move when RAM is not pinned as a whole: then every page is pinned when it is mapped.
  const preregister = !config.memoryPressure;
  const container = yield* openSpaprContainer(vmm, preregister);
  const device = yield* VFIOPCIDevice.realize(vmm, { host: DMA_PORT.host, container });
  const table = yield* SpaprTceTable.create(vmm, {
    liobn: DMA_PORT.liobn,
    busOffset: 0,
    pageShift: PAGE_SHIFT,
    nbTable: DMA_PORT.window / 2 ** PAGE_SHIFT,
    needVfio: true,
    kvm: preregister,
    mapped: (va) => memory.space.lookup(va, true),
  });
  yield* attachTable(vmm, container, [device.group], table);
  hypercalls.tce.add(table);
  hypercalls.ci.add(device.barWindow(0, DMA_PORT.bar));
  yield* hypercalls.start();
}
