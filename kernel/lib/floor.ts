/**
 * Floors: what a chain of hand-offs between threads costs on this machine with nothing done in between, waiting as
 * `wait_strategy.ts` says. A route is a string of parties, G (guest), V (VMM), K (kernel), I (I/O processor): each
 * hop rings the next, and the last one rings the first. `GK` is the two-party floor, `GVKV` the three-party one. In
 * parentheses stands a chain that the hop before rings too, after the next one, and that nobody waits for: in `GVK(VG)IK`
 * the kernel starts the I/O processor and returns to the VMM, which returns to the guest.
 */
import { DOORBELL_SIZE, Doorbell } from './doorbell.ts';
import { HostMemory } from './host_memory.ts';
import { CPUS } from './spin_budget.ts';
import type { WaitClass } from './task.ts';
import { spinsOn } from './wait_strategy.ts';

export interface PartyOptions {
  readonly memory: WebAssembly.Memory;
  readonly route: string;
  readonly party: string;
  /** Round trips of the whole route; the first tenth is warm-up and not reported. */
  readonly rounds: number;
  /** Time the device takes, ns: the I/O processor sleeps that long before it passes on. None when omitted. */
  readonly deviceNs?: number;
}

/** One arrival of a route: who, rung by whom, and the hops it rings then. */
interface Hop {
  readonly party: string;
  readonly from: string;
  readonly rings: number[];
}

/** Reads a route: its hops, in the order in which each party does its own. */
export function hopsOf(route: string): Hop[] {
  const hops: Hop[] = [];
  const last = route.replace(/\(.*?\)/g, '').slice(-1);
  // The hops that ring the next letter of the chain itself, and of the one in parentheses.
  let main = -1;
  let side = -1;
  for (const letter of route) {
    if (letter === '(') side = main;
    else if (letter === ')') side = -1;
    else {
      const before = side >= 0 ? side : main;
      const hop = hops.push({ party: letter, from: before < 0 ? last : hops[before].party, rings: [] }) - 1;
      // The chain goes on first, though it is written after the parentheses.
      if (side < 0 && main >= 0) hops[main].rings.unshift(hop);
      if (side < 0) main = hop;
      else {
        hops[side].rings.push(hop);
        side = hop;
      }
    }
  }
  hops[main].rings.unshift(0);
  return hops;
}

/** How a party waits for news from another. */
function waitOf(party: string, from: string): WaitClass {
  if (party === 'G') return 'vcpu_reply';
  if (from === 'G' && party === 'V') return 'vmm_guest';
  if (from === 'G' && party === 'K') return 'kernel_hcall';
  return 'sleep';
}

/** Bytes of memory the parties of a floor share. */
export const FLOOR_MEMORY = 65536;

/** One party's part; the one that stands first in the route returns nanoseconds per round trip. */
export function runParty({ memory, route, party, rounds, deviceNs = 0 }: PartyOptions): Float64Array {
  const host = new HostMemory(memory);
  const hops = hopsOf(route);
  // A doorbell for each hop, rung by the hop before: nobody mistakes one arrival for another.
  const bells = hops.map((_, i) => new Doorbell(host, DOORBELL_SIZE * (i + 1)));
  const mine = hops.flatMap((hop, i) => (hop.party === party ? [i] : []));
  const arrivals = hops.map(() => 0);
  const spins = hops.map(({ from }) => spinsOn(CPUS, waitOf(party, from)));
  const arrive = (hop: number) => {
    while (bells[hop].sequence() === arrivals[hop]) bells[hop].park(arrivals[hop], spins[hop], 1000);
    arrivals[hop]++;
  };
  // Nobody rings this one: it is there to sleep on.
  const device = new Doorbell(host, DOORBELL_SIZE * (hops.length + 1));
  const pass = (hop: number) => {
    if (party === 'I' && deviceNs > 0) device.sleep(device.sequence(), deviceNs / 1e6);
    for (const next of hops[hop].rings) bells[next].ring();
  };
  const times = new Float64Array(mine[0] === 0 ? rounds : 0);
  for (let round = 0; round < rounds; round++) {
    if (mine[0] !== 0) {
      for (const hop of mine) {
        arrive(hop);
        pass(hop);
      }
      continue;
    }
    const start = performance.now();
    pass(0);
    for (const hop of mine.slice(1)) {
      arrive(hop);
      pass(hop);
    }
    arrive(0);
    times[round] = (performance.now() - start) * 1e6;
  }
  return times.subarray(Math.floor(rounds / 10));
}
