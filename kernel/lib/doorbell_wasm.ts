/** {@link Doorbell.ring} for WebAssembly: the same operations in the same order, of which the interleavings are tested. */
import { DOORBELL_SLEEPING } from './doorbell.ts';
import type { FunctionBuilder } from './wasm/function_builder.ts';
import { i32, mem } from './wasm/types.ts';

const at0 = i32.const(0);
/** memory.atomic.notify: everybody who waits. */
const ALL = i32.const(-1);

/** Rings the doorbell at HPA `doorbell`. */
export function emitRing(b: FunctionBuilder, doorbell: number): void {
  b.drop(mem.atomicAdd32(at0, i32.const(1), doorbell));
  const sleeping = doorbell + DOORBELL_SLEEPING;
  b.if(mem.atomicLoad32(at0, sleeping), () =>
    b.if(mem.exchange32(at0, i32.const(0), sleeping), () => b.drop(mem.notify(at0, ALL, sleeping))),
  );
}
