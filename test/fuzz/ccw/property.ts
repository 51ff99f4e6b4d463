/**
 * The property: a batch of random channel programs, run by a guest through the whole machine and by the reference over a
 * copy of its storage, ends alike: status, residual, data; and nothing stays pinned.
 */
import * as fc from 'fast-check';
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { EVENT, IoScript, sid, UNIT_EXCEPTION } from '../../support/io_script.ts';
import { EchoModel } from './echo_model.ts';
import { FIRST_REGION, layOut, orbFields, type Program, program, REGION, STORAGE } from './programs.ts';
import { type Expected, interpret } from './reference.ts';
import type { Orb } from './translation_model.ts';

/** Programs of one boot. */
export const BATCH = 100;

/** What a program does, and what must come of it. */
interface Case {
  readonly orb: Orb;
  readonly expected: Expected;
  /** It may give intermediate status. */
  readonly chatty: boolean;
}

/** Runs the reference; a program that is left out is as if it had not been drawn. */
function predict(storage: Uint8Array, programs: readonly { drawn: Program; orb: Orb }[]): Case[] {
  let device = new EchoModel();
  const cases: Case[] = [];
  for (const { drawn, orb } of programs) {
    const before = device.clone();
    const expected = interpret(storage, device, orb);
    if (expected.kind === 'left out') device = before;
    else cases.push({ orb, expected, chatty: isChatty(drawn) });
  }
  return cases;
}

function isChatty({ orb, segments }: Program): boolean {
  return orb.i || segments.some((ccws) => ccws.some(({ flags }) => (flags & CCW_FLAG.PCI) !== 0));
}

/** Bytes of all regions, and of what data may reach behind the last. */
const SPAN = (BATCH + 2) * REGION;

/** Every byte of the regions differs from its neighbours, so that a wrong address shows. */
function fill(storage: Uint8Array): void {
  let state = 1;
  for (let at = FIRST_REGION; at < FIRST_REGION + SPAN; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    storage[at] = state >>> 24;
  }
}
const FILLED = new Uint8Array(STORAGE);
fill(FILLED);

/** @throws Error naming the first difference */
export async function check(programs: readonly Program[], seed: number): Promise<void> {
  const initial = FILLED.slice();
  const laid = programs.map((drawn, n) => ({ drawn, orb: layOut(initial, n, drawn) }));
  const storage = initial.slice();
  const cases = predict(storage, laid);
  const s = new IoScript();
  s.enable(0);
  s.put(FIRST_REGION, initial.slice(FIRST_REGION, FIRST_REGION + SPAN));
  const scratch = s.irb();
  const runs = cases.map(({ orb, chatty }) => {
    const irb = s.irb();
    const operation = s.run(0, s.orb(orbFields(orb)), irb);
    // Intermediate status and the end share one IRB in vfio-ccw: the end may be told a second time, a little later.
    if (chatty) {
      s.wait(EVENT.IO, 500);
      s.insn('tsch', sid(0), scratch);
    }
    return { irb, operation };
  });
  const run = await s.simulate(['--sim', '--seed', `${seed}`, '--drive', 'type=echo']);
  for (const [i, { expected, orb }] of cases.entries()) {
    const { irb, operation } = runs[i];
    const what = `program ${(orb.cpa - FIRST_REGION) / REGION}`;
    const { cc, events } = run.result(operation);
    if (expected.kind === 'cc') {
      compare(what, { cc }, { cc: expected.cc });
      continue;
    }
    compare(what, { cc, events: events & 1 }, { cc: 0, events: 1 });
    const { stctl, dstat, cstat, count } = run.status(irb);
    const { cpa } = run.irb(irb).scsw;
    // Whether the guest tested intermediate status before the end is a matter of time.
    const came = { stctl: stctl & ~0x08, dstat, cstat: cstat & ~0x80, count };
    if (expected.kind !== 'ended') {
      // The residual count of the program before shows through, as in QEMU.
      compare(what, came, { ...UNIT_EXCEPTION, count });
      continue;
    }
    const { sense } = expected;
    compare(
      what,
      { ...came, cpa: expected.cpa === undefined ? undefined : cpa },
      { stctl: expected.stctl, dstat: expected.dstat, cstat: expected.cstat, count: expected.count, cpa: expected.cpa },
    );
    if (sense !== undefined && Buffer.compare(run.irb(irb).ecw, sense) !== 0)
      throw new Error(`${what}: sense ${Buffer.from(run.irb(irb).ecw).toString('hex')}`);
  }
  const left = run.bytes(FIRST_REGION, SPAN);
  const right = storage.subarray(FIRST_REGION, FIRST_REGION + SPAN);
  if (Buffer.compare(left, right) !== 0) {
    const at = left.findIndex((byte, i) => byte !== right[i]);
    throw new Error(
      `storage differs at 0x${(FIRST_REGION + at).toString(16)}, region ${Math.floor(at / REGION)}: ${left[at]} instead of ${right[at]}`,
    );
  }
  if (run.pins !== 0) throw new Error(`${run.pins} pins are left`);
}

function compare(what: string, came: object, expected: object): void {
  const [a, b] = [JSON.stringify(came), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`);
}

/** The batch's failure, and the programs that fail by themselves: these can be read and replayed. */
async function explain(programs: readonly Program[], schedule: number, error: unknown): Promise<never> {
  const alone: string[] = [];
  for (const drawn of programs) {
    try {
      await check([drawn], schedule);
    } catch (reason) {
      alone.push(`${(reason as Error).message}: ${JSON.stringify(drawn)}`);
    }
  }
  const which = alone.length === 0 ? 'no program fails alone' : `fail alone:\n${alone.slice(0, 3).join('\n')}`;
  throw new Error(`${(error as Error).message}; ${which}`, { cause: error });
}

/** Runs `runs` programs from a seed. @param progress told how many are done @throws Error with the seed that replays it */
export async function fuzzCcw(runs: number, seed: number, progress?: (done: number) => void): Promise<void> {
  let done = 0;
  const length = Math.min(BATCH, runs);
  await fc.assert(
    fc.asyncProperty(
      fc.array(program, { minLength: length, maxLength: length }),
      fc.nat(0xffff),
      async (programs, schedule) => {
        try {
          await check(programs, schedule);
        } catch (error) {
          await explain(programs, schedule, error);
        }
        done += programs.length;
        progress?.(done);
      },
    ),
    // Shrinking a batch would boot the machine thousands of times; the programs that fail alone tell more, sooner.
    { numRuns: Math.ceil(runs / BATCH), seed, endOnFailure: true },
  );
}
