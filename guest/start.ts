/** Starts a vCPU's thread. */
import type { ActorContext, Running } from '../kernel/lib/actor_module.ts';
import { TOY_MODEL } from './model.ts';
import { VcpuThread } from './vcpu/vcpu.ts';

interface VcpuConfig {
  readonly index: number;
  readonly todBase: bigint;
  /** Count exits and their times. */
  readonly exits: boolean;
}

/** @see ActorModule */
export function start({ actor, memory, map, config, log }: ActorContext<VcpuConfig>): Running {
  const vcpu = new VcpuThread({
    actor,
    memory,
    map,
    index: config.index,
    model: TOY_MODEL,
    todBase: config.todBase,
    log,
    exitStatistics: config.exits,
  });
  actor.spawn(`vcpu${config.index}`, vcpu.task());
  return { finish: () => vcpu.statistics() };
}
