/** Where the monitor takes its lines from. */
import { resolve } from 'node:path';
import { UserError } from '../user_error.ts';

export type MonitorPlace = { readonly kind: 'stdio' } | { readonly kind: 'unix'; readonly path: string };

/** `stdio` or `unix:PATH`. @throws UserError */
export function monitorPlace(text: string): MonitorPlace {
  if (text === 'stdio') return { kind: 'stdio' };
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path === undefined) throw new UserError(`--monitor ${text}: not understood; give stdio or unix:PATH`);
  return { kind: 'unix', path: resolve(path) };
}
