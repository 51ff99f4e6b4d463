/** `MmIommuMemory` as WebAssembly: look-ups and counts of preregistered memory, appended to a function. */
import { IOMMU_MEM, IOMMU_MEMS, KVM_AREA } from '../kvm/kvm_area.ts';
import type { FunctionBuilder, Local } from '../lib/wasm/function_builder.ts';
import { type I32, i32, mem } from '../lib/wasm/types.ts';

const { entries, uaPage, pageShift, hpas, mapped } = IOMMU_MEM.offset;
const ONE = i32.const(1);

export class MmIommuWasm {
  readonly #b: FunctionBuilder;
  readonly #first: I32;
  readonly #end: I32;
  readonly #size: Local<I32>;
  readonly #old: Local<I32>;
  readonly #seen: Local<I32>;

  /** @param area `map.kvm`. */
  constructor(b: FunctionBuilder, area: number) {
    this.#b = b;
    this.#first = i32.const(area + KVM_AREA.mem);
    this.#end = i32.const(area + KVM_AREA.mem + IOMMU_MEMS * IOMMU_MEM.size);
    this.#size = b.local32();
    this.#old = b.local32();
    this.#seen = b.local32();
  }

  /** Sets `region` to the one that holds all of `[page, page + pages)`, or 0. Both must be cheap: evaluated per region. */
  lookup(region: Local<I32>, page: I32, pages: I32): void {
    const b = this.#b;
    b.set(region, this.#first);
    b.block((found) => {
      b.loop((again) => {
        b.brIf(this.#holds(region.get, page, pages), found);
        b.set(region, i32.add(region.get, i32.const(IOMMU_MEM.size)));
        b.brIf(i32.ltU(region.get, this.#end), again);
      });
      b.set(region, i32.const(0));
    });
  }

  #holds(region: I32, page: I32, pages: I32): I32 {
    this.#b.set(this.#size, mem.atomicLoad32(region, entries));
    const offset = i32.sub(page, mem.load32(region, uaPage));
    // Unsigned, so that a page before the region is far behind it.
    return i32.and(i32.geS(this.#size.get, pages), i32.leU(offset, i32.sub(this.#size.get, pages)));
  }

  /** Whether an IOMMU page of `1 << shift` bytes is too large for the region. */
  tooLarge(region: I32, shift: I32): I32 {
    return i32.ltS(mem.load32(region, pageShift), shift);
  }

  /** HPA of a page of the region. */
  hpa(region: I32, page: I32): I32 {
    const index = i32.sub(page, mem.load32(region, uaPage));
    return mem.load32(i32.add(mem.load32(region, hpas), i32.shl(index, i32.const(2))));
  }

  /** Counts one more hardware entry in a region that was looked up; `fail` leaves, with nothing counted. */
  take(region: I32, page: I32, pages: I32, shift: I32, fail: () => void): void {
    const b = this.#b;
    b.set(this.#old, mem.atomicLoad32(region, mapped));
    b.loop((again) => {
      b.if(i32.eqz(this.#old.get), fail);
      this.#count(region, ONE);
      b.if(i32.ne(this.#seen.get, this.#old.get), () => {
        b.set(this.#old, this.#seen.get);
        b.br(again);
      });
    });
    // Counted, it cannot change any more; it may have changed between the look-up and the count.
    b.if(i32.or(i32.eqz(this.#holds(region, page, pages)), this.tooLarge(region, shift)), () => {
      this.release(region);
      fail();
    });
  }

  /** Counts one hardware entry less; the registration's own count stays. */
  release(region: I32): void {
    const b = this.#b;
    b.set(this.#old, mem.atomicLoad32(region, mapped));
    b.block((done) =>
      b.loop((again) => {
        b.brIf(i32.leS(this.#old.get, ONE), done);
        this.#count(region, i32.const(-1));
        b.brIf(i32.eq(this.#seen.get, this.#old.get), done);
        b.set(this.#old, this.#seen.get);
        b.br(again);
      }),
    );
  }

  #count(region: I32, by: I32): void {
    this.#b.set(this.#seen, mem.cmpxchg32(region, this.#old.get, i32.add(this.#old.get, by), mapped));
  }
}
