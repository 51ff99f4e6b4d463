/** Both ends of virtual mode on threads of their own: what the tests of the hypercall words run; called by the pool worker. */
import { HostBridge, installHostBridge } from '../../devices/physical/phb/host_bridge.ts';
import { Hypercalls } from '../../guest/vcpu/hypercall.ts';
import { Registers } from '../../guest/vcpu/registers.ts';
import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import { HCALL_TIER, KVM_RUN, STATE_ATTENTION } from '../../kernel/include/uapi/kvm_run.ts';
import { Kernel } from '../../kernel/kernel.ts';
import { hcallTask, VirtualMode } from '../../kernel/kvm/book3s_64_vio.ts';
import { RealMode } from '../../kernel/kvm/book3s_64_vio_hv.ts';
import { HCALL_ENABLED_DEFAULT, KVM_HEADER } from '../../kernel/kvm/kvm_area.ts';
import { SpaprTceTable } from '../../kernel/kvm/spapr_tce_table.ts';
import { clockOrigin } from '../../kernel/lib/clock.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { Random } from '../../kernel/lib/random.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import { stopMachine } from '../../kernel/lib/stop.ts';
import { sleep, type Task, until } from '../../kernel/lib/task.ts';
import { ThreadedActor } from '../../kernel/lib/threaded.ts';
import { Tracer } from '../../kernel/lib/trace.ts';
import { Powernv } from '../../kernel/ppc/powernv.ts';

/** LIOBN of the guest's table; no hardware table hangs under it. */
const LIOBN = 0x8000_0000;
const ENTRIES = 64;
/** A word of CPU 0's run page that nobody uses: parties that are ready, and those that have ended. */
const [READY, ENDED] = [4000, 4004];

export interface Party {
  readonly memory: WebAssembly.Memory;
  readonly map: SharedMap;
  readonly seed: number;
}

export interface Caller extends Party {
  readonly cpu: number;
  readonly calls: number;
  /** `hcall_turns` that each call chooses from: how long the CPU looks before it sleeps. Absent: as it decides itself. */
  readonly turns?: readonly number[];
  /** Longest pause between two calls, in loads of a word. */
  readonly pause: number;
  /** After one of so many calls the kernel's thread is rung for nothing; after none for 0. */
  readonly news: number;
  /** Of so many calls one is made after the kernel's thread has had the time to fall asleep; none for 0. */
  readonly sleepEvery: number;
}

/** What became of a CPU's calls. */
export interface Called {
  readonly done: number;
  /** Answers that were seen without leaving translated code, and calls that rang nobody. */
  readonly seen: number;
  readonly unrung: number;
  /** Calls that were left for the scheduler to wait for. */
  readonly waited: number;
  /** Results that were not what had been stored. */
  readonly wrong: number;
}

function actorOf(memory: HostMemory, map: SharedMap, name: string): ThreadedActor {
  return new ThreadedActor(name, memory, actorAreas(map, name).doorbell, map.control.stop, clockOrigin());
}

/** A party is ready. */
function arrive(memory: HostMemory, { vcpus: [{ run }], actors }: SharedMap): void {
  memory.add(run + READY, 1);
  for (const { doorbell } of actors) new Doorbell(memory, doorbell).ring();
}

/** Spins for `loads` loads. */
function spin(memory: HostMemory, at: number, loads: number): void {
  for (let i = 0; i < loads; i++) memory.load(at);
}

