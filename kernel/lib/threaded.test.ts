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
import { stopMachine, stopping } from './stop.ts';
import { sleep, type Task, until } from './task.ts';
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
