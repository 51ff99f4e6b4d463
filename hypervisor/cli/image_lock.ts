/**
 * One writer per DASD image: a lock file beside it names the process that has it. A lock whose process is gone is
 * stale and taken over.
 */
import { readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { UserError } from '../user_error.ts';

/** True while a process with that number exists. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The process a lock names; 0 when it names none, undefined when the lock is gone. */
function ownerOf(lock: string): number | undefined {
  try {
    const text = readFileSync(lock, 'utf8');
    return /^[1-9]\d*\n$/.test(text) ? Number(text) : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the lock file; false when it is there already. @throws UserError when none can be made */
function make(lock: string): boolean {
  try {
    writeFileSync(lock, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // On a full disk the file is there, but empty.
    if (code === 'ENOSPC' || code === 'EDQUOT') rmSync(lock, { force: true });
    throw new UserError(`${lock}: ${code}; the image's folder must be writable, or give readonly=on`);
  }
}

/** Times that a stale lock is removed: more means that somebody else does the same. */
const ATTEMPTS = 3;

/** Takes the image for this process; the returned function gives it back. @throws UserError when another process has it */
export function lockImage(file: string): () => void {
  // Whatever name the image is given by, there is one lock for it.
  const lock = `${realpathSync(file)}.lock`;
  for (let attempt = 1; !make(lock); attempt++) {
    const owner = ownerOf(lock);
    if (owner === 0) throw new UserError(`${lock}: names no process; remove it when no other minivisor uses ${file}`);
    // Its process gave it back just now.
    if (owner === undefined) continue;
    if (attempt >= ATTEMPTS || alive(owner))
      throw new UserError(`${file}: in use by process ${owner}; end it, or give another image with --drive file=...`);
    rmSync(lock, { force: true });
  }
  const release = () => {
    process.off('exit', release);
    rmSync(lock, { force: true });
  };
  // A second Ctrl-C ends the process without unwinding.
  process.on('exit', release);
  return release;
}
