/** What EXECUTE instructions execute: the translation of each one's last target, for most have the same one all their life. */
import type { CodeCache } from './code_cache.ts';
import type { Translation } from './region.ts';
import type { Instruction } from './row.ts';
import { decode } from './table.ts';

/** A target, and what its translation depends on. */
interface Target {
  readonly mode: number;
  readonly address: bigint;
  readonly text: Uint8Array;
  readonly translation: Translation;
  readonly run: (entry: number) => number;
}

export class ExecuteTargets {
  readonly #code: CodeCache;
  readonly #last = new WeakMap<Instruction, Target>();

  constructor(code: CodeCache) {
    this.#code = code;
  }

  /** The translation of an instruction text from `address` as the target of the EXECUTE `by`. @param text is kept */
  find(text: Uint8Array, address: bigint, by: Instruction, mode: number): Pick<Target, 'translation' | 'run'> {
    const last = this.#last.get(by);
    if (last !== undefined && last.mode === mode && last.address === address && sameText(last.text, text)) return last;
    const { translation, run } = this.#code.executed(decode(text, address, by.next), by.next - BigInt(by.length), mode);
    const target = { mode, address, text, translation, run };
    this.#last.set(by, target);
    return target;
  }
}

/** For six bytes at most, where a call of Buffer.compare takes longer. */
function sameText(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
