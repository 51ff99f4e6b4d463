/**
 * One z/Architecture CPU: architected state in shared memory, code translated to WebAssembly when first reached,
 * interruptions, and the exits to whoever owns it. See README.md for the parts.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { CodeCache, type Region } from './code_cache.ts';
import type { CpuBus, CpuConfig } from './config.ts';
import { disassemble } from './disassemble.ts';
import { encodeDispatcher } from './dispatcher.ts';
import { ACCESS } from './emitter.ts';
import { ExecuteTargets } from './execute_targets.ts';
import { EXIT_REASONS, type ExitReason } from './exit_reason.ts';
import { instructionLength } from './formats.ts';
import {
  type InterruptionClass,
  LOWCORE,
  LOWCORE_PSW,
  LOWCORE_STORED,
  nullifies,
  PGM,
  ProgramInterruption,
  Retry,
} from './interruption.ts';
import { ProgramLoop } from './program_loop.ts';
import { addressMask, PSW } from './psw.ts';
import type { Translation } from './region.ts';
import { INVALID_MODE, Registers } from './registers.ts';
import { type Instruction, NEXT } from './row.ts';
import { cpu_state } from './state.ts';
import { Storage } from './storage.ts';
import { LOWCORE_STATUS, STATUS_AREA, storedStatus } from './store_status.ts';
import { decode, hasLengthByte, mnemonicOf } from './table.ts';

export type { CpuBus, CpuConfig, CpuModel } from './config.ts';

const OFF = cpu_state.offset;
/** Attention bit the CPU sets for itself: code it may be running was changed. */
const SELF_ATTENTION = -0x8000_0000;
const EXIT_TEXT_SIZE = cpu_state.fields.exitText.size;
const MAX_BUDGET = 0x3fff_ffff;
const RING = 32;
/** CR0 bit 45, AFP-register control: the data-exception code also goes into the FPC. SA22-7832 chapter 6. */
const CR0_AFP = 0x4_0000n;

export class Cpu extends Registers {
  readonly bus: CpuBus;
  readonly config: CpuConfig;
  readonly memory: HostMemory;
  readonly storage: Storage;
  /** Instructions executed since reset. */
  instructions = 0;
  #code: CodeCache;
  readonly #targets: ExecuteTargets;
  #dispatch: () => number;
  #ccOf: (op: number, a: bigint, b: bigint) => number;
  #nested: Translation | undefined;
  #fault: { thrown: unknown; ilc: number } | undefined;
  #refund = 0;
  #exit: ExitReason = 'budget';
  /** An interruption whose lowcore could not be reached yet. */
  #pending: (() => void) | undefined;
  #granted = 0;
  readonly #programLoop = new ProgramLoop();
  #ring: { address: bigint; text: Uint8Array }[] = [];

