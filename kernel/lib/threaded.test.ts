import { Worker } from 'node:worker_threads';
import * as comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { Piscina } from 'piscina';
import { afterAll, expect, test } from 'vitest';
import { smallMachine } from '../../test/support/small_machine.ts';
import { AT, type Exchange, type PingPong } from '../../test/support/thread_parties.ts';
import type { ActorThread } from './actor_thread.ts';
import { clockOrigin } from './clock.ts';
import { Doorbell } from './doorbell.ts';
import { createMemory, HostMemory } from './host_memory.ts';
import { delay } from './host_timer.ts';
import { ringSize } from './ring.ts';
import { CPUS } from './spin_budget.ts';
import { stopMachine, stopping } from './stop.ts';
import { preempt, sleep, type Task, until, WATCH, type Wait } from './task.ts';
import { TaskFailure, ThreadedActor } from './threaded.ts';
import { registerTransferHandlers } from './transfer.ts';

const POOL = new URL('./pool_worker.js', import.meta.url).href;
const ENTRY = new URL('./worker_entry.js', import.meta.url);
const PARTIES = new URL('../../test/support/thread_parties.ts', import.meta.url).href;
const FAILING = new URL('../../test/support/failing_actor.ts', import.meta.url).href;

const pool = new Piscina({ filename: POOL, minThreads: 2, maxThreads: 2, execArgv: [], atomics: 'disabled' });
afterAll(() => pool.destroy());
const both = <A, R>(call: string, argument: (me: number) => A) =>
  Promise.all([0, 1].map((me) => pool.run({ module: PARTIES, call, argument: argument(me) }) as Promise<R>));

test.each([
  [0, 20_000],
  [100, 20_000],
  [100_000, 20_000],
])('a ping-pong of two threads loses no wake-up: %i spins before sleeping', async (spins, rounds) => {
  const memory = createMemory(65536);
  const results = await both<PingPong, { rounds: number; lost: number }>('pingPong', (me) => ({
    memory,
    me,
    rounds,
    spins,
    milliseconds: 2000,
  }));
  expect(results.map((r) => r.lost)).toEqual([0, 0]);
  // All of them, or as many as a busy machine makes in two seconds.
  const [a, b] = results.map((r) => r.rounds);
  expect(Math.abs(a - b)).toBeLessThanOrEqual(1);
  if (new HostMemory(memory).load(AT.stop) === 0) expect(a).toBe(rounds);
  else expect(a).toBeGreaterThan(100);
});

test.each([1, 4, 64])('two threads that produce and consume over a ring of %i slots lose nothing', async (capacity) => {
  const each = capacity === 1 ? 2_000 : 10_000;
  const memory = createMemory(AT.ring + ringSize(capacity));
  const results = await both<Exchange, { popped: number }>('exchange', (me) => ({ memory, me, each, capacity }));
  expect(results[0].popped + results[1].popped).toBe(2 * each);
  expect(new HostMemory(memory).load(AT.sum)).toBe(each * (each + 1));
});

test('the stop word ends an actor that sleeps', async () => {
  const memory = createMemory(65536);
  const host = new HostMemory(memory);
  const ended = pool.run({ module: PARTIES, call: 'waitForStop', argument: { memory } });
  while (host.load(AT.turn) === 0) await delay(5);
  await delay(20);
  host.store(AT.stop, 1);
  new Doorbell(host, AT.bells[0]).ring();
  expect(await ended).toBe('stopped');
});

test('a stop between the look at the stop word and the wait is not slept through', () => {
  const bell = AT.bells[0];
  class Interrupted extends HostMemory {
    looks = 0;
    override load(hpa: number): number {
      const value = super.load(hpa);
      if (hpa === AT.stop && ++this.looks === 2) {
        this.store(AT.stop, 1);
        new Doorbell(this, bell).ring();
      }
      return value;
    }
  }
  const memory = new Interrupted(createMemory(65536));
  const actor = new ThreadedActor('a', memory, bell, AT.stop, clockOrigin());
  actor.spawn('sleeps', sleep(actor, 2e9));
  const start = actor.now();
  actor.run();
  expect(memory.load(AT.stop)).toBe(1);
  expect(actor.now() - start).toBeLessThan(1.5e9);
});

