/**
 * `TceOps` for one entry, as WebAssembly: the same steps on the same words in the same order as `tce_ops.ts`, whose
 * argument holds for both. What would take a second attempt there is refused here, before anything is changed.
 */
import { PE_BLOCK_SIZE } from '../../devices/physical/phb/pe.ts';
import { emitTceKill } from '../../devices/physical/phb/tce_cache_wasm.ts';
import { TCE_LOW } from '../../devices/physical/phb/tce_table.ts';
import { TCE_PCI_WRITE, TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { IOMMU_TABLE } from '../kvm/kvm_area.ts';
import { FRAME_WORD, PG } from '../lib/frames.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { AREA, type SharedMap } from '../lib/shared_map.ts';
import type { FunctionBuilder, Local } from '../lib/wasm/function_builder.ts';
import { type I32, i32, mem, swap32 } from '../lib/wasm/types.ts';
import { MmIommuWasm } from './mm_iommu_wasm.ts';
import { LOCKED, USERSPACE_SIZE } from './tce_ops.ts';

const {
  levels: LEVELS_AT,
  levelShift: LEVEL_SHIFT_AT,
  pes: PES_AT,
  pins: PINS_AT,
  table: TABLE_AT,
  userspace: USERSPACE_AT,
  window: WINDOW_AT,
} = IOMMU_TABLE.offset;
/** log2 of the bytes of an entry, and of an `it_userspace` word. */
const [TCE_BITS, CELL_BITS] = [i32.const(Math.log2(TCE_SIZE)), i32.const(Math.log2(USERSPACE_SIZE))];
const [ZERO, ONE] = [i32.const(0), i32.const(1)];

/** Function numbers of the steps that stay TypeScript. */
export interface SlowSteps {
  /** drainDma(block). */
  readonly drain: number;
  /** A device may have written a user page (its number) that holds translated code. */
  readonly codeWritten: number;
}

export class TceOpsWasm {
  readonly regions: MmIommuWasm;
  readonly #b: FunctionBuilder;
  readonly #phbBase: number;
  readonly #frames: number;
  readonly #slow: SlowSteps;
  readonly #fail: () => void;
  /** User page that the entry mapped, 0 for none; then what the hardware had. */
  readonly #old: Local<I32>;
  readonly #before: Local<I32>;
  readonly #region: Local<I32>;
  /** Where the entry is, and its `it_userspace` word. */
  readonly #at: Local<I32>;
  readonly #cell: Local<I32>;

  /** @param fail leaves the function; nothing was changed. */
  constructor(b: FunctionBuilder, map: SharedMap, phbBase: number, slow: SlowSteps, fail: () => void) {
    this.regions = new MmIommuWasm(b, map.kvm);
    this.#b = b;
    this.#phbBase = phbBase;
    this.#frames = map.frames;
    this.#slow = slow;
    this.#fail = fail;
    this.#old = b.local32();
    this.#before = b.local32();
    this.#region = b.local32();
    this.#at = b.local32();
    this.#cell = b.local32();
  }

  /**
   * Maps entry `entry` of `table` on `user`, a page of `region`, which was looked up for it.
   * @param shift log2 of the IOMMU page. @param permission TCE bits, not 0.
   */
  map(table: I32, entry: I32, region: I32, user: I32, shift: I32, permission: I32): void {
    const b = this.#b;
    const pages = b.let32(pagesOf(shift));
    // Levels that are missing only the kernel's thread can make.
    this.#locate(table, entry, this.#fail);
    this.regions.take(region, user, pages, shift, this.#fail);
    const cell = this.#cell.get;
    this.#lock(cell, () => this.regions.release(region));
    // The bridge is given READ wherever there is WRITE: 1, 2, 3 become 1, 3, 3.
    const bits = i32.or(permission, i32.shrU(permission, ONE));
    this.#exchange(i32.or(this.regions.hpa(region, user), bits));
    b.emit(mem.atomicStore32(cell, user));
    this.#killAndRelease(table, entry, shift);
  }

  /** Clears an entry; one that is clear stays so. Tables of one level without `it_userspace` are refused. */
  unmap(table: I32, entry: I32, shift: I32): void {
    const b = this.#b;
    const cell = this.#cell.get;
    b.block((clear) => {
      this.#locate(table, entry, () => b.br(clear));
      b.brIf(i32.eqz(mem.load32(cell)), clear);
      this.#lock(cell, () => {});
      b.if(
        this.#old.get,
        () => {
          this.#exchange(ZERO);
          b.emit(mem.atomicStore32(cell, ZERO));
          this.#killAndRelease(table, entry, shift);
        },
        () => b.emit(mem.atomicStore32(cell, ZERO)),
      );
    });
  }

  /** Finds the words of an entry (TceOps.#locate). @param missing leaves: a level on the way to it is not there */
  #locate(table: I32, entry: I32, missing: () => void): void {
    const b = this.#b;
    b.if(
      i32.gtU(mem.load32(table, LEVELS_AT), ONE),
      () => this.#locateInLevels(table, entry, missing),
      () => {
        b.set(this.#cell, mem.load32(table, USERSPACE_AT));
        b.if(i32.eqz(this.#cell.get), this.#fail);
        b.set(this.#cell, i32.add(this.#cell.get, i32.shl(entry, CELL_BITS)));
        b.set(this.#at, i32.add(mem.load32(table, TABLE_AT), i32.shl(entry, TCE_BITS)));
      },
    );
  }

  /** The walk of `tceLevel`; behind the entries of a lowest level follow their `it_userspace` words. */
  #locateInLevels(table: I32, entry: I32, missing: () => void): void {
    const b = this.#b;
    const [bits, index, at] = [b.temp32(), b.temp32(), this.#at];
    const shift = b.let32(mem.load32(table, LEVEL_SHIFT_AT));
    const mask = b.let32(i32.sub(i32.shl(ONE, shift), ONE));
    b.if(mem.load32(table, PINS_AT), this.#fail);
    b.set(at, mem.load32(table, TABLE_AT));
    b.set(bits, i32.mul(i32.sub(mem.load32(table, LEVELS_AT), ONE), shift));
    b.block((lowest) =>
      b.loop((again) => {
        b.brIf(i32.eqz(bits.get), lowest);
        // Entries have numbers of 32 bits: above them each level has one way to go.
        b.set(index, ZERO);
        b.if(i32.ltU(bits.get, i32.const(32)), () => b.set(index, i32.and(i32.shrU(entry, bits.get), mask)));
        b.set(at, i32.add(at.get, i32.shl(index.get, TCE_BITS)));
        // An address of 4 GiB and more is none of the kernel's making.
        b.if(mem.load32(at.get), this.#fail);
        b.set(at, swap32(mem.atomicLoad32(at.get, TCE_LOW)));
        b.if(i32.eqz(i32.and(at.get, i32.const(TCE_PERMISSION_MASK))), missing);
        b.set(at, i32.and(at.get, i32.const(-PAGE_SIZE)));
        b.set(bits, i32.sub(bits.get, shift));
        b.br(again);
      }),
    );
    b.set(index, i32.and(entry, mask));
    const cells = i32.add(at.get, i32.shl(i32.const(TCE_SIZE), shift));
    b.set(this.#cell, i32.add(cells, i32.shl(index.get, CELL_BITS)));
    b.set(at, i32.add(at.get, i32.shl(index.get, TCE_BITS)));
  }

  /** Locks an entry, once tried; `undo` takes back what was done before. */
  #lock(cell: I32, undo: () => void): void {
    const b = this.#b;
    b.set(this.#old, mem.atomicOr32(cell, i32.const(LOCKED)));
    b.if(i32.ltS(this.#old.get, ZERO), () => {
      undo();
      this.#fail();
    });
  }

  /** Exchanges the entry that was located. */
  #exchange(tce: I32): void {
    this.#b.set(this.#before, swap32(mem.exchange32(this.#at.get, swap32(tce), TCE_LOW)));
  }

  #killAndRelease(table: I32, entry: I32, shift: I32): void {
    const b = this.#b;
    this.#kill(table, entry);
    b.if(this.#old.get, () => {
      b.if(i32.and(this.#before.get, i32.const(TCE_PCI_WRITE)), () => this.#markWritten(shift));
      this.regions.lookup(this.#region, this.#old.get, ONE);
      b.if(this.#region.get, () => this.regions.release(this.#region.get));
    });
  }

  #kill(table: I32, entry: I32): void {
    const b = this.#b;
    const [pes, block] = [b.temp32(), b.temp32()];
    const window = b.let32(mem.load32(table, WINDOW_AT));
    b.set(pes, mem.load32(table, PES_AT));
    b.block((done) =>
      b.loop((again) => {
        b.brIf(i32.eqz(pes.get), done);
        b.set(block, i32.add(i32.const(this.#phbBase), i32.mul(i32.ctz(pes.get), i32.const(PE_BLOCK_SIZE))));
        emitTceKill(b, block.get, entry, window, (at) => b.callVoid(this.#slow.drain, at));
        b.set(pes, i32.and(pes.get, i32.sub(pes.get, ONE)));
        b.br(again);
      }),
    );
  }

  /** The frames of the old page: AddressSpace.written. */
  #markWritten(shift: I32): void {
    const b = this.#b;
    const [frame, end, flags] = [b.temp32(), b.temp32(), b.temp32()];
    const number = i32.shrU(this.#before.get, i32.const(PAGE_SHIFT));
    b.set(frame, i32.add(i32.const(this.#frames), i32.mul(number, i32.const(AREA.frame))));
    b.set(end, i32.add(frame.get, i32.mul(pagesOf(shift), i32.const(AREA.frame))));
    const user = b.temp32();
    b.set(user, this.#old.get);
    b.loop((again) => {
      b.set(flags, mem.atomicLoad32(frame.get, FRAME_WORD.FLAGS));
      b.if(i32.eqz(i32.and(flags.get, i32.const(PG.DIRTY))), () =>
        b.drop(mem.atomicOr32(frame.get, i32.const(PG.DIRTY), FRAME_WORD.FLAGS)),
      );
      b.if(i32.and(flags.get, i32.const(PG.CODE)), () => b.callVoid(this.#slow.codeWritten, user.get));
      b.set(user, i32.add(user.get, ONE));
      b.set(frame, i32.add(frame.get, i32.const(AREA.frame)));
      b.brIf(i32.ltU(frame.get, end.get), again);
    });
  }
}

/** Host pages of an IOMMU page. */
export function pagesOf(shift: I32): I32 {
  return i32.shl(ONE, i32.sub(shift, i32.const(PAGE_SHIFT)));
}
