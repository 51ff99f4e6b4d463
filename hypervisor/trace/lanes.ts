/** Slices of one track in lanes: in a lane any two slices are apart, or one is inside the other. */

/** What lanes are made of. Moments are numbers of records: several may have been written at the same time. */
export interface Interval {
  /** The record it begins with. */
  readonly order: number;
  /** The record it ends with; the same for a point in time. */
  readonly endOrder: number;
}

/**
 * Distributes intervals over as few lanes as it takes when each goes into the first that has room, in the order of their
 * beginnings; of those that begin together the longer one first. Each lane is in that order, so that what is inside
 * another comes after it.
 */
export function lanes<T extends Interval>(intervals: readonly T[]): T[][] {
  const sorted = [...intervals].sort((a, b) => a.order - b.order || b.endOrder - a.endOrder);
  const all: { readonly members: T[]; readonly open: number[] }[] = [];
  for (const interval of sorted) {
    let lane = all.find(({ open }) => fits(open, interval));
    if (lane === undefined) {
      lane = { members: [], open: [] };
      all.push(lane);
    }
    lane.members.push(interval);
    lane.open.push(interval.endOrder);
  }
  return all.map(({ members }) => members);
}

/** @param open ends of those that the last member is inside of, and its own */
function fits(open: number[], { order, endOrder }: Interval): boolean {
  while (open.length > 0 && open[open.length - 1] <= order) open.pop();
  return open.length === 0 || endOrder <= open[open.length - 1];
}
