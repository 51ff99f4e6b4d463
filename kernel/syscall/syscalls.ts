/** The system calls, one row each: what the number means and what it does. */
import { EventFd } from '../fs/eventfd.ts';
import { PATH_MAX } from '../fs/vfs.ts';
import { Errno } from '../include/uapi/errno.ts';
import { MAP_HUGE_SHIFT, MAP_HUGETLB, MAP_LOCKED, NR } from '../include/uapi/syscall.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import type { File } from './file.ts';

/** Largest single read or write: what fits one copy without starving others. */
const MAX_RW = 1 << 20;

/** log2 of the largest huge page: 1 GiB, as e500mc has it. */
const MAX_HUGE_SHIFT = 30;

type Handler = (kernel: Kernel, args: readonly number[]) => Task<number>;

/** The table. Arguments are in Linux's order; a path is a user address and ends with NUL. */
export const SYSCALLS: Readonly<Record<number, { readonly name: string; readonly handler: Handler }>> = {
  [NR.open]: {
    name: 'open',
    *handler(kernel, [path, flags]) {
      const file = yield* kernel.vfs.open(yield* readPath(kernel, path), flags);
      try {
        return kernel.files.install(file);
      } catch (error) {
        yield* file.put();
        throw error;
      }
    },
  },
  [NR.close]: {
    name: 'close',
    *handler(kernel, [fd]) {
      yield* kernel.files.close(fd);
      return 0;
    },
  },
  [NR.ioctl]: {
    name: 'ioctl',
    handler: (kernel, [fd, command, arg]) => ioctl(kernel, fd, command, arg),
  },
  [NR.read]: { name: 'read', handler: (kernel, [fd, buffer, count]) => read(kernel, fd, buffer, count, 0) },
  [NR.write]: { name: 'write', handler: (kernel, [fd, buffer, count]) => write(kernel, fd, buffer, count, 0) },
  [NR.pread64]: {
    name: 'pread64',
    handler: (kernel, [fd, buffer, count, offset]) => read(kernel, fd, buffer, count, offset),
  },
  [NR.pwrite64]: {
    name: 'pwrite64',
    handler: (kernel, [fd, buffer, count, offset]) => write(kernel, fd, buffer, count, offset),
  },
  [NR.mmap]: {
    name: 'mmap',
    *handler(kernel, [, length, , flags, fd, offset]) {
      if (!(length > 0)) throw new Errno('EINVAL', 'mmap: length');
      const size = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
      if (fd === -1 && (flags & MAP_HUGETLB) !== 0) return kernel.mm.mmapHuge('huge', size, hugePageSize(flags)).start;
      if (fd === -1) return kernel.mm.mmapAnonymous('anon', size, (flags & MAP_LOCKED) === 0).start;
      return yield* withFile(kernel, fd, (file) => {
        if (file.operations.mmap === undefined) throw new Errno('ENODEV', file.name);
        return file.operations.mmap(size, offset);
      });
    },
  },
  [NR.munmap]: {
    name: 'munmap',
    *handler(kernel, [address]) {
      yield* kernel.mm.unmap(address);
      return 0;
    },
  },
  [NR.eventfd2]: {
    name: 'eventfd2',
    *handler(kernel, [initial]) {
      return kernel.files.install(EventFd.file(initial, kernel.process));
    },
  },
  [NR.readlink]: {
    name: 'readlink',
    *handler(kernel, [path, buffer, size]) {
      if (!(size > 0)) throw new Errno('EINVAL', 'readlink: size');
      const target = new TextEncoder().encode(kernel.vfs.readlink(yield* readPath(kernel, path))).subarray(0, size);
      yield* kernel.mm.space.copy(buffer, target, true);
      return target.length;
    },
  },
  [NR.getdents]: {
    name: 'getdents',
    // Names separated by NUL instead of linux_dirent records: nothing here has inode numbers.
    *handler(kernel, [fd, buffer, size]) {
      const file = kernel.files.file(fd);
      if (file.operations.list === undefined) throw new Errno('ENOTDIR', file.name);
      const names = new TextEncoder().encode(file.operations.list().join('\0'));
      if (names.length > size) throw new Errno('EINVAL', file.name);
      yield* kernel.mm.space.copy(buffer, names, true);
      return names.length;
    },
  },
};

