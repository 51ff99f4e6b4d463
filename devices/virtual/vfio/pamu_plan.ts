/**
 * The memory plan of a PAMU container: guest RAM and MSI banks become an aperture and equal windows. The rules (vfio-pamu
 * facts 1.4, 5.4): the aperture is a power of two and aligned to its size; it has a power of two of windows, at most as
 * many as the hardware gives; a window has one translation, to host memory in one piece, of a power-of-two length that its
 * host address is aligned to; an MSI bank costs a whole window. RAM keeps its guest-physical addresses.
 */
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';

/** RAM at a bus address. */
export interface RamRange {
  readonly iova: number;
  readonly size: number;
}

/** What a plan is made from. */
export interface PlanRequest {
  /** In ascending order, disjoint. */
  readonly ram: readonly RamRange[];
  /** Bytes of the pieces of host memory that RAM is made of: contiguous, aligned to their size, a power of two. */
  readonly granule: number;
  readonly msiBanks: number;
  /** Most windows an aperture may have (attribute WINDOWS before it is set). */
  readonly maxWindows: number;
  /** First bus address behind the ones there are. */
  readonly addressEnd: number;
}

export interface PamuPlan {
  readonly apertureStart: number;
  /** Inclusive. */
  readonly apertureEnd: number;
  readonly windows: number;
  readonly windowSize: number;
  /** MAP_DMA calls: whole windows, or one shorter mapping in a window of its own. */
  readonly maps: readonly RamRange[];
  /** Bus address of each bank's window, by bank. */
  readonly msi: readonly number[];
}

/** There is no legal geometry; the message says why for every window size, and what would help. */
export class PlanImpossible extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PlanImpossible';
  }
}

/** The plan with the fewest windows and, of those, the smallest aperture. @throws PlanImpossible */
export function planPamu(request: PlanRequest): PamuPlan {
  const refusals: Refusal[] = [];
  let best: PamuPlan | undefined;
  // From large to small: a later plan with as few windows has the smaller aperture.
  for (let size = largestWindow(request); size >= PAGE_SIZE; size /= 2) {
    const plan = planWith(request, size);
    if (typeof plan === 'string') refusals.push({ size, why: plan });
    else if (best === undefined || plan.windows <= best.windows) best = plan;
  }
  if (best === undefined) throw new PlanImpossible(explain(request, refusals));
  return best;
}

/** A window size, and why it does not do. */
interface Refusal {
  readonly size: number;
  readonly why: string;
}

/**
 * The largest window that is looked at: a piece of host memory, for RAM of less may need an aperture that smaller windows
 * cannot make; and where RAM is larger, the smallest that takes all of it, so that it is said why it will not do.
 */
function largestWindow({ ram, granule, addressEnd }: PlanRequest): number {
  let size = PAGE_SIZE;
  while (size < addressEnd && (size < granule || ram.some((range) => range.size > size))) size *= 2;
  return size;
}

/** The plan with windows of `size` bytes, or why there is none. */
function planWith(request: PlanRequest, size: number): PamuPlan | string {
  const { ram, granule, msiBanks, maxWindows, addressEnd } = request;
  if (size > granule) return `host memory is in pieces of ${bytes(granule)}`;
  const needed = ram.reduce((sum, range) => sum + Math.ceil(range.size / size), msiBanks);
  if (needed > maxWindows) return `RAM and MSI banks take more than ${maxWindows} windows`;
  const used = new Set<number>();
  const maps: RamRange[] = [];
  for (const range of ram) {
    const why = place(range, size, used, maps);
    if (why !== undefined) return why;
  }
  const indexes = [...used];
  const [first, last] = indexes.length === 0 ? [0, 0] : [Math.min(...indexes), Math.max(...indexes)];
  for (let count = 1; count <= maxWindows; count *= 2) {
    const start = first - (first % count);
    if (last >= start + count || count - used.size < msiBanks) continue;
    if ((start + count) * size > addressEnd) return `the aperture would end behind ${hex(addressEnd)}`;
    return {
      apertureStart: start * size,
      apertureEnd: (start + count) * size - 1,
      windows: count,
      windowSize: size,
      maps,
      msi: freeWindows(start, count, last, used)
        .slice(0, msiBanks)
        .map((index) => index * size),
    };
  }
  return `no aligned run of ${maxWindows} windows takes RAM from ${hex(ram[0].iova)} on and ${msiBanks} MSI banks`;
}

/** Puts a range into windows: whole ones, and a shorter mapping at its end. Returns why it cannot be. */
function place(
  { iova, size: length }: RamRange,
  size: number,
  used: Set<number>,
  maps: RamRange[],
): string | undefined {
  if (iova % size !== 0) return `RAM at ${hex(iova)} does not begin a window`;
  const tail = length % size;
  if (tail !== 0 && !isPowerOfTwo(tail)) return `RAM ends with ${bytes(tail)} in a window, which is no power of two`;
  if (tail !== 0 && tail < PAGE_SIZE) return `RAM ends with ${bytes(tail)} in a window, which is less than a page`;
  for (let at = iova; at < iova + length; at += size) {
    const index = at / size;
    if (used.has(index)) return `two pieces of RAM share the window at ${hex(at)}`;
    used.add(index);
  }
  if (length > tail) maps.push({ iova, size: length - tail });
  if (tail > 0) maps.push({ iova: iova + length - tail, size: tail });
  return undefined;
}

/** Windows without RAM: those above RAM first, as the discussion of 2013 has them. */
function freeWindows(start: number, count: number, last: number, used: ReadonlySet<number>): number[] {
  const all = Array.from({ length: count }, (_, i) => start + i).filter((index) => !used.has(index));
  return [...all.filter((index) => index > last), ...all.filter((index) => index <= last)];
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** One reason for each run of window sizes that share it, then the remedy. */
function explain({ ram, granule, msiBanks }: PlanRequest, refusals: readonly Refusal[]): string {
  const runs: { from: number; to: number; why: string }[] = [];
  for (const { size, why } of refusals) {
    const previous = runs.at(-1);
    if (previous !== undefined && previous.why === why) previous.to = size;
    else runs.push({ from: size, to: size, why });
  }
  const reasons = runs.map(({ from, to, why }) =>
    from === to ? `windows of ${bytes(from)}: ${why}` : `windows of ${bytes(to)} to ${bytes(from)}: ${why}`,
  );
  const total = ram.reduce((sum, range) => sum + range.size, 0);
  return (
    `no legal PAMU geometry for ${bytes(total)} of RAM and ${msiBanks} MSI banks. ${reasons.join('; ')}. ` +
    `Take larger huge pages than ${bytes(granule)}, or a guest whose RAM is a power of two`
  );
}

/** `64 MiB`. */
function bytes(count: number): string {
  const unit = [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ].find(([size]) => count >= (size as number) && count % (size as number) === 0) as [number, string] | undefined;
  return unit === undefined ? `${count} bytes` : `${count / unit[0]} ${unit[1]}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
