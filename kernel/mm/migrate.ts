/**
 * Moving page frames: what a real kernel does for compaction, NUMA balancing and memory hot-unplug, and the reason
 * why DMA needs pins. Kernel only.
 */

import { FAULT, PTE } from '../lib/address_space.ts';
import { PG } from '../lib/frames.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import { Random } from '../lib/random.ts';
import { type Actor, sleep, type Task } from '../lib/task.ts';
import { EVENT, type Tracer } from '../lib/trace.ts';
import type { Mm } from './mm.ts';

/** Moves the frame under `va` elsewhere; false when it is pinned, in use, unmovable or not there. */
export function* migratePage(mm: Mm, memory: HostMemory, va: number, tracer?: Tracer): Task<boolean> {
  const { frames } = mm.space;
  const at = mm.space.entryAddress(va);
  if (at === FAULT) return false;
  const entry = memory.load(at);
  if ((entry & (PTE.PRESENT | PTE.IO | PTE.MIGRATING)) !== PTE.PRESENT) return false;
  const from = (entry & ~(PAGE_SIZE - 1)) >>> 0;
  if ((frames.flags(from) & PG.UNMOVABLE) !== 0 || frames.pins(from) !== 0) return false;
  if (memory.cas(at, entry, entry | PTE.MIGRATING) !== entry) return false;
  // From here on nobody new finds the frame. Translations already cached go next, then late references are counted.
  for (const notify of mm.notifiers) yield* notify(va);
  if (memory.load(at) >>> 0 !== (entry | PTE.MIGRATING) >>> 0) return false; // unmapped meanwhile
  const to = frames.refs(from) === 0 && frames.pins(from) === 0 ? mm.pages.allocPage() : undefined;
  if (to === undefined) {
    memory.store(at, entry);
    mm.settled();
    return false;
  }
  memory.u8.copyWithin(to, from, from + PAGE_SIZE);
  // The key goes along with the bytes: nobody uses the old frame any more, and nobody has found the new one.
  mm.space.keys.set(to, mm.space.keys.get(from));
  frames.setFlags(to, frames.flags(from));
  frames.setMapping(to, frames.mapping(from));
  memory.store(at, to | (entry & (PAGE_SIZE - 1)));
  frames.setMapping(from, 0);
  mm.pages.freePages(from);
  mm.settled();
  tracer?.point(EVENT.mm_migrate, va, from, to);
  return true;
}

/** Nanoseconds between two moves under `--memory-pressure`. */
const PRESSURE_PERIOD_NS = 20_000;

/** `--memory-pressure`: moves one random movable page of any process after the other, for ever. */
export function* memoryPressure(
  actor: Actor,
  mms: readonly Mm[],
  memory: HostMemory,
  seed: number,
  moved: () => void,
  tracer?: Tracer,
): Task {
  const random = new Random(seed);
  for (;;) {
    yield* sleep(actor, PRESSURE_PERIOD_NS);
    const vmas = mms.flatMap((mm) => mm.vmas.filter((vma) => vma.anonymous).map((vma) => ({ mm, vma })));
    if (vmas.length === 0) continue;
    const { mm, vma } = vmas[random.below(vmas.length)];
    // Half of the moves hit the first megabyte, where small guests keep everything.
    const span = random.below(2) === 0 ? Math.min(vma.size, 0x100000) : vma.size;
    if (yield* migratePage(mm, memory, vma.start + random.below(span / PAGE_SIZE) * PAGE_SIZE, tracer)) moved();
  }
}
