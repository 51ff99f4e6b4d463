/** The shape of an instruction row and of a decoded instruction. */
import type { Cpu } from './cpu.ts';
import type { Emitter } from './emitter.ts';
import type { Fields, FormatName } from './formats.ts';

/** What a TypeScript instruction tells translated code to do next; also what a region tells the dispatcher. */
export const NEXT = {
  /** Go on with the next instruction. */
  CONTINUE: 0,
  /** The PSW address is in the state block: find the code there. */
  CHAIN: 1,
  /** A program interruption or a retry is recorded; the instruction did not happen (or completed, by its code). */
  FAULT: 2,
  /** Leave `run`: the exit reason is recorded. */
  STOP: 3,
  /** Budget used up or attention wanted. */
  POLL: 4,
  /** The dispatcher found no code for the PSW. */
  MISS: 5,
} as const;

/** Where control may go after an instruction, for finding the code of a region. */
export type Flow =
  /** To the next instruction. */
  | 'next'
  /** Relative branch. */
  | 'branch'
  /** Branch to an address in a register or storage operand. */
  | 'indirect'
  /** Leaves translated code; the next instruction is entered again from outside. */
  | 'leave'
  /** Leaves translated code and never goes on. */
  | 'end';

/** A decoded instruction. */
export interface Instruction extends Fields {
  readonly row: Row;
  readonly text: Uint8Array;
  readonly length: number;
  /** Logical address; for the target of EXECUTE, the target's own address (relative operands are based on it). */
  readonly address: bigint;
  /** Logical address of the sequential next instruction: of the EXECUTE for its target. */
  readonly next: bigint;
}

/** One instruction: decode, disassembly, privilege and meaning come from here. */
export interface Row {
  readonly mnemonic: string;
  /** Opcode digits as in the opcode list: 2, 3 (byte and low nibble) or 4 (byte 0 and byte 1 or 5). */
  readonly opcode: string;
  readonly format: FormatName;
  /** Facility (STFLE bit) the instruction belongs to; 0 = base architecture. */
  readonly facility?: number;
  readonly class: 'general' | 'control' | 'io' | 'fp-support';
  readonly privileged?: boolean;
  /** Immediate operands are shown unsigned. */
  readonly unsigned?: boolean;
  /** SA22-7832 chapter. */
  readonly spec: string;
  readonly flow?: Flow;
  /** The branch leaves the address of the next instruction: that is entered later. */
  readonly link?: boolean;
  /** Inline meaning: appends WebAssembly. */
  readonly emit?: (b: Emitter, i: Instruction) => void;
  /**
   * Meaning as a TypeScript function called by translated code. Returns a NEXT value; nothing means CONTINUE. With
   * `emit` beside it, that calls it for what it does not do itself.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most functions return nothing and go on
  readonly exec?: (cpu: Cpu, i: Instruction) => number | undefined | void;
  /** The exec function neither reads nor writes general registers (operand addresses are computed before). */
  readonly registerFree?: boolean;
}
