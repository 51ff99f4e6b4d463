/** Platform devices of machine `toy`: passed through behind PAMUs, or behind the 4K-page IOMMU that type1 drives. */
import { VFIOContainer } from '../../devices/virtual/vfio/container.ts';
import { openPamuContainer } from '../../devices/virtual/vfio/pamu_container.ts';
import { VFIOPlatformDevice, VFIOPlatformGroups } from '../../devices/virtual/vfio/platform.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { MachineConfig } from '../config.ts';
import { PLATFORM_FIRST_IRQ, platformDeviceAddress } from '../platform_devices.ts';
import type { Syscalls } from '../syscall.ts';
import { passThroughPlatform } from './host_setup.ts';
import type { Vmm } from './vmm.ts';

/** log2 of the huge pages that are tried for RAM, as e500mc has them: 64 MiB, 16 MiB, 4 MiB, 1 MiB. */
const HUGE_SHIFTS = [26, 24, 22, 20] as const;

/** Guest RAM. */
export interface Ram {
  readonly va: number;
  /** Bytes of the pieces of host memory that it is made of; a page when they are from everywhere. */
  readonly granule: number;
}

/** Whether RAM must be in large pieces. */
function needsHugePages({ pamu }: MachineConfig): boolean {
  return (pamu?.devices?.length ?? 0) > 0 && pamu?.iommu !== 'type1';
}

/**
 * Maps guest RAM: of pages from everywhere, or of the largest huge pages there are when a windowed IOMMU is to map it.
 * @throws Error, one sentence
 */
export function* mapRam(sys: Syscalls, config: MachineConfig): Task<Ram> {
  if (!needsHugePages(config)) return { va: yield* sys.mmap(-1, config.memory), granule: PAGE_SIZE };
  for (const shift of HUGE_SHIFTS) {
    if (config.memory % 2 ** shift !== 0) continue;
    try {
      return { va: yield* sys.mmapHuge(config.memory, shift), granule: 2 ** shift };
    } catch (error) {
      if (!(error instanceof Errno) || error.code !== 'ENOMEM') throw error;
    }
  }
  throw new Error(
    `the host has not enough huge pages of 1 MiB and more for ${config.memory / 2 ** 20} MiB of RAM in windows; ` +
      'give less --memory, or --iommu type1, which takes pages from everywhere',
  );
}

/** Opens the devices, in one container, and gives the guest their registers and interrupt sources. @throws Errno; Error */
export function* realizePlatform(vmm: Vmm, ram: Ram): Task {
  const { pamu } = vmm.config;
  const names = pamu?.devices ?? [];
  if (names.length === 0) return;
  for (const name of names) yield* passThroughPlatform(vmm.sys, name);
  // One bank has vectors for more devices than there are; who is alone takes all.
  const banks = vmm.config.label === undefined ? undefined : 1;
  const container = yield* pamu?.iommu === 'type1'
    ? VFIOContainer.open(vmm)
    : openPamuContainer(vmm, ram.granule, banks);
  const groups = new VFIOPlatformGroups(vmm, container);
  const { irq, ci, fsl } = vmm.hypercalls;
  for (const [number, host] of names.entries()) {
    const source = irq.claimMsis(1, 1);
    if (source !== PLATFORM_FIRST_IRQ + number)
      throw new Error(`vfio-platform ${host}: its interrupt source ${PLATFORM_FIRST_IRQ + number} is in use`);
    const device = yield* VFIOPlatformDevice.realize(vmm, { host, groups, interrupt: () => irq.pulse(source) });
    ci.add(device.window(platformDeviceAddress(number)));
    fsl.add(device);
  }
}