test('a failing task rejects the run with the names of thread and task', async () => {
  registerTransferHandlers();
  const { memory, map } = smallMachine(1);
  const worker = new Worker(ENTRY, { execArgv: [] });
  try {
    const thread = comlink.wrap<ActorThread>(nodeEndpoint(worker));
    const boot = { memory: memory.memory, map, origin: clockOrigin(), config: {} };
    await thread.start('iop0', FAILING, boot, 'silent');
    await expect(thread.run()).rejects.toMatchObject({
      name: 'TaskFailure',
      message: 'thread iop0, task doomed: the test wanted it so',
    });
  } finally {
    await worker.terminate();
  }
});

function actorHere() {
  const memory = new HostMemory(createMemory(65536));
  return { memory, actor: new ThreadedActor('here', memory, AT.bells[0], AT.stop, clockOrigin()) };
}

test('a sleeping task wakes at its deadline, not before', () => {
  const { actor } = actorHere();
  const start = actor.now();
  actor.spawn('sleeps', sleep(actor, 20e6));
  actor.run();
  expect(actor.now() - start).toBeGreaterThanOrEqual(20e6);
});

test('tasks of one actor go on in turns, and a task may start others', () => {
  const { actor } = actorHere();
  const ran: string[] = [];
  let flag = false;
  actor.spawn(
    'first',
    (function* (): Task {
      ran.push('first waits');
      yield* until('flag', () => flag);
      ran.push('first goes on');
    })(),
  );
  actor.spawn(
    'second',
    (function* (): Task {
      actor.spawn(
        'third',
        (function* (): Task {
          ran.push('third');
          flag = true;
        })(),
      );
      ran.push('second');
    })(),
  );
  actor.run();
  expect(ran).toEqual(['first waits', 'second', 'third', 'first goes on']);
});

test('the error of a task names actor and task on its own thread too', () => {
  const { actor } = actorHere();
  actor.spawn(
    'breaks',
    (function* (): Task {
      throw new Error('so');
    })(),
  );
  expect(() => actor.run()).toThrow(TaskFailure);
});

test('stopping the machine sets the stop word and rings every doorbell of the map', () => {
  const { memory, map } = smallMachine(1, 2);
  const sequences = () => map.actors.map(({ doorbell }) => new Doorbell(memory, doorbell).sequence());
  expect([stopping(memory, map), ...sequences()]).toEqual([false, ...map.actors.map(() => 0)]);
  stopMachine(memory, map);
  expect([stopping(memory, map), ...sequences()]).toEqual([true, ...map.actors.map(() => 1)]);
});

/**
 * A task that watches for `news()`, on an actor that ends with it or after two seconds: a watcher that is slept on would
 * wait until then. @param watch what a watch does and gives @param turn what the task does about its news: false ends it
 * @param other another task of the actor
 */
function watching(
  watch: (seen: number, call: number) => number,
  news: () => boolean,
  turn: () => boolean,
  other?: () => Task,
) {
  const { memory, actor } = actorHere();
  let calls = 0;
  const wait: Wait = {
    what: 'news',
    ready: news,
    strategy: 'kernel_hcall',
    watch: (seen) => watch(seen, ++calls),
  };
  const end = () => memory.store(AT.stop, 1);
  actor.spawn(
    'limit',
    (function* (): Task {
      yield* sleep(actor, 2e9);
      end();
    })(),
  );
  if (other !== undefined) actor.spawn('other', other());
  // The last one that runs, so the one whose watch the actor spends its time with.
  actor.spawn(
    'watches',
    (function* (): Task {
      do yield wait;
      while (turn());
      end();
    })(),
  );
  const run = () => {
    const start = actor.now();
    actor.run();
    return { slept: actor.now() - start > 1.5e9, calls };
  };
  return { memory, actor, bell: new Doorbell(memory, AT.bells[0]), run };
}
const ONE_CPU = CPUS === 1;

