/** A folder for images that a command makes and nobody keeps. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A signal unwinds nothing; a shell gives 128 and its number for a command that one ended. */
const STATUS_OF_SIGNAL = 128;

/** Gives `body` a folder of its own; it is removed whatever happens. @param name what its name begins with */
export async function inFolder<T>(name: string, body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const ended = (_: NodeJS.Signals, number: number) => {
    remove();
    process.exit(STATUS_OF_SIGNAL + number);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, ended);
  try {
    return await body(folder);
  } finally {
    for (const signal of signals) process.off(signal, ended);
    remove();
  }
}
