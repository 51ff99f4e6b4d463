/**
 * `tceKillRm` of one entry as WebAssembly, for callers who are WebAssembly themselves: the steps K1 to K3 of
 * `tce_cache.ts`, in their order, on the same words.
 */
import type { FunctionBuilder } from '../../../kernel/lib/wasm/function_builder.ts';
import { type I32, i32, mem } from '../../../kernel/lib/wasm/types.ts';
import { PE, PE_PART } from './pe.ts';
import { TCE_CACHE_SLOT_SIZE, TCE_CACHE_SLOTS, VALID } from './tce_cache.ts';

/**
 * Appends the kill of an entry that was changed before.
 * @param block HPA of the PE's block, evaluated several times. @param drain called when DMA is under way; appends what
 *   waits for its end (drainDma).
 */
export function emitTceKill(
  b: FunctionBuilder,
  block: I32,
  entry: I32,
  window: I32,
  drain: (block: I32) => void,
): void {
  b.drop(mem.atomicAdd32(block, i32.const(1), PE.offset.killSequence));
  const index = i32.and(entry, i32.const(TCE_CACHE_SLOTS - 1));
  const slot = b.let32(i32.add(block, i32.mul(index, i32.const(TCE_CACHE_SLOT_SIZE))));
  const tag = i32.or(i32.or(i32.shl(entry, i32.const(2)), i32.shl(window, i32.const(1))), i32.const(VALID));
  b.if(i32.eq(mem.atomicLoad32(slot, PE_PART.tceCache), tag), () =>
    b.emit(mem.atomicStore32(slot, i32.const(0), PE_PART.tceCache)),
  );
  b.if(mem.atomicLoad32(block, PE.offset.dmaLock), () => drain(block));
}
