/**
 * Exits of one vCPU by their reason: what `perf kvm stat` makes of the trace points kvm_s390_sie_exit and
 * kvm_s390_sie_enter, kept as sums, so that a run of any length can be told. One page: a header, then a row for each
 * reason in the order in which they came up. Only the vCPU writes it.
 */
import { f64, struct, u32, u64n } from '../../lib/struct.ts';

/** What the value of a key means; the bits of the key above {@link EXIT_VALUE_BITS}. */
export const EXIT_KIND = {
  /** Interception code: {@link SIE}. */
  INTERCEPT: 1,
  /** An intercepted instruction: its first two bytes. */
  INSTRUCTION: 2,
  /** DIAGNOSE: its function code. */
  DIAGNOSE: 3,
  /** SIGNAL PROCESSOR: its order code. */
  SIGP: 4,
  /** A hypercall, DIAGNOSE X'5E0': its token. */
  HCALL: 5,
  /** Reasons beyond the rows of the page: a guest may make up any number of codes. */
  OTHER: 6,
} as const;
/** Bits of a key that hold the value. */
export const EXIT_VALUE_BITS = 24;
/** Largest value; it stands for greater ones too. */
export const EXIT_VALUE_MAX = 2 ** EXIT_VALUE_BITS - 1;

/** Interception codes (Linux arch/s390/include/uapi/asm/sie.h, sie_intercept_code), those that occur here. */
export const SIE = {
  HOST_INTERRUPTION: 0x00,
  PROGRAM_INTERRUPTION: 0x08,
  EXTERNAL_REQUEST: 0x10,
  IO_REQUEST: 0x18,
  WAIT_STATE: 0x1c,
  STOP_REQUEST: 0x28,
} as const;

/** A row's key, never 0. */
export function exitKey(kind: number, value: number): number {
  return (kind << EXIT_VALUE_BITS) | Math.min(value, EXIT_VALUE_MAX);
}

/** At the page's beginning: hypercalls that the kernel finished, which are no exits. */
export const EXIT_STAT_HEADER = struct(
  'kvm_exit_stat_header',
  'le',
  { hcall_real: u64n, hcall_virtual: u64n },
  { size: 16 },
);

/** One reason; times are nanoseconds from leaving the guest to entering it again. */
export const EXIT_STAT = struct(
  'kvm_exit_stat',
  'le',
  {
    /** 0: no row, and none behind it. */
    key: u32,
    reserved: u32,
    samples: u64n,
    sum: f64,
    /** Sum of the squares. */
    squares: f64,
    min: f64,
    max: f64,
  },
  { size: 48 },
);

/** Rows of a page; the last one is kept for {@link EXIT_KIND.OTHER}. */
export const EXIT_STAT_ROWS = Math.floor((4096 - EXIT_STAT_HEADER.size) / EXIT_STAT.size);
