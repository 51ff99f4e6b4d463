/**
 * Starts a hardware thread: a channel I/O processor or a DMA engine. Each loads the modules of its own kind only: loading
 * is what starting takes longest for.
 */
import type { ActorContext, Running } from '../../kernel/lib/actor_module.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import { Tracer } from '../../kernel/lib/trace.ts';
import type { NicOptions } from './net/wire.ts';
import type { DeviceOptions } from './open_device.ts';

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

/** What every kind is started with. */
interface Thread extends ActorContext<HardwareConfig> {
  /** The number in its name. */
  readonly number: number;
  readonly tracer: Tracer;
  readonly kernelDoorbell: Doorbell;
}

/** Kinds by the letters of the name. */
const KINDS: Readonly<Record<string, (thread: Thread) => Promise<Running>>> = {
  iop: ioProcessor,
  dma: dmaEngine,
  elo: eloEngines,
};

/** @see ActorModule */
export async function start(context: ActorContext<HardwareConfig>): Promise<Running> {
  const { actor, memory, map, config } = context;
  const [, kind, number] = /^([a-z]+)(\d+)$/.exec(config.name) as RegExpExecArray;
  const tracer = new Tracer(memory, map.traceEnable, actorAreas(map, config.name).trace, () => actor.now());
  const kernelDoorbell = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
  return await KINDS[kind]({ ...context, number: Number(number), tracer, kernelDoorbell });
}

async function ioProcessor({ actor, memory, map, config, log, number, tracer, kernelDoorbell }: Thread) {
  const { spawnIoProcessor } = await import('./css/io_processor.ts');
  const { openDevice } = await import('./open_device.ts');
  const { StorageKeys } = await import('../../kernel/lib/storage_keys.ts');
  const processor = spawnIoProcessor(actor, {
    memory,
    cssBase: map.css,
    firstFrame: map.firstFrame,
    storageKeys: new StorageKeys(memory, map.storageKeys),
    kernelDoorbell,
    tracer,
    iop: number,
    devices: config.drives
      .filter((drive) => (drive.iop ?? 0) === number)
      .map((drive) => openDevice(drive, { seed: config.seed, tracer, log })),
  });
  return { finish: () => processor.close() };
}

/** Seconds from 1900 to 1970. */
const UNIX_EPOCH = 2_208_988_800;

async function dmaEngine({ actor, memory, map, config, log, number, tracer, kernelDoorbell }: Thread) {
  const engine = { memory, phbBase: map.phb, firstFrame: map.firstFrame, pe: number, tracer, kernelDoorbell };
  const { nicBehind, peOfNic } = await import('./net/install_nics.ts');
  if (nicBehind(memory, map.phb, number) === undefined) {
    const { spawnDmaEngine } = await import('./phb/dma_port.ts');
    spawnDmaEngine(actor, engine);
    return {};
  }
  const { spawnNicEngine } = await import('./net/engine.ts');
  const nic = spawnNicEngine(actor, {
    ...engine,
    netBase: map.net,
    nics: config.nics,
    doorbellOf: (nicNumber) =>
      new Doorbell(memory, actorAreas(map, `dma${peOfNic(memory, map.phb, nicNumber)}`).doorbell),
    startTime: Number(config.todBase >> 12n) / 1e6 - UNIX_EPOCH,
    log,
  });
  return { finish: () => ({ dumpFailure: nic.close() }) };
}

async function eloEngines({ actor, memory, map, tracer, kernelDoorbell }: Thread) {
  const { spawnEloEngines } = await import('./elo/engine.ts');
  spawnEloEngines(actor, { memory, socBase: map.soc, kernelDoorbell, tracer });
  return {};
}
