/**
 * Real mode in WebAssembly: the common case of H_PUT_TCE and H_GET_TCE, for translated code to call without a detour
 * through JavaScript, where every atomic operation costs a call. As Linux has its handlers twice, this is a second
 * form of `RealMode.hcall`: the same steps on the same words. It does a call wholly, or changes nothing and says so,
 * and then `RealMode.hcall` does it. The tests hold the two together.
 *
 * Done here: an aligned bus address inside a table (of pages below 4 GiB) under which exactly one live hardware table with
 * the same page size hangs, of one level or several that are there; a TCE without permission, or with an aligned address in a memory slot and in registered
 * memory; nobody else at the entry; no tracing of kills or, on a CPU, of calls. Two steps go to TypeScript in the middle
 * of a call: waiting for DMA that is under way, and telling CPUs that a page with translated code was written.
 *
 * Loads are plain as in `kvm_area.ts`, but the one that finds a slot is atomic: that costs nothing here.
 */
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { type HostMemory, PAGE_SHIFT, PAGE_SIZE, WASM_PAGE } from '../lib/host_memory.ts';
import { MEMSLOT, MEMSLOTS } from '../lib/memslots.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import { EVENT } from '../lib/trace.ts';
import { FunctionBuilder, type Local } from '../lib/wasm/function_builder.ts';
import { encodeModule, type FunctionBody } from '../lib/wasm/module.ts';
import { f64, type I32, type I64, i32, i64, mem } from '../lib/wasm/types.ts';
import { pagesOf, TceOpsWasm } from '../ppc/tce_ops_wasm.ts';
import { HCALL_ENABLED, IOMMU_TABLE, KVM_AREA, KVM_HEADER, KVM_STT, KVM_STTS } from './kvm_area.ts';

const STT = KVM_STT.offset;
const [at0, ONE] = [i32.const(0), i32.const(1)];

/** Where the vCPU keeps what a call needs. */
export interface HcallPlaces {
  /** HPA of the general registers: sixteen 64-bit words, native order. */
  readonly gprs: number;
  /** HPA of a 64-bit word that counts the calls done here. */
  readonly done: number;
  /** The kernel's thread runs it, in virtual mode: whether the guest's MMU mode allows real mode does not matter. */
  readonly virtual?: boolean;
  /** On a CPU: number of the function that answers for radix guests. 0 is answered when omitted. */
  readonly radix?: number;
}

/** Steps that stay TypeScript; they do not throw. */
export interface HcallSteps {
  /** Waits until DMA of the PE with this block has ended (drainDma). */
  readonly drain: (block: number) => void;
  /** A device may have written this user page (its number), which holds translated code. */
  readonly codeWritten: (page: number) => void;
}

/**
 * Compiles the handler for one vCPU: takes token and arguments from general registers 1 to 4 and leaves the return code
 * in register 2, the value of H_GET_TCE in 3. It is a WebAssembly function.
 * @returns a function that gives 1 when the call is done; 0 when it is not for this handler, and nothing was changed
 */
export function compileHcall(
  memory: HostMemory,
  map: SharedMap,
  phbBase: number,
  places: HcallPlaces,
  steps: HcallSteps,
): () => number {
  return instantiate(memory, steps, [{ ...hcallFunction(map, phbBase, places), export: 'hcall' }]).hcall;
}

/** The handler as a function of a module made by {@link instantiate}. */
export function hcallFunction(map: SharedMap, phbBase: number, places: HcallPlaces): FunctionBody {
  const b = new FunctionBuilder(0);
  new HcallEmitter(b, map, phbBase, places).emit();
  return { signature: { params: [], results: ['i32'] }, locals: b.locals, code: b.out };
}

/** Number of the first function of a module made by {@link instantiate}: the steps come before it. */
export const FIRST_FUNCTION = 2;

/** Makes a module of functions that may call the steps, and each other. @returns what it exports */
export function instantiate(
  memory: HostMemory,
  steps: HcallSteps,
  functions: readonly FunctionBody[],
): Record<string, (...args: number[]) => number> {
  const step = { params: ['i32'], results: [] } as const;
  const bytes = encodeModule(
    [
      { name: 'drain', kind: 'function', signature: step },
      { name: 'codeWritten', kind: 'function', signature: step },
      { name: 'memory', kind: 'memory', pages: memory.size / WASM_PAGE },
    ],
    functions,
  );
  const imports = { memory: memory.memory, ...steps };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: imports });
  return exports as Record<string, (...args: number[]) => number>;
}

class HcallEmitter {
  readonly #b: FunctionBuilder;
  readonly #map: SharedMap;
  readonly #places: HcallPlaces;
  readonly #ops: TceOpsWasm;
  readonly #stt: Local<I32>;
  readonly #shift: Local<I32>;
  readonly #index: Local<I32>;
  readonly #table: Local<I32>;

