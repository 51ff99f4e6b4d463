/**
 * Floors: what a chain of hand-offs between threads costs on this machine with nothing done in between, waiting as
 * `wait_strategy.ts` says. A route is a string of parties, G (guest), V (VMM), K (kernel), I (I/O processor): each
 * hop rings the next, and the last one rings the first. `GK` is the two-party floor, `GVKV` the three-party one.
 */
import { DOORBELL_SIZE, Doorbell } from './doorbell.ts';
import { HostMemory } from './host_memory.ts';
import { WAIT_STRATEGY } from './wait_strategy.ts';

export interface PartyOptions {
  readonly memory: WebAssembly.Memory;
  readonly route: string;
  readonly party: string;
  /** Round trips of the whole route; the first tenth is warm-up and not reported. */
  readonly rounds: number;
  /** Time the device takes, ns: the I/O processor sleeps that long before it passes on. None when omitted. */
  readonly deviceNs?: number;
}

/** How a party waits for news from another, on two CPUs. */
function spins(party: string, from: string): number {
  if (party === 'G') return WAIT_STRATEGY.vcpu_reply.spins2;
  if (party === 'V') return from === 'G' ? WAIT_STRATEGY.vmm_guest.spins2 : 0;
  if (party === 'K') return from === 'G' ? WAIT_STRATEGY.kernel_hcall.spins2 : 0;
  return 0;
}

/** Bytes of memory the parties of a floor share. */
export const FLOOR_MEMORY = 65536;

/** One party's part; the one that stands first in the route returns nanoseconds per round trip. */
export function runParty({ memory, route, party, rounds, deviceNs = 0 }: PartyOptions): Float64Array {
  const host = new HostMemory(memory);
  const hops = [...route];
  // A doorbell for each hop, rung by the hop before: nobody mistakes one arrival for another.
  const bells = hops.map((_, i) => new Doorbell(host, DOORBELL_SIZE * (i + 1)));
  const mine = hops.flatMap((letter, i) => (letter === party ? [i] : []));
  const arrivals = hops.map(() => 0);
  const arrive = (hop: number) => {
    const from = hops[(hop + hops.length - 1) % hops.length];
    while (bells[hop].sequence() === arrivals[hop]) bells[hop].park(arrivals[hop], spins(party, from), 1000);
    arrivals[hop]++;
  };
  // Nobody rings this one: it is there to sleep on.
  const device = new Doorbell(host, DOORBELL_SIZE * (hops.length + 1));
  const pass = (hop: number) => {
    if (hops[hop] === 'I' && deviceNs > 0) device.sleep(device.sequence(), deviceNs / 1e6);
    bells[(hop + 1) % hops.length].ring();
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
