/** Host time-outs for the control plane (the main thread), which has an event loop and no scheduler. */

/** Calls `action` after `ms` milliseconds unless the returned function is called before. */
export function after(ms: number, action: () => void): () => void {
  const timer = setTimeout(action, ms);
  return () => clearTimeout(timer);
}

/** Calls `action` every `ms` milliseconds until the returned function is called. */
export function every(ms: number, action: () => void): () => void {
  const timer = setInterval(action, ms);
  return () => clearInterval(timer);
}

/** Resolves after `ms` milliseconds. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Now in ISO 8601, UTC, to the millisecond. */
export function isoTime(): string {
  return new Date().toISOString();
}

/** Milliseconds since 1970-01-01 UTC of such a text; NaN when it is none. */
export function isoMilliseconds(text: string): number {
  return Date.parse(text);
}

/** Microseconds since 1970-01-01 UTC: what a time-of-day clock is set from. */
export function wallClockMicroseconds(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
