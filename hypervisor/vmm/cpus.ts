/** The CPUs of the machine for SIGP: their states, and the orders that KVM has no interrupt type for. */
import type { Cpus } from '../../devices/virtual/s390x/sigp.ts';
import {
  KVM_REQ,
  KVM_RUN,
  RUN_CODE_RING,
  RUN_CODE_RING_SLOTS,
  RUN_LOCAL_INTERRUPTS,
  STATE_ATTENTION,
  VCPU_MODE,
} from '../../kernel/include/uapi/kvm_run.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { type HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LOCAL_ORDERS, LocalInterrupts, OWN_LOWCORE } from '../../kernel/lib/local_interrupts.ts';
import { Ring } from '../../kernel/lib/ring.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import type { Task } from '../../kernel/lib/task.ts';
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
  busy(address: number): boolean {
    return (this.#local(address).pending() & LOCAL_ORDERS) !== 0;
  }
  *start(address: number): Task {
    this.#local(address).add(LOCAL.START);
    this.#tell(address);
  }
  *reset(address: number, initial: boolean): Task {
    this.#local(address).add(initial ? LOCAL.INITIAL_RESET : LOCAL.CPU_RESET);
    this.#tell(address);
  }
  *storeStatus(address: number, origin: number): Task {
    this.#local(address).addStoreStatus(origin);
    this.#tell(address);
  }
  *stopAndStoreStatus(address: number): Task {
    this.#local(address).addStoreStatus(OWN_LOWCORE, LOCAL.STOP);
    this.#tell(address);
  }

  /** The VMM has stored into a page of RAM that holds translated code: every CPU forgets what it made of it. */
  codeWritten(gpa: number): void {
    for (const [address, { run }] of this.#map.vcpus.entries()) {
      const ring = new Ring(this.#memory, run + RUN_CODE_RING, RUN_CODE_RING_SLOTS);
      const told = ring.push(Math.floor(gpa / PAGE_SIZE));
      this.#tell(address, told ? KVM_REQ.CODE_WRITTEN : KVM_REQ.CODE_WRITTEN | KVM_REQ.CODE_OVERFLOW);
    }
  }

  #local(address: number): LocalInterrupts {
    return new LocalInterrupts(this.#memory, this.#map.vcpus[address].run + RUN_LOCAL_INTERRUPTS);
  }
  /**
   * Tells the vCPU of an order, and does not wait for it: it may be this very CPU, or one that has left the guest too
   * and waits for the VMM's lock.
   */
  #tell(address: number, requests: number = KVM_REQ.SIGP): void {
    const { run, state } = this.#map.vcpus[address];
    this.#memory.or(run + KVM_RUN.offset.requests, requests);
    this.#memory.or(state + STATE_ATTENTION, 1);
    new Doorbell(this.#memory, actorAreas(this.#map, `vcpu${address}`).doorbell).ring();
  }
}
