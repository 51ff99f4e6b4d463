/**
 * What instruction rows write to: a function builder that knows the guest's registers, storage, condition code and
 * interruptions. General registers and the lazy condition code live in WebAssembly locals inside a region and in the
 * state block outside it.
 */

import { FunctionBuilder, type Label, type Local } from '../../kernel/lib/wasm/function_builder.ts';
import { be, type Code, type I32, type I64, i32, i64, mem, uleb } from '../../kernel/lib/wasm/types.ts';
import { CC_KINDS, type CcOp } from './condition_code.ts';
import { FORMATS } from './formats.ts';
import { AMODE_31, AMODE_64, addressMask, type Mode } from './psw.ts';
import { type Instruction, NEXT } from './row.ts';
import { cpu_state } from './state.ts';

/** Host addresses baked into translated code. */
export interface Layout {
  readonly stateBase: number;
  readonly tlbBase: number;
}

/** Functions every region module imports, then those it defines. */
export const FUNCTION = { access: 0, exec: 1, raise: 2, commit: 3, hypercall: 4, region: 5, cc: 6 } as const;

/** Where control goes for a branch target, as the region knows it. */
export type Route = { readonly label: Label } | { readonly entry: number } | 'outside';

/** General registers that a fast hypercall reads (token and four arguments) and writes, bit n for register n. */
const HYPERCALL = { ARGUMENTS: 0b111110, RESULTS: 0b1100 } as const;

const at0 = i32.const(0);
/** Fields of the word handed to the slow access path: halfword offset of the instruction in its page, size, flags. */
export const ACCESS = { SIZE_SHIFT: 11, SIZE_MASK: 0x1ff, WRITE: 1 << 20, SECOND: 1 << 21 } as const;

export class Emitter extends FunctionBuilder {
  readonly mode: Mode;
  readonly layout: Layout;
  /** Byte offset in its page of the instruction being translated. */
  offset = 0;
  /** Instructions of the block behind the one being translated, and where they begin. */
  rest = 0;
  next = 0n;
  /** Set when the instruction may have stored through `host`. */
  wrote = false;
  /** Set by the region: how to reach a branch target. */
  route: (target: bigint) => Route = () => 'outside';
  /** Operand length of an executed SS instruction, whose length byte is not known when translating. */
  executedLength: I32 | undefined;
  /** Instructions that are called as TypeScript functions. */
  readonly sites: Instruction[] = [];
  #entry: Local<I32>;
  #gpr: Local<I64>[];
  #ccOp: Local<I32>;
  #ccA: Local<I64>;
  #ccB: Local<I64>;
  #known: CcOp | undefined;
  #budget: Local<I32>;
  #code: Local<I32>;
  #read = 0;
  #written = 0;
  #flushGpr: Code = [];
  #reloadGpr: Code = [];
  #flushArguments: Code = [];
  #reloadResults: Code = [];
  #exit: Label = 0;
  #fault: Label = 0;
  #top: Label = 0;

  constructor(layout: Layout, mode: Mode) {
    super(1);
    this.layout = layout;
    this.mode = mode;
    this.#entry = this.parameter32(0);
    this.#gpr = Array.from({ length: 16 }, () => this.local64());
    this.#ccOp = this.local32();
    this.#ccA = this.local64();
    this.#ccB = this.local64();
    this.#budget = this.local32();
    this.#code = this.local32();
  }

  // --- state block ---------------------------------------------------------------------------------------------

