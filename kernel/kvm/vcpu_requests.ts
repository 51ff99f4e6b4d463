/**
 * Telling vCPUs something (kvm_make_vcpu_request, kvm_vcpu_kick): a bit in the run page, the attention word that makes
 * translated code leave, and the doorbell for a vCPU that sleeps. Works on any thread.
 *
 * Leaving the guest is also the grace period of everything that real mode reads without a lock: a hypercall runs
 * inside the guest run, so a vCPU that is outside, or has answered a request made after something was unlinked, no
 * longer uses it.
 */
import { KVM_REQ, KVM_RUN, RUN_CODE_RING, RUN_CODE_RING_SLOTS, VCPU_MODE } from '../include/uapi/kvm_run.ts';
import { Doorbell } from '../lib/doorbell.ts';
import type { HostMemory } from '../lib/host_memory.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import { Ring } from '../lib/ring.ts';
import { actorAreas, type SharedMap } from '../lib/shared_map.ts';
import { type Task, until } from '../lib/task.ts';

interface VcpuWords {
  readonly requests: number;
  readonly mode: number;
  readonly attention: number;
  readonly codeRing: Ring;
  readonly doorbell: Doorbell;
}

export class VcpuRequests {
  readonly #memory: HostMemory;
  readonly #memslots: Memslots;
  readonly #vcpus: readonly VcpuWords[];

  /** @param attentionOffset offset of the `attention` word in a vCPU's state block (guest/cpu/state.ts). */
  constructor(memory: HostMemory, map: SharedMap, attentionOffset: number) {
    this.#memory = memory;
    this.#memslots = new Memslots(memory, map.memslots);
    this.#vcpus = map.vcpus.map(({ run, state }, i) => ({
      requests: run + KVM_RUN.offset.requests,
      mode: run + KVM_RUN.offset.mode,
      attention: state + attentionOffset,
      codeRing: new Ring(memory, run + RUN_CODE_RING, RUN_CODE_RING_SLOTS),
      doorbell: new Doorbell(memory, actorAreas(map, `vcpu${i}`).doorbell),
    }));
  }

  /** Number of vCPUs there can be. */
  get count(): number {
    return this.#vcpus.length;
  }

  /** Makes a request of one vCPU. @param bits of KVM_REQ. */
  request(vcpu: number, bits: number): void {
    const words = this.#vcpus[vcpu];
    this.#memory.or(words.requests, bits);
    this.#memory.or(words.attention, 1);
    words.doorbell.ring();
  }

  /** Makes a request of every vCPU. */
  requestAll(bits: number): void {
    for (let vcpu = 0; vcpu < this.#vcpus.length; vcpu++) this.request(vcpu, bits);
  }

  /**
   * Has every vCPU drop its translations, and returns when none is inside a guest run that began before: nobody uses
   * a translation, or a shared structure, that was withdrawn before the call. A vCPU rings the kernel's doorbell
   * after it has cleared the request or left guest mode.
   */
  *flushAll(why: string): Task {
    this.requestAll(KVM_REQ.TLB_FLUSH);
    for (const words of this.#vcpus) yield* until(why, () => this.#outside(words));
  }

  #outside({ mode, requests }: VcpuWords): boolean {
    return (
      this.#memory.load(mode) === VCPU_MODE.OUTSIDE_GUEST_MODE ||
      (this.#memory.load(requests) & KVM_REQ.TLB_FLUSH) === 0
    );
  }

  /** A page that holds translated code was written by somebody else. @param va its address in the VMM. */
  codeWritten(va: number): void {
    const gpa = this.#memslots.gpa(va);
    if (gpa < 0) return;
    for (const [vcpu, { codeRing }] of this.#vcpus.entries()) {
      const told = codeRing.push(Math.floor(gpa / PAGE_SIZE));
      this.request(vcpu, told ? KVM_REQ.CODE_WRITTEN : KVM_REQ.CODE_WRITTEN | KVM_REQ.CODE_OVERFLOW);
    }
  }
}
