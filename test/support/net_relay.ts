/**
 * Joins the cables of two simulated machines of one process, each with a clock of its own: frames of either come out at
 * the other once that gets a turn.
 */
import type { ActorContext } from '../../kernel/lib/actor_module.ts';
import { sleep, type Task } from '../../kernel/lib/task.ts';
import { type CablePlace, HostCableEnd } from './host_cable_end.ts';

/** Virtual nanoseconds between two looks: a machine that only waits does not leave the other one far behind. */
const LOOK_NS = 100_000;

/** The actor's configuration, for the simulated scheduler only: the queues are those of the other end, exchanged. */
export interface NetRelayConfig extends CablePlace {
  readonly toOther: Uint8Array[];
  readonly fromOther: Uint8Array[];
}

/** @see ActorModule */
export function start({ actor, memory, map, config }: ActorContext<NetRelayConfig>): undefined {
  const cable = new HostCableEnd(memory, map, config);
  const { toOther, fromOther } = config;
  function* relay(): Task {
    for (;;) {
      for (let frame = cable.take(); frame !== undefined; frame = cable.take()) toOther.push(frame);
      while (fromOther.length > 0 && cable.send(fromOther[0])) fromOther.shift();
      yield* sleep(actor, LOOK_NS);
    }
  }
  actor.spawn('relay at the cable', relay());
}
