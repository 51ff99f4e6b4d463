import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { Ring, ringSize } from './ring.ts';
import { Deadlock, Simulation } from './simulated.ts';
import { Mutex, preempt, sleep, type Task, until, untilDeadline, WaitQueue } from './task.ts';
import { TaskFailure } from './threaded.ts';

const never = () => false;

/** The order in which five tasks of ten steps each were run. */
function order(seed: number): string {
  const simulation = new Simulation(seed);
  const actor = simulation.actor('a');
  let ran = '';
  for (const name of 'abcde')
    actor.spawn(
      name,
      (function* () {
        for (let i = 0; i < 10; i++) {
          ran += name;
          yield* preempt();
        }
      })(),
    );
  simulation.run(never);
  return `${ran} ${simulation.now}`;
}

test('the same seed runs the same order at the same times, other seeds run others', () => {
  expect(order(1)).toBe(order(1));
  const orders = new Set(Array.from({ length: 50 }, (_, seed) => order(seed)));
  expect(orders.size).toBe(50);
});

test('when nothing can run, virtual time jumps to the next deadline', () => {
  const simulation = new Simulation(3);
  const actor = simulation.actor('a');
  const woke: [string, number][] = [];
  const sleeper = (name: string, ns: number) =>
    actor.spawn(
      name,
      (function* (): Task {
        yield* sleep(actor, ns);
        woke.push([name, actor.now()]);
      })(),
    );
  sleeper('long', 3e9);
  sleeper('short', 1e9);
  simulation.run(never);
  expect(woke.map(([name]) => name)).toEqual(['short', 'long']);
  expect(woke[0][1]).toBeGreaterThanOrEqual(1e9);
  expect(woke[0][1]).toBeLessThan(1e9 + 1e6);
  expect(woke[1][1]).toBeGreaterThanOrEqual(3e9);
});

test('a wait with a deadline says whether its condition came true', () => {
  const simulation = new Simulation(1);
  const actor = simulation.actor('a');
  let flag = false;
  const results: boolean[] = [];
  actor.spawn(
    'waits',
    (function* (): Task {
      results.push(yield* untilDeadline('flag', () => flag, actor.now() + 1000));
      results.push(yield* untilDeadline('flag', () => flag, actor.now() + 1e9));
    })(),
  );
  actor.spawn(
    'sets',
    (function* (): Task {
      yield* sleep(actor, 1e6);
      flag = true;
    })(),
  );
  simulation.run(never);
  expect(results).toEqual([false, true]);
  expect(simulation.now).toBeLessThan(1e8);
});

test('work without yielding advances virtual time when the actor says so', () => {
  const simulation = new Simulation(1);
  const actor = simulation.actor('a');
  actor.spawn(
    'w',
    (function* (): Task {
      actor.consume(1e6);
    })(),
  );
  simulation.run(never);
  expect(simulation.now).toBeGreaterThanOrEqual(1e6);
});

test('a deadlock names every actor, task and wait', () => {
  const simulation = new Simulation(1);
  simulation.actor('vmm').spawn('boot', until('an exit', never));
  simulation.actor('kernel').spawn('entry', until('a system call', never));
  expect(() => simulation.run(never)).toThrow(Deadlock);
  try {
    simulation.run(never);
    expect.unreachable();
  } catch (error) {
    expect((error as Error).message).toContain('vmm/boot: an exit; kernel/entry: a system call');
    expect((error as Deadlock).actors).toEqual(['vmm', 'kernel']);
  }
});

test('actors whose tasks all wait without a timer are told of, with the time of their last step', () => {
  const simulation = new Simulation(1);
  const [waits, sleeps, runs] = ['waits', 'sleeps', 'runs'].map((name) => simulation.actor(name));
  waits.spawn('one', until('nothing', never));
  waits.spawn('two', untilDeadline('nothing', never, Number.POSITIVE_INFINITY));
  sleeps.spawn('three', sleep(sleeps, 1e9));
  runs.spawn(
    'four',
    (function* (): Task {
      for (;;) yield* preempt();
    })(),
  );
  simulation.run(() => simulation.now > 1e5);
  const since = simulation.waitingSince(new Set(['waits']));
  expect(since).toBeGreaterThan(0);
  expect(since).toBeLessThan(1e4);
  for (const names of [['sleeps'], ['runs'], ['waits', 'runs'], ['nobody']])
    expect(simulation.waitingSince(new Set(names)), `${names}`).toBeUndefined();
});

test('a failing task names the actor and the task, and keeps the cause', () => {
  const simulation = new Simulation(1);
  simulation.actor('kernel').spawn(
    'syscall',
    (function* (): Task {
      yield* preempt();
      throw new RangeError('too far');
    })(),
  );
  try {
    simulation.run(never);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(TaskFailure);
    expect((error as Error).message).toBe('thread kernel, task syscall: too far');
    expect((error as Error).cause).toBeInstanceOf(RangeError);
  }
});

