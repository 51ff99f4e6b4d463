/**
 * Whether the machine runs (QEMU softmmu/runstate.c): the monitor stops it, lets it go on, and resets it. CPUs are
 * stopped by the order that SIGP STOP gives, so that each is found between two instructions.
 */
import { KVM_S390 } from '../../kernel/include/uapi/kvm.ts';
import { sleep, type Task, until, untilDeadline } from '../../kernel/lib/task.ts';
import { loadGuest } from './loader.ts';
import type { VcpuHandle } from './vcpu_handle.ts';
import type { Vmm } from './vmm.ts';

/** Nanoseconds between two looks at a CPU that is about to rest. */
const SETTLE_NS = 20_000;
/** Nanoseconds that a CPU has to stop. A device for whose I/O it stands still is reset then: the I/O may never end. */
const STOP_NS = 1e9;

export class RunState {
  readonly #vmm: Vmm;
  readonly #tell: (running: boolean) => void;
  /** The CPUs that run again when the machine goes on; absent while it runs. */
  #held: Set<number> | undefined;

  /** @param tell called when the machine is stopped, and when it goes on */
  constructor(vmm: Vmm, tell: (running: boolean) => void) {
    this.#vmm = vmm;
    this.#tell = tell;
  }

  get running(): boolean {
    return this.#held === undefined;
  }

  /** Stops every CPU. False when the machine is stopped already. */
  *stop(): Task<boolean> {
    if (this.#held !== undefined) return false;
    const held = new Set<number>();
    this.#held = held;
    this.#tell(false);
    const { kvm } = this.#vmm;
    // A CPU that has not stopped yet may start another one.
    for (let operating = yield* this.#operating(); operating.length > 0; ) {
      for (const vcpu of operating) {
        held.add(vcpu.address);
        yield* kvm.injectVcpu(vcpu.fd, KVM_S390.SIGP_STOP, 0);
      }
      for (const vcpu of operating) {
        yield* this.#stopped(vcpu);
        yield* this.#settled(vcpu);
      }
      operating = yield* this.#operating();
    }
    return true;
  }

  /** The CPUs that have to be stopped: one that was told to start, and has not yet, is waited for. It rings no doorbell. */
  *#operating(): Task<VcpuHandle[]> {
    const { actor, vcpus } = this.#vmm;
    for (const vcpu of vcpus) while (!vcpu.operating && vcpu.starting) yield* sleep(actor, SETTLE_NS);
    return vcpus.filter((vcpu) => vcpu.operating);
  }

  /** Until a CPU that was told to has stopped. */
  *#stopped(vcpu: VcpuHandle): Task {
    const { actor, board } = this.#vmm;
    while (!(yield* untilDeadline(`CPU ${vcpu.address} to stop`, () => !vcpu.operating, actor.now() + STOP_NS)))
      for (const { operations } of [...board.css.subchannels()]) yield* operations.letCpuGo?.() ?? nothing();
  }

  /** Until a CPU that has stopped waits for orders: its exit is answered then, and its registers may be set. It rings no doorbell. */
  *#settled(vcpu: VcpuHandle): Task {
    while (vcpu.exiting) yield* sleep(this.#vmm.actor, SETTLE_NS);
  }

  /** Lets the CPUs go on that ran before. False when the machine runs. */
  *cont(): Task<boolean> {
    if (this.#held === undefined) return false;
    const held = this.#held;
    this.#held = undefined;
    this.#tell(true);
    for (const address of held) yield* this.#vmm.board.cpus.start(address);
    return true;
  }

  /** Machine reset: CPUs, channel subsystem, SCLP, TCE tables; then the program is loaded anew. Goes on if it ran. */
  *reset(): Task {
    const ran = yield* this.stop();
    const vmm = this.#vmm;
    const { css, sclp, cpus } = vmm.board;
    yield* vmm.bql.lock();
    try {
      yield* css.reset();
      sclp.reset();
      yield* vmm.hypercalls.reset();
    } finally {
      vmm.bql.unlock();
    }
    for (const vcpu of vmm.vcpus) {
      const { address } = vcpu;
      yield* cpus.reset(address, true);
      yield* until(`CPU ${address} to be reset`, () => !cpus.busy(address));
      yield* this.#settled(vcpu);
    }
    const { kernel, append } = vmm.config;
    const psw = yield* loadGuest(vmm.memory, kernel, append, true);
    vmm.vcpus[0].setInitialState(psw.mask, psw.address);
    this.#held = new Set([0]);
    if (ran) yield* this.cont();
  }
}

function* nothing(): Task {}
