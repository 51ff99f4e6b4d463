/**
 * Builds the body of one WebAssembly function: statements in order, structured control flow with labels, and scratch
 * locals. Rows and the translator speak to this; nobody writes opcodes elsewhere.
 */
import type { ValueType } from './module.ts';
import { type Code, type F64, type I32, type I64, uleb } from './types.ts';

/** A place a branch can go to: the nesting depth of its block or loop. */
export type Label = number;

const local32 = (index: number): I32 => ({ type: 'i32', code: [0x20, uleb(index)] });
const local64 = (index: number): I64 => ({ type: 'i64', code: [0x20, uleb(index)] });

/** A writable local of a known type. */
export interface Local<T extends I32 | I64 | F64> {
  readonly index: number;
  readonly get: T;
}

export class FunctionBuilder {
  /** Statements so far; sinks nest. */
  out: Code = [];
  #depth = 0;
  #first: number;
  #declared = 0;
  #scratch32: number[] = [];
  #scratch64: number[] = [];
  #used32 = 0;
  #used64 = 0;
  #types: ValueType[] = [];

  /** @param params number of parameters, which are the first locals. */
  constructor(params: number) {
    this.#first = params;
  }

  /** Declares an i32 local. */
  local32(): Local<I32> {
    const index = this.#declare('i32');
    return { index, get: local32(index) };
  }
  /** Declares an i64 local. */
  local64(): Local<I64> {
    const index = this.#declare('i64');
    return { index, get: local64(index) };
  }
  /** Declares an f64 local. */
  localF64(): Local<F64> {
    const index = this.#declare('f64');
    return { index, get: { type: 'f64', code: [0x20, uleb(index)] } };
  }
  #declare(type: ValueType): number {
    this.#types.push(type);
    return this.#first + this.#declared++;
  }
  /** The declared locals, for the encoder. */
  get locals(): [number, ValueType][] {
    return this.#types.map((type) => [1, type]);
  }
  /** The i32 parameter `index`. */
  parameter32(index: number): Local<I32> {
    return { index, get: local32(index) };
  }
  /** The i64 parameter `index`. */
  parameter64(index: number): Local<I64> {
    return { index, get: local64(index) };
  }

  /** Appends code that leaves nothing on the stack. */
  emit(...code: Code): void {
    for (const piece of code) this.out.push(piece);
  }
  /** Assigns a local. */
  set<T extends I32 | I64 | F64>(to: Local<T>, value: T): void {
    this.out.push(value.code, 0x21, uleb(to.index));
  }
  /** Evaluates once into a scratch local; valid until `releaseScratch`. */
  let32(value: I32): I32 {
    const to = this.temp32();
    this.set(to, value);
    return to.get;
  }
  /** Evaluates once into a scratch local; valid until `releaseScratch`. */
  let64(value: I64): I64 {
    const to = this.temp64();
    this.set(to, value);
    return to.get;
  }
  /** A scratch i32 local; valid until `releaseScratch`. */
  temp32(): Local<I32> {
    if (this.#used32 === this.#scratch32.length) this.#scratch32.push(this.#declare('i32'));
    const index = this.#scratch32[this.#used32++];
    return { index, get: local32(index) };
  }
  /** A scratch i64 local; valid until `releaseScratch`. */
  temp64(): Local<I64> {
    if (this.#used64 === this.#scratch64.length) this.#scratch64.push(this.#declare('i64'));
    const index = this.#scratch64[this.#used64++];
    return { index, get: local64(index) };
  }
  /** Scratch locals may be used again: called between instructions. */
  releaseScratch(): void {
    this.#used32 = 0;
    this.#used64 = 0;
  }

  /** A block: its label branches to its end. */
  block(body: (label: Label) => void): void {
    this.out.push(0x02, 0x40);
    body(this.open());
    this.close();
  }
  /** A loop: its label branches to its start. */
  loop(body: (label: Label) => void): void {
    this.out.push(0x03, 0x40);
    body(this.open());
    this.close();
  }
  /** Starts a block whose end is written by `close`. */
  beginBlock(): Label {
    this.out.push(0x02, 0x40);
    return this.open();
  }
  private open(): Label {
    return ++this.#depth;
  }
  /** Ends the innermost block or loop. */
  close(): void {
    this.#depth--;
    this.out.push(0x0b);
  }
  if(condition: I32, yes: () => void, no?: () => void): void {
    this.out.push(condition.code, 0x04, 0x40);
    this.#depth++;
    yes();
    if (no) {
      this.out.push(0x05);
      no();
    }
    this.close();
  }
  /** An i32 chosen by control flow: each arm appends statements and returns its value. */
  choose32(condition: I32, yes: () => I32, no: () => I32): I32 {
    const to = this.temp32();
    this.if(
      condition,
      () => this.set(to, yes()),
      () => this.set(to, no()),
    );
    return to.get;
  }
  br(label: Label): void {
    this.out.push(0x0c, uleb(this.#depth - label));
  }
  brIf(condition: I32, label: Label): void {
    this.out.push(condition.code, 0x0d, uleb(this.#depth - label));
  }
  /** Branch by index; the last label also takes every index beyond. */
  brTable(index: I32, labels: readonly Label[]): void {
    const relative = labels.map((label) => uleb(this.#depth - label));
    this.out.push(index.code, 0x0e, uleb(labels.length - 1), ...relative);
  }
  return(value: I32): void {
    this.out.push(value.code, 0x0f);
  }
  /** Calls function `index`; `type` is its result. */
  call32(index: number, ...args: (I32 | I64)[]): I32 {
    return { type: 'i32', code: [...args.map((arg) => arg.code), 0x10, uleb(index)] };
  }
  /** Calls function `index`, which has no result. */
  callVoid(index: number, ...args: (I32 | I64)[]): void {
    this.out.push(...args.map((arg) => arg.code), 0x10, uleb(index));
  }
  /** Evaluates for the effect only. */
  drop(value: I32 | I64): void {
    this.out.push(value.code, 0x1a);
  }
}
