/**
 * A pause between two looks at a word of shared memory, in WebAssembly, as x86's PAUSE makes one: WebAssembly has no such
 * instruction, and fences come nearest. Who looks without pause keeps taking the cache line from the thread that fills it.
 */
import type { FunctionBuilder } from './wasm/function_builder.ts';
import { mem } from './wasm/types.ts';

/** Fences of a pause, of 18 ns each (measured: with none a hypercall in virtual mode takes three times as long). */
const FENCES = 3;
/** How long a look with its pause takes, about, ns. */
const LOOK_NS = 60;
/** One load of a doorbell in JavaScript, ns (measured): what the waits of `wait_strategy.ts` are counted in. */
const LOAD_NS = 5;
/** Looks that take about as long as so many such loads. */
export const looksOf = (loads: number): number => Math.ceil((loads * LOAD_NS) / LOOK_NS);

/** Appends a pause. */
export function emitPause(b: FunctionBuilder): void {
  for (let i = 0; i < FENCES; i++) b.emit(mem.fence);
}
