/**
 * Regions: the code of one page reachable from an entry point becomes one WebAssembly function. Blocks are laid out
 * in address order; forward branches and proper loops become structured control flow, everything else goes through
 * one branch table at the top.
 */

import type { Label } from '../../kernel/lib/wasm/function_builder.ts';
import { encodeModule, type FunctionBody, type Import } from '../../kernel/lib/wasm/module.ts';
import { i64 } from '../../kernel/lib/wasm/types.ts';
import { ccFunction } from './condition_code.ts';
import { Emitter, type Layout, type Route, relativeTarget } from './emitter.ts';
import { instructionLength } from './formats.ts';
import { modeOf } from './psw.ts';
import type { Instruction, Row } from './row.ts';
import { decode, hasLengthByte } from './table.ts';

const PAGE = 4096;

/** A translated region, before it is instantiated for one CPU. */
export interface Translation {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Logical address of the page. */
  readonly base: bigint;
  /** Instructions called as TypeScript functions, by site number. */
  readonly sites: readonly Instruction[];
  /** Their functions: found here without a look at rows of many shapes. */
  readonly execs: readonly Row['exec'][];
  /** Byte offset in the page -> entry number, for blocks that can be entered from outside. */
  readonly entries: ReadonlyMap<number, number>;
  /** By halfword offset: instructions from this one to the end of its block. */
  readonly remaining: Uint16Array;
  /** By halfword offset: instruction length in bytes, 0 where no instruction of the region starts. */
  readonly lengths: Uint8Array;
  /** Byte ranges of the page the translation was made from. */
  readonly spans: readonly (readonly [start: number, end: number])[];
}

interface Block {
  readonly offset: number;
  readonly instructions: Instruction[];
  /** Address after the last instruction when control can get there. */
  falls: bigint | undefined;
}

const falls = (i: Instruction): boolean => {
  if (i.row.link || i.row.flow === 'end') return false;
  if (i.row.flow !== 'branch' && i.row.flow !== 'indirect') return true;
  const { mnemonic } = i.row;
  if (mnemonic === 'BCR') return i.m1 !== 15 || i.r2 === 0;
  if (mnemonic === 'BRC' || mnemonic === 'BRCL' || mnemonic === 'BC') return i.m1 !== 15;
  return mnemonic !== 'BSM' || i.r2 === 0;
};

interface Graph {
  readonly blocks: Block[];
  /** Block index by page offset. */
  readonly index: Map<number, number>;
  /** Blocks control enters from outside. */
  readonly entered: Set<number>;
  readonly edges: [from: number, to: number][];
}

/** Finds the code reachable in the page from `start`. */
function discover(page: Uint8Array, base: bigint, start: number, mode: number): Graph {
  const settings = modeOf(mode);
  const leaders = new Set([start]);
  const entered = new Set([start]);
  const code = new Map<number, Instruction>();
  const work = [start];
  const inside = (address: bigint): number | undefined => {
    const offset = Number(address - base);
    return offset >= 0 && offset < PAGE ? offset : undefined;
  };
  const reach = (address: bigint, enter: boolean): void => {
    const offset = inside(address);
    if (offset === undefined) return;
    if (enter) entered.add(offset);
    if (!leaders.has(offset)) {
      leaders.add(offset);
      work.push(offset);
    }
  };
  for (let from = work.pop(); from !== undefined; from = work.pop()) {
    for (let at = from; at < PAGE && !code.has(at); ) {
      const length = instructionLength(page[at]);
      if (at + length > PAGE) break;
      const address = base + BigInt(at);
      const i = decode(page.subarray(at, at + length), address, address + BigInt(length));
      code.set(at, i);
      const { flow } = i.row;
      if (flow === 'branch') reach(relativeTarget(i, settings), false);
      if (flow !== undefined && flow !== 'next') {
        if (i.row.link || flow === 'leave') reach(i.next, true);
        else if (falls(i)) reach(i.next, false);
        break;
      }
      at += length;
    }
  }
  const offsets = [...leaders].filter((offset) => code.has(offset)).sort((a, b) => a - b);
  const index = new Map(offsets.map((offset, n) => [offset, n]));
  const edges: [number, number][] = [];
  const blocks = offsets.map((offset, n): Block => {
    const instructions: Instruction[] = [];
    for (let at = offset; ; ) {
      const i = code.get(at);
      if (!i) return { offset, instructions, falls: base + BigInt(at) };
      instructions.push(i);
      const { flow } = i.row;
      const next = inside(i.next);
      if (flow === 'branch') {
        const target = index.get(inside(relativeTarget(i, settings)) ?? -1);
        if (target !== undefined) edges.push([n, target]);
      }
      if ((flow !== undefined && flow !== 'next') || next === undefined || leaders.has(next)) {
        const through = falls(i) ? i.next : undefined;
        const target = through === undefined ? undefined : index.get(inside(through) ?? -1);
        if (target !== undefined) edges.push([n, target]);
        return { offset, instructions, falls: through };
      }
      at = next;
    }
  });
  return {
    blocks,
    index,
    entered: new Set([...entered].map((o) => index.get(o)).filter((n) => n !== undefined)),
    edges,
  };
}

