/** Two NICs whose engines run on threads of their own: what interleaving the simulated scheduler does not have. */
import { Piscina } from 'piscina';
import { afterAll, expect, test } from 'vitest';
import { clockOrigin, stopwatch } from '../../../kernel/lib/clock.ts';
import { delay } from '../../../kernel/lib/host_timer.ts';
import { type SharedMap, sharedMap } from '../../../kernel/lib/shared_map.ts';
import { stopMachine } from '../../../kernel/lib/stop.ts';
import { TRACE_ENABLE_SIZE, TRACE_RING_SIZE } from '../../../kernel/lib/trace.ts';
import { RCTL, REG, STAT, STATUS, TXD_CMD } from './e1000_regs.ts';
import { AT, type Driver, doorbellAt, frame, MACS, mac, pluggedNics } from './test_nic.ts';

const POOL = new URL('../../../kernel/lib/pool_worker.js', import.meta.url).href;
const ACTOR_THREAD = new URL('../../../kernel/lib/actor_thread.ts', import.meta.url).href;
const HARDWARE = new URL('../start.ts', import.meta.url).href;

const pool = new Piscina({ filename: POOL, minThreads: 2, maxThreads: 2, execArgv: [], atomics: 'disabled' });
afterAll(() => pool.destroy());

/** Frames in each direction; milliseconds after which fewer are enough. */
const FRAMES = 3000;
const LIMIT_MS = 15_000;
/** Most frames of a direction that were sent and not yet taken: fewer than there are receive buffers. */
const UNDER_WAY = 120;
const BATCH = TXD_CMD.EOP | TXD_CMD.IFCS;

/** As much of a map as hardware threads look at; the trace rings lie in the unused end of the areas' part. */
function mapOf(): SharedMap {
  const traces = AT.firstFrame - 3 * TRACE_RING_SIZE;
  const actors = ['kernel', 'dma0', 'dma1'].map((name, i) => ({
    name,
    doorbell: doorbellAt(i),
    trace: traces + i * TRACE_RING_SIZE,
  }));
  const { phb, net, firstFrame } = AT;
  const whole = sharedMap({ guestMemory: 1 << 20, vcpus: 1, hardware: [] });
  return {
    ...whole,
    phb,
    net,
    firstFrame,
    actors,
    traceEnable: traces - TRACE_ENABLE_SIZE,
    control: { stop: 64, ended: 68 },
  };
}

/** One direction, as its two drivers see it. */
interface Direction {
  readonly from: Driver;
  readonly to: Driver;
  readonly address: number[];
  sent: number;
  got: number;
}

/** Posts what fits, takes what has come, and checks it. */
function turn(direction: Direction): void {
  const { from, to, address } = direction;
  const room = Math.min(from.txSize - 1 - from.pending, UNDER_WAY - (direction.sent - direction.got));
  for (let i = 0; i < room && direction.sent < FRAMES; i++, direction.sent++)
    from.send(frame(address, 60 + (direction.sent % 1455), direction.sent), BATCH);
  for (const { bytes } of to.receiveAll()) {
    const expected = frame(address, 60 + (direction.got % 1455), direction.got);
    expect(Buffer.compare(Buffer.from(bytes), Buffer.from(expected)), `frame ${direction.got}`).toBe(0);
    direction.got++;
  }
}

test('frames cross both ways between two threads, whole and in order; nothing is lost while there are buffers', async () => {
  const host = pluggedNics([{ wire: { pair: 1 } }, { wire: { pair: 0 } }]);
  const map = mapOf();
  const boot = { memory: host.memory.memory, map, origin: clockOrigin() };
  const threads = ['dma0', 'dma1'].map((name) => {
    const config = { name, drives: [], seed: 1, nics: host.nics, todBase: 0n };
    return pool.run({
      module: ACTOR_THREAD,
      call: 'runActor',
      argument: { name, module: HARDWARE, boot: { ...boot, config }, level: 'silent' },
    });
  });
  const [a, b] = host.drivers;
  for (const nic of [a, b]) nic.up({ tx: 32, rx: 128, give: 127, rctl: RCTL.SECRC });
  const directions: Direction[] = [
    { from: a, to: b, address: mac(MACS[1]), sent: 0, got: 0 },
    { from: b, to: a, address: mac(MACS[0]), sent: 0, got: 0 },
  ];
  const elapsed = stopwatch();
  try {
    while ([a, b].some((nic) => (nic.read(REG.STATUS) & STATUS.LU) === 0)) await delay(1); // the threads have started
    while (elapsed() < LIMIT_MS && directions.some(({ got }) => got < FRAMES)) {
      for (const direction of directions) turn(direction);
      await delay(0);
    }
  } finally {
    stopMachine(host.memory, map);
    await Promise.all(threads);
  }
  for (const direction of directions) {
    expect(direction.to.missed).toBe(0);
    expect(direction.got).toBeGreaterThan(100); // all of them, or what a busy machine makes in the time
    expect(direction.to.read(STAT.GPRC)).toBeGreaterThanOrEqual(direction.got);
  }
  expect(a.read(REG.ICR)).not.toBe(0);
});
