/** Channel programs for the echo control unit (devices/physical/echo). */
import type { Ccw, IoScript } from './io_script.ts';

/** Takes as long as its data say, in nanoseconds. */
const DELAY = 0x23;

/** A CCW that takes so many microseconds. */
export function delay(s: IoScript, microseconds: number, flags = 0): Ccw {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, microseconds * 1000);
  return [DELAY, flags, 4, s.data(bytes)];
}