/** Bytes of the huge pages that mmap's flags ask for. @throws Errno EINVAL for a size there is not */
function hugePageSize(flags: number): number {
  const shift = flags >>> MAP_HUGE_SHIFT;
  if (shift <= PAGE_SHIFT || shift > MAX_HUGE_SHIFT) throw new Errno('EINVAL', `mmap: huge pages of 2^${shift} bytes`);
  return 2 ** shift;
}

/** fdget and fdput: a file stays open while a call on it is under way, though its descriptor be closed meanwhile. */
function* withFile(kernel: Kernel, fd: number, body: (file: File) => Task<number>): Task<number> {
  const file = kernel.files.file(fd).get();
  try {
    return yield* body(file);
  } finally {
    const release = file.drop();
    if (release !== undefined) yield* release;
  }
}

/** These three are in the path of every I/O: the same as {@link withFile} would do it, with fewer generators. */
function* ioctl(kernel: Kernel, fd: number, command: number, arg: number): Task<number> {
  const file = kernel.files.file(fd).get();
  try {
    if (file.operations.ioctl === undefined) throw new Errno('ENOTTY', file.name);
    return yield* file.operations.ioctl(command, arg);
  } finally {
    const release = file.drop();
    if (release !== undefined) yield* release;
  }
}

function* read(kernel: Kernel, fd: number, buffer: number, count: number, offset: number): Task<number> {
  const file = kernel.files.file(fd).get();
  try {
    if (file.operations.read === undefined || !(count >= 0 && offset >= 0)) throw new Errno('EINVAL', file.name);
    const bytes = yield* file.operations.read(Math.min(count, MAX_RW), offset);
    const { space } = kernel.mm;
    if (!space.tryCopy(buffer, bytes, true)) yield* space.copy(buffer, bytes, true);
    return bytes.length;
  } finally {
    const release = file.drop();
    if (release !== undefined) yield* release;
  }
}

function* write(kernel: Kernel, fd: number, buffer: number, count: number, offset: number): Task<number> {
  const file = kernel.files.file(fd).get();
  try {
    if (file.operations.write === undefined || !(count >= 0 && offset >= 0)) throw new Errno('EINVAL', file.name);
    const bytes = buffers.take(Math.min(count, MAX_RW));
    try {
      const { space } = kernel.mm;
      if (!space.tryCopy(buffer, bytes, false)) yield* space.copy(buffer, bytes, false);
      return yield* file.operations.write(bytes, offset);
    } finally {
      buffers.give(bytes);
    }
  } finally {
    const release = file.drop();
    if (release !== undefined) yield* release;
  }
}

/** Buffers of writes that are over, for the next ones of their length: a program writes the same structures again and again. */
class Buffers {
  readonly #free = new Map<number, Uint8Array[]>();

  take(length: number): Uint8Array {
    return this.#free.get(length)?.pop() ?? new Uint8Array(length);
  }
  give(buffer: Uint8Array): void {
    if (buffer.length > PAGE_SIZE) return;
    const free = this.#free.get(buffer.length);
    if (free === undefined) this.#free.set(buffer.length, [buffer]);
    else free.push(buffer);
  }
}
const buffers = new Buffers();

/** strncpy_from_user. @throws Errno EFAULT, ENAMETOOLONG */
function* readPath(kernel: Kernel, address: number): Task<string> {
  const inPage = PAGE_SIZE - (address % PAGE_SIZE);
  let bytes = yield* kernel.mm.space.copyIn(address, inPage);
  if (!bytes.includes(0)) bytes = yield* kernel.mm.space.copyIn(address, PATH_MAX);
  const end = bytes.indexOf(0);
  if (end < 0) throw new Errno('ENAMETOOLONG', 'path');
  return new TextDecoder().decode(bytes.subarray(0, end));
}