test('a run ends when it is stopped, and one that never ends is cut off', () => {
  const endless = () => {
    const simulation = new Simulation(1);
    simulation.actor('a').spawn(
      'loop',
      (function* (): Task {
        for (;;) yield* preempt();
      })(),
    );
    return simulation;
  };
  expect(() => endless().run(never, 1000)).toThrow('did not end within 1000 steps');
  const simulation = endless();
  simulation.run(() => simulation.steps >= 10);
  expect(simulation.steps).toBe(10);
});

test('a mutex admits one task at a time, also across waits', () => {
  for (let seed = 0; seed < 50; seed++) {
    const simulation = new Simulation(seed);
    const actor = simulation.actor('a');
    const mutex = new Mutex('m');
    let inside = 0;
    let entered = 0;
    for (let i = 0; i < 4; i++)
      actor.spawn(
        `t${i}`,
        (function* (): Task {
          for (let round = 0; round < 5; round++) {
            yield* mutex.lock();
            expect(++inside).toBe(1);
            expect(mutex.tryLock()).toBe(false);
            yield* preempt();
            yield* preempt();
            inside--;
            entered++;
            mutex.unlock();
          }
        })(),
      );
    simulation.run(never);
    expect(entered).toBe(20);
    expect(mutex.tryLock()).toBe(true);
  }
});

test('a wait queue wakes all who wait, not those who come later, and tells a time-out', () => {
  const simulation = new Simulation(2);
  const actor = simulation.actor('a');
  const queue = new WaitQueue('q');
  const results: string[] = [];
  queue.wake();
  const waiter = (name: string, deadline?: number) =>
    actor.spawn(
      name,
      (function* (): Task {
        results.push(`${name} ${yield* queue.wait(deadline)}`);
      })(),
    );
  waiter('x');
  waiter('y');
  waiter('late', 5000);
  actor.spawn(
    'waker',
    (function* (): Task {
      yield* sleep(actor, 1e6);
      expect(results).toEqual(['late false']);
      queue.wake();
    })(),
  );
  simulation.run(never);
  expect(results.sort()).toEqual(['late false', 'x true', 'y true']);
});

test('producers and consumers over a ring lose nothing and keep each producer’s order', () => {
  const memory = new HostMemory(createMemory(65536));
  fc.assert(
    fc.property(
      fc.nat(),
      fc.constantFrom(1, 2, 4, 16),
      fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 3 }),
      (seed, capacity, counts, consumers) => {
        memory.u8.fill(0, 0, ringSize(capacity));
        const ring = new Ring(memory, 0, capacity);
        const simulation = new Simulation(seed);
        const total = counts.reduce((a, b) => a + b, 0);
        const got: number[] = [];
        counts.forEach((count, producer) => {
          simulation.actor(`p${producer}`).spawn(
            'push',
            (function* (): Task {
              for (let i = 0; i < count; i++) {
                while (!ring.push(producer * 1000 + i)) yield* preempt();
                if (i % 3 === 0) yield* preempt();
              }
            })(),
          );
        });
        for (let c = 0; c < consumers; c++)
          simulation.actor(`c${c}`).spawn(
            'pop',
            (function* (): Task {
              for (;;) {
                yield* until('news', () => !ring.empty() || got.length === total);
                if (got.length === total) return;
                const value = ring.pop();
                if (value !== undefined) got.push(value);
                yield* preempt();
              }
            })(),
          );
        simulation.run(never, 100_000);
        expect(got.length).toBe(total);
        counts.forEach((count, producer) => {
          const mine = got.filter((value) => Math.floor(value / 1000) === producer);
          expect(mine).toEqual(Array.from({ length: count }, (_, i) => producer * 1000 + i));
        });
      },
    ),
    { numRuns: 100 },
  );
});

test('time does not jump past the limit of a run', () => {
  const simulation = new Simulation(1);
  const actor = simulation.actor('a');
  let woke = false;
  actor.spawn(
    'sleeper',
    (function* (): Task {
      yield* sleep(actor, 3e9);
      woke = true;
    })(),
  );
  expect(simulation.advance(() => simulation.now >= 2e9, 100, 2e9)).toBe(true);
  expect([simulation.now, woke]).toEqual([2e9, false]);
});

test('an actor that is ended goes no further, and the others do', () => {
  const simulation = new Simulation(2);
  const ran: string[] = [];
  for (const name of ['a', 'b'])
    simulation.actor(name).spawn(
      'task',
      (function* (): Task {
        for (let i = 0; i < 3; i++) {
          ran.push(name);
          yield* preempt();
        }
      })(),
    );
  simulation.end('a');
  simulation.run(never);
  expect(ran).toEqual(['b', 'b', 'b']);
});
