/**
 * The registers of one CPU as seen from TypeScript: views of the state block, with what follows from changing them.
 * Valid while the CPU is outside translated code, or inside an exec row.
 */
import { CR0_ACCESS, pswKey } from '../../kernel/include/arch/s390/access.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { high32, join64, low32 } from '../../kernel/lib/words64.ts';
import { CC } from './condition_code.ts';
import { instructionLength } from './formats.ts';
import { invalidPsw, modeKey, PSW_CC_SHIFT, PSW_HIGH } from './psw.ts';
import { NEXT } from './row.ts';
import { type CpuState, cpu_state } from './state.ts';

const OFF = cpu_state.offset;
/** Mode key no code is translated for. */
export const INVALID_MODE = 0x8000;

export abstract class Registers {
  /** View of the state block. */
  readonly state: CpuState;
  protected readonly dv: DataView;
  protected readonly base: number;
  /** An interruption mask was opened (or a timer set): the owner is to look for pending interruptions. */
  protected maskOpened = false;
  protected lastTod = 0n;

  constructor(memory: HostMemory, stateBase: number) {
    this.dv = memory.dv;
    this.base = stateBase;
    this.state = cpu_state.at(memory.dv, stateBase);
  }

  /** Condition code of a kind and its operands. */
  protected abstract evaluateCc(op: number, a: bigint, b: bigint): number;
  /** Forgets logical-to-host translations and which code belongs to which PSW. */
  protected abstract flushTranslations(): void;
  /** The access key is another one. */
  protected abstract accessKeyChanged(key: number): void;
  /** The machine's TOD clock. */
  protected abstract hostTod(): bigint;