/** Finds loops that can be structured: header -> last block. Targets of other backward edges become entries. */
function structure({ edges, entered }: Graph): Map<number, number> {
  for (;;) {
    const loops = new Map<number, number>();
    for (const [from, to] of edges) if (from >= to) loops.set(to, Math.max(loops.get(to) ?? 0, from));
    let changed = false;
    for (const header of loops.keys()) {
      let last = loops.get(header) as number;
      // A backward edge from behind into the loop makes what lies between part of it.
      for (let grown = true; grown; ) {
        grown = false;
        for (const [from, to] of edges) {
          if (to > header && to <= last && from > last) {
            last = from;
            grown = true;
          }
        }
      }
      const proper =
        !edges.some(([from, to]) => to > header && to <= last && from < header) &&
        ![...entered].some((n) => n > header && n <= last);
      if (proper) loops.set(header, last);
      else {
        loops.delete(header);
        if (!entered.has(header)) {
          entered.add(header);
          changed = true;
        }
      }
    }
    if (!changed) return loops;
  }
}

const MODULE_IMPORTS = (pages: number): Import[] => [
  { name: 'access', kind: 'function', signature: { params: ['i32'], results: ['i32'] } },
  { name: 'exec', kind: 'function', signature: { params: ['i32'], results: ['i32'] } },
  { name: 'raise', kind: 'function', signature: { params: ['i32'], results: [] } },
  { name: 'commit', kind: 'function', signature: { params: [], results: [] } },
  { name: 'hypercall', kind: 'function', signature: { params: [], results: ['i32'] } },
  { name: 'memory', kind: 'memory', pages },
];
const CC_FUNCTION = ccFunction();

function finish(b: Emitter, code: ReturnType<Emitter['frame']>, pages: number): Uint8Array<ArrayBuffer> {
  const functions: FunctionBody[] = [
    { signature: { params: ['i32'], results: ['i32'] }, locals: b.locals, code, export: 'region' },
    {
      signature: { params: ['i32', 'i64', 'i64'], results: ['i32'] },
      locals: CC_FUNCTION.locals,
      code: CC_FUNCTION.code,
    },
  ];
  return encodeModule(MODULE_IMPORTS(pages), functions);
}

function emitInstruction(b: Emitter, i: Instruction, offset: number, rest: number): void {
  b.offset = offset;
  b.rest = rest;
  b.next = i.next;
  b.wrote = false;
  b.releaseScratch();
  if (i.row.privileged && b.mode.problem) b.raise(2);
  else if (i.row.emit) i.row.emit(b, i);
  else b.call(i);
  if (b.wrote) b.leaveIfCodeChanged();
}

/**
 * Translates the region entered at byte `start` of a page.
 * @param page the page's 4096 bytes; @param base its logical address; @param pages size of the shared memory in WebAssembly pages.
 */
