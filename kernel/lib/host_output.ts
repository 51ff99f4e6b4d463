/**
 * Output that appears even from a thread that never returns to its event loop: synchronous writes. (A worker blocked
 * in its scheduler prints nothing through console.log.)
 */
import { writeSync } from 'node:fs';
import pino, { type Logger } from 'pino';

/** Milliseconds until a full pipe is tried again. */
const RETRY_MS = 1;
/** A word that never changes: waiting for it is how a thread without an event loop sleeps. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** Writes all bytes to a descriptor; a full pipe is tried again, and one that nobody reads any more takes everything. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(NEVER, 0, 0, RETRY_MS);
    }
  }
}

/** The log of one actor: pino on a synchronous destination, one JSON line each on standard error. */
export function actorLog(name: string, level: string): Logger {
  return pino({ name, level, base: { actor: name } }, pino.destination({ dest: 2, sync: true }));
}
