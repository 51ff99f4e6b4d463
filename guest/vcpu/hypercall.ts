/**
 * DIAGNOSE X'5E0' on the vCPU's thread, after the WebAssembly form of real mode did not finish it: real mode first;
 * then, for a short while, spinning for the kernel (virtual mode) without leaving translated code. What neither finishes
 * becomes an exit.
 */
import { HCALL_RETURN, hasOutput } from '../../kernel/include/arch/ppc/hcall.ts';
import { HCALL_POSTED_ARGS, HCALL_STATE, HCALL_TIER, KVM_RUN } from '../../kernel/include/uapi/kvm_run.ts';
import type { RealMode } from '../../kernel/kvm/book3s_64_vio_hv.ts';
import type { Doorbell } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { looksOf } from '../../kernel/lib/pause_wasm.ts';
import { CPUS, SpinBudget } from '../../kernel/lib/spin_budget.ts';
import { type Task, until } from '../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../kernel/lib/trace.ts';
import type { Registers } from './registers.ts';

const { H_TOO_HARD } = HCALL_RETURN;
/** Loads of the state word, in JavaScript's time for one, before the vCPU leaves translated code and waits as its scheduler says. */
const SPINS = 20_000;

const { offset } = KVM_RUN;

export class Hypercalls {
  readonly #memory: HostMemory;
  readonly #run: number;
  readonly #registers: Registers;
  readonly #realMode: RealMode;
  readonly #wait: (ring: number) => number;
  readonly #kernel: Doorbell;
  readonly #turns: number;
  /** Number of the CPU in trace events. */
  readonly #cpu: number;
  readonly #tracer: Tracer;
  readonly #budget = new SpinBudget();
  /** `hcall_seen` when the kernel was last found slow. */
  #seen = 0;
  /** Of the call under way. */
  #token = 0;
  readonly #finished = [0, 0, 0];

  /** What translated code calls first: see `RealMode.compileForVcpu`. */
  readonly fast: () => number;

