/**
 * Withdrawing translations from the other CPUs (IPTE, SSKE, ...): as the MMU notifiers' flush, but asked by a CPU. It
 * has left its guest run when it asks, so that CPUs which withdraw from each other at the same time never wait in a
 * circle: each finds the others outside.
 */
import { KVM_REQ, KVM_RUN, STATE_ATTENTION, VCPU_MODE } from '../../kernel/include/uapi/kvm_run.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import { type Task, until } from '../../kernel/lib/task.ts';

interface OtherCpu {
  readonly mode: number;
  readonly requests: number;
  readonly attention: number;
  readonly doorbell: Doorbell;
}

export class Quiesce {
  readonly #memory: HostMemory;
  /** Attention word of this CPU. */
  readonly #attention: number;
  readonly #others: readonly OtherCpu[];
  #wanted = false;

  /** @param index address of the CPU that asks */
  constructor(memory: HostMemory, map: SharedMap, index: number) {
    this.#memory = memory;
    this.#attention = map.vcpus[index].state + STATE_ATTENTION;
    this.#others = map.vcpus.flatMap(({ run, state }, address) =>
      address === index
        ? []
        : [
            {
              mode: run + KVM_RUN.offset.mode,
              requests: run + KVM_RUN.offset.requests,
              attention: state + STATE_ATTENTION,
              doorbell: new Doorbell(memory, actorAreas(map, `vcpu${address}`).doorbell),
            },
          ],
    );
  }

  /** False on a machine with one CPU: there is nobody to ask. */
  get needed(): boolean {
    return this.#others.length > 0;
  }

  /** Called inside the guest run: it ends with this instruction. */
  want(): void {
    this.#wanted = true;
    this.#memory.or(this.#attention, 1);
  }

  /** Whether {@link perform} is due. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** Outside the guest run, when {@link wanted}: returns once no other CPU uses a translation made before. */
  *perform(): Task {
    this.#wanted = false;
    for (const { requests, attention, doorbell } of this.#others) {
      this.#memory.or(requests, KVM_REQ.TLB_FLUSH | KVM_REQ.QUIESCE);
      this.#memory.or(attention, 1);
      doorbell.ring();
    }
    for (const cpu of this.#others) yield* until('CPUs to quiesce', () => this.#outside(cpu), 'vcpu_reply');
  }
  #outside({ mode, requests }: OtherCpu): boolean {
    return (
      this.#memory.load(mode) === VCPU_MODE.OUTSIDE_GUEST_MODE ||
      (this.#memory.load(requests) & KVM_REQ.TLB_FLUSH) === 0
    );
  }

  /** Tells those who may be waiting that this CPU has left the guest, or has served `requests`. */
  answer(requests: number): void {
    if ((requests & KVM_REQ.QUIESCE) !== 0) for (const { doorbell } of this.#others) doorbell.ring();
  }
}
