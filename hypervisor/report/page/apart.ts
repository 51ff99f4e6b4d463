/** Labels that would lie on each other. */

/** How far each label at a line's end moves, px, so that none lies on another and together they stay where they were. */
export function apart(ends: readonly number[], height: number): number[] {
  const order = ends.map((y, i) => ({ i, y, at: y })).sort((a, b) => a.y - b.y);
  // Neighbours push each other away by half of what they overlap, as often as there are labels to pass it on to.
  for (let pass = 0; pass < 8 * order.length; pass++)
    for (let k = 1; k < order.length; k++) {
      const push = Math.max(0, order[k - 1].at + height - order[k].at) / 2;
      order[k - 1].at -= push;
      order[k].at += push;
    }
  return order.sort((a, b) => a.i - b.i).map(({ y, at }) => at - y);
}
