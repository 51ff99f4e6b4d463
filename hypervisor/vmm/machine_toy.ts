/**
 * Machine `toy`: RAM, CPUs, the passed-through DASDs and the DMA port with its LIOBN, brought up in the order QEMU
 * brings up a machine: memory, CPUs, devices, program.
 */
import { VFIOCCWDevice, type VfioCcwOptions } from '../../devices/virtual/vfio/ccw.ts';
import { VFIOCCWRequestDevice } from '../../devices/virtual/vfio/ccw_cmd_request.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { MachineConfig } from '../config.ts';
import { passThrough, passThroughUnsafe } from './host_setup.ts';
import { realizePci } from './machine_pci.ts';
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
  yield* realizePci(vmm);
}

/** What a drive is called in the monitor. */
export function driveId(number: number): string {
  return `dasd${number}`;
}

/** Puts a subchannel of the host into the machine, at start or while it runs. @throws Errno; Error, one sentence */
export function* plugCcw(vmm: Vmm, options: VfioCcwOptions): Task {
  if (vmm.config.ccwApi === 'cmd-request') yield* VFIOCCWRequestDevice.realize(vmm.board.css, options);
  else
    yield* VFIOCCWDevice.realize(vmm.board.css, {
      ...options,
      commandRegion: vmm.config.ccwApi !== 'io-region',
    });
}

/** How the host gives a drive away: to the merged vfio-ccw, or to that of the 2016 RFC. */
function hostSetup({ ccwApi }: Pick<MachineConfig, 'ccwApi'>): typeof passThrough {
  return ccwApi === 'cmd-request' ? passThroughUnsafe : passThrough;
}
