/**
 * Virtual mode: TCE hypercalls that real mode passed on, answered by the kernel's thread, which may wait
 * (arch/powerpc/kvm/book3s_64_vio.c). Each vCPU has one task that watches the hypercall words of its run page.
 */

import { drainDma } from '../../devices/physical/phb/pe.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import { HCALL_STATE, HCALL_TIER, isPosted, KVM_RUN } from '../include/uapi/kvm_run.ts';
import type { Kernel } from '../kernel.ts';
import { Doorbell } from '../lib/doorbell.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import { looksOf } from '../lib/pause_wasm.ts';
import { actorAreas } from '../lib/shared_map.ts';
import { preempt, type Task, type Wait } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import type { PowernvTce } from '../ppc/powernv_tce.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import { FIRST_FUNCTION, hcallFunction, instantiate } from './book3s_64_vio_hv_wasm.ts';
import { watchFunction } from './hcall_words_wasm.ts';
import { hcallSwitch, KVM_HEADER } from './kvm_area.ts';
import { LogicalCi } from './logical_ci.ts';
import { checkIndirect, checkStuff, entryCount, rangeFits, SpaprTce } from './spapr_tce.ts';

const { H_PARAMETER, H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;

/** Entries changed by H_STUFF_TCE before other tasks of the kernel get a turn. */
const STUFF_CHUNK = 4096;

/** Where the guest's arguments stand: words of the run page, low word first. */
class HcallArguments {
  readonly #kernel: Kernel;
  readonly #base: number;
  constructor(kernel: Kernel, run: number) {
    this.#kernel = kernel;
    this.#base = run + KVM_RUN.offset.hcall_args;
  }
  lo(n: number): number {
    return this.#kernel.memory.i32[(this.#base >>> 2) + 2 * n];
  }
  hi(n: number): number {
    return this.#kernel.memory.i32[(this.#base >>> 2) + 2 * n + 1];
  }
  set(n: number, hi: number, lo: number): void {
    this.#kernel.memory.i32[(this.#base >>> 2) + 2 * n] = lo;
    this.#kernel.memory.i32[(this.#base >>> 2) + 2 * n + 1] = hi;
  }
}

/** The handlers of virtual mode; one for all vCPUs of a virtual machine. */
export class VirtualMode {
  readonly #host: TceContext;
  readonly #tce: SpaprTce;
  readonly #ci: LogicalCi;
  readonly #ops: PowernvTce;
  readonly #memslots: Memslots;
  readonly #enabled: number;

  constructor(host: TceContext) {
    const { kernel, map, ops } = host;
    this.#host = host;
    this.#ops = ops;
    this.#tce = new SpaprTce(kernel.memory, map, ops);
    this.#ci = new LogicalCi(kernel.memory, map, map.phb, { tracer: kernel.tracer });
    this.#memslots = new Memslots(kernel.memory, map.memslots);
    this.#enabled = map.kvm + KVM_HEADER.offset.enabled;
  }

  /**
   * The common case in WebAssembly, on the hypercall words of a vCPU's run page: they lie as general registers 1 on would.
   * `fast` answers one call; `watch` looks out for calls and answers them: see `hcall_words_wasm.ts`.
   */
  compile(vcpu: number): { readonly fast: () => number; readonly watch: (seen: number, turns: number) => number } {
    const { kernel, map, mm } = this.#host;
    const { memory } = kernel;
    const { run } = map.vcpus[vcpu];
    const { hcall_nr, hcall_virtual } = KVM_RUN.offset;
    const places = { gprs: run + hcall_nr - 8, done: run + hcall_virtual, virtual: true };
    const server = {
      run,
      traceEnable: map.traceEnable,
      kernelDoorbell: actorAreas(map, 'kernel').doorbell,
      vcpuDoorbell: actorAreas(map, `vcpu${vcpu}`).doorbell,
    };
    const steps = {
      drain: (block: number) => drainDma(memory, block >>> 0),
      codeWritten: (page: number) => mm.space.onCodeWritten(page * PAGE_SIZE),
    };
    const { fast, watch } = instantiate(memory, steps, [
      { ...hcallFunction(map, map.phb, places), export: 'fast' },
      { ...watchFunction(server, FIRST_FUNCTION), export: 'watch' },
    ]);
    return { fast, watch };
  }

  /** Whether the kernel answers this call. */
  enabled(nr: number): boolean {
    return (this.#host.kernel.memory.load(this.#enabled) & hcallSwitch(nr)) !== 0;
  }

  /** Calls that are over in a moment: no generator is made for them. undefined: {@link long}. */
  short(nr: number, args: HcallArguments): number | undefined {
    const tce = this.#tce;
    if (nr === HCALL.H_LOGICAL_CI_LOAD || nr === HCALL.H_LOGICAL_CI_STORE) return this.#logicalCi(nr, args);
    if (nr !== HCALL.H_PUT_TCE && nr !== HCALL.H_GET_TCE) return undefined;
    const stt = tce.find(args.hi(0), args.lo(0));
    if (stt === 0) return H_TOO_HARD;
    const index = tce.index(stt, args.hi(1), args.lo(1));
    if (index < 0) return H_PARAMETER;
    if (nr === HCALL.H_PUT_TCE) {
      const result = tce.put(stt, index, args.hi(2), args.lo(2));
      return result === H_TOO_HARD && this.#ops.moving !== 0 ? undefined : result;
    }
    const result = tce.get(stt, index);
    args.set(1, tce.outHi, tce.outLo);
    return result;
  }

  #logicalCi(nr: number, args: HcallArguments): number {
    const ci = this.#ci;
    const [sizeHi, sizeLo, addressHi, addressLo] = [args.hi(0), args.lo(0), args.hi(1), args.lo(1)];
    if (nr === HCALL.H_LOGICAL_CI_STORE)
      return ci.store(sizeHi, sizeLo, addressHi, addressLo, args.hi(2), args.lo(2), true);
    const result = ci.load(sizeHi, sizeLo, addressHi, addressLo, true);
    if (result === H_SUCCESS) args.set(1, ci.outHi, ci.outLo);
    return result;
  }

  /** Calls that take a while or read guest memory, and those for which {@link short} met a page on the move. */
  *long(nr: number, args: HcallArguments): Task<number> {
    if (nr === HCALL.H_STUFF_TCE) return yield* this.#stuff(args);
    if (nr === HCALL.H_PUT_TCE_INDIRECT) return yield* this.#indirect(args);
    if (nr === HCALL.H_PUT_TCE) return yield* this.#settled(() => this.short(nr, args) ?? H_TOO_HARD);
    return H_TOO_HARD;
  }

  /** Makes a call again that was too hard only because a page to be pinned is on the move, once it has settled. */
  *#settled(call: () => number): Task<number> {
    for (;;) {
      const { moving } = this.#ops;
      this.#ops.moving = 0;
      if (moving !== 0) yield* this.#host.mm.settle(moving);
      const result = call();
      if (result !== H_TOO_HARD || this.#ops.moving === 0) return result;
    }
  }

  /** A pause may end the table's life: it is looked up again by its number, and the VMM is asked when it is gone. */
  *#stuff(args: HcallArguments): Task<number> {
    const tce = this.#tce;
    const [liobnHi, liobnLo] = [args.hi(0), args.lo(0)];
    const [valueHi, valueLo] = [args.hi(2), args.lo(2)];
    let stt = tce.find(liobnHi, liobnLo);
    if (stt === 0) return H_TOO_HARD;
    const index = tce.index(stt, args.hi(1), args.lo(1));
    if (index < 0) return H_PARAMETER;
    const count = entryCount(args.hi(3), args.lo(3));
    const wrong = checkStuff(index, valueLo, count, tce.size(stt));
    if (wrong !== H_SUCCESS) return wrong;
    for (let done = 0; done < count; done += STUFF_CHUNK) {
      if (done > 0) {
        yield* preempt();
        stt = tce.find(liobnHi, liobnLo);
        if (stt === 0 || !rangeFits(index, count, tce.size(stt))) return H_TOO_HARD;
      }
      const result = tce.stuff(stt, index + done, valueHi, valueLo, Math.min(STUFF_CHUNK, count - done));
      if (result !== H_SUCCESS) return result;
    }
    return H_SUCCESS;
  }

  *#indirect(args: HcallArguments): Task<number> {
    const tce = this.#tce;
    const [liobnHi, liobnLo, iobaHi, iobaLo] = [args.hi(0), args.lo(0), args.hi(1), args.lo(1)];
    const [listHi, listLo] = [args.hi(2), args.lo(2)];
    const before = tce.find(liobnHi, liobnLo);
    if (before === 0) return H_TOO_HARD;
    const count = entryCount(args.hi(3), args.lo(3));
    const wrong = checkIndirect(tce.index(before, iobaHi, iobaLo), listLo, count, tce.size(before));
    if (wrong !== H_SUCCESS || count === 0) return wrong;
    const list = yield* this.#readList((listHi >>> 0) * 0x1_0000_0000 + (listLo >>> 0), count);
    if (list === undefined) return H_TOO_HARD;
    return yield* this.#settled(() => {
      // Reading, or a page on the move, may have meant waiting.
      const stt = tce.find(liobnHi, liobnLo);
      const index = stt === 0 ? -1 : tce.index(stt, iobaHi, iobaLo);
      if (index < 0 || !rangeFits(index, count, tce.size(stt))) return H_TOO_HARD;
      return tce.putList(stt, index, list, count);
    });
  }

  /** The guest's list of `count` big-endian TCEs, high and low words; undefined when it is not in guest memory. */
  *#readList(gpa: number, count: number): Task<Int32Array | undefined> {
    const hva = this.#memslots.hva(gpa);
    if (hva < 0) return undefined;
    try {
      const bytes = yield* this.#host.mm.space.copyIn(hva, count * TCE_SIZE);
      const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return Int32Array.from({ length: 2 * count }, (_, i) => dv.getInt32(4 * i));
    } catch (error) {
      if (error instanceof Errno) return undefined;
      throw error;
    }
  }
}

