/**
 * Linux error numbers and their texts (include/uapi/asm-generic/errno-base.h and errno.h): the only failures a system
 * call can have. One row each.
 */
export const ERRNO = {
  EPERM: [1, 'Operation not permitted'],
  ENOENT: [2, 'No such file or directory'],
  EINTR: [4, 'Interrupted system call'],
  EIO: [5, 'Input/output error'],
  ENXIO: [6, 'No such device or address'],
  E2BIG: [7, 'Argument list too long'],
  EBADF: [9, 'Bad file descriptor'],
  EAGAIN: [11, 'Resource temporarily unavailable'],
  ENOMEM: [12, 'Cannot allocate memory'],
  EACCES: [13, 'Permission denied'],
  EFAULT: [14, 'Bad address'],
  EBUSY: [16, 'Device or resource busy'],
  EEXIST: [17, 'File exists'],
  ENODEV: [19, 'No such device'],
  ENOTDIR: [20, 'Not a directory'],
  EISDIR: [21, 'Is a directory'],
  EINVAL: [22, 'Invalid argument'],
  EMFILE: [24, 'Too many open files'],
  ENOTTY: [25, 'Inappropriate ioctl for device'],
  ENOSPC: [28, 'No space left on device'],
  ESPIPE: [29, 'Illegal seek'],
  ENAMETOOLONG: [36, 'File name too long'],
  ENOSYS: [38, 'Function not implemented'],
  ELOOP: [40, 'Too many levels of symbolic links'],
  EBADFD: [77, 'File descriptor in bad state'],
  EUSERS: [87, 'Too many users'],
  EOPNOTSUPP: [95, 'Operation not supported'],
  ETIMEDOUT: [110, 'Connection timed out'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrnoName = keyof typeof ERRNO;

const BY_NUMBER = new Map<number, ErrnoName>(Object.entries(ERRNO).map(([name, [n]]) => [n, name as ErrnoName]));

/** A failed system call: thrown inside the kernel, carried as a number over the system-call line, thrown again by the client. */
export class Errno extends Error {
  /** Linux name, `EINVAL`. */
  readonly code: ErrnoName;
  /** Positive number, 22. */
  readonly errno: number;
  constructor(code: ErrnoName, where = '') {
    const [errno, text] = ERRNO[code];
    super(where === '' ? `${code}: ${text}` : `${where}: ${code}: ${text}`);
    this.name = 'Errno';
    this.code = code;
    this.errno = errno;
  }
}

/** Name of an error number (positive); EIO for one that is not in the table. */
export function errnoName(errno: number): ErrnoName {
  return BY_NUMBER.get(errno) ?? 'EIO';
}
