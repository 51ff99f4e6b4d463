/**
 * Translated code of one CPU: regions by absolute page, their table slots, the PC cache, and invalidation by stores.
 * Compiled modules are shared by every CPU object of the process whose memory addresses are the same.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { pcCacheOffset } from './dispatcher.ts';
import type { Layout } from './emitter.ts';
import { type Translation, translateRegion, translateSingle } from './region.ts';
import type { Instruction } from './row.ts';
import { PC_CACHE_SIZE } from './state.ts';

const PAGE = 4096;
/** Modules kept for other CPU objects; beyond that the cache starts afresh. */
const SHARED_LIMIT = 8192;
/** Slots are 20 bits in a PC cache entry; one CPU never comes near (one module is one memory mapping). */
const SLOT_LIMIT = 20000;

interface Compiled {
  readonly translation: Translation;
  readonly module: WebAssembly.Module;
  /** The bytes the translation was made from, one piece per span. */
  readonly source: readonly Uint8Array[];
}
const shared = new Map<string, Compiled[]>();
let sharedCount = 0;

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Finds or compiles a module; reused only when every byte it was made from is the same. */
function compile(key: string, page: Uint8Array, make: () => Translation): Compiled {
  const candidates = shared.get(key) ?? [];
  const found = candidates.find(({ translation, source }) =>
    translation.spans.every(([start, end], n) => sameBytes(source[n], page.subarray(start, end))),
  );
  if (found) return found;
  const translation = make();
  const compiled: Compiled = {
    translation,
    module: new WebAssembly.Module(translation.bytes),
    source: translation.spans.map(([start, end]) => page.slice(start, end)),
  };
  if (sharedCount++ >= SHARED_LIMIT) {
    shared.clear();
    sharedCount = 0;
  }
  shared.set(key, [...candidates, compiled]);
  return compiled;
}

/** A region in force. */
export interface Region {
  readonly translation: Translation;
  readonly slot: number;
  readonly mode: number;
  readonly run: (entry: number) => number;
  /** Absolute pages it was made from and the byte ranges in each. */
  readonly sources: readonly { readonly page: number; readonly spans: Translation['spans'] }[];
}

export class CodeCache {
  readonly table = new WebAssembly.Table({ initial: 64, element: 'anyfunc' });
  readonly #memory: HostMemory;
  readonly #layout: Layout;
  readonly #pcCacheBase: number;
  readonly #imports: WebAssembly.ModuleImports;
  readonly #pages = new Map<number, Set<Region>>();
  readonly #slots: (Region | undefined)[] = [];
  #free: number[] = [];
  #retired: number[] = [];
  readonly #executed = new Map<string, (entry: number) => number>();
  readonly wasmPages: number;

  constructor(memory: HostMemory, layout: Layout, pcCacheBase: number, imports: WebAssembly.ModuleImports) {
    this.#memory = memory;
    this.#layout = layout;
    this.#pcCacheBase = pcCacheBase;
    this.#imports = imports;
    this.wasmPages = memory.size / 65536;
    this.flushPcCache();
  }

  /** Forgets which code belongs to which PSW, keeping the code: address spaces changed. */
  flushPcCache(): void {
    this.#memory.u8.fill(0xff, this.#pcCacheBase, this.#pcCacheBase + PC_CACHE_SIZE);
  }
  /** The region in a table slot; stays known until the next translation even when invalidated. */
  inSlot(slot: number): Region {
    return this.#slots[slot] as Region;
  }
  holdsCode(page: number): boolean {
    return this.#pages.has(page);
  }