/**
 * Serves the hypercalls that vCPU `vcpu` posts, until `gone()` holds.
 * The vCPU writes `hcall_nr` and `hcall_args` (four arguments), stores POSTED and rings the kernel unless it watches; it
 * finds the return code in `hcall_args` 0, values from 1 on, and `hcall_tier` when the state is DONE. H_TOO_HARD: leave
 * to the VMM.
 */
export function* hcallTask({ kernel, map }: TceContext, virtual: VirtualMode, vcpu: number, gone: () => boolean): Task {
  const { memory, tracer } = kernel;
  const { run } = map.vcpus[vcpu];
  const state = run + KVM_RUN.offset.hcall_state;
  const nrAt = (run + KVM_RUN.offset.hcall_nr) >>> 2;
  const tierAt = (run + KVM_RUN.offset.hcall_tier) >>> 2;
  const args = new HcallArguments(kernel, run);
  const { fast, watch } = virtual.compile(vcpu);
  const doorbell = new Doorbell(memory, actorAreas(map, `vcpu${vcpu}`).doorbell);
  const posted = () => isPosted(memory.load(state));
  const wait: Wait = {
    what: 'hypercall',
    ready: () => posted() || gone(),
    strategy: 'kernel_hcall',
    watch: (seen, loads) => watch(seen, looksOf(loads)),
  };
  for (;;) {
    if (!posted()) {
      if (gone()) return;
      yield wait;
      continue;
    }
    const nr = memory.i32[nrAt];
    if (tracer.on(EVENT.hypercall))
      tracer.point(EVENT.hypercall, nr, args.lo(0) >>> 0, args.lo(1) >>> 0, args.lo(2) >>> 0);
    if (fast() === 0) {
      let result: number = H_TOO_HARD;
      if (memory.i32[nrAt + 1] === 0 && virtual.enabled(nr))
        result = virtual.short(nr, args) ?? (yield* virtual.long(nr, args));
      args.set(0, result < 0 ? -1 : 0, result);
    }
    if (tracer.on(EVENT.hypercall_ret)) tracer.point(EVENT.hypercall_ret, nr, args.lo(0), HCALL_TIER.VIRTUAL);
    memory.i32[tierAt] = HCALL_TIER.VIRTUAL;
    if (memory.exchange(state, HCALL_STATE.DONE) === HCALL_STATE.WAITED) doorbell.ring();
  }
}