  gpr(n: number): bigint {
    return this.dv.getBigUint64(this.base + n * 8, true);
  }
  setGpr(n: number, value: bigint): void {
    this.dv.setBigUint64(this.base + n * 8, BigInt.asUintN(64, value), true);
  }
  /** Bits 32-63, unsigned. */
  gprLow(n: number): number {
    return this.dv.getUint32(this.base + n * 8, true);
  }
  /** Bits 0-31, unsigned. */
  gprHigh(n: number): number {
    return this.dv.getUint32(this.base + n * 8 + 4, true);
  }
  /** Replaces bits 32-63. */
  setGprLow(n: number, value: number): void {
    this.dv.setUint32(this.base + n * 8, value, true);
  }
  /** The unsigned register as a number: exact below 2^53. */
  gprNumber(n: number): number {
    return this.gprHigh(n) * 0x1_0000_0000 + this.gprLow(n);
  }
  /** Sets the whole register from a signed number. */
  setGprNumber(n: number, value: number): void {
    this.dv.setUint32(this.base + n * 8, value % 0x1_0000_0000, true);
    this.dv.setInt32(this.base + n * 8 + 4, Math.floor(value / 0x1_0000_0000), true);
  }
  cr(n: number): bigint {
    return this.dv.getBigUint64(this.base + OFF.cr + n * 8, true);
  }
  /** Sets a control register, with what follows from it. */
  setCr(n: number, value: bigint): void {
    const changed = this.cr(n) ^ BigInt.asUintN(64, value);
    this.dv.setBigUint64(this.base + OFF.cr + n * 8, BigInt.asUintN(64, value), true);
    if (changed === 0n) return;
    if (n === 1 || n === 7 || n === 13 || (n === 0 && changed & CR0_ACCESS)) this.flushTranslations();
    if (n === 0 || n === 6 || n === 14) this.maskOpened = true;
  }
  get cc(): number {
    const dv = this.dv;
    const op = dv.getUint32(this.base + OFF.ccOp, true);
    if (op === CC.STATIC) return dv.getUint32(this.base + OFF.ccA, true) & 3;
    return this.evaluateCc(op, dv.getBigInt64(this.base + OFF.ccA, true), dv.getBigInt64(this.base + OFF.ccB, true));
  }
  setCc(value: number): void {
    this.dv.setUint32(this.base + OFF.ccOp, CC.STATIC, true);
    this.dv.setUint32(this.base + OFF.ccA, value, true);
    this.dv.setUint32(this.base + OFF.ccA + 4, 0, true);
  }
  /** The PSW in its 16-byte form. */
  psw(): { mask: bigint; address: bigint } {
    const mask = join64(this.#pswHigh(), this.dv.getUint32(this.base + OFF.pswMask, true));
    return { mask, address: this.pswAddress() };
  }
  /** Stores the doublewords of {@link psw}, native order, at two host addresses: for every exit, without a bigint. */
  storePsw(mask: number, address: number): void {
    const { dv, base } = this;
    dv.setUint32(mask, dv.getUint32(base + OFF.pswMask, true), true);
    dv.setUint32(mask + 4, this.#pswHigh(), true);
    dv.setUint32(address, dv.getUint32(base + OFF.pswAddress, true), true);
    dv.setUint32(address + 4, dv.getUint32(base + OFF.pswAddress + 4, true), true);
  }
  /** The first word of the PSW, condition code and all. */
  #pswHigh(): number {
    return this.dv.getUint32(this.base + OFF.pswMask + 4, true) | (this.cc << PSW_CC_SHIFT);
  }
  protected pswAddress(): bigint {
    return this.dv.getBigUint64(this.base + OFF.pswAddress, true);
  }
  /** Loads a PSW without checking it. */
  setPsw(mask: bigint, address: bigint): void {
    this.setPswMask(mask);
    this.setCc((high32(mask) & PSW_HIGH.CC) >>> PSW_CC_SHIFT);
    this.setPswAddress(address);
    // A mode no code is translated for: the next look for code comes to `#enter`, which refuses the PSW.
    if (invalidPsw(mask, address)) this.dv.setUint32(this.base + OFF.modeKey, INVALID_MODE, true);
  }
  /** Replaces the PSW's first doubleword except the condition code. */
  setPswMask(mask: bigint): void {
    const high = high32(mask);
    const low = low32(mask);
    const oldHigh = this.dv.getUint32(this.base + OFF.pswMask + 4, true);
    this.dv.setUint32(this.base + OFF.pswMask, low, true);
    this.dv.setUint32(this.base + OFF.pswMask + 4, high & ~PSW_HIGH.CC, true);
    const key = modeKey(high, low);
    const oldKey = this.dv.getUint32(this.base + OFF.modeKey, true);
    this.dv.setUint32(this.base + OFF.modeKey, key, true);
    // The upper bits of the key tell the address space: its translations are no longer those in force.
    if (key >> 4 !== oldKey >> 4) this.flushTranslations();
    if ((high ^ oldHigh) & PSW_HIGH.KEY) this.accessKeyChanged(pswKey(mask));
    if (high & ~oldHigh & PSW_HIGH.INTERRUPTION_MASKS) this.maskOpened = true;
  }
  setPswAddress(address: bigint): void {
    this.dv.setBigUint64(this.base + OFF.pswAddress, BigInt.asUintN(64, address), true);
  }
  /** Loads a PSW as LPSWE does: an invalid one is recognised when it is used. */
  loadPsw(mask: bigint, address: bigint): number {
    this.setPsw(mask, address);
    return NEXT.POLL;
  }
  /** Mode key of the PSW. */
  get mode(): number {
    return this.dv.getUint32(this.base + OFF.modeKey, true);
  }
  /** In problem state. */
  get problem(): boolean {
    return (this.mode & 4) !== 0;
  }
  /** First storage-operand address of the exec row being executed. */
  get operand1(): bigint {
    return this.dv.getBigUint64(this.base + OFF.operand1, true);
  }
  /** Second storage-operand address of the exec row being executed. */
  get operand2(): bigint {
    return this.dv.getBigUint64(this.base + OFF.operand2, true);
  }
  /** Its low 32 bits. */
  get operand2Low(): number {
    return this.dv.getUint32(this.base + OFF.operand2, true);
  }
  /** TOD clock as this CPU sees it. */
  tod(): bigint {
    return BigInt.asUintN(64, this.hostTod() + this.state.todOffset);
  }
  /** As STCK stores it: each value unique and later than the one before. */
  uniqueTod(): bigint {
    let now = this.tod();
    if (now <= this.lastTod && this.lastTod - now < 4096n) now = this.lastTod + 1n;
    this.lastTod = now;
    return now;
  }
  /** CPU timer, signed. */
  cpuTimer(): bigint {
    return BigInt.asIntN(64, this.state.cpuTimerEnd - this.tod());
  }
  setCpuTimer(value: bigint): void {
    this.state.cpuTimerEnd = BigInt.asUintN(64, this.tod() + value);
    this.maskOpened = true;
  }
  setClockComparator(value: bigint): void {
    this.state.clockComparator = BigInt.asUintN(64, value);
    this.maskOpened = true;
  }
  get prefix(): number {
    return this.state.prefix;
  }
  setPrefix(address: number): void {
    this.state.prefix = (address & 0x7fff_e000) >>> 0;
    this.flushTranslations();
  }
  /** Text of the intercepted instruction. */
  get exitText(): Uint8Array {
    const text = this.state.exitText;
    return text.slice(0, instructionLength(text[0]));
  }
  /** Its first two bytes. */
  get exitOpcode(): number {
    return this.dv.getUint16(this.base + OFF.exitText);
  }
  /** Operand address of the intercepted instruction. */
  get exitOperand(): bigint {
    return this.state.exitOperand;
  }
}