export function translateRegion(
  layout: Layout,
  page: Uint8Array,
  base: bigint,
  start: number,
  mode: number,
  pages: number,
): Translation {
  const graph = discover(page, base, start, mode);
  const { blocks, index } = graph;
  const loops = structure(graph);
  const backward = new Set(graph.edges.filter(([from, to]) => from >= to).map(([, to]) => to));
  const b = new Emitter(layout, modeOf(mode));
  const remaining = new Uint16Array(PAGE / 2);
  const lengths = new Uint8Array(PAGE / 2);
  const entries = new Map<number, number>();
  const forward = new Map<number, Label>();
  const active = new Map<number, Label>();
  const topItem = new Map<number, number>();

  const emitBlock = (n: number): void => {
    const block = blocks[n];
    const next = n + 1 < blocks.length ? blocks[n + 1].offset : -1;
    b.route = (target): Route => {
      const to = index.get(Number(BigInt.asIntN(64, target - base)));
      if (to === undefined) return 'outside';
      const loop = active.get(to);
      if (loop !== undefined) return { label: loop };
      const label = to > n ? forward.get(to) : undefined;
      if (label !== undefined) return { label };
      return { entry: topItem.get(to) as number };
    };
    b.countBlock(base + BigInt(block.offset), block.instructions.length, backward.has(n));
    block.instructions.forEach((i, k) => {
      const offset = Number(i.address - base);
      remaining[offset >> 1] = block.instructions.length - k;
      lengths[offset >> 1] = i.length;
      emitInstruction(b, i, offset, block.instructions.length - k - 1);
    });
    if (block.falls === undefined) b.emit(0x00);
    else if (block.falls !== base + BigInt(next)) b.jump(block.falls);
  };

  /** Lays out blocks `first..last`; `header` is the loop they are the body of. */
  const layOut = (first: number, last: number, header: number | undefined): void => {
    const items: [number, number][] = [];
    for (let n = first; n <= last; ) {
      const end = n !== header ? (loops.get(n) ?? n) : n;
      items.push([n, end]);
      n = end + 1;
    }
    for (let k = items.length - 1; k >= (header === undefined ? 0 : 1); k--) forward.set(items[k][0], b.beginBlock());
    if (header === undefined) {
      items.forEach(([n], k) => {
        topItem.set(n, k);
        entries.set(blocks[n].offset, k);
      });
      b.dispatch(items.map(([n]) => forward.get(n) as Label));
    }
    items.forEach(([n, end], k) => {
      if (header === undefined || k > 0) b.close();
      if (n !== header && loops.has(n)) {
        b.loop((label) => {
          active.set(n, label);
          layOut(n, end, n);
          active.delete(n);
        });
      } else emitBlock(n);
    });
  };
  const code = b.frame(() => {
    if (blocks.length > 0) layOut(0, blocks.length - 1, undefined);
    b.emit(0x00);
  });
  const spans: [number, number][] = [];
  for (const block of blocks) {
    const last = block.instructions[block.instructions.length - 1];
    spans.push([block.offset, Number(last.next - base)]);
  }
  const { sites } = b;
  const execs = sites.map(({ row }) => row.exec);
  return { bytes: finish(b, code, pages), base, sites, execs, entries, remaining, lengths, spans };
}

/** Translates one instruction alone: one that crosses a page, or the inline target of an EXECUTE. */
export function translateSingle(
  layout: Layout,
  i: Instruction,
  pswAddress: bigint,
  mode: number,
  pages: number,
  count: number,
): Translation {
  const b = new Emitter(layout, modeOf(mode));
  const offset = Number(pswAddress & 0xfffn);
  const base = pswAddress - BigInt(offset);
  const remaining = new Uint16Array(PAGE / 2);
  const lengths = new Uint8Array(PAGE / 2);
  remaining[offset >> 1] = count;
  lengths[offset >> 1] = Number(i.next - pswAddress);
  const code = b.frame(() => {
    b.countBlock(pswAddress, count, false);
    if (count === 0 && hasLengthByte(i.text)) b.takeExecutedLength();
    emitInstruction(b, i, offset, 0);
    b.leaveTo(i64.const(i.next));
  });
  const end = Math.min(PAGE, offset + i.length);
  return {
    bytes: finish(b, code, pages),
    base,
    sites: b.sites,
    execs: b.sites.map(({ row }) => row.exec),
    entries: new Map([[offset, 0]]),
    remaining,
    lengths,
    spans: [[offset, end]],
  };
}
