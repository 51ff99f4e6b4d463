/** Host time-outs for the control plane (the main thread), which has an event loop and no scheduler. */

/** Calls `action` after `ms` milliseconds unless the returned function is called before. */
export function after(ms: number, action: () => void): () => void {
  const timer = setTimeout(action, ms);
  return () => clearTimeout(timer);
}

/** Resolves after `ms` milliseconds. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Microseconds since 1970-01-01 UTC: what a time-of-day clock is set from. */
export function wallClockMicroseconds(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