/** A CPU's end: H_PUT_TCE and H_GET_TCE by turns, as translated code and the run loop make them. */
export function caller(options: Caller): Called {
  const { map, cpu, calls, turns, pause, news, sleepEvery } = options;
  const memory = new HostMemory(options.memory);
  const random = new Random(options.seed);
  const actor = actorOf(memory, map, `vcpu${cpu}`);
  const { run, state } = map.vcpus[cpu];
  const registers = new Registers(memory, state);
  const kernel = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
  const tracer = new Tracer(memory, map.traceEnable, actorAreas(map, `vcpu${cpu}`).trace, () => actor.now());
  const realMode = new RealMode(memory, map, map.phb, { attentionOffset: STATE_ATTENTION, kernel });
  const hypercalls = new Hypercalls(memory, run, registers, realMode, kernel, { spin: true, cpu, tracer });
  const page = KVM_RUN.at(memory.dv, run);
  const first = map.vcpus[0].run;
  const own = Math.floor(ENTRIES / map.vcpus.length);
  let [done, waited, wrong] = [0, 0, 0];

  /** A call with these arguments; its value. */
  function* call(nr: number, ioba: number, tce: number): Task<number> {
    [nr, LIOBN, ioba, tce].forEach((value, i) => {
      registers.setGpr(i + 1, 0, value);
    });
    if (turns !== undefined) page.hcall_turns = turns[random.below(turns.length)];
    if (hypercalls.fast() === 0 && !hypercalls.call()) {
      waited++;
      if (!(yield* hypercalls.complete())) wrong++;
    }
    if (registers.gprLow(2) !== 0 || registers.gprHigh(2) !== 0) wrong++;
    return registers.gprLow(3) >>> 0;
  }
  function* task(): Task {
    arrive(memory, map);
    yield* until('all parties', () => memory.load(first + READY) === map.vcpus.length + 1);
    while (done < calls) {
      if (sleepEvery !== 0 && done % sleepEvery === 0) yield* sleep(actor, 1e6);
      // Each CPU has its own entries, so that the last value is known.
      const ioba = (cpu * own + random.below(own)) * PAGE_SIZE;
      const value = random.below(1 << 28) * 4;
      yield* call(HCALL.H_PUT_TCE, ioba, value);
      spin(memory, run + READY, random.below(pause + 1));
      if ((yield* call(HCALL.H_GET_TCE, ioba, 0)) !== value) wrong++;
      spin(memory, run + READY, random.below(pause + 1));
      // News of another kind: whoever watches is to look at everything.
      if (news !== 0 && random.below(news) === 0) kernel.ring();
      done++;
    }
    memory.add(first + ENDED, 1);
    kernel.ring();
  }
  actor.spawn('calls', task());
  actor.run();
  if (hypercalls.finished[HCALL_TIER.VIRTUAL] + hypercalls.finished[HCALL_TIER.REAL] !== 2 * done) wrong++;
  return { done, seen: page.hcall_seen, unrung: page.hcall_unrung, waited, wrong };
}

export interface Server extends Party {
  /** Longest time that another task of the thread keeps it busy, in loads of a word; 0 for no such task. */
  readonly busy: number;
}

/** The kernel's end: `hcallTask` of every CPU, and another task that takes the thread now and then. */
export function server({ memory: shared, map, seed, busy }: Server): { signals: number } {
  const memory = new HostMemory(shared);
  const random = new Random(seed);
  const actor = actorOf(memory, map, 'kernel');
  const kernel = new Kernel(actor, memory, map, { lockLimit: 1 << 20, seed: 1, log: () => {} });
  const { firstFrame } = map;
  installHostBridge(memory, map.phb, { firstFrame, pes: [] });
  const bridge = new HostBridge(memory, map.phb, { firstFrame, doorbells: [] });
  const { context } = new Powernv(kernel, bridge, map.phb, STATE_ATTENTION);
  new SpaprTceTable(context, { liobn: LIOBN, pageShift: 12, offset: 0, size: ENTRIES }, false);
  memory.store(map.kvm + KVM_HEADER.offset.enabled, HCALL_ENABLED_DEFAULT);
  // A radix guest: real mode answers nothing.
  memory.store(map.kvm + KVM_HEADER.offset.radix, 1);
  const virtual = new VirtualMode(context);
  const [{ run }] = map.vcpus;
  const ended = () => memory.load(run + ENDED) === map.vcpus.length;
  for (const cpu of map.vcpus.keys())
    kernel.spawn(context.process, `hcall of vcpu${cpu}`, hcallTask(context, virtual, cpu, ended));
  let turns = 0;
  function* other(): Task {
    for (; !ended(); turns++) {
      yield* sleep(actor, 1 + random.below(50_000));
      spin(memory, run + READY, random.below(busy));
    }
  }
  if (busy > 0) kernel.actor.spawn('other', other());
  kernel.actor.spawn(
    'end',
    (function* (): Task {
      yield* until('the end of all CPUs', ended);
      stopMachine(memory, map);
    })(),
  );
  arrive(memory, map);
  actor.run();
  return { signals: turns };
}
