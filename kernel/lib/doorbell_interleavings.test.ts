/**
 * Every interleaving of a doorbell's sleeper and its wakers: the ordering argument of `wait_strategy.ts`, by exhaustion.
 * Parties run the real code; its atomic operations are answered from a log, and the first one beyond the log ends the
 * run. So a party can be taken one operation further at a time, in any order with the others.
 */
import { afterEach, expect, test, vi } from 'vitest';
import { Doorbell } from './doorbell.ts';
import { createMemory, HostMemory } from './host_memory.ts';

const BELL = 128;
const NEWS = 64;
const ONE_MORE = new Error('one operation more than the log has');

interface Operation {
  readonly name: 'load' | 'store' | 'add' | 'exchange' | 'wait' | 'notify';
  readonly word: number;
  readonly operand: number;
}

interface Party {
  /** What its operations so far gave. */
  readonly log: readonly unknown[];
  /** The word it sleeps on. */
  readonly asleep?: number;
}

interface State {
  readonly words: Readonly<Record<number, number>>;
  readonly parties: readonly Party[];
}

let log: readonly unknown[] = [];
let position = 0;
let next: Operation | undefined;

function intercept(): void {
  for (const name of ['load', 'store', 'add', 'exchange', 'wait', 'notify'] as const)
    vi.spyOn(Atomics, name).mockImplementation(((_: unknown, word: number, operand = 0) => {
      if (position < log.length) return log[position++];
      next = { name, word, operand };
      throw ONE_MORE;
    }) as never);
}
afterEach(() => vi.restoreAllMocks());

/** The operation a party does next; undefined when it is at its end. */
function upTo(party: Party, code: () => void): Operation | undefined {
  ({ log } = party);
  position = 0;
  next = undefined;
  try {
    code();
  } catch (error) {
    if (error !== ONE_MORE) throw error;
  }
  return next;
}

/** The state after party `me` has done an operation. */
function after({ words, parties }: State, me: number, { name, word, operand }: Operation): State {
  const old = words[word] ?? 0;
  const logged = (party: Party, result: unknown): Party => ({ log: [...party.log, result] });
  const become = (value: number, result: unknown): State => ({
    words: { ...words, [word]: value },
    parties: parties.map((party, i) => (i === me ? logged(party, result) : party)),
  });
  switch (name) {
    case 'load':
      return become(old, old);
    case 'store':
      return become(operand, operand);
    case 'add':
      return become(old + operand, old);
    case 'exchange':
      return become(operand, old);
    case 'wait':
      if (old !== operand) return become(old, 'not-equal');
      return { words, parties: parties.map((party, i) => (i === me ? { ...party, asleep: word } : party)) };
    case 'notify': {
      const woken = parties.map((party) => (party.asleep === word ? logged(party, 'ok') : party));
      return { words, parties: woken.map((party, i) => (i === me ? logged(party, 0) : party)) };
    }
  }
}

/** Goes through all interleavings; the states in which nobody can go on though somebody sleeps, and how many there were. */
function explore(codes: readonly (() => void)[]): { slept: State[]; states: number } {
  const seen = new Set<string>();
  const slept: State[] = [];
  const open: State[] = [{ words: {}, parties: codes.map(() => ({ log: [] })) }];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = JSON.stringify(state);
    if (seen.has(key)) continue;
    seen.add(key);
    let moved = false;
    for (const [me, party] of state.parties.entries()) {
      const operation = party.asleep === undefined ? upTo(party, codes[me]) : undefined;
      if (operation === undefined) continue;
      moved = true;
      open.push(after(state, me, operation));
    }
    if (!moved && state.parties.some(({ asleep }) => asleep !== undefined)) slept.push(state);
  }
  return { slept, states: seen.size };
}

test.each([1, 2])('news of %i wakers is never slept through', (wakers) => {
  const memory = new HostMemory(createMemory(65536));
  const bell = new Doorbell(memory, BELL);
  const sleeper = () => {
    for (let known = 0; known < wakers; ) {
      const seen = bell.sequence();
      const news = memory.load(NEWS);
      if (news === known) bell.sleep(seen, Number.POSITIVE_INFINITY);
      known = news;
    }
  };
  const waker = () => {
    memory.add(NEWS, 1);
    bell.ring();
  };
  intercept();
  const { slept, states } = explore([sleeper, ...Array.from({ length: wakers }, () => waker)]);
  expect(slept).toEqual([]);
  expect(states).toBeGreaterThan(wakers * 50);
});
