/**
 * `TceOps` for one entry, as WebAssembly: the same steps on the same words in the same order as `tce_ops.ts`, whose
 * argument holds for both. What would take a second attempt there is refused here, before anything is changed.
 */
import { PE_BLOCK_SIZE } from '../../devices/physical/phb/pe.ts';
import { emitTceKill } from '../../devices/physical/phb/tce_cache_wasm.ts';
import { TCE_LOW } from '../../devices/physical/phb/tce_table.ts';
import { TCE_PCI_WRITE, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { IOMMU_TABLE } from '../kvm/kvm_area.ts';
import { FRAME_WORD, PG } from '../lib/frames.ts';
import { PAGE_SHIFT } from '../lib/host_memory.ts';
import { AREA, type SharedMap } from '../lib/shared_map.ts';
import type { FunctionBuilder, Local } from '../lib/wasm/function_builder.ts';
import { type I32, i32, mem, swap32 } from '../lib/wasm/types.ts';
import { MmIommuWasm } from './mm_iommu_wasm.ts';
import { LOCKED } from './tce_ops.ts';

const { pes: PES_AT, table: TABLE_AT, userspace: USERSPACE_AT, window: WINDOW_AT } = IOMMU_TABLE.offset;
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
  }

  /**
   * Maps entry `entry` of `table` on `user`, a page of `region`, which was looked up for it.
   * @param shift log2 of the IOMMU page. @param permission TCE bits, not 0.
   */
  map(table: I32, entry: I32, region: I32, user: I32, shift: I32, permission: I32): void {
    const b = this.#b;
    const pages = b.let32(pagesOf(shift));
    const userspace = b.let32(mem.load32(table, USERSPACE_AT));
    b.if(i32.eqz(userspace), this.#fail);
    this.regions.take(region, user, pages, shift, this.#fail);
    const cell = b.let32(cellOf(userspace, entry));
    this.#lock(cell, () => this.regions.release(region));
    // The bridge is given READ wherever there is WRITE: 1, 2, 3 become 1, 3, 3.
    const bits = i32.or(permission, i32.shrU(permission, ONE));
    this.#exchange(table, entry, i32.or(this.regions.hpa(region, user), bits));
    b.emit(mem.atomicStore32(cell, user));
    this.#killAndRelease(table, entry, shift);
  }

  /** Clears an entry; one that is clear stays so. Tables without `it_userspace` are refused. */
  unmap(table: I32, entry: I32, shift: I32): void {
    const b = this.#b;
    const userspace = b.let32(mem.load32(table, USERSPACE_AT));
    b.if(i32.eqz(userspace), this.#fail);
    const cell = b.let32(cellOf(userspace, entry));
    b.if(mem.load32(cell), () => {
      this.#lock(cell, () => {});
      b.if(
        this.#old.get,
        () => {
          this.#exchange(table, entry, ZERO);
          b.emit(mem.atomicStore32(cell, ZERO));
          this.#killAndRelease(table, entry, shift);
        },
        () => b.emit(mem.atomicStore32(cell, ZERO)),
      );
    });
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

  #exchange(table: I32, entry: I32, tce: I32): void {
    const at = i32.add(mem.load32(table, TABLE_AT), i32.mul(entry, i32.const(TCE_SIZE)));
    this.#b.set(this.#before, swap32(mem.exchange32(at, swap32(tce), TCE_LOW)));
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

function cellOf(userspace: I32, entry: I32): I32 {
  return i32.add(userspace, i32.shl(entry, i32.const(2)));
}
