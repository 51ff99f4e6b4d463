/** A case before QEMU has judged it, and the list the families fill. */
import { Random } from './values.ts';

/** What the CPU and the storage hold before the instruction; everything left out has the default of layout.ts (storage: zeros). */
interface Input {
  r?: Record<number, bigint>;
  f?: Record<number, bigint>;
  cc?: number;
  /** Program mask, PSW bits 20-23. */
  pm?: number;
  /** Addressing mode, 64 when left out. */
  amode?: 24 | 31;
  /** Address to bytes (hex digits), inside the two operand areas. */
  mem?: Record<number, string>;
}

/** One case: assembler text (GNU syntax, `;` between statements) and its input. */
export interface Case {
  mnemonic: string;
  asm: string;
  input: Input;
}

/** How the cases of some mnemonics are made. */
export interface Family {
  mnemonics: string[];
  make(add: Add, mnemonic: string, random: Random): void;
}

/** Adds one case of the mnemonic being made. */
type Add = (asm: string, input: Input) => void;

/** Names in a space-separated list. */
export function names(list: string): string[] {
  return list.trim().split(/\s+/);
}

/**
 * Text with one byte of the machine code changed: for what the assembler refuses, such as odd registers where a pair
 * is required. `mask` is exclusive-ored to the byte at `offset`.
 */
export function patched(asm: string, offset: number, mask: number): string {
  return `${asm} ^ byte ${offset} ${mask.toString(16).padStart(2, '0')}`;
}

/** Runs every family. A case without condition code gets a random one, so that "unchanged" is tested too. */
export function makeCases(families: Family[], seed: string): Case[] {
  const cases: Case[] = [];
  for (const family of families) {
    for (const mnemonic of family.mnemonics) {
      const random = new Random(`${seed} ${mnemonic}`);
      family.make(
        (asm, input) => cases.push({ mnemonic, asm, input: { ...input, cc: input.cc ?? random.below(4) } }),
        mnemonic,
        random,
      );
    }
  }
  return cases;
}
