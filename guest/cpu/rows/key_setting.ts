/** Setting keys of one block or many, conditionally or not: what SSKE and PFMF share. */
import { STORAGE_KEY } from '../../../kernel/lib/storage_keys.ts';
import type { Cpu } from '../cpu.ts';
import { PGM, ProgramInterruption, Retry } from '../interruption.ts';
import { type Instruction, NEXT } from '../row.ts';

/** A key to set. When a bit need not be right, and nothing else differs, the key is left as it is. */
export interface KeySetting {
  readonly key: number;
  /** The reference bit does not count (MR). */
  readonly keepReference: boolean;
  /** The change bit does not count (MC). */
  readonly keepChange: boolean;
}

/** Sets the key of a frame. @returns the old key, whether it was replaced, and whether CPUs may hold what it allowed */
export function setKey(cpu: Cpu, frame: number, { key, keepReference, keepChange }: KeySetting) {
  const { keys } = cpu.storage;
  const before = keys.get(frame);
  // Without a condition the key is always set: both bits count.
  const conditional = keepReference || keepChange;
  const counts =
    STORAGE_KEY.ACC |
    STORAGE_KEY.FETCH |
    (keepReference ? 0 : STORAGE_KEY.REFERENCE) |
    (keepChange ? 0 : STORAGE_KEY.CHANGE);
  if (conditional && ((before ^ key) & counts) === 0) return { old: before, stored: false, withdrawn: false };
  const old = keys.update(frame, 0xff, key);
  return { old, stored: true, withdrawn: (old & STORAGE_KEY.REFERENCE) !== 0 && old !== key };
}

/** Blocks to set and to clear. */
export interface Blocks {
  /** Absolute address of the first. */
  readonly start: bigint;
  /** They end at the next multiple of this. */
  readonly unit: number;
  readonly setting: KeySetting | undefined;
  readonly clear?: boolean;
  /** There is one only, and R2 stays as it is. */
  readonly single?: boolean;
}
/** Blocks done before the instruction starts over, so that budget and attention get in. */
const PART = 256;

/** Works through blocks; R2 says how far it has come whenever the instruction ends or is interrupted. */
export function storeKeys(cpu: Cpu, i: Instruction, blocks: Blocks): number | undefined {
  const { storage } = cpu;
  const unit = BigInt(blocks.unit);
  const end = (blocks.start / unit + 1n) * unit;
  const part = blocks.start + BigInt(PART * 4096);
  const stop = part < end ? part : end;
  let withdrawn = false;
  let at = blocks.start;
  try {
    for (; at < stop; at += 4096n) {
      if (at > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
      const frame = storage.frame(Number(at), blocks.clear === true);
      if (blocks.clear === true) {
        const host = storage.hostOfAbsolute(Number(at), true, 4096);
        cpu.memory.u8.fill(0, host, host + 4096);
      }
      if (blocks.setting !== undefined && setKey(cpu, frame, blocks.setting).withdrawn) withdrawn = true;
    }
  } catch (thrown) {
    // What is done is done: the instruction goes on from here, or fails here, after it was withdrawn.
    if (!(thrown instanceof ProgramInterruption || thrown instanceof Retry) || at === blocks.start) throw thrown;
  }
  if (blocks.single !== true) setAddress(cpu, i.r2, at);
  const complete = at === end;
  if (withdrawn) {
    cpu.withdrawn(i);
    if (!complete) cpu.restartInstruction(i);
    return cpu.bus.quiesce ? NEXT.POLL : NEXT.CHAIN;
  }
  if (complete) return undefined;
  cpu.restartInstruction(i);
  return NEXT.CHAIN;
}

/** R2 gets the address of the next block: all of it in 64-bit mode, the low word otherwise. */
function setAddress(cpu: Cpu, r: number, next: bigint): void {
  if ((cpu.mode & 3) === 3) cpu.setGpr(r, next);
  else cpu.setGprLow(r, Number(cpu.storage.wrap(next)));
}