  /** A region of `page` at logical `base` and mode that can be entered at `offset`. */
  find(page: number, base: bigint, mode: number, offset: number): Region | undefined {
    for (const region of this.#pages.get(page) ?? []) {
      const { translation } = region;
      if (translation.base === base && region.mode === mode && translation.entries.has(offset)) return region;
    }
    return undefined;
  }
  /** Translates the region entered at `offset`. @param bytes a private copy of the page. */
  translate(page: number, bytes: Uint8Array, base: bigint, mode: number, offset: number): Region {
    const { stateBase, tlbBase } = this.#layout;
    const key = `${stateBase}:${tlbBase}:${this.wasmPages}:${mode}:${base + BigInt(offset)}`;
    const compiled = compile(key, bytes, () =>
      translateRegion(this.#layout, bytes, base, offset, mode, this.wasmPages),
    );
    return this.#install(compiled, mode, [{ page, spans: compiled.translation.spans }]);
  }
  /** Translates one instruction that crosses from `page` into `nextPage`. */
  translateCrossing(page: number, nextPage: number, i: Instruction, mode: number): Region {
    const { stateBase, tlbBase } = this.#layout;
    const key = `x${stateBase}:${tlbBase}:${this.wasmPages}:${mode}:${i.address}:${Buffer.from(i.text).toString('hex')}`;
    const compiled = compile(key, new Uint8Array(PAGE), () => ({
      ...translateSingle(this.#layout, i, i.address, mode, this.wasmPages, 1),
      spans: [],
    }));
    const offset = Number(i.address & 0xfffn);
    return this.#install(compiled, mode, [
      { page, spans: [[offset, PAGE]] },
      { page: nextPage, spans: [[0, offset + i.length - PAGE]] },
    ]);
  }
  /** The function executing the target of an EXECUTE, by everything it depends on. */
  executed(
    i: Instruction,
    pswAddress: bigint,
    mode: number,
  ): { translation: Translation; run: (entry: number) => number } {
    const { stateBase, tlbBase } = this.#layout;
    const key = `e${stateBase}:${tlbBase}:${this.wasmPages}:${mode}:${pswAddress}:${i.next}:${i.address}:${Buffer.from(i.text).toString('hex')}`;
    const compiled = compile(key, new Uint8Array(PAGE), () => ({
      ...translateSingle(this.#layout, i, pswAddress, mode, this.wasmPages, 0),
      spans: [],
    }));
    let run = this.#executed.get(key);
    if (!run) {
      run = this.#instantiate(compiled.module);
      if (this.#executed.size > 2000) this.#executed.clear();
      this.#executed.set(key, run);
    }
    return { translation: compiled.translation, run };
  }

  #instantiate(module: WebAssembly.Module): (entry: number) => number {
    const instance = new WebAssembly.Instance(module, { m: this.#imports });
    return instance.exports.region as (entry: number) => number;
  }
  #install(compiled: Compiled, mode: number, sources: Region['sources']): Region {
    this.#free.push(...this.#retired.splice(0));
    if (this.#slots.length >= SLOT_LIMIT && this.#free.length === 0) {
      this.invalidateAll();
      this.#free.push(...this.#retired.splice(0));
    }
    const slot = this.#free.pop() ?? this.#slots.push(undefined) - 1;
    if (slot >= this.table.length) this.table.grow(Math.max(64, this.table.length));
    const run = this.#instantiate(compiled.module);
    const region: Region = { translation: compiled.translation, slot, mode, run, sources };
    this.table.set(slot, run);
    this.#slots[slot] = region;
    for (const { page } of sources) {
      const known = this.#pages.get(page);
      if (known) known.add(region);
      else this.#pages.set(page, new Set([region]));
    }
    return region;
  }

  /** Puts a region into the PC cache under the PSW that reaches it. */
  remember(address: bigint, mode: number, region: Region, entry: number): void {
    const at = this.#pcCacheBase + pcCacheOffset(Number(address & 0xffffn));
    const { dv } = this.#memory;
    dv.setBigUint64(at, address, true);
    dv.setInt32(at + 8, mode, true);
    dv.setInt32(at + 12, (region.slot << 12) | entry, true);
  }

  /** Drops the regions made from bytes `[start, end)` of an absolute page. @returns whether there were any. */
  invalidate(page: number, start: number, end: number): boolean {
    const regions = this.#pages.get(page);
    if (!regions) return false;
    let dropped = false;
    for (const region of regions) {
      const hit = region.sources.some(
        (source) => source.page === page && source.spans.some(([from, to]) => from < end && to > start),
      );
      if (!hit) continue;
      this.#drop(region);
      dropped = true;
    }
    if (dropped) this.flushPcCache();
    return dropped;
  }
  #drop(region: Region): void {
    for (const { page } of region.sources) {
      const regions = this.#pages.get(page);
      regions?.delete(region);
      if (regions?.size === 0) this.#pages.delete(page);
    }
    this.table.set(region.slot, null);
    this.#retired.push(region.slot);
  }
  /** Drops everything. */
  invalidateAll(): void {
    for (const regions of [...this.#pages.values()]) for (const region of [...regions]) this.#drop(region);
    this.#executed.clear();
    this.flushPcCache();
  }
}
