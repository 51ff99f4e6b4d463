/** A vfio-ccw device in many seeded schedules: what the tests that look for races have in common. */
import { expect } from 'vitest';
import { CCW1 } from '../../kernel/include/arch/s390/ccw.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import { preempt, type Task } from '../../kernel/lib/task.ts';
import { CcwFixture, NOTHING } from './ccw_fixture.ts';
import type { FakeSubchannel } from './fake_css.ts';

const READ = 0x02;

/** An open device with a read of a page at 0x1000 and at 0x2000. */
export function opened(seed = 1, options = {}): CcwFixture {
  const t = new CcwFixture({ seed, ...options });
  t.run(t.openAll());
  t.program(0x1000, [[READ, 0, 4096, 0x3800]]);
  t.program(0x2000, [[READ, 0, 4096, 0x5800]]);
  return t;
}

/** Runs a test in `count` schedules. @throws what the test throws, with the seed that replays it */
export function inSchedules(count: number, body: (t: CcwFixture, seed: number) => void): void {
  for (let seed = 0; seed < count; seed++) {
    try {
      body(opened(seed), seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** A few turns for others. */
export function* pause(t: CcwFixture, most = 8): Task {
  for (let i = t.actor.choose(most); i > 0; i--) yield* preempt();
}
/** Ends normally, or with an errno, which is returned. */
export function* attempt<R>(task: Task<R>): Task<R | string> {
  try {
    return yield* task;
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    return error.code;
  }
}
/** Tries until the device is free again. */
export function* insist(t: CcwFixture, cpa: number): Task<void> {
  for (;;) {
    const result = yield* attempt(t.ssch(cpa));
    if (result === 124) return;
    expect(['EAGAIN', 'EBUSY']).toContain(result);
    yield* preempt();
  }
}
/** Until something holds. */
export function* until(what: string, ready: () => boolean): Task {
  while (!ready()) yield { what, ready };
}

/** The host's subchannel. */
export const subchannel = (t: CcwFixture): FakeSubchannel => t.css.subchannels[0];
/** The channel fetches the running program: its CCW, its IDAL, and a frame that is still pinned. */
export function checkDma(t: CcwFixture): void {
  const { dv } = t.memory;
  const { cpa } = subchannel(t).orb;
  expect(dv.getUint8(cpa)).toBe(READ);
  expect(t.kernel.mm.space.frames.pins(Number(dv.getBigUint64(dv.getUint32(cpa + 4))))).toBeGreaterThan(0);
}
/** The program ends normally, and everything is given back. */
export function end(t: CcwFixture): void {
  t.css.present(0);
  t.settle();
  expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
}

/** The first words of the IDAL of the running program's first CCW. */
export const idal = (t: CcwFixture, count: number) => {
  const { cda } = CCW1.at(t.memory.dv, subchannel(t).orb.cpa);
  return Array.from({ length: count }, (_, i) => Number(t.memory.dv.getBigUint64(cda + 8 * i)));
};
/** Host address of a guest byte now. */
export const host = (t: CcwFixture, gpa: number) => t.kernel.mm.space.lookup(t.ram.start + gpa, true) + (gpa % 4096);
/** Writes 32-bit words, big-endian, to guest memory. */
export function words(t: CcwFixture, gpa: number, list: readonly number[]): void {
  const bytes = new Uint8Array(list.length * 4);
  for (const [i, word] of list.entries()) new DataView(bytes.buffer).setUint32(i * 4, word);
  t.poke(gpa, bytes);
}
