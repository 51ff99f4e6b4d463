/** Starts a hardware thread: a channel I/O processor or a DMA engine. */
import type { ActorContext, Running } from '../../kernel/lib/actor_module.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import { StorageKeys } from '../../kernel/lib/storage_keys.ts';
import { Tracer } from '../../kernel/lib/trace.ts';
import { spawnIoProcessor } from './css/io_processor.ts';
import { type DeviceOptions, openDevice } from './open_device.ts';
import { spawnDmaEngine } from './phb/dma_port.ts';

/** Configuration: the actor's name tells its kind and number, `iop0`, `dma0`. */
interface HardwareConfig {
  readonly name: string;
  readonly drives: readonly DeviceOptions[];
  /** Seed of the machine: what its faults are drawn from. */
  readonly seed: number;
}

/** @see ActorModule */
export function start({ actor, memory, map, config, log }: ActorContext<HardwareConfig>): Running {
  const areas = actorAreas(map, config.name);
  const tracer = new Tracer(memory, map.traceEnable, areas.trace, () => actor.now());
  const { firstFrame } = map;
  if (config.name.startsWith('dma')) {
    spawnDmaEngine(actor, { memory, phbBase: map.phb, firstFrame, pe: Number(config.name.slice(3)), tracer });
    return {};
  }
  const kernelDoorbell = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
  const iop = Number(config.name.slice(3));
  const processor = spawnIoProcessor(actor, {
    memory,
    cssBase: map.css,
    firstFrame,
    storageKeys: new StorageKeys(memory, map.storageKeys),
    kernelDoorbell,
    tracer,
    iop,
    devices: config.drives
      .filter((drive) => (drive.iop ?? 0) === iop)
      .map((drive) => openDevice(drive, { seed: config.seed, tracer, log })),
  });
  return { finish: () => processor.close() };
}
