/** Where the monitor takes its lines from. */
import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname, resolve } from 'node:path';
import { UserError } from '../user_error.ts';

export type MonitorPlace = { readonly kind: 'stdio' } | { readonly kind: 'unix'; readonly path: string };

/** `stdio` or `unix:PATH`, in a folder that is there. @throws UserError */
export function monitorPlace(text: string): MonitorPlace {
  if (text === 'stdio') return { kind: 'stdio' };
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path === undefined) throw new UserError(`--monitor ${text}: not understood; give stdio or unix:PATH`);
  const folder = dirname(resolve(path));
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new UserError(`--monitor ${text}: there is no folder ${folder}; make it first, or give another path`);
  return { kind: 'unix', path: resolve(path) };
}

/**
 * Makes room for a monitor's socket: one that nobody listens on was left by a process that was killed, and is removed.
 * Anything else that is in the way is told when the socket is made. @throws UserError when another process listens there
 */
export async function clearStaleSocket(place: MonitorPlace): Promise<void> {
  // A file that is no socket refuses a connection too.
  if (place.kind !== 'unix' || lstatSync(place.path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const { path } = place;
  const answer = await new Promise<string | undefined>((answered) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      answered('listens');
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => answered(code));
  });
  if (answer === 'listens')
    throw new UserError(`--monitor unix:${path}: another process listens there; end it, or give another path`);
  if (answer === 'ECONNREFUSED') unlinkSync(path);
}
