/**
 * One writer per DASD image: a lock file beside it names the process that has it. A lock whose process is gone is
 * stale and taken over.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
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

/** Takes the image for this process; the returned function gives it back. @throws UserError when another process has it */
export function lockImage(file: string): () => void {
  const lock = `${file}.lock`;
  for (let attempt = 0; ; attempt++) {
    try {
      const fd = openSync(lock, 'wx');
      writeSync(fd, `${process.pid}\n`);
      closeSync(fd);
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new UserError(
          `${lock}: ${(error as NodeJS.ErrnoException).code}; the image's folder must be writable, or give readonly=on`,
        );
    }
    const owner = Number(readFileSync(lock, 'utf8'));
    if (attempt > 0 || alive(owner))
      throw new UserError(`${file}: in use by process ${owner}; end it, or give another image with --drive file=...`);
    rmSync(lock, { force: true });
  }
}
