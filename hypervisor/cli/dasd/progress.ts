/** Progress of work on a whole volume. */

/** Shows progress on a terminal, in place, a hundred times at most. */
export function progressLine(what: string): ((done: number, all: number) => void) | undefined {
  if (!process.stderr.isTTY) return undefined;
  let shown = -1;
  return (done, all) => {
    const percent = Math.floor((100 * done) / all);
    if (percent === shown) return;
    shown = percent;
    process.stderr.write(`\r${what}: ${done} of ${all} cylinders (${percent}%)${done === all ? '\n' : ''}`);
  };
}
