/**
 * The dispatcher: looks the PSW up in the PC cache and calls the region found, until something has to go back to
 * TypeScript. It is the only module that imports the table, because every importer keeps a private copy of it.
 *
 * PC cache entry (16 bytes): instruction address, mode key, table slot << 12 | entry number.
 */

import { FunctionBuilder } from '../../kernel/lib/wasm/function_builder.ts';
import { encodeModule, type Signature } from '../../kernel/lib/wasm/module.ts';
import { i32, i64, mem } from '../../kernel/lib/wasm/types.ts';
import { ccFunction } from './condition_code.ts';
import type { Layout } from './emitter.ts';
import { NEXT } from './row.ts';
import { cpu_state } from './state.ts';

/** Offset of an instruction address's entry in the PC cache. */
export const pcCacheOffset = (addressLow: number) => (addressLow << 3) & 0xfff0;

const REGION: Signature = { params: ['i32'], results: ['i32'] };

/** Encodes the dispatcher for one CPU's addresses. Exports `dispatch() -> NEXT` and `cc(op, a, b)`. */
export function encodeDispatcher({ stateBase }: Layout, pcCacheBase: number, pages: number): Uint8Array<ArrayBuffer> {
  const b = new FunctionBuilder(0);
  const at0 = i32.const(0);
  const field = (name: keyof typeof cpu_state.offset) => stateBase + cpu_state.offset[name];
  const pc = b.local64();
  const entry = b.local32();
  const packed = b.local32();
  const code = b.local32();
  b.loop((again) => {
    const stop = i32.or(
      i32.leS(mem.load32(at0, field('budget')), i32.const(0)),
      mem.atomicLoad32(at0, field('attention')),
    );
    b.if(stop, () => b.return(i32.const(NEXT.POLL)));
    b.set(pc, mem.load64(at0, field('pswAddress')));
    b.set(entry, i32.and(i32.shl(i32.wrap(pc.get), i32.const(3)), i32.const(0xfff0)));
    const miss = i32.or(
      i64.ne(mem.load64(entry.get, pcCacheBase), pc.get),
      i32.ne(mem.load32(entry.get, pcCacheBase + 8), mem.load32(at0, field('modeKey'))),
    );
    b.if(miss, () => b.return(i32.const(NEXT.MISS)));
    b.set(packed, mem.load32(entry.get, pcCacheBase + 12));
    b.emit(mem.store32(at0, i32.shrU(packed.get, i32.const(12)), field('slot')));
    // call_indirect: type 0, table 0
    b.set(code, {
      type: 'i32',
      code: [i32.and(packed.get, i32.const(0xfff)).code, i32.shrU(packed.get, i32.const(12)).code, 0x11, 0, 0],
    });
    b.brIf(i32.eq(code.get, i32.const(NEXT.CHAIN)), again);
  });
  b.emit(code.get.code);
  const cc = ccFunction();
  return encodeModule(
    [
      { name: 'memory', kind: 'memory', pages },
      { name: 'table', kind: 'table' },
    ],
    [
      { signature: { params: [], results: ['i32'] }, locals: b.locals, code: b.out, export: 'dispatch' },
      {
        signature: { params: ['i32', 'i64', 'i64'], results: ['i32'] },
        locals: cc.locals,
        code: cc.code,
        export: 'cc',
      },
    ],
    [REGION],
  );
}
