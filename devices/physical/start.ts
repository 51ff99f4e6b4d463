/** Starts a hardware thread: a channel I/O processor or a DMA engine. */
import type { ActorContext, Running } from '../../kernel/lib/actor_module.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import { StorageKeys } from '../../kernel/lib/storage_keys.ts';
import { Tracer } from '../../kernel/lib/trace.ts';
import { spawnIoProcessor } from './css/io_processor.ts';
import { spawnEloEngines } from './elo/engine.ts';
import { spawnNicEngine } from './net/engine.ts';
import { nicBehind, peOfNic } from './net/install_nics.ts';
import type { NicOptions } from './net/wire.ts';
import { type DeviceOptions, openDevice } from './open_device.ts';
import { spawnDmaEngine } from './phb/dma_port.ts';

/** Configuration: the actor's name tells its kind and number, `iop0`, `elo0`; `dma0` runs the engine of the device behind PE 0. */
interface HardwareConfig {
  readonly name: string;
  readonly drives: readonly DeviceOptions[];
  /** Seed of the machine: what its faults are drawn from. */
  readonly seed: number;
  readonly nics: readonly NicOptions[];
  /** TOD clock when the machine's clock was zero, units of 2^-12 us since 1900. */
  readonly todBase: bigint;
}

/** Seconds from 1900 to 1970. */
const UNIX_EPOCH = 2_208_988_800;

/** @see ActorModule */
export function start({ actor, memory, map, config, log }: ActorContext<HardwareConfig>): Running {
  const areas = actorAreas(map, config.name);
  const tracer = new Tracer(memory, map.traceEnable, areas.trace, () => actor.now());
  const { firstFrame } = map;
  const kernelDoorbell = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
  if (config.name.startsWith('dma')) {
    const engine = { memory, phbBase: map.phb, firstFrame, pe: Number(config.name.slice(3)), tracer };
    if (nicBehind(memory, map.phb, engine.pe) === undefined) {
      spawnDmaEngine(actor, { ...engine, kernelDoorbell });
      return {};
    }
    const nic = spawnNicEngine(actor, {
      ...engine,
      netBase: map.net,
      nics: config.nics,
      kernelDoorbell,
      doorbellOf: (number) => new Doorbell(memory, actorAreas(map, `dma${peOfNic(memory, map.phb, number)}`).doorbell),
      startTime: Number(config.todBase >> 12n) / 1e6 - UNIX_EPOCH,
      log,
    });
    return { finish: () => nic.close() };
  }
  if (config.name.startsWith('elo')) {
    spawnEloEngines(actor, { memory, socBase: map.soc, kernelDoorbell, tracer });
    return {};
  }
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
