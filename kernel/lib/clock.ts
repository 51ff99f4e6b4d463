/**
 * The host's monotonic clock, the same in every thread of the process. The only place that reads it.
 */

/** A moment every thread can measure from: taken once by the thread that switches the machine on. */
export function clockOrigin(): bigint {
  return process.hrtime.bigint();
}

/**
 * A clock in nanoseconds since `origin`. `performance.now()` starts at another moment in each thread; it is cheaper
 * than a bigint clock, so only the difference is taken from that one, once.
 */
export function hostClock(origin: bigint): () => number {
  const offset = Number(process.hrtime.bigint() - origin) - performance.now() * 1e6;
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