  constructor(memory: HostMemory, config: CpuConfig, bus: CpuBus) {
    super(memory, config.stateBase);
    this.memory = memory;
    this.config = config;
    this.bus = bus;
    this.storage = new Storage(memory, config, {
      translate: (page, write) => bus.translate(page, write),
      holdsCode: (page) => this.#code.holdsCode(page),
      codeWritten: (page, start, end) => {
        if (this.#code.invalidate(page, start, end)) memory.or(this.base + OFF.attention, SELF_ATTENTION);
      },
    });
    this.#code = new CodeCache(memory, config, config.pcCacheBase, {
      memory: memory.memory,
      access: (packed: number) => this.#access(packed),
      exec: (site: number) => this.#exec(site),
      raise: (packed: number) => this.#raise(packed),
      commit: () => this.storage.commit(),
      hypercall: bus.fastHypercall ?? (() => 0),
    });
    this.#targets = new ExecuteTargets(this.#code);
    const module = new WebAssembly.Module(encodeDispatcher(config, config.pcCacheBase, this.#code.wasmPages));
    const { exports } = new WebAssembly.Instance(module, { m: { memory: memory.memory, table: this.#code.table } });
    this.#dispatch = exports.dispatch as () => number;
    this.#ccOf = exports.cc as (op: number, a: bigint, b: bigint) => number;
    this.reset();
  }

  protected evaluateCc(op: number, a: bigint, b: bigint): number {
    return this.#ccOf(op, a, b);
  }
  protected hostTod(): bigint {
    return this.bus.tod();
  }

  // --- reset and code ------------------------------------------------------------------------------------------

  /** Initial CPU reset, also clearing the general registers. SA22-7832 chapter 4 "Initial CPU Reset". */
  reset(): void {
    cpu_state.bytes(this.state).fill(0);
    this.instructions = 0;
    this.#pending = undefined;
    this.#fault = undefined;
    this.dv.setBigUint64(this.base + OFF.cr, 0xe0n, true);
    this.dv.setBigUint64(this.base + OFF.cr + 14 * 8, 0xc200_0000n, true);
    // All ones until set: a comparator of zero would be pending at once.
    this.state.clockComparator = 0xffff_ffff_ffff_ffffn;
    // The CPU timer is zero; its subclass mask is off.
    this.state.cpuTimerEnd = this.bus.tod();
    this.flushTranslations();
  }
  protected override flushTranslations(): void {
    this.storage.flush();
    this.#code.flushPcCache();
  }
  protected override accessKeyChanged(key: number): void {
    if (this.storage.closedTo(key)) this.flushTranslations();
  }
  /**
   * Ends an instruction that withdraws translations or permissions from every CPU (IPTE, SSKE): they are gone before
   * the next instruction of this one.
   */
  withdrawn(i: Instruction): number {
    this.flushTranslations();
    this.bus.quiesce?.();
    this.advance(i);
    return this.bus.quiesce ? NEXT.POLL : NEXT.CHAIN;
  }
  /** Forgets logical-to-host translations (the host moved or unmapped a page, or the guest changed its tables). */
  flushTlb(): void {
    this.flushTranslations();
  }
  /** Somebody else stored into an absolute page. */
  invalidatePage(absolutePage: number): void {
    this.#code.invalidate(absolutePage, 0, 4096);
  }
  /** Drops all translated code. */
  invalidateAll(): void {
    this.#code.invalidateAll();
  }

  // --- running -------------------------------------------------------------------------------------------------

  /** Executes at most about `budget` instructions (a block is never cut). Returns why it stopped. */
  run(budget: number): ExitReason {
    const granted = Math.max(1, Math.min(budget, MAX_BUDGET));
    this.#granted = granted;
    this.dv.setInt32(this.base + OFF.budget, granted, true);
    this.maskOpened = false;
    const reason = this.#loop();
    this.instructions += this.#spent();
    this.#granted = 0;
    this.state.executed = this.instructions;
    this.state.exitReason = EXIT_REASONS.indexOf(reason);
    return reason;
  }

  /** Instructions executed in the `run` under way; 0 outside. */
  #spent(): number {
    return this.#granted === 0 ? 0 : this.#granted - this.dv.getInt32(this.base + OFF.budget, true);
  }

  #loop(): ExitReason {
    if (this.#pending && !this.#finishPending()) return 'retry';
    let stop = this.#stopped();
    while (!stop) {
      let next: number;
      try {
        next = this.#dispatch();
        if (next === NEXT.MISS) {
          this.#enter();
          continue;
        }
      } catch (thrown) {
        // Only the fetch of an instruction throws here.
        this.#fault = { thrown, ilc: this.mode === INVALID_MODE ? 0 : 2 };
        this.#spend(1);
        next = NEXT.FAULT;
      }
      if (next === NEXT.FAULT) {
        if (!this.#takeFault()) return 'retry';
        if (this.#programLoop.endless) return 'program_loop';
      } else if (next === NEXT.STOP) return this.#exit;
      else if (next === NEXT.POLL) {
        const seen = this.memory.exchange(this.base + OFF.attention, 0);
        if ((seen & ~SELF_ATTENTION) !== 0) return 'attention';
        if (this.dv.getInt32(this.base + OFF.budget, true) <= 0) return 'budget';
      }
      stop = this.#stopped();
    }
    return stop;
  }
  #stopped(): ExitReason | undefined {
    const high = this.dv.getUint32(this.base + OFF.pswMask + 4, true);
    // Wait bit (14); I/O, external and machine-check masks (6, 7, 13).
    if (high & 0x0002_0000) return high & 0x0304_0000 ? 'wait' : 'disabled_wait';
    if (this.maskOpened) {
      this.maskOpened = false;
      return 'attention';
    }
    return undefined;
  }
  #spend(count: number): void {
    const at = this.base + OFF.budget;
    this.dv.setInt32(at, this.dv.getInt32(at, true) - count, true);
  }

  /** Finds or translates the code at the PSW and puts it into the PC cache. */
  #enter(): void {
    const address = this.pswAddress();
    const mode = this.mode;
    if (mode === INVALID_MODE) throw new ProgramInterruption(PGM.SPECIFICATION);
    if (address & 1n) throw new ProgramInterruption(PGM.SPECIFICATION);
    const offset = Number(address & 0xfffn);
    const base = address - BigInt(offset);
    const host = this.storage.host(address, false) - offset;
    const page = this.storage.absolute(Number(this.storage.realPage(base, false).page));
    let region = this.#code.find(page, base, mode, offset);
    if (!region) {
      const first = !this.#code.holdsCode(page);
      const bytes = this.memory.u8.slice(host, host + 4096);
      const length = instructionLength(bytes[offset]);
      region =
        offset + length > 4096
          ? this.#crossing(page, bytes.subarray(offset), address, length, mode)
          : this.#code.translate(page, bytes, base, mode, offset);
      if (first) {
        this.bus.markCode(host);
        this.storage.forbidWrites();
      }
    }
    this.#code.remember(address, mode, region, region.translation.entries.get(offset) as number);
    this.#ring.push({ address, text: this.memory.u8.slice(host + offset, host + Math.min(offset + 6, 4096)) });
    if (this.#ring.length > RING) this.#ring.shift();
  }
  #crossing(page: number, head: Uint8Array, address: bigint, length: number, mode: number): Region {
    const nextLogical = (address + BigInt(head.length)) & addressMask(mode & 3);
    const host = this.storage.host(nextLogical, false);
    const nextPage = this.storage.absolute(Number(this.storage.realPage(nextLogical, false).page));
    const text = new Uint8Array(length);
    text.set(head);
    text.set(this.memory.u8.subarray(host, host + length - head.length), head.length);
    const i = decode(text, address, (address + BigInt(length)) & addressMask(mode & 3));
    if (!this.#code.holdsCode(nextPage)) this.bus.markCode(host);
    const region = this.#code.translateCrossing(page, nextPage, i, mode);
    this.storage.forbidWrites();
    return region;
  }

  // --- called by translated code -------------------------------------------------------------------------------

  #current(): Translation {
    return this.#nested ?? this.#code.inSlot(this.dv.getUint32(this.base + OFF.slot, true)).translation;
  }
  /** Records a fault of the instruction at halfword `index` of the current page. */
  #faulted(thrown: unknown, index: number): void {
    const region = this.#current();
    this.setPswAddress(region.base + BigInt(index * 2));
    this.#fault = { thrown, ilc: region.lengths[index] };
    if (region.remaining[index] > 0) this.#refund = region.remaining[index] - 1;
  }
  #access(packed: number): number {
    const address = this.dv.getBigUint64(this.base + OFF.accessAddress, true);
    try {
      const size = (packed >> ACCESS.SIZE_SHIFT) & ACCESS.SIZE_MASK;
      return this.storage.access(address, size, (packed & ACCESS.WRITE) !== 0, (packed & ACCESS.SECOND) !== 0);
    } catch (thrown) {
      this.#faulted(thrown, packed & 0x7ff);
      return -1;
    }
  }
  #raise(packed: number): void {
    // Data exceptions carry their data-exception code above the interruption code.
    const code = packed >>> 11;
    this.#faulted(new ProgramInterruption(code & 0xfff, undefined, code >>> 12), packed & 0x7ff);
  }
  #exec(site: number): number {
    const { sites, execs } = this.#current();
    const i = sites[site];
    try {
      const next = execs[site]?.(this, i) ?? NEXT.CONTINUE;
      // Masks were opened, or a store hit translated code: back to the run loop.
      const look = this.maskOpened || this.dv.getInt32(this.base + OFF.attention, true) < 0;
      if (next === NEXT.CONTINUE && !look) return next;
      if (next === NEXT.CONTINUE) this.setPswAddress(i.next);
      this.#refundFrom(i);
      return look && next !== NEXT.STOP && next !== NEXT.FAULT ? NEXT.POLL : next;
    } catch (thrown) {
      const ilc = this.#nested ? this.#nestedLength : i.length;
      this.setPswAddress(i.next - BigInt(ilc));
      this.#fault = { thrown, ilc };
      this.#refundFrom(i);
      return NEXT.FAULT;
    }
  }
  /** The instructions behind this one in its block were counted but are not executed. */
  #refundFrom(i: Instruction): void {
    // The target of an EXECUTE is counted with the EXECUTE.
    if (this.#nested) return;
    const region = this.#current();
    this.#spend(1 - region.remaining[Number(i.address - region.base) >> 1]);
  }
  #nestedLength = 0;
  /** Executes an instruction text from `address` as the target of the EXECUTE `by`. */
  executeTarget(text: Uint8Array, address: bigint, by: Instruction): number {
    let key = text;
    if (hasLengthByte(text)) {
      // One translation serves every length: it takes the length from the state block.
      this.state.executedLength = text[1] + 1;
      key = text.slice();
      key[1] = 0;
    }
    const { translation, run } = this.#targets.find(key, address, by, this.mode);
    this.#nested = translation;
    this.#nestedLength = by.length;
    try {
      const next = run(0);
      if (next !== NEXT.CHAIN) return next;
      return this.pswAddress() === by.next ? NEXT.CONTINUE : NEXT.CHAIN;
    } finally {
      this.#nested = undefined;
    }
  }
  /** The PSW address moves behind the instruction: it leaves `run` completed. */
  advance(i: Instruction): void {
    this.setPswAddress(i.next);
  }
  /** The PSW address stays at the instruction: an interruptible one goes on when it is executed again. */
  restartInstruction(i: Instruction): void {
    this.setPswAddress(i.next - BigInt(this.#nested ? this.#nestedLength : i.length));
  }
  /** Leaves `run` with the instruction done as far as the core goes. */
  stop(i: Instruction, reason: 'intercept' | 'hypercall', operand = 0n): number {
    this.advance(i);
    const text = this.base + OFF.exitText;
    for (let at = 0; at < EXIT_TEXT_SIZE; at++) this.dv.setUint8(text + at, at < i.length ? i.text[at] : 0);
    this.state.exitOperand = operand;
    this.state.ilc = i.length;
    this.#exit = reason;
    return NEXT.STOP;
  }
  /** Copies text and operand address of the intercepted instruction to two host addresses: for every exit. */
  storeExit(text: number, operand: number): void {
    this.memory.move(text, this.base + OFF.exitText, EXIT_TEXT_SIZE);
    this.memory.move(operand, this.base + OFF.exitOperand, 8);
  }
  get exitMnemonic(): string {
    return mnemonicOf(this.state.exitText);
  }

  // --- interruptions -------------------------------------------------------------------------------------------

  /** Turns the recorded fault into a program interruption. @returns false for a retry. */
  #takeFault(): boolean {
    const { thrown, ilc } = this.#fault as { thrown: unknown; ilc: number };
    this.#fault = undefined;
    this.#spend(-this.#refund);
    this.#refund = 0;
    if (thrown instanceof Retry) {
      this.#spend(-1);
      return false;
    }
    if (!(thrown instanceof ProgramInterruption)) throw thrown;
    if (!nullifies(thrown.code)) this.setPswAddress((this.pswAddress() + BigInt(ilc)) & addressMask(this.mode & 3));
    return this.#program(thrown, ilc);
  }
  #finishPending(): boolean {
    const deliver = this.#pending as () => void;
    this.#pending = undefined;
    return this.#deliver(deliver);
  }
  /** An interruption was accepted and waits for its lowcore's page: no other may be taken before it. */
  get interruptionAccepted(): boolean {
    return this.#pending !== undefined;
  }
  /** Performs an interruption; when the lowcore page is being moved, remembers it for the next `run`. */
  #deliver(interruption: () => void): boolean {
    try {
      interruption();
      return true;
    } catch (thrown) {
      if (thrown instanceof Retry) {
        this.#pending = interruption;
        return false;
      }
      if (!(thrown instanceof ProgramInterruption)) throw thrown;
      // No storage at the prefix: check stop, seen as a disabled wait that names the prefix.
      this.setPsw(PSW.WAIT | PSW.EA | PSW.BA, BigInt(this.prefix));
      return true;
    }
  }
  /** Stores the old PSW and fields into the lowcore and loads the new PSW. */
  #swap(kind: InterruptionClass, store: (lowcore: DataView) => void): void {
    const { FIRST, LENGTH } = LOWCORE_STORED;
    const page = this.storage.hostOfReal(FIRST, true, LENGTH) - FIRST;
    const lowcore = new DataView(this.memory.memory.buffer, page, 4096);
    const old = this.psw();
    store(lowcore);
    lowcore.setBigUint64(LOWCORE_PSW[kind].old, old.mask);
    lowcore.setBigUint64(LOWCORE_PSW[kind].old + 8, old.address);
    this.loadPsw(lowcore.getBigUint64(LOWCORE_PSW[kind].new), lowcore.getBigUint64(LOWCORE_PSW[kind].new + 8));
  }
  #program({ code, teid, dataCode }: ProgramInterruption, ilc: number, accessId?: number): boolean {
    this.#programLoop.interruption(this.instructions + this.#spent());
    this.state.programCode = code;
    if (code === PGM.DATA && this.cr(0) & CR0_AFP)
      this.state.fpc = ((this.state.fpc & 0xffff_00ff) | (dataCode << 8)) >>> 0;
    if (code === PGM.DATA) this.state.dataCode = dataCode;
    if (teid !== undefined) this.state.teid = teid;
    this.state.ilc = ilc;
    return this.#deliver(() =>
      this.#swap('program', (lowcore) => {
        lowcore.setUint32(LOWCORE.PGM_ILC, (ilc << 16) | code);
        if (code === PGM.DATA) lowcore.setUint32(LOWCORE.DATA_CODE, dataCode);
        if (teid !== undefined) lowcore.setBigUint64(LOWCORE.TEID, teid);
        if (accessId !== undefined) lowcore.setUint8(LOWCORE.EXCEPTION_ACCESS_ID, accessId);
        lowcore.setBigUint64(LOWCORE.BREAKING_EVENT, this.state.breakingEvent);
      }),
    );
  }
  /** Program interruption of the intercepted instruction; the PSW is behind it already. @param accessId access register */
  programInterruption(code: number, teid?: bigint, accessId?: number): void {
    if (nullifies(code)) this.setPswAddress(this.pswAddress() - BigInt(this.state.ilc));
    this.#program(new ProgramInterruption(code, teid), this.state.ilc, accessId);
  }
  /** External interruption. @param code interruption code; @param cpuAddress of the sender; @param parameter 32 bits */
  externalInterruption(code: number, cpuAddress = 0, parameter = 0): void {
    this.#deliver(() =>
      this.#swap('external', (lowcore) => {
        lowcore.setUint32(LOWCORE.EXT_PARAMETER, parameter);
        lowcore.setUint16(LOWCORE.EXT_CPU_ADDRESS, cpuAddress);
        lowcore.setUint16(LOWCORE.EXT_CODE, code);
      }),
    );
  }
  /** I/O interruption with the three words of the interruption code. */
  ioInterruption(subsystemId: number, parameter: number, word: number): void {
    this.#deliver(() =>
      this.#swap('io', (lowcore) => {
        lowcore.setUint32(LOWCORE.IO_SUBSYSTEM_ID, subsystemId);
        lowcore.setUint32(LOWCORE.IO_PARAMETER, parameter);
        lowcore.setUint32(LOWCORE.IO_WORD, word);
      }),
    );
  }
  /** Machine-check interruption with its code; registers are saved as the code says they are. */
  machineCheck(mcic: bigint): void {
    this.#deliver(() => {
      this.memory.u8.set(storedStatus(this), this.storage.hostOfReal(LOWCORE_STATUS, true, STATUS_AREA.size));
      this.#swap('mcheck', (lowcore) => lowcore.setBigUint64(LOWCORE.MCIC, mcic));
    });
  }
  /** Restart interruption. */
  restart(): void {
    this.#deliver(() => this.#swap('restart', () => {}));
  }
  /** Supervisor call. */
  supervisorCall(i: Instruction): number {
    this.advance(i);
    const ilc = this.#nested ? this.#nestedLength : i.length;
    // As for every instruction, an unreachable lowcore leaves it unexecuted.
    this.#swap('svc', (lowcore) => {
      lowcore.setUint16(LOWCORE.SVC_ILC, ilc);
      lowcore.setUint16(LOWCORE.SVC_CODE, i.i);
    });
    return NEXT.POLL;
  }
  /** MONITOR CALL: an interruption when the class's bit in CR8 is one. SA22-7832 chapter 7 "MONITOR CALL". */
  monitorCall(monitorClass: number, code: bigint): void {
    if (monitorClass > 15) throw new ProgramInterruption(PGM.SPECIFICATION);
    if ((this.cr(8) & (0x8000n >> BigInt(monitorClass))) === 0n) return;
    const { FIRST, LENGTH } = LOWCORE_STORED;
    const host = this.storage.hostOfReal(FIRST, true, LENGTH) - FIRST;
    this.dv.setUint16(host + LOWCORE.MONITOR_CLASS, monitorClass);
    this.dv.setBigUint64(host + LOWCORE.MONITOR_CODE, code);
    throw new ProgramInterruption(PGM.MONITOR);
  }
  // --- for people ----------------------------------------------------------------------------------------------

  /** Bytes at a logical address. @throws ProgramInterruption or Retry when they cannot be reached. */
  readGuest(address: bigint, length: number): Uint8Array {
    return this.storage.read(address, length);
  }
  /** The code places entered last, newest last, disassembled. */
  lastInstructions(count: number): string[] {
    return this.#ring
      .slice(-count)
      .map(({ address, text }) => `${address.toString(16).padStart(8, '0')}: ${disassemble(text, address)}`);
  }
}
