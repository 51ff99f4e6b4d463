/** What the threads of the scheduler's tests run; called by the pool worker. */
import { clockOrigin, hostClock } from '../../kernel/lib/clock.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { HostMemory } from '../../kernel/lib/host_memory.ts';
import { Ring } from '../../kernel/lib/ring.ts';
import { type Task, until } from '../../kernel/lib/task.ts';
import { ThreadedActor } from '../../kernel/lib/threaded.ts';

/** Where the tests put their words. */
export const AT = { bells: [1024, 1152], stop: 0, turn: 64, popped: 128, sum: 132, ring: 4096 } as const;
/** Longest sleep; a wake-up that was lost shows as one that took as long. */
const SLEEP_MS = 1000;

export interface PingPong {
  readonly memory: WebAssembly.Memory;
  /** 0 or 1: whose turn it is when the turn word is even or odd. */
  readonly me: number;
  readonly rounds: number;
  readonly spins: number;
  /** The rounds may end early after that many milliseconds: on a busy machine spinning is slow. */
  readonly milliseconds: number;
}

/** Passes the turn to and fro; returns how many rounds were made and how many wake-ups came too late. */
export function pingPong(options: PingPong): { rounds: number; lost: number } {
  const memory = new HostMemory(options.memory);
  const [mine, other] = [options.me, 1 - options.me].map((party) => new Doorbell(memory, AT.bells[party]));
  const now = hostClock(clockOrigin());
  const end = now() + options.milliseconds * 1e6;
  let lost = 0;
  let rounds = 0;
  const ended = () => memory.load(AT.stop) !== 0;
  const myTurn = () => memory.load(AT.turn) % 2 === options.me;
  while (rounds < options.rounds && !ended()) {
    for (let seen = mine.sequence(); !myTurn() && !ended(); seen = mine.sequence()) {
      const before = now();
      mine.park(seen, options.spins, SLEEP_MS);
      if (now() - before > SLEEP_MS * 0.9e6) lost++;
    }
    if (ended()) break;
    rounds++;
    if (options.me === 0 && now() > end) memory.store(AT.stop, 1);
    memory.add(AT.turn, 1);
    other.ring();
  }
  return { rounds, lost };
}

export interface Exchange {
  readonly memory: WebAssembly.Memory;
  readonly me: number;
  readonly each: number;
  readonly capacity: number;
}

/** An actor that both produces and consumes over one ring; ends when all numbers of both threads were taken. */
export function exchange({ memory, me, each, capacity }: Exchange): { popped: number } {
  const host = new HostMemory(memory);
  const actor = new ThreadedActor(`party${me}`, host, AT.bells[me], AT.stop, clockOrigin());
  const bells = AT.bells.map((at) => new Doorbell(host, at));
  const tell = () => {
    for (const bell of bells) bell.ring();
  };
  const ring = new Ring(host, AT.ring, capacity);
  let popped = 0;
  const all = () => host.load(AT.popped) === 2 * each;
  actor.spawn(
    'produce',
    (function* (): Task {
      for (let n = 1; n <= each; n++) {
        for (let done = ring.push(n); !done; done = ring.push(n)) {
          const before = host.load(AT.popped);
          if (ring.push(n)) break;
          yield* until('room', () => host.load(AT.popped) !== before);
        }
        tell();
      }
    })(),
  );
  actor.spawn(
    'consume',
    (function* (): Task {
      while (!all()) {
        yield* until('numbers', () => !ring.empty() || all());
        const n = ring.pop();
        if (n === undefined) continue;
        popped++;
        host.add(AT.sum, n);
        host.add(AT.popped, 1);
        tell();
      }
    })(),
  );
  actor.run();
  return { popped };
}

/** An actor that waits for what never comes; ends only by the stop word. */
export function waitForStop({ memory }: { memory: WebAssembly.Memory }): string {
  const host = new HostMemory(memory);
  const actor = new ThreadedActor('sleeper', host, AT.bells[0], AT.stop, clockOrigin());
  actor.spawn(
    'waits',
    until('nothing', () => false),
  );
  host.store(AT.turn, 1);
  actor.run();
  return 'stopped';
}
