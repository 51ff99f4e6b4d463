/**
 * One writer per DASD image: a lock file beside it names the process that has it. A lock whose process is gone is
 * stale and taken over; since process numbers are used again, the lock names the time the process started, too.
 */
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../user_error.ts';

/** Locks that this process has. */
const held = new Set<string>();

/** What a lock names: a process number, and its start time as {@link startTime} gives it when it is known. */
interface Owner {
  readonly pid: number;
  readonly start?: string;
}

/** Field 22 of /proc/PID/stat: clock ticks from boot to the start of the process (proc(5)); undefined without /proc. */
function startTime(pid: number): string | undefined {
  try {
    // The name in field 2 is in brackets and may itself hold blanks and brackets.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
  } catch {
    return undefined;
  }
}

/** True while the process that made the lock exists. */
function alive(lock: string, { pid, start }: Owner): boolean {
  // Our own number without our having the lock: an earlier process had the number, as in a container.
  if (pid === process.pid) return held.has(lock);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startTime(pid);
  return start === undefined || now === undefined || start === now;
}

/** The process a lock names; 'nobody' when it names none, undefined when the lock is gone. */
function ownerOf(lock: string): Owner | 'nobody' | undefined {
  try {
    const match = /^([1-9]\d*)(?: (\d+))?\n$/.exec(readFileSync(lock, 'utf8'));
    return match === null ? 'nobody' : { pid: Number(match[1]), start: match[2] };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the lock file; false when it is there already. @throws UserError when none can be made */
function make(lock: string, remedy: string): boolean {
  try {
    const start = startTime(process.pid);
    writeFileSync(lock, `${process.pid}${start === undefined ? '' : ` ${start}`}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // On a full disk the file is there, but empty.
    if (code === 'ENOSPC' || code === 'EDQUOT') rmSync(lock, { force: true });
    throw new UserError(`${lock}: ${code}; ${remedy}`);
  }
}

/** Times that a stale lock is removed: more means that somebody else does the same. */
const ATTEMPTS = 3;

/** Whatever name the image is given by, there is one lock for it; one that is still to be made has a lock too. */
function lockOf(file: string): string {
  return `${existsSync(file) ? realpathSync(file) : join(realpathSync(dirname(file)), basename(file))}.lock`;
}

function inUse(file: string, lock: string, owner: Owner): UserError {
  if (held.has(lock)) return new UserError(`${file}: is given twice; give each --drive an image of its own`);
  return new UserError(`${file}: in use by process ${owner.pid}; end it, or give another image with --drive file=...`);
}

/**
 * Takes the image for this process; the returned function gives it back.
 * @param remedy what to do where no lock file can be made. @throws UserError when another process has it
 */
export function lockImage(
  file: string,
  remedy = "the image's folder must be writable, or give readonly=on",
): () => void {
  const lock = lockOf(file);
  for (let attempt = 1; !make(lock, remedy); attempt++) {
    const owner = ownerOf(lock);
    if (owner === 'nobody')
      throw new UserError(`${lock}: names no process; remove it when no other minivisor uses ${file}`);
    // Its process gave it back just now.
    if (owner === undefined) continue;
    if (attempt >= ATTEMPTS || alive(lock, owner)) throw inUse(file, lock, owner);
    rmSync(lock, { force: true });
  }
  held.add(lock);
  const release = () => {
    process.off('exit', release);
    held.delete(lock);
    rmSync(lock, { force: true });
  };
  // A second Ctrl-C ends the process without unwinding.
  process.on('exit', release);
  return release;
}

/** For who only reads the image: nobody may be writing to it. @throws UserError when somebody has it */
export function checkUnlocked(file: string): void {
  const lock = lockOf(file);
  const owner = ownerOf(lock);
  if (owner !== undefined && owner !== 'nobody' && alive(lock, owner)) throw inUse(file, lock, owner);
}
