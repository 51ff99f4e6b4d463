/** The CPUs of the machine for SIGP: their states, and the orders that KVM has no interrupt type for. */
import type { Cpus } from '../../devices/virtual/s390x/sigp.ts';
import { KVM_REQ, KVM_RUN, RUN_LOCAL_INTERRUPTS, VCPU_MODE } from '../../kernel/include/uapi/kvm_run.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import { type Task, until } from '../../kernel/lib/task.ts';
import type { VcpuHandle } from './vcpu_handle.ts';

export class MachineCpus implements Cpus {
  readonly #memory: HostMemory;
  readonly #map: SharedMap;
  readonly #vcpus: readonly VcpuHandle[];

  constructor(memory: HostMemory, map: SharedMap, vcpus: readonly VcpuHandle[]) {
    this.#memory = memory;
    this.#map = map;
    this.#vcpus = vcpus;
  }
  get count(): number {
    return this.#vcpus.length;
  }
  state(address: number): 'stopped' | 'operating' {
    return this.#vcpus[address].operating ? 'operating' : 'stopped';
  }
  descriptor(address: number): number {
    return this.#vcpus[address].fd;
  }
  externalCallPending(address: number): boolean {
    return (this.#local(address).pending() & LOCAL.EXTERNAL_CALL) !== 0;
  }
  running(address: number): boolean {
    return this.#memory.load(this.#map.vcpus[address].run + KVM_RUN.offset.mode) === VCPU_MODE.IN_GUEST_MODE;
  }
  *start(address: number): Task {
    yield* this.#order(address, LOCAL.START);
  }
  *reset(address: number, initial: boolean): Task {
    yield* this.#order(address, initial ? LOCAL.INITIAL_RESET : LOCAL.CPU_RESET);
  }
  *storeStatus(address: number, origin: number): Task {
    this.#local(address).addStoreStatus(origin);
    yield* this.#order(address, LOCAL.STORE_STATUS);
  }
  *stopAndStoreStatus(address: number): Task {
    // Address 0 stands for the CPU's own lowcore.
    this.#local(address).addStoreStatus(0);
    yield* this.#order(address, LOCAL.STOP | LOCAL.STORE_STATUS);
  }

  #local(address: number): LocalInterrupts {
    return new LocalInterrupts(this.#memory, this.#map.vcpus[address].run + RUN_LOCAL_INTERRUPTS);
  }
  /** Gives an order and waits until the vCPU's thread has taken it. */
  *#order(address: number, bits: number): Task {
    const local = this.#local(address);
    local.add(bits);
    this.#memory.or(this.#map.vcpus[address].run + KVM_RUN.offset.requests, KVM_REQ.SIGP);
    new Doorbell(this.#memory, actorAreas(this.#map, `vcpu${address}`).doorbell).ring();
    yield* until(`order for vcpu${address}`, () => (local.pending() & bits) === 0);
  }
}
