/** What a trace point costs, off and on. Called by name on a pool thread: the code is compiled for nothing else. */
import { hostClock, stopwatch } from './clock.ts';
import { createMemory, HostMemory } from './host_memory.ts';
import { EVENT, enableTrace, TRACE_ENABLE_SIZE, TRACE_NAMES, TRACE_RING_SIZE, Tracer } from './trace.ts';
import { FunctionBuilder } from './wasm/function_builder.ts';
import { encodeModule } from './wasm/module.ts';
import { i32, mem } from './wasm/types.ts';

/** Where the enable table and the ring are; one machine's are apart too. */
const ENABLE = 4096;
const RING = 8192;
/** Points of a batch, off and on: much for the clock, and over before the thread is likely to lose its CPU. */
const BATCH = 1 << 15;
const BATCH_ON = 1 << 12;
/** Events taken turns with, so that no look can be left out for being the same as the one before; a power of two. */
const TURNS = 8;

/** Nanoseconds of one point in each batch. */
export interface TracePointCost {
  /** A point with four arguments. */
  readonly off: readonly number[];
  /** A point that looks before it computes its arguments ({@link Tracer.on}): those on the paths of hypercalls. */
  readonly look: readonly number[];
  /** Such a look from WebAssembly. */
  readonly lookWasm: readonly number[];
  readonly on: readonly number[];
}

/** What is timed: `points` calls, or the loop around them. */
function run(tracer: Tracer, first: number, points: number): number {
  let sum = 0;
  for (let i = 0; i < points; i++) {
    const event = first + (i & (TURNS - 1));
    sum = (sum + event) | 0;
    tracer.point(event, i, sum, 3, 4);
  }
  return sum;
}
/** The same with points that look first. */
function runLooking(tracer: Tracer, first: number, points: number): number {
  let sum = 0;
  for (let i = 0; i < points; i++) {
    const event = first + (i & (TURNS - 1));
    sum = (sum + event) | 0;
    if (tracer.on(event)) tracer.point(event, i, sum, 3, 4);
  }
  return sum;
}
/** The same loop without a point. */
function bare(first: number, points: number): number {
  let sum = 0;
  for (let i = 0; i < points; i++) {
    const event = first + (i & (TURNS - 1));
    sum = (sum + event) | 0;
  }
  return sum;
}

/** The loop in WebAssembly, with or without a look in it: how real mode's handlers see whether an event is on. */
function looks(memory: HostMemory, look: boolean): (points: number) => number {
  const b = new FunctionBuilder(1);
  const [left, sum] = [b.parameter32(0), b.local32()];
  b.block((done) =>
    b.loop((again) => {
      b.brIf(i32.eqz(left.get), done);
      const event = i32.and(left.get, i32.const(TURNS - 1));
      b.set(sum, i32.add(sum.get, event));
      if (look) b.brIf(mem.load8U(event, ENABLE), done);
      b.set(left, i32.sub(left.get, i32.const(1)));
      b.br(again);
    }),
  );
  b.emit(sum.get.code);
  const bytes = encodeModule(
    [{ name: 'memory', kind: 'memory', pages: memory.size / 65536 }],
    [{ signature: { params: ['i32'], results: ['i32'] }, locals: b.locals, code: b.out, export: 'loop' }],
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: { memory: memory.memory } });
  return exports.loop as (points: number) => number;
}

/** Batches of points that are off, each beside the bare loop, and of points that are on. */
export function measureTracePoint({ batches }: { batches: number }): TracePointCost {
  const memory = new HostMemory(createMemory(RING + TRACE_RING_SIZE));
  enableTrace(memory, ENABLE, '*');
  memory.u8.fill(0, ENABLE, ENABLE + TURNS);
  if (ENABLE + TRACE_ENABLE_SIZE > RING) throw new Error('the areas overlap');
  const tracer = new Tracer(memory, ENABLE, RING, hostClock(process.hrtime.bigint()));
  const perPoint = (points: number, body: () => number) => {
    const elapsed = stopwatch();
    sink = (sink + body()) | 0;
    return (elapsed() * 1e6) / points;
  };
  const off: number[] = [];
  const look: number[] = [];
  const lookWasm: number[] = [];
  const on: number[] = [];
  const recorded = EVENT[TRACE_NAMES[TURNS]];
  for (let i = 0; i < batches; i++) {
    const loop = perPoint(BATCH, () => bare(0, BATCH));
    off.push(Math.max(0, perPoint(BATCH, () => run(tracer, 0, BATCH)) - loop));
    look.push(Math.max(0, perPoint(BATCH, () => runLooking(tracer, 0, BATCH)) - loop));
  }
  const [looking, empty] = [looks(memory, true), looks(memory, false)];
  for (let i = 0; i < batches; i++) {
    const loop = perPoint(BATCH, () => empty(BATCH));
    lookWasm.push(Math.max(0, perPoint(BATCH, () => looking(BATCH)) - loop));
  }
  // Afterwards: as long as nothing is on, the compiler has not seen that something may be.
  for (let i = 0; i < batches; i++) on.push(perPoint(BATCH_ON, () => run(tracer, recorded, BATCH_ON)));
  return { off, look, lookWasm, on };
}
/** What the loops computed: seen by nobody, so that they are not left out. */
let sink = 0;
