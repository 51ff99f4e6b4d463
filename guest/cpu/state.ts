/**
 * The CPU state block: one 4 KiB page of shared memory holding everything architected about one CPU and the words
 * translated code, the run loop and the VMM's thread exchange. Other threads touch it only while the CPU is outside
 * `run`; the one exception is `attention`.
 *
 * Byte order is the host's (little-endian), so that translated code loads registers without swapping.
 */
import { bytes, type FieldType, s32, struct, u32, u64, u64n, type View } from '../../kernel/lib/struct.ts';

/** Bytes of the state block. */
export const STATE_SIZE = 4096;
/** Bytes of the software TLB: 2048 entries of 32 bytes. */
export const TLB_SIZE = 65536;
/** Bytes of the PC cache: 4096 entries of 16 bytes. */
export const PC_CACHE_SIZE = 65536;

/** `count` 64-bit words seen in place. */
const words64 = (count: number): FieldType<BigUint64Array> => ({
  size: count * 8,
  get: (dv, at) => new BigUint64Array(dv.buffer, dv.byteOffset + at, count),
  set: (dv, at, value) => new BigUint64Array(dv.buffer, dv.byteOffset + at, count).set(value),
  print: (value) => [...value].map((word) => word.toString(16)).join(','),
});
/** `count` 32-bit words seen in place. */
const words32 = (count: number): FieldType<Uint32Array> => ({
  size: count * 4,
  get: (dv, at) => new Uint32Array(dv.buffer, dv.byteOffset + at, count),
  set: (dv, at, value) => new Uint32Array(dv.buffer, dv.byteOffset + at, count).set(value),
  print: (value) => [...value].map((word) => word.toString(16)).join(','),
});

/** Layout of the state block. Registers: SA22-7832 chapter 4 "Control", chapter 2 "CPU". */
export const cpu_state = struct(
  'cpu_state',
  'le',
  {
    /** General registers 0-15. */
    gpr: words64(16),
    /** Floating-point registers 0-15, as bits. */
    fpr: words64(16),
    /** Control registers 0-15. */
    cr: words64(16),
    /** Access registers 0-15. */
    ar: words32(16),
    /** Floating-point-control register. */
    fpc: u32,
    /** Length in bytes of the instruction that left last. */
    ilc: u32,
    /** First doubleword of the 16-byte PSW with the condition code (bits 18-19) zero: it lives in ccOp, ccA, ccB. */
    pswMask: u64,
    /** Second doubleword of the PSW. */
    pswAddress: u64,
    /** First operand of the lazy condition code. */
    ccA: u64,
    /** Second operand of the lazy condition code. */
    ccB: u64,
    /** Kind of the lazy condition code: index into the table of condition_code.ts; 0 = the code itself in ccA. */
    ccOp: u32,
    /** The PSW bits translated code depends on, see psw.ts. */
    modeKey: u32,
    /** Prefix register. */
    prefix: u32,
    /** Set (atomically, any non-zero bit but the top one) by other threads: leave translated code soon. */
    attention: s32,
    /** Instructions left in this `run`; may end slightly negative. */
    budget: s32,
    /** Table slot of the region being executed. */
    slot: u32,
    /** First storage-operand address of an exec row. */
    operand1: u64,
    /** Second storage-operand address of an exec row. */
    operand2: u64,
    /** Operand address of an intercepted S-format instruction. */
    exitOperand: u64,
    /** Text of the intercepted instruction, left-aligned. */
    exitText: bytes(8),
    /** Added to the bus's TOD clock (set by SCK). */
    todOffset: u64,
    /** Clock comparator, TOD units. */
    clockComparator: u64,
    /** TOD value at which the CPU timer reaches zero: CPU timer = cpuTimerEnd - TOD. */
    cpuTimerEnd: u64,
    /** TOD programmable register (SCKPF), right-aligned 16 bits. */
    todProgrammable: u32,
    /** Why `run` returned: index into EXIT_REASONS of exit_reason.ts. */
    exitReason: u32,
    /** Instructions executed since reset. */
    executed: u64n,
    /** Breaking-event address. */
    breakingEvent: u64,
    /** Last program-interruption code. */
    programCode: u32,
    /** Data-exception code of the last data exception. */
    dataCode: u32,
    /** Translation-exception identification of the last access exception. */
    teid: u64,
    /** Logical address handed to the slow access path. */
    accessAddress: u64,
    reserved1: bytes(24),
    /** Where page-crossing operands are assembled: the first, or only, one. */
    scratch: bytes(256),
    /** The second one. */
    scratch2: bytes(256),
    /** Length of the operands of an executed SS instruction. */
    executedLength: u32,
    reserved2: bytes(STATE_SIZE - 1156),
  },
  { size: STATE_SIZE, offsets: { gpr: 0, fpr: 128, cr: 256, ar: 384, pswMask: 456, attention: 500, scratch: 640 } },
);

/** A live view of one CPU's state block. */
export type CpuState = View<typeof cpu_state.fields>;
