/** Starts the host kernel: hardware first, then the drivers, then the device nodes that user space opens. */
import { ChannelSubsystem } from '../devices/physical/css/channel_subsystem.ts';
import { HostBridge } from '../devices/physical/phb/host_bridge.ts';
import { exitProcess } from './exit.ts';
import { registerProc } from './fs/proc.ts';
import { STATE_ATTENTION } from './include/uapi/kvm_run.ts';
import { Kernel } from './kernel.ts';
import { Kvm } from './kvm/kvm_main.ts';
import type { ActorContext, Running } from './lib/actor_module.ts';
import type { Doorbell } from './lib/doorbell.ts';
import { memoryPressure } from './mm/migrate.ts';
import { Powernv } from './ppc/powernv.ts';
import { startCss } from './s390/cio/start_css.ts';
import { spaprTceDriver } from './vfio/vfio_iommu_spapr_tce.ts';
import { registerType1 } from './vfio/vfio_iommu_type1.ts';
import { VfioCore } from './vfio/vfio_main.ts';
import { bindVfioPci } from './vfio/vfio_pci.ts';

interface KernelConfig {
  readonly lockLimit: number;
  readonly seed: number;
  readonly memoryPressure: boolean;
  /** There is a Freescale SoC. */
  readonly pamu?: object;
}

/** What the kernel tells at its end. */
export interface KernelStatistics {
  /** Page frames handed out. */
  readonly allocatedFrames: number;
  /** Pages charged against the locked-memory limits of all processes. */
  readonly lockedVm: number;
  /** Frames moved by memory pressure. */
  readonly migrations: number;
}

/** @see ActorModule */
export async function start({ actor, memory, map, config, log }: ActorContext<KernelConfig>): Promise<Running> {
  const kernel = new Kernel(actor, memory, map, { lockLimit: config.lockLimit, seed: config.seed, log });
  // Nobody's process runs this.
  kernel.current = undefined;
  registerProc(kernel.vfs, kernel);
  // By the number at the end of the name; a machine need not have all of them.
  const doorbells = (kind: string) => {
    const bells: Doorbell[] = [];
    for (const { name } of map.actors)
      if (name.startsWith(kind)) bells[Number(name.slice(kind.length))] = kernel.doorbell(name);
    return bells;
  };
  const vfio = new VfioCore(kernel);
  registerType1(vfio);
  const css = new ChannelSubsystem(memory, map.css, { iopDoorbells: doorbells('iop'), trace: kernel.tracer });
  startCss(kernel, vfio, css);
  const bridge = new HostBridge(memory, map.phb, {
    firstFrame: map.firstFrame,
    doorbells: doorbells('dma'),
    tracer: kernel.tracer,
  });
  const powernv = new Powernv(kernel, bridge, map.phb, STATE_ATTENTION);
  vfio.registerIommuDriver(spaprTceDriver(powernv));
  bindVfioPci(powernv, vfio);
  if (config.pamu !== undefined) {
    // Loaded only where there is one: loading is what starting takes longest for.
    const { bootSoc } = await import('./ppc/boot_soc.ts');
    bootSoc(kernel, vfio);
  }
  new Kvm(kernel, powernv, vfio);
  let migrations = 0;
  if (config.memoryPressure)
    kernel.actor.spawn(
      'kcompactd',
      memoryPressure(
        actor,
        kernel.processes.map(({ mm }) => mm),
        memory,
        config.seed,
        () => {
          migrations++;
        },
        kernel.tracer,
      ),
    );
  // The only process ends with the host, which takes nothing back.
  if (kernel.processes.length > 1)
    for (const process of kernel.processes) kernel.spawn(process, 'exit', exitProcess(kernel, process));
  const statistics = (): KernelStatistics => ({
    allocatedFrames: kernel.pages.allocated,
    lockedVm: kernel.processes.reduce((sum, { mm }) => sum + mm.lockedVm, 0),
    migrations,
  });
  return { finish: statistics };
}
