/**
 * The system-call line between the VMM process and the kernel: numbers and the slot a call travels in. Numbers are
 * those of Linux on s390x (arch/s390/kernel/syscalls/syscall.tbl) where the call exists there.
 */
import { bytes, s32, struct, u32 } from '../../lib/struct.ts';

export const NR = {
  read: 3,
  write: 4,
  open: 5,
  close: 6,
  ioctl: 54,
  readlink: 85,
  mmap: 90,
  munmap: 91,
  getdents: 141,
  pread64: 180,
  pwrite64: 181,
  eventfd2: 323,
} as const;

/** State of a slot; the word that hands the slot over. */
export const SLOT = { FREE: 0, POSTED: 1, DONE: 2 } as const;

/** A slot: six arguments and the result are doubles, exact below 2^53; a negative result is -errno. Native order. */
export const SYSCALL_SLOT = struct(
  'syscall_slot',
  'le',
  { state: s32, nr: u32, ret: bytes(8), args: bytes(48) },
  { size: 64, offsets: { ret: 8, args: 16 } },
);

/** Slots, and where the ring of posted slot numbers lies in the area. */
export const SYSCALL_SLOTS = 64;
export const SYSCALL_RING = SYSCALL_SLOTS * SYSCALL_SLOT.size;
export const SYSCALL_RING_CAPACITY = 64;

/** open(2) flags (include/uapi/asm-generic/fcntl.h). */
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CLOEXEC = 0o2000000;

/** mmap(2) with descriptor -1: anonymous memory. Flag bits of include/uapi/asm-generic/mman-common.h. */
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;
/** Frames that never move and follow each other: the VMM's own heap (stands for what mlock and THP give a process). */
export const MAP_LOCKED = 0x2000;
/** Huge pages; log2 of their size is in the bits from MAP_HUGE_SHIFT on. Any power of two above the page size will do. */
export const MAP_HUGETLB = 0x40000;
export const MAP_HUGE_SHIFT = 26;
