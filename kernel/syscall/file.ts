/** Open files, and the descriptor table of a process. */
import { Errno } from '../include/uapi/errno.ts';
import type { Task } from '../lib/task.ts';

/** What can be done with an open file; a missing operation is refused as Linux refuses it. */
export interface FileOperations {
  /** ioctl(2). `arg` is a value or a user address. Missing: ENOTTY. */
  ioctl?(command: number, arg: number): Task<number>;
  /** pread(2): at most `count` bytes. Missing: EINVAL. */
  read?(count: number, offset: number): Task<Uint8Array>;
  /** pwrite(2): returns how many bytes were taken. Missing: EINVAL. */
  write?(bytes: Uint8Array, offset: number): Task<number>;
  /** mmap(2): maps `length` bytes from `offset` and returns the address. Missing: ENODEV. */
  mmap?(length: number, offset: number): Task<number>;
  /** getdents(2): the names in a directory. Missing: ENOTDIR. */
  list?(): string[];
  /** The last reference is gone. */
  release?(): Task;
}

/** An open file. Descriptors and kernel objects hold references; the last `put` releases it. */
export class File {
  /** What `ls -l /proc/self/fd` would show. */
  readonly name: string;
  readonly operations: FileOperations;
  /** The object behind the file, by which another driver recognises it (`instanceof`). */
  readonly object: unknown;
  #references = 1;

  constructor(name: string, operations: FileOperations, object?: unknown) {
    this.name = name;
    this.operations = operations;
    this.object = object;
  }
  get(): this {
    this.#references++;
    return this;
  }
  *put(): Task {
    const release = this.drop();
    if (release !== undefined) yield* release;
  }
  /** {@link put} for hot paths: what is still to be done, if that was the last reference and there is anything. */
  drop(): Task | undefined {
    return --this.#references === 0 ? this.operations.release?.() : undefined;
  }
}

/** Descriptors per process (RLIMIT_NOFILE's usual soft limit). */
const MAX_FILES = 1024;

/** The descriptor table. */
export class FileTable {
  readonly #files: (File | undefined)[] = [];

  /** Lowest free descriptor for `file`, whose reference it takes over. @throws Errno EMFILE */
  install(file: File): number {
    let fd = this.#files.indexOf(undefined);
    if (fd < 0) fd = this.#files.length;
    if (fd >= MAX_FILES) throw new Errno('EMFILE', file.name);
    this.#files[fd] = file;
    return fd;
  }
  /** The file behind `fd`. @throws Errno EBADF */
  file(fd: number): File {
    const file = this.#files[fd];
    if (file === undefined) throw new Errno('EBADF', `descriptor ${fd}`);
    return file;
  }
  *close(fd: number): Task {
    const file = this.file(fd);
    this.#files[fd] = undefined;
    yield* file.put();
  }
  /** exit_files: closes every descriptor, lowest first. Calls that are under way may close or open some meanwhile. */
  *closeAll(): Task {
    for (let fd = 0; fd < this.#files.length; fd++) if (this.#files[fd] !== undefined) yield* this.close(fd);
  }
  /** Open descriptors, lowest first. */
  *entries(): Iterable<[number, File]> {
    for (const [fd, file] of this.#files.entries()) if (file !== undefined) yield [fd, file];
  }
}
