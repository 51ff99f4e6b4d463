/**
 * Both ends of virtual mode's common case in WebAssembly: the vCPU posts a call in the hypercall words of its run page
 * and looks at them until the kernel has answered; the kernel's thread looks at them while it has nothing else to do. So
 * a call is two cache lines' journeys and no doorbell.
 *
 * Who waits for whom:
 * - `hcall_watched` is 1 while the kernel looks. It sets the word, looks at the state, and clears it before it looks a
 *   last time and sleeps; the vCPU stores POSTED, then loads the word, and rings the kernel when it is 0. All are
 *   sequentially consistent: if the vCPU's load found 1, the kernel's clearing and its last look come later and find POSTED.
 *   It loads the word only after {@link PATIENCE} looks for the answer: a kernel that is awake finds the call by itself,
 *   and a ring would only make it look at everything again while the next call comes.
 * - A vCPU that has looked for long enough makes POSTED into WAITED by compare and exchange, and sleeps on its doorbell;
 *   the kernel exchanges the state for DONE and rings when it was WAITED. One of the two is first: either the vCPU finds
 *   DONE, or the kernel WAITED.
 *
 * What is not common goes to TypeScript at either end with the words as they are: `guest/vcpu/hypercall.ts`,
 * `book3s_64_vio.ts`.
 */
import { HCALL, HCALL_RETURN, HCALLS_WITH_OUTPUT } from '../include/arch/ppc/hcall.ts';
import { HCALL_POSTED_ARGS, HCALL_POSTED_BIT, HCALL_STATE, HCALL_TIER, KVM_RUN } from '../include/uapi/kvm_run.ts';
import { emitRing } from '../lib/doorbell_wasm.ts';
import { emitPause } from '../lib/pause_wasm.ts';
import { WATCH } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import { FunctionBuilder } from '../lib/wasm/function_builder.ts';
import type { FunctionBody } from '../lib/wasm/module.ts';
import { type I32, i32, i64, mem } from '../lib/wasm/types.ts';
import { hcallSwitch, KVM_HEADER } from './kvm_area.ts';

const at0 = i32.const(0);
const { offset } = KVM_RUN;
const WORD = 8;
/** Calls that the kernel serves without a look at its other tasks. */
const CALLS_IN_A_ROW = 256;

/** Looks for the answer before the kernel is rung: as long as its way from one task to the next. */
const PATIENCE = 16;

/** Calls that are posted; H_LOGICAL_CI_* ask first whether the kernel reaches the address, in TypeScript. */
const POSTED_CALLS = [HCALL.H_PUT_TCE, HCALL.H_GET_TCE, HCALL.H_STUFF_TCE, HCALL.H_PUT_TCE_INDIRECT] as const;

/** Where a vCPU's words are: HPAs. */
export interface CallerPlaces {
  /** General registers: sixteen 64-bit words, native order. */
  readonly gprs: number;
  readonly run: number;
  /** `map.kvm`. */
  readonly kvm: number;
  readonly traceEnable: number;
  readonly kernelDoorbell: number;
}

const count = (at: number) => mem.store64(at0, i64.add(mem.load64(at0, at), i64.const(1)), at);

/**
 * The vCPU's end: posts the call that general registers 1 to 5 hold, and goes on as {@link awaitFunction}.
 * @param awaitIndex number of that function in the module
 * @returns 0 as well when the call is not for virtual mode, or is traced: then nothing is posted
 */
export function postFunction(places: CallerPlaces, awaitIndex: number): FunctionBody {
  const { gprs, run, kvm, traceEnable } = places;
  const b = new FunctionBuilder(0);
  const refuseIf = (condition: I32) => b.if(condition, () => b.return(at0));
  refuseIf(mem.load8U(at0, traceEnable + EVENT.kvm_hcall_enter));
  refuseIf(mem.load8U(at0, traceEnable + EVENT.kvm_hcall_exit));
  const bit = b.local32();
  for (const nr of POSTED_CALLS)
    b.if(i64.eq(mem.load64(at0, gprs + WORD), i64.const(nr)), () => b.set(bit, i32.const(hcallSwitch(nr))));
  refuseIf(i32.eqz(i32.and(mem.load32(at0, kvm + KVM_HEADER.offset.enabled), bit.get)));
  b.emit(mem.store64(at0, mem.load64(at0, gprs + WORD), run + offset.hcall_nr));
  for (let i = 0; i < HCALL_POSTED_ARGS; i++)
    b.emit(mem.store64(at0, mem.load64(at0, gprs + WORD * (2 + i)), run + offset.hcall_args + WORD * i));
  b.emit(mem.atomicStore32(at0, i32.const(HCALL_STATE.POSTED), run + offset.hcall_state));
  b.emit(b.call32(awaitIndex, i32.const(1)).code);
  return { signature: { params: [], results: ['i32'] }, locals: b.locals, code: b.out };
}

/**
 * (1 when the kernel was not rung yet) -> looks at the state for `hcall_turns` turns, and takes the answer over into
 * general registers 2 and 3.
 * @returns 1 when the call is done; 0 when there is no answer yet (the state is POSTED), or none but H_TOO_HARD (DONE)
 */
