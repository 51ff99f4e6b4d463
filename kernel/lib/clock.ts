/**
 * The host's monotonic clock, the same in every thread of the process. The only place that reads it.
 */

/** A moment every thread can measure from: taken once by the thread that switches the machine on. */
export function clockOrigin(): bigint {
  return process.hrtime.bigint();
}

/** Readings from which the distance of the two clocks is taken. */
const READINGS = 32;

/**
 * A clock in nanoseconds since `origin`. `performance.now()` starts at another moment in each thread; it is cheaper
 * than a bigint clock, so only the difference is taken from that one, once. The thread may lose its CPU between the
 * two readings, which would shift its clock against the others': the pair taken in the shortest time counts.
 */
export function hostClock(origin: bigint): () => number {
  let offset = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < READINGS; i++) {
    const before = process.hrtime.bigint();
    const now = performance.now() * 1e6;
    const after = process.hrtime.bigint();
    const took = Number(after - before);
    if (took >= shortest) continue;
    shortest = took;
    offset = Number(before - origin) + took / 2 - now;
  }
  return () => performance.now() * 1e6 + offset;
}

/** Starts a stopwatch: the returned function tells the milliseconds since. */
export function stopwatch(): () => number {
  const start = performance.now();
  return () => performance.now() - start;
}

/** Milliseconds since this process started; only on its main thread. */
export function processUptime(): number {
  return performance.now();
}
