/**
 * Real mode: TCE hypercalls, and accesses to mapped BARs, answered on the vCPU's own thread, inside the guest run (arch/powerpc/kvm/
 * book3s_64_vio_hv.c). Shared memory only: no allocation, no bigint, no waiting, bounded work. What does not fit goes
 * on to virtual mode by H_TOO_HARD.
 *
 * `RealMode.hcall` is the whole of it; the common case has a second form, `book3s_64_vio_hv_wasm.ts`.
 *
 * What real mode reads without a lock is freed only after this vCPU has left the guest: see `vcpu_requests.ts`.
 */
import { drainDma } from '../../devices/physical/phb/pe.ts';
import { HCALL, HCALL_RETURN, TCE_INDIRECT_MAX } from '../include/arch/ppc/hcall.ts';
import { TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { KVM_RUN } from '../include/uapi/kvm_run.ts';
import { AddressSpace } from '../lib/address_space.ts';
import type { Doorbell } from '../lib/doorbell.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import { actorAreas, type SharedMap } from '../lib/shared_map.ts';
import type { Tracer } from '../lib/trace.ts';
import { TceOps } from '../ppc/tce_ops.ts';
import {
  compileHcall,
  FIRST_FUNCTION,
  type HcallPlaces,
  type HcallSteps,
  hcallFunction,
  instantiate,
} from './book3s_64_vio_hv_wasm.ts';
import { awaitFunction, postFunction } from './hcall_words_wasm.ts';
import { hcallSwitch, KVM_HEADER } from './kvm_area.ts';
import { LogicalCi } from './logical_ci.ts';
import { checkIndirect, checkStuff, entryCount, SpaprTce } from './spapr_tce.ts';
import { VcpuRequests } from './vcpu_requests.ts';

const { H_PARAMETER, H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;

/** Most hardware entries one call changes in real mode: what H_PUT_TCE_INDIRECT may name (PAPR). Some ten microseconds. */
export const REAL_MODE_ENTRIES = 512;

if (TCE_INDIRECT_MAX * TCE_SIZE > PAGE_SIZE) throw new Error('a list of TCEs is not in one page');

/** A word of the guest's, which is big-endian. */
function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

export interface RealModeOptions {
  /** Offset of the `attention` word in the vCPU state block. */
  readonly attentionOffset: number;
  /** The vCPU's tracer. */
  readonly tracer?: Tracer;
  /** The kernel's doorbell. */
  readonly kernel?: Doorbell;
}

/** One per vCPU thread. */
export class RealMode {
  readonly #memory: HostMemory;
  readonly #map: SharedMap;
  readonly #phbBase: number;
  readonly #requests: VcpuRequests;
  readonly #i32: Int32Array;
  readonly #tce: SpaprTce;
  readonly #ci: LogicalCi;
  readonly #space: AddressSpace;
  readonly #memslots: Memslots;
  /** A guest's list of TCEs, high and low words; made once. */
  readonly #list = new Int32Array(2 * TCE_INDIRECT_MAX);
  /** Word numbers of the switches. */
  readonly #enabled: number;
  readonly #radix: number;

  /** @param phbBase the host bridge's area. */
  constructor(memory: HostMemory, map: SharedMap, phbBase: number, options: RealModeOptions) {
    const space = new AddressSpace(memory, map);
    const requests = new VcpuRequests(memory, map, options.attentionOffset);
    this.#memory = memory;
    this.#map = map;
    this.#phbBase = phbBase;
    this.#requests = requests;
    this.#space = space;
    this.#memslots = new Memslots(memory, map.memslots);
    space.onCodeWritten = (va) => requests.codeWritten(va);
    const written = (va: number, hpa: number) => space.written(va, hpa);
    this.#i32 = memory.i32;
    this.#tce = new SpaprTce(memory, map, new TceOps(memory, map.kvm, phbBase, { written, tracer: options.tracer }));
    this.#ci = new LogicalCi(memory, map, phbBase, { tracer: options.tracer, kernel: options.kernel });
    this.#enabled = (map.kvm + KVM_HEADER.offset.enabled) >>> 2;
    this.#radix = (map.kvm + KVM_HEADER.offset.radix) >>> 2;
  }

  /** The common case as a WebAssembly function: see {@link compileHcall}. What it does not do is for {@link hcall}. */
  compile(places: HcallPlaces): () => number {
    return compileHcall(this.#memory, this.#map, this.#phbBase, places, this.#steps());
  }

  /**
   * {@link compile} for the vCPU whose run page and general registers these are, with virtual mode's common case behind
   * it for radix guests. `wait` waits for the answer to what is posted: see `hcall_words_wasm.ts`.
   */
  compileForVcpu(
    run: number,
    gprs: number,
  ): { readonly hypercall: () => number; readonly wait: (ring: number) => number } {
    const map = this.#map;
    const [real, post, wait] = [FIRST_FUNCTION, FIRST_FUNCTION + 1, FIRST_FUNCTION + 2];
    const places = { gprs, done: run + KVM_RUN.offset.hcall_real, radix: post };
    const kernelDoorbell = actorAreas(map, 'kernel').doorbell;
    const caller = { gprs, run, kvm: map.kvm, traceEnable: map.traceEnable, kernelDoorbell };
    const functions = [];
    functions[real - FIRST_FUNCTION] = { ...hcallFunction(map, this.#phbBase, places), export: 'hypercall' };
    functions[post - FIRST_FUNCTION] = postFunction(caller, wait);
    functions[wait - FIRST_FUNCTION] = { ...awaitFunction(caller), export: 'wait' };
    const { hypercall, wait: waiting } = instantiate(this.#memory, this.#steps(), functions);
    return { hypercall, wait: waiting };
  }

  #steps(): HcallSteps {
    return {
      drain: (block) => drainDma(this.#memory, block >>> 0),
      codeWritten: (page) => this.#requests.codeWritten(page * PAGE_SIZE),
    };
  }

  /** High word of what a successful H_GET_TCE or H_LOGICAL_CI_LOAD returned, the last one answered. */
  outHi = 0;
  /** Low word of it. */
  outLo = 0;

  /** Whether the kernel answers this call at all; a call that is not enabled goes to the VMM at once. */
  enabled(nr: number): boolean {
    return (this.#i32[this.#enabled] & hcallSwitch(nr)) !== 0;
  }

  /**
   * Whether virtual mode may finish a call that was too hard here: it is enabled, and one on a device's address is on one
   * that the kernel reaches. Most addresses of devices are not: they go to the VMM without the detour.
   */
  virtualMode(nr: number, arg2Hi: number, arg2Lo: number): boolean {
    if (!this.enabled(nr)) return false;
    return nr !== HCALL.H_LOGICAL_CI_LOAD && nr !== HCALL.H_LOGICAL_CI_STORE ? true : this.#ci.reaches(arg2Hi, arg2Lo);
  }

  /**
   * Answers a hypercall. Arguments 1 to 4 (r4 to r7) as high and low words.
   * @returns an H_* code; H_TOO_HARD: ask virtual mode. Loads have a result, in {@link outHi} and {@link outLo}.
   */
  hcall(
    nr: number,
    liobnHi: number,
    liobnLo: number,
    iobaHi: number,
    iobaLo: number,
    arg3Hi: number,
    arg3Lo: number,
    arg4Hi: number,
    arg4Lo: number,
  ): number {
    if (this.#i32[this.#radix] !== 0 || !this.enabled(nr)) return H_TOO_HARD;
    if (nr === HCALL.H_LOGICAL_CI_LOAD || nr === HCALL.H_LOGICAL_CI_STORE)
      return this.#logicalCi(nr, liobnHi, liobnLo, iobaHi, iobaLo, arg3Hi, arg3Lo);
    const tce = this.#tce;
    const stt = tce.find(liobnHi, liobnLo);
    if (stt === 0) return H_TOO_HARD;
    const index = tce.index(stt, iobaHi, iobaLo);
    if (index < 0) return H_PARAMETER;
    switch (nr) {
      case HCALL.H_PUT_TCE:
        return tce.subpages(stt) > REAL_MODE_ENTRIES ? H_TOO_HARD : tce.put(stt, index, arg3Hi, arg3Lo);
      case HCALL.H_GET_TCE: {
        const result = tce.get(stt, index);
        this.outHi = tce.outHi;
        this.outLo = tce.outLo;
        return result;
      }
      case HCALL.H_STUFF_TCE:
        return this.#stuff(stt, index, arg3Hi, arg3Lo, entryCount(arg4Hi, arg4Lo));
      default:
        return this.#indirect(stt, index, arg3Hi, arg3Lo, entryCount(arg4Hi, arg4Lo));
    }
  }

  #logicalCi(
    nr: number,
    sizeHi: number,
    sizeLo: number,
    addressHi: number,
    addressLo: number,
    valueHi: number,
    valueLo: number,
  ): number {
    const ci = this.#ci;
    // Whoever is at the registers may be waiting for DMA: that is not for real mode to wait for.
    if (nr === HCALL.H_LOGICAL_CI_STORE) return ci.store(sizeHi, sizeLo, addressHi, addressLo, valueHi, valueLo, false);
    const result = ci.load(sizeHi, sizeLo, addressHi, addressLo, false);
    this.outHi = ci.outHi;
    this.outLo = ci.outLo;
    return result;
  }

  #indirect(stt: number, index: number, listHi: number, listLo: number, count: number): number {
    const tce = this.#tce;
    const wrong = checkIndirect(index, listLo, count, tce.size(stt));
    if (wrong !== H_SUCCESS) return wrong;
    if (Math.max(1, tce.subpages(stt)) * count > REAL_MODE_ENTRIES) return H_TOO_HARD;
    if (count > 0 && !this.#readList((listHi >>> 0) * 0x1_0000_0000 + (listLo >>> 0), count)) return H_TOO_HARD;
    return tce.putList(stt, index, this.#list, count);
  }

  /**
   * Copies the guest's list. Its page may move at any time unless it is registered: a short reference holds it, as in
   * get_user_pages_fast. Linux locks the reverse mapping and walks the page table. @returns false outside guest memory,
   * and for a page that is on the move now
   */
  #readList(gpa: number, count: number): boolean {
    const hva = this.#memslots.hva(gpa);
    if (hva < 0) return false;
    const hpa = this.#space.getPage(hva, false);
    if (hpa < 0) return false;
    for (let i = 0, at = hpa >>> 2; i < 2 * count; i++) this.#list[i] = swap32(this.#i32[at + i]);
    this.#space.keys.touched(hpa, false);
    this.#space.putPage(hva, hpa, false);
    return true;
  }

  #stuff(stt: number, index: number, valueHi: number, valueLo: number, count: number): number {
    const wrong = checkStuff(index, valueLo, count, this.#tce.size(stt));
    if (wrong !== H_SUCCESS) return wrong;
    if (Math.max(1, this.#tce.subpages(stt)) * count > REAL_MODE_ENTRIES) return H_TOO_HARD;
    return this.#tce.stuff(stt, index, valueHi, valueLo, count);
  }
}