  constructor(b: FunctionBuilder, map: SharedMap, phbBase: number, places: HcallPlaces) {
    this.#b = b;
    this.#map = map;
    this.#places = places;
    this.#ops = new TceOpsWasm(b, map, phbBase, { drain: 0, codeWritten: 1 }, () => this.#tooHard());
    this.#stt = b.local32();
    this.#shift = b.local32();
    this.#index = b.local32();
    this.#table = b.local32();
  }

  emit(): void {
    const b = this.#b;
    if (this.#places.virtual !== true) {
      const { radix } = this.#places;
      b.if(mem.load32(at0, this.#map.kvm + KVM_HEADER.offset.radix), () =>
        radix === undefined ? this.#tooHard() : b.return(b.call32(radix)),
      );
      this.#refuseIf(mem.load8U(at0, this.#map.traceEnable + EVENT.kvm_hcall_enter));
    }
    b.if(
      this.#isCall(HCALL.H_PUT_TCE),
      () => this.#put(),
      () => {
        this.#refuseIf(i32.eqz(this.#isCall(HCALL.H_GET_TCE)));
        this.#get();
      },
    );
    const { done } = this.#places;
    b.emit(mem.store64(at0, i64.add(mem.load64(at0, done), i64.const(1)), done));
    b.emit(ONE.code);
  }

  #tooHard(): void {
    this.#b.return(i32.const(0));
  }
  #refuseIf(condition: I32): void {
    this.#b.if(condition, () => this.#tooHard());
  }
  #gpr(n: number): I64 {
    return mem.load64(at0, this.#places.gprs + n * 8);
  }
  #setGpr(n: number, value: I64): void {
    this.#b.emit(mem.store64(at0, value, this.#places.gprs + n * 8));
  }
  #isCall(nr: number): I32 {
    return i64.eq(this.#gpr(1), i64.const(nr));
  }
  #refuseUnlessEnabled(bit: number): void {
    const enabled = mem.load32(at0, this.#map.kvm + KVM_HEADER.offset.enabled);
    this.#refuseIf(i32.eqz(i32.and(enabled, i32.const(bit))));
  }

  /** H_GET_TCE(liobn, ioba). */
  #get(): void {
    this.#refuseUnlessEnabled(HCALL_ENABLED.H_GET_TCE);
    this.#findStt();
    this.#findEntry();
    this.#setGpr(3, mem.load64(this.#viewWord()));
    this.#setGpr(2, i64.const(HCALL_RETURN.H_SUCCESS));
  }

  /** H_PUT_TCE(liobn, ioba, tce). */
  #put(): void {
    const b = this.#b;
    this.#refuseUnlessEnabled(HCALL_ENABLED.H_PUT_TCE);
    this.#refuseIf(mem.load8U(at0, this.#map.traceEnable + EVENT.tce_kill));
    this.#findStt();
    this.#findEntry();
    this.#findTable();
    const tce = b.let64(this.#gpr(4));
    const permission = b.let32(i32.and(i32.wrap(tce), i32.const(TCE_PERMISSION_MASK)));
    b.if(
      permission,
      () => this.#mapEntry(tce, permission),
      () => this.#ops.unmap(this.#table.get, this.#index.get, this.#shift.get),
    );
    b.emit(mem.store64(this.#viewWord(), tce));
    this.#setGpr(2, i64.const(HCALL_RETURN.H_SUCCESS));
  }

  #mapEntry(tce: I64, permission: I32): void {
    const b = this.#b;
    const shift = this.#shift.get;
    const gpa = b.let64(i64.and(tce, i64.const(~TCE_PERMISSION_MASK)));
    this.#refuseIf(i32.and(i32.wrap(gpa), i32.sub(i32.shl(ONE, shift), ONE)));
    const hva = b.let64(this.#hva(gpa));
    const page = b.let64(i64.shrU(hva, i64.const(PAGE_SHIFT)));
    // User pages are positive words; the slots of a machine begin and end with pages.
    this.#refuseIf(i32.wrap(i64.and(hva, i64.const(PAGE_SIZE - 1))));
    this.#refuseIf(i64.gtU(page, i64.const(0x7fff_ffff)));
    const user = b.let32(i32.wrap(page));
    const region = b.temp32();
    this.#ops.regions.lookup(region, user, b.let32(pagesOf(shift)));
    this.#refuseIf(i32.eqz(region.get));
    this.#refuseIf(this.#ops.regions.tooLarge(region.get, shift));
    this.#ops.map(this.#table.get, this.#index.get, region.get, user, shift, permission);
  }

  /** The table of the LIOBN (SpaprTce.find). */
  #findStt(): void {
    const b = this.#b;
    const first = this.#map.kvm + KVM_AREA.sttPointer;
    const liobn = b.let64(this.#gpr(2));
    this.#refuseIf(i32.wrap(i64.shrU(liobn, i64.const(32))));
    const pointer = b.temp32();
    b.set(pointer, i32.const(first));
    b.block((found) => {
      b.loop((again) => {
        b.set(this.#stt, mem.atomicLoad32(pointer.get));
        b.if(this.#stt.get, () => b.brIf(i32.eq(mem.load32(this.#stt.get, STT.liobn), i32.wrap(liobn)), found));
        b.set(pointer, i32.add(pointer.get, i32.const(4)));
        b.brIf(i32.ltU(pointer.get, i32.const(first + 4 * KVM_STTS)), again);
      });
      this.#tooHard();
    });
  }

  /** The number of the entry for the bus address (SpaprTce.index); a wrong one is for the full handler to answer. */
  #findEntry(): void {
    const b = this.#b;
    const stt = this.#stt.get;
    b.set(this.#shift, mem.load32(stt, STT.pageShift));
    // The full handler also has windows of pages of 4 GiB and more.
    this.#refuseIf(i32.gtU(this.#shift.get, i32.const(31)));
    const ioba = b.let64(this.#gpr(3));
    this.#refuseIf(i32.and(i32.wrap(ioba), i32.sub(i32.shl(ONE, this.#shift.get), ONE)));
    const start = i64.or(
      i64.shl(i64.fromU(mem.load32(stt, STT.offsetHi)), i64.const(32)),
      i64.fromU(mem.load32(stt, STT.offsetLo)),
    );
    const index = b.let64(i64.sub(i64.shrU(ioba, i64.fromU(this.#shift.get)), start));
    // Unsigned: an address before the window is far behind it.
    this.#refuseIf(i64.geU(index, i64.fromU(mem.load32(stt, STT.size))));
    b.set(this.#index, i32.wrap(index));
  }

  #viewWord(): I32 {
    return i32.add(mem.load32(this.#stt.get, STT.view), i32.mul(this.#index.get, i32.const(TCE_SIZE)));
  }

  /** The one live hardware table under the guest's, with its page size. */
  #findTable(): void {
    const b = this.#b;
    const [link, end, table] = [b.temp32(), b.temp32(), b.temp32()];
    this.#refuseIf(i32.gtU(mem.load32(this.#stt.get, STT.subpages), ONE));
    b.set(this.#table, i32.const(0));
    b.set(link, this.#stt.get);
    b.set(end, i32.add(this.#stt.get, mem.load32(this.#stt.get, STT.tablesEnd)));
    b.block((done) =>
      b.loop((again) => {
        b.brIf(i32.geU(link.get, end.get), done);
        b.set(table, mem.atomicLoad32(link.get, STT.tables));
        b.set(link, i32.add(link.get, i32.const(4)));
        b.brIf(i32.eqz(table.get), again);
        b.brIf(i32.eqz(mem.load32(table.get, IOMMU_TABLE.offset.live)), again);
        this.#refuseIf(this.#table.get);
        b.set(this.#table, table.get);
        b.br(again);
      }),
    );
    this.#refuseIf(i32.eqz(this.#table.get));
    this.#refuseIf(i32.ne(mem.load32(this.#table.get, IOMMU_TABLE.offset.pageShift), this.#shift.get));
  }

  /** User address of a guest-physical one (Memslots.hva, in doubles as there). */
  #hva(gpa: I64): I64 {
    const b = this.#b;
    const { gpa: GPA, size: SIZE, hva: HVA } = MEMSLOT.offset;
    const slot = b.temp32();
    const [address, offset, size] = [b.localF64(), b.localF64(), b.localF64()];
    b.set(address, f64.fromU(gpa));
    b.set(slot, i32.const(this.#map.memslots));
    b.block((found) => {
      b.loop((again) => {
        b.set(size, mem.loadF64(slot.get, SIZE));
        b.set(offset, f64.sub(address.get, mem.loadF64(slot.get, GPA)));
        // An offset of 0 or more below the size: the size is not 0.
        b.brIf(i32.and(f64.ge(offset.get, f64.zero), f64.lt(offset.get, size.get)), found);
        b.set(slot, i32.add(slot.get, i32.const(MEMSLOT.size)));
        b.brIf(i32.ltU(slot.get, i32.const(this.#map.memslots + MEMSLOTS * MEMSLOT.size)), again);
      });
      this.#tooHard();
    });
    return f64.toU(f64.add(mem.loadF64(slot.get, HVA), offset.get));
  }
}