export function awaitFunction({ gprs, run, kernelDoorbell }: CallerPlaces): FunctionBody {
  const b = new FunctionBuilder(1);
  const silent = b.parameter32(0);
  const [turns, patience] = [b.local32(), b.local32()];
  b.set(turns, mem.load32(at0, run + offset.hcall_turns));
  // The look after which the kernel is rung, counted as `turns` is.
  b.set(patience, i32.sub(turns.get, i32.const(PATIENCE)));
  b.set(patience, i32.select(i32.gtS(patience.get, i32.const(0)), patience.get, i32.const(0)));
  const ringNow = i32.and(silent.get, i32.eq(turns.get, patience.get));
  b.block((done) =>
    b.loop((again) => {
      b.brIf(i32.eq(mem.atomicLoad32(at0, run + offset.hcall_state), i32.const(HCALL_STATE.DONE)), done);
      b.if(i32.and(ringNow, i32.eqz(mem.atomicLoad32(at0, run + offset.hcall_watched))), () => {
        emitRing(b, kernelDoorbell);
        b.set(silent, at0);
      });
      b.if(i32.eqz(turns.get), () => b.return(at0));
      b.set(turns, i32.sub(turns.get, i32.const(1)));
      emitPause(b);
      b.br(again);
    }),
  );
  const tooHard = i64.const(HCALL_RETURN.H_TOO_HARD);
  b.if(i64.eq(mem.load64(at0, run + offset.hcall_args), tooHard), () => b.return(at0));
  b.emit(mem.store64(at0, mem.load64(at0, run + offset.hcall_args), gprs + 2 * WORD));
  const isCall = (nr: number) => i64.eq(mem.load64(at0, run + offset.hcall_nr), i64.const(nr));
  b.if(HCALLS_WITH_OUTPUT.map(isCall).reduce(i32.or), () =>
    b.emit(mem.store64(at0, mem.load64(at0, run + offset.hcall_args + WORD), gprs + 3 * WORD)),
  );
  b.emit(mem.store32(at0, i32.const(HCALL_STATE.IDLE), run + offset.hcall_state));
  b.emit(count(run + offset.hcall_seen));
  b.if(silent.get, () => b.emit(count(run + offset.hcall_unrung)));
  b.emit(i32.const(1).code);
  return { signature: { params: ['i32'], results: ['i32'] }, locals: b.locals, code: b.out };
}

/** Where the kernel finds a vCPU's words: HPAs. */
export interface ServerPlaces {
  readonly run: number;
  readonly traceEnable: number;
  readonly kernelDoorbell: number;
  readonly vcpuDoorbell: number;
}

/**
 * The kernel's end: (sequence of its doorbell at its last look at everything, turns) -> {@link WATCH}. Serves the
 * vCPU's calls as long as they come, the doorbell is still and turns are left.
 * @param handlerIndex number of the handler in the module, which answers in the hypercall words
 */
export function watchFunction(places: ServerPlaces, handlerIndex: number): FunctionBody {
  const { run, traceEnable, kernelDoorbell, vcpuDoorbell } = places;
  const b = new FunctionBuilder(2);
  const [seen, turns] = [b.parameter32(0), b.parameter32(1)];
  const [left, calls, state, result] = [b.local32(), b.local32(), b.local32(), b.local32()];
  const watched = (value: number) => b.emit(mem.atomicStore32(at0, i32.const(value), run + offset.hcall_watched));
  const traced = (event: number) => mem.load8U(at0, traceEnable + event);
  watched(1);
  b.set(left, turns.get);
  b.set(result, i32.const(WATCH.OTHER));
  b.block((end) =>
    b.loop((again) => {
      b.brIf(i32.ne(mem.atomicLoad32(at0, kernelDoorbell), seen.get), end);
      b.set(state, mem.atomicLoad32(at0, run + offset.hcall_state));
      b.if(i32.eq(i32.and(state.get, i32.const(HCALL_POSTED_BIT)), i32.const(0)), () => {
        b.if(i32.eqz(left.get), () => {
          b.set(result, i32.const(WATCH.NOTHING));
          b.br(end);
        });
        b.set(left, i32.sub(left.get, i32.const(1)));
        emitPause(b);
        b.br(again);
      });
      b.if(
        i32.or(i32.or(traced(EVENT.hypercall), traced(EVENT.hypercall_ret)), i32.eqz(b.call32(handlerIndex))),
        () => {
          b.set(result, i32.const(WATCH.OWN));
          b.br(end);
        },
      );
      b.emit(mem.store32(at0, i32.const(HCALL_TIER.VIRTUAL), run + offset.hcall_tier));
      const before = mem.exchange32(at0, i32.const(HCALL_STATE.DONE), run + offset.hcall_state);
      b.if(i32.eq(before, i32.const(HCALL_STATE.WAITED)), () => emitRing(b, vcpuDoorbell));
      b.set(left, turns.get);
      b.set(calls, i32.add(calls.get, i32.const(1)));
      b.brIf(i32.ltU(calls.get, i32.const(CALLS_IN_A_ROW)), again);
    }),
  );
  watched(0);
  b.emit(result.get.code);
  return { signature: { params: ['i32', 'i32'], results: ['i32'] }, locals: b.locals, code: b.out };
}