  #field(name: keyof typeof cpu_state.offset): number {
    return this.layout.stateBase + cpu_state.offset[name];
  }
  /** A 32-bit word of the state block. */
  state32(name: keyof typeof cpu_state.offset, index = 0): I32 {
    return mem.load32(at0, this.#field(name) + index * 4);
  }
  /** A 64-bit word of the state block. */
  state64(name: keyof typeof cpu_state.offset, index = 0): I64 {
    return mem.load64(at0, this.#field(name) + index * 8);
  }
  setState32(name: keyof typeof cpu_state.offset, value: I32, index = 0): void {
    this.emit(mem.store32(at0, value, this.#field(name) + index * 4));
  }
  setState64(name: keyof typeof cpu_state.offset, value: I64, index = 0): void {
    this.emit(mem.store64(at0, value, this.#field(name) + index * 8));
  }
  /** Stores the high or low word of a 64-bit state word. */
  setState32High(name: keyof typeof cpu_state.offset, value: I32, index = 0): void {
    this.emit(mem.store32(at0, value, this.#field(name) + index * 8 + 4));
  }

  // --- general registers ---------------------------------------------------------------------------------------

  /** All 64 bits of general register `n`. */
  r64(n: number): I64 {
    this.#read |= 1 << n;
    return this.#gpr[n].get;
  }
  /** Bits 32-63. */
  r32(n: number): I32 {
    return i32.wrap(this.r64(n));
  }
  /** Bits 0-31. */
  high32(n: number): I32 {
    return i32.wrap(i64.shrU(this.r64(n), i64.const(32)));
  }
  set64(n: number, value: I64): void {
    this.#written |= 1 << n;
    this.set(this.#gpr[n], value);
  }
  /** Replaces bits 32-63. */
  set32(n: number, value: I32): void {
    this.set64(n, i64.or(i64.and(this.r64(n), i64.const(-0x1_0000_0000n)), i64.fromU(value)));
  }
  /** Replaces bits 0-31. */
  setHigh32(n: number, value: I32): void {
    this.set64(n, i64.or(i64.and(this.r64(n), i64.const(0xffff_ffffn)), i64.shl(i64.fromU(value), i64.const(32))));
  }
  /** An address result: all of the register in 64-bit mode, the low word otherwise. */
  setAddress(n: number, value: I64): void {
    if (this.mode.amode === AMODE_64) this.set64(n, value);
    else this.set32(n, i32.wrap(value));
  }
  /** The return address of a linking branch: with the mode bit in 31-bit mode. SA22-7832 "BRANCH AND SAVE". */
  setLink(n: number, i: Instruction): void {
    const { amode } = this.mode;
    if (amode === AMODE_64) this.set64(n, i64.const(i.next));
    else this.set32(n, i32.const(Number(i.next) | (amode === AMODE_31 ? 0x8000_0000 : 0)));
  }

  // --- condition code ------------------------------------------------------------------------------------------

  /** Records what gives the condition code. The operands are evaluated now. */
  setCc(op: CcOp, a: I64, b?: I64): void {
    this.set(this.#ccA, a);
    if (b) this.set(this.#ccB, b);
    this.set(this.#ccOp, i32.const(op));
    this.#known = op;
  }
  /** The condition code 0..3. */
  cc(): I32 {
    if (this.#known !== undefined) return CC_KINDS[this.#known].code(this.#ccA.get, this.#ccB.get);
    return this.call32(FUNCTION.cc, this.#ccOp.get, this.#ccA.get, this.#ccB.get);
  }
  /** Non-zero when the condition code is selected by the branch mask. */
  condition(mask: number): I32 {
    if (mask === 0 || mask === 15) return i32.const(mask & 1);
    if (this.#known !== undefined) {
      const test = CC_KINDS[this.#known].test?.(mask, this.#ccA.get, this.#ccB.get);
      if (test) return test;
    }
    return i32.and(i32.shl(i32.const(mask), this.cc()), i32.const(8));
  }
  /** After a join nothing is known about the kind. */
  forgetCc(): void {
    this.#known = undefined;
  }

  // --- storage operands ----------------------------------------------------------------------------------------

  /** Base + index + displacement, cut to the addressing mode. */
  address(base: number, index: number, displacement: number): I64 {
    const { amode } = this.mode;
    const registers = [base, index].filter((n) => n !== 0).map((n) => this.r64(n));
    if (registers.length === 0) return i64.const(BigInt(displacement) & addressMask(amode));
    let sum = registers[0];
    if (registers[1]) sum = i64.add(sum, registers[1]);
    if (displacement !== 0) sum = i64.add(sum, i64.const(displacement));
    return amode === AMODE_64 ? sum : i64.and(sum, i64.const(addressMask(amode)));
  }
  /** First operand address (B1, D1). */
  address1(i: Instruction): I64 {
    return this.address(i.b1, 0, i.d1);
  }
  /** Second operand address (X2, B2, D2). */
  address2(i: Instruction): I64 {
    return this.address(i.b2, i.x2, i.d2);
  }
  /** Address of a relative operand. */
  relative(i: Instruction): bigint {
    return relativeTarget(i, this.mode);
  }

  /** Offset of an address's entry in the TLB. */
  #entryOf(address: I64): I32 {
    return i32.and(i32.shrU(i32.wrap(address), i32.const(7)), i32.const(0xffe0));
  }
  #hit(address: I64, entry: I32, size: number | I32, write: boolean): I32 {
    const last =
      size === 1
        ? address
        : i64.add(address, typeof size === 'number' ? i64.const(size - 1) : i64.fromU(i32.sub(size, i32.const(1))));
    return i64.eq(i64.and(last, i64.const(-4096)), mem.load64(entry, this.layout.tlbBase + (write ? 8 : 0)));
  }
  #slow(address: I64, size: number | I32, write: boolean, second = false): I32 {
    this.setState64('accessAddress', address);
    const flags = (this.offset >> 1) | (write ? ACCESS.WRITE : 0) | (second ? ACCESS.SECOND : 0);
    const packed =
      typeof size === 'number'
        ? i32.const(flags | (size << ACCESS.SIZE_SHIFT))
        : i32.or(i32.const(flags), i32.shl(size, i32.const(ACCESS.SIZE_SHIFT)));
    const h = this.let32(this.call32(FUNCTION.access, packed));
    this.brIf(i32.eq(h, i32.const(-1)), this.#fault);
    return h;
  }
  /**
   * Host address of `size` bytes at `address`. When they cross a page it is that of a copy; after writing there
   * `commit` must follow. Leaves the region, with nothing changed, when the access is not possible.
   * @param size 1..256; @param second the copy of a crossing operand goes to the second scratch area.
   */
  host(address: I64, size: number | I32, write: boolean, second = false): I32 {
    if (write) this.wrote = true;
    const a = this.let64(address);
    const entry = this.let32(this.#entryOf(a));
    return this.choose32(
      this.#hit(a, entry, size, write),
      () => i32.add(i32.wrap(a), mem.load32(entry, this.layout.tlbBase + 16)),
      () => this.#slow(a, size, write, second),
    );
  }
  /** Ends writing at a host address given by `host`. */
  commit(host: I32): void {
    const scratch = this.#field('scratch');
    this.if(i32.ltU(i32.sub(host, i32.const(scratch)), i32.const(256)), () => this.emit([0x10, uleb(FUNCTION.commit)]));
  }
  load64(address: I64): I64 {
    return this.let64(be.load64(this.host(address, 8, false)));
  }
  load32(address: I64): I32 {
    return this.let32(be.load32(this.host(address, 4, false)));
  }
  load16U(address: I64): I32 {
    return this.let32(be.load16U(this.host(address, 2, false)));
  }
  load16S(address: I64): I32 {
    return i32.extend16S(this.load16U(address));
  }
  load8U(address: I64): I32 {
    return this.let32(mem.load8U(this.host(address, 1, false)));
  }
  load8S(address: I64): I32 {
    return this.let32(mem.load8S(this.host(address, 1, false)));
  }
  #store(size: number, address: I64, write: (host: I32) => Code): void {
    const a = this.let64(address);
    const entry = this.let32(this.#entryOf(a));
    this.if(
      this.#hit(a, entry, size, true),
      () => this.emit(write(i32.add(i32.wrap(a), mem.load32(entry, this.layout.tlbBase + 16)))),
      () => {
        const h = this.#slow(a, size, true);
        this.emit(write(h));
        if (size > 1) this.emit([0x10, uleb(FUNCTION.commit)]);
        // Storing is the last thing such an instruction does.
        this.leaveIfCodeChanged();
      },
    );
  }
  store64(address: I64, value: I64): void {
    const v = this.let64(value);
    this.#store(8, address, (host) => be.store64(host, v));
  }
  store32(address: I64, value: I32): void {
    const v = this.let32(value);
    this.#store(4, address, (host) => be.store32(host, v));
  }
  store16(address: I64, value: I32): void {
    const v = this.let32(value);
    this.#store(2, address, (host) => be.store16(host, v));
  }
  store8(address: I64, value: I32): void {
    const v = this.let32(value);
    this.#store(1, address, (host) => mem.store8(host, v));
  }

  /** The instruction is the target of an EXECUTE: its length is in the state block. */
  takeExecutedLength(): void {
    const length = this.local32();
    this.set(length, this.state32('executedLength'));
    this.executedLength = length.get;
  }

  // --- leaving -------------------------------------------------------------------------------------------------

  /** Program interruption with this code; nothing after it is executed. */
  raise(code: number): void {
    this.emit(i32.const((this.offset >> 1) | (code << 11)).code, [0x10, uleb(FUNCTION.raise)]);
    this.br(this.#fault);
  }
  raiseIf(condition: I32, code: number): void {
    this.if(condition, () => this.raise(code));
  }
  /** Leaves the region with the PSW address given. */
  leaveTo(address: I64, code: number = NEXT.CHAIN): void {
    this.setState64('pswAddress', address);
    this.set(this.#code, i32.const(code));
    this.br(this.#exit);
  }
  /** A store may have changed the very code being executed (the CPU's own attention bit): the rest is looked up anew. */
  leaveIfCodeChanged(): void {
    this.if(i32.ltS(this.state32('attention'), i32.const(0)), () => {
      this.set(this.#budget, i32.add(this.#budget.get, i32.const(this.rest)));
      this.leaveTo(i64.const(this.next), NEXT.POLL);
    });
  }
  /** Branches to a constant address. */
  jump(target: bigint): void {
    const route = this.route(target);
    if (route === 'outside') this.leaveTo(i64.const(target));
    else if ('label' in route) this.br(route.label);
    else {
      this.set(this.#entry, i32.const(route.entry));
      this.br(this.#top);
    }
  }
  /** Relative branch, taken when `condition` is non-zero. */
  branch(condition: I32, i: Instruction): void {
    const target = this.relative(i);
    const route = this.route(target);
    if (route !== 'outside' && 'label' in route) this.brIf(condition, route.label);
    else this.if(condition, () => this.jump(target));
  }
  /** Branch to a computed address, taken when `condition` is non-zero. */
  branchIndirect(condition: I32 | undefined, address: I64): void {
    const { amode } = this.mode;
    const target = amode === AMODE_64 ? address : i64.and(address, i64.const(addressMask(amode)));
    if (condition) this.if(condition, () => this.leaveTo(target));
    else this.leaveTo(target);
  }

  /** Calls the row's TypeScript function. */
  call(i: Instruction): void {
    const site = this.sites.length;
    this.sites.push(i);
    const fields = FORMATS[i.row.format].fields;
    if (fields.some((f) => f.name === 'b1')) this.setState64('operand1', this.address1(i));
    if (fields.some((f) => f.name === 'b2')) this.setState64('operand2', this.address2(i));
    if (!i.row.registerFree) this.emit(this.#flushGpr);
    this.#flushCc();
    this.setState32('budget', this.#budget.get);
    this.set(this.#code, this.call32(FUNCTION.exec, i32.const(site)));
    this.if(this.#code.get, () => {
      if (i.row.registerFree) this.emit(this.#flushGpr);
      this.return(this.#code.get);
    });
    if (!i.row.registerFree) this.emit(this.#reloadGpr);
    this.#reloadCc();
  }

  /**
   * Tries the fast hypercall, else calls the row's TypeScript function. The fast one reads and writes the registers a
   * hypercall has, no condition code and no guest storage; nobody need look for opened masks or changed code after it.
   */
  hypercall(i: Instruction): void {
    this.emit(this.#flushArguments);
    this.if(
      this.call32(FUNCTION.hypercall),
      () => this.emit(this.#reloadResults),
      () => this.call(i),
    );
  }

  // --- region frame --------------------------------------------------------------------------------------------

  #flushCc(): void {
    this.setState32('ccOp', this.#ccOp.get);
    this.setState64('ccA', this.#ccA.get);
    this.setState64('ccB', this.#ccB.get);
  }
  #reloadCc(): void {
    this.set(this.#ccOp, this.state32('ccOp'));
    this.set(this.#ccA, this.state64('ccA'));
    this.set(this.#ccB, this.state64('ccB'));
    this.#known = undefined;
  }

  /** Counts the instructions of a block; where loops close, first leaves when the budget is used up or attention is wanted. */
  countBlock(address: bigint, count: number, poll: boolean): void {
    this.forgetCc();
    if (poll) {
      const stop = i32.or(i32.leS(this.#budget.get, i32.const(0)), mem.atomicLoad32(at0, this.#field('attention')));
      this.if(stop, () => this.leaveTo(i64.const(address), NEXT.POLL));
    }
    this.set(this.#budget, i32.sub(this.#budget.get, i32.const(count)));
  }
  /** Dispatches on the entry number; only directly inside the frame. */
  dispatch(labels: readonly Label[]): void {
    this.brTable(this.#entry.get, labels);
  }

  /** Wraps `body` in the frame that loads and stores registers, and returns the whole function's code. */
  frame(body: () => void): Code {
    this.block((exit) => {
      this.#exit = exit;
      this.block((fault) => {
        this.#fault = fault;
        this.loop((top) => {
          this.#top = top;
          body();
        });
      });
      this.set(this.#code, i32.const(NEXT.FAULT));
    });
    this.emit(this.#flushGpr);
    this.#flushCc();
    this.setState32('budget', this.#budget.get);
    const inner = this.out;
    this.emit(this.#code.get.code);
    this.out = [];
    const used = this.#read | this.#written;
    for (let n = 0; n < 16; n++) {
      const at = this.#field('gpr') + n * 8;
      const reload = [mem.load64(at0, at).code, 0x21, uleb(this.#gpr[n].index)];
      const flush = mem.store64(at0, this.#gpr[n].get, at);
      if (used & (1 << n)) this.#reloadGpr.push(reload);
      if (used & (1 << n) & HYPERCALL.RESULTS) this.#reloadResults.push(reload);
      if (this.#written & (1 << n)) this.#flushGpr.push(flush);
      if (this.#written & (1 << n) & HYPERCALL.ARGUMENTS) this.#flushArguments.push(flush);
    }
    this.emit(this.#reloadGpr);
    this.#reloadCc();
    this.set(this.#budget, this.state32('budget'));
    return [this.out, inner];
  }
}

/** Target of a relative operand: halfwords from the instruction itself, cut to the addressing mode. */
export function relativeTarget(i: Instruction, mode: Mode): bigint {
  const halfwords = FORMATS[i.row.format].fields.some((f) => f.name === 'ri4') ? i.ri4 : i.ri2;
  return (i.address + 2n * BigInt(halfwords)) & addressMask(mode.amode);
}