  /** @param options `spin` false under the simulated scheduler, where nobody answers while this code runs. */
  constructor(
    memory: HostMemory,
    run: number,
    registers: Registers,
    realMode: RealMode,
    kernel: Doorbell,
    options: { readonly spin: boolean; readonly cpu: number; readonly tracer: Tracer },
  ) {
    this.#memory = memory;
    this.#run = run;
    this.#registers = registers;
    this.#realMode = realMode;
    this.#kernel = kernel;
    this.#turns = options.spin && CPUS > 1 ? looksOf(SPINS) : 0;
    this.#cpu = options.cpu;
    this.#tracer = options.tracer;
    ({ hypercall: this.fast, wait: this.#wait } = realMode.compileForVcpu(run, registers.gprs));
    this.#page.hcall_turns = this.#turns;
  }

  get #page() {
    return KVM_RUN.at(this.#memory.dv, this.#run);
  }

  /** Calls finished by each tier; real mode's include those that translated code had done without coming here. */
  get finished(): readonly number[] {
    const [real, virtual, vmm] = this.#finished;
    const { hcall_real, hcall_seen } = this.#page;
    return [real + hcall_real, virtual + hcall_seen, vmm];
  }
  /** Counts a call that a tier finished; the results are in the registers. */
  count(tier: number): void {
    this.#finished[tier]++;
    this.#traceExit(tier);
  }
  #traceExit(tier: number): void {
    if (this.#tracer.on(EVENT.kvm_hcall_exit))
      this.#tracer.point(EVENT.kvm_hcall_exit, this.#cpu, this.#token, this.#registers.gprLow(2), tier);
  }

  /** Called from translated code: true when the hypercall is done and its results are in the registers. */
  call(): boolean {
    const r = this.#registers;
    const nr = r.gprHigh(1) === 0 ? r.gprLow(1) : 0;
    this.#token = nr;
    // Posted by translated code, which looked long enough or found that the VMM is to be asked.
    if (this.posted) return false;
    if (this.#tracer.on(EVENT.kvm_hcall_enter))
      this.#tracer.point(EVENT.kvm_hcall_enter, this.#cpu, nr, r.gprLow(2) >>> 0, r.gprLow(3) >>> 0);
    const result = this.#realMode.hcall(
      nr,
      r.gprHigh(2),
      r.gprLow(2),
      r.gprHigh(3),
      r.gprLow(3),
      r.gprHigh(4),
      r.gprLow(4),
      r.gprHigh(5),
      r.gprLow(5),
    );
    if (result !== H_TOO_HARD) {
      r.setGprSigned(2, result);
      if (result === 0 && hasOutput(nr)) r.setGpr(3, this.#realMode.outHi, this.#realMode.outLo);
      this.count(HCALL_TIER.REAL);
      return true;
    }
    // A call that the kernel does not answer is an exit at once: no detour through its thread.
    if (!this.#realMode.virtualMode(nr, r.gprHigh(3), r.gprLow(3))) return false;
    this.#post();
    if (this.#wait(0) === 0) return false;
    this.#traceExit(HCALL_TIER.VIRTUAL);
    return true;
  }

  /** Whether the hypercall under way was posted to the kernel: otherwise only the VMM can finish it. */
  get posted(): boolean {
    return this.#state() !== HCALL_STATE.IDLE;
  }

  /** After translated code was left with a posted hypercall: true when the kernel finished it, false when the VMM must. */
  *complete(): Task<boolean> {
    const at = this.#run + offset.hcall_state;
    if (this.#memory.cas(at, HCALL_STATE.POSTED, HCALL_STATE.WAITED) === HCALL_STATE.POSTED) {
      this.#grantTurns();
      yield* until('hypercall in virtual mode', () => this.#state() === HCALL_STATE.DONE, 'vcpu_hcall');
    }
    return this.#finish();
  }

  #state(): number {
    return this.#memory.load(this.#run + offset.hcall_state);
  }

  /** The kernel was not seen to answer in time: how long to look from now on. */
  #grantTurns(): void {
    const { hcall_seen } = this.#page;
    if (hcall_seen !== this.#seen) this.#budget.report(true);
    this.#seen = hcall_seen;
    this.#budget.report(false);
    this.#page.hcall_turns = this.#budget.grant(this.#turns);
  }

  #post(): void {
    const r = this.#registers;
    this.#words(offset.hcall_nr, r.gprHigh(1), r.gprLow(1));
    for (let i = 0; i < HCALL_POSTED_ARGS; i++)
      this.#words(offset.hcall_args + 8 * i, r.gprHigh(2 + i), r.gprLow(2 + i));
    this.#memory.store(this.#run + offset.hcall_state, HCALL_STATE.POSTED);
    this.#kernel.ring();
  }
  #words(at: number, high: number, low: number): void {
    const { dv } = this.#memory;
    dv.setUint32(this.#run + at, low, true);
    dv.setUint32(this.#run + at + 4, high, true);
  }

  #finish(): boolean {
    const { dv } = this.#memory;
    this.#memory.store(this.#run + offset.hcall_state, HCALL_STATE.IDLE);
    const low = dv.getUint32(this.#run + offset.hcall_args, true);
    if (low === H_TOO_HARD) return false;
    this.#registers.setGpr(2, dv.getUint32(this.#run + offset.hcall_args + 4, true), low);
    this.#takeOutputs(dv.getUint32(this.#run + offset.hcall_nr, true));
    this.count(HCALL_TIER.VIRTUAL);
    return true;
  }

  /** Results beyond the return code, for the hypercalls that have some (PAPR: r4 on, here GPR3 on). */
  #takeOutputs(nr: number): void {
    if (!hasOutput(nr)) return;
    const { dv } = this.#memory;
    const at = this.#run + offset.hcall_args + 8;
    this.#registers.setGpr(3, dv.getUint32(at + 4, true), dv.getUint32(at, true));
  }
}