test.skipIf(ONE_CPU).each([
  ['after its turn', 1],
  ['before the actor sleeps', 2],
])('news in the last moment of the watch %s is not slept through', (_, last) => {
  let news = false;
  const { run } = watching(
    (_, call) => {
      // As the word is taken back: whoever brings it still finds it set, and does not ring.
      if (call === last) news = true;
      return WATCH.NOTHING;
    },
    () => news,
    () => false,
  );
  expect(run().slept).toBe(false);
});

test.skipIf(ONE_CPU)(
  'what the watch finds, its task goes on with; without news the actor sleeps until it is rung',
  () => {
    let news = 0;
    const seen: number[] = [];
    const { bell, memory, actor, run } = watching(
      (_, call) => {
        if (call > 3) return WATCH.NOTHING;
        news = call;
        return WATCH.OWN;
      },
      () => news !== 0,
      () => {
        seen.push(news);
        news = 0;
        return true;
      },
    );
    actor.spawn(
      'rings',
      (function* (): Task {
        yield* sleep(actor, 50e6);
        memory.store(AT.stop, 1);
        bell.ring();
      })(),
    );
    const { slept, calls } = run();
    expect([seen, slept]).toEqual([[1, 2, 3], false]);
    // Once in the pass, once before the sleep, and after it the sleep's end is somebody else's: not a busy loop.
    expect(calls).toBeLessThan(12);
  },
);

test.skipIf(ONE_CPU)('a ring for another task ends the watch, and that task has its turn', () => {
  let flag = false;
  const ran: string[] = [];
  const machine = watching(
    (seen, call) => {
      if (call === 2) {
        flag = true;
        bell.ring();
      }
      if (bell.sequence() !== seen) ran.push('watch ends');
      return bell.sequence() === seen ? WATCH.NOTHING : WATCH.OTHER;
    },
    () => ran.includes('other'),
    () => false,
    function* () {
      yield* until('flag', () => flag);
      ran.push('other');
    },
  );
  const { bell, run } = machine;
  expect(run().slept).toBe(false);
  expect([ran[0], ran.at(-1)]).toEqual(['watch ends', 'other']);
  expect(ran.length).toBeLessThan(5);
});

test.skipIf(ONE_CPU)('a watcher that always has news keeps nobody from his turn', () => {
  let turns = 0;
  const between: number[] = [];
  const { actor, run } = watching(
    () => WATCH.OWN,
    () => true,
    () => ++turns < 10_000,
  );
  actor.spawn(
    'other',
    (function* (): Task {
      for (let before = turns; turns < 10_000; before = turns) {
        yield* preempt();
        between.push(turns - before);
      }
    })(),
  );
  expect(run().slept).toBe(false);
  expect(between.length).toBeGreaterThan(100);
  expect(Math.max(...between)).toBeLessThanOrEqual(66);
});

test.skipIf(ONE_CPU)('what a watch throws ends the run with the name of its task', () => {
  const { run } = watching(
    () => {
      throw new Error('so');
    },
    () => false,
    () => false,
  );
  expect(run).toThrow(expect.objectContaining({ name: 'TaskFailure', message: 'thread here, task watches: so' }));
});

test.skipIf(ONE_CPU)('a stop that rings during a watch ends the run', () => {
  const { memory, bell, run } = watching(
    (seen, call) => {
      if (call < 2) return WATCH.NOTHING;
      memory.store(AT.stop, 1);
      bell.ring();
      return bell.sequence() === seen ? WATCH.NOTHING : WATCH.OTHER;
    },
    () => false,
    () => false,
  );
  expect(run().slept).toBe(false);
});

test.runIf(ONE_CPU)('on a single CPU nobody watches: who could bring news has no CPU meanwhile', () => {
  const { run } = watching(
    () => WATCH.NOTHING,
    () => false,
    () => false,
  );
  expect(run()).toEqual({ slept: true, calls: 0 });
});
