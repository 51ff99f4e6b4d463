/**
 * The vCPU's run loop (KVM's vcpu_run): requests, interruptions, the guest, exits. One task; between two of its
 * waits everything happens on the vCPU's own thread.
 */
import { TPI, TSCH } from '../../kernel/include/arch/s390/ioinst.ts';
import { SIE } from '../../kernel/include/uapi/kvm_exit_stat.ts';
import {
  CPU_STATE,
  HCALL_TIER,
  KVM_EXIT,
  KVM_REQ,
  KVM_RUN,
  type KvmRun,
  RUN_ANSWER,
  RUN_CODE_RING,
  RUN_CODE_RING_SLOTS,
  RUN_DIRTY,
  RUN_LOCAL_INTERRUPTS,
  RUN_OWNER,
  STATE_ATTENTION,
  SYSTEM_EVENT,
  VCPU_MODE,
} from '../../kernel/include/uapi/kvm_run.ts';
import { RealMode } from '../../kernel/kvm/book3s_64_vio_hv.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { FloatingInterrupts, type IoInterruption } from '../../kernel/lib/floating_interrupts.ts';
import { type HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts, OWN_LOWCORE } from '../../kernel/lib/local_interrupts.ts';
import { Ring } from '../../kernel/lib/ring.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';
import { TakenIo } from '../../kernel/lib/taken_io.ts';
import { type Actor, preempt, type Task, until, untilDeadline, type Wait } from '../../kernel/lib/task.ts';
import { EVENT, Tracer } from '../../kernel/lib/trace.ts';
import { Cpu, type CpuModel } from '../cpu/cpu.ts';
import type { ExitReason } from '../cpu/exit_reason.ts';
import { cpu_state } from '../cpu/state.ts';
import { LOWCORE_STATUS, storedStatus } from '../cpu/store_status.ts';
import { ADDRESSING, GuestPages, RETRY } from './bus.ts';
import { Timers, TodClock } from './clock.ts';
import { ExitStatistics } from './exit_statistics.ts';
import { Hypercalls } from './hypercall.ts';
import { initialReset } from './initial_reset.ts';
import { interruptType, REQUESTED } from './interruption_names.ts';
import { Interrupts } from './interrupts.ts';
import { Quiesce } from './quiesce.ts';
import { Registers } from './registers.ts';

/** What a vCPU is made of. */
export interface VcpuOptions {
  readonly actor: Actor;
  readonly memory: HostMemory;
  readonly map: SharedMap;
  /** CPU address. */
  readonly index: number;
  readonly model: CpuModel;
  /** TOD clock when the machine was switched on. */
  readonly todBase: bigint;
  /** One line for the user. */
  readonly log: (line: string) => void;
  /** True: count exits and their times, in the map's `exits`. */
  readonly exitStatistics?: boolean;
}

if (cpu_state.offset.attention !== STATE_ATTENTION)
  throw new Error('the attention word is not where the kernel writes it');

/** Guest instructions between two looks at the timers when threaded: some 100 us. */
const SLICE = 100_000;
/** Most instructions of a slice when simulated; each slice's length is the schedule's choice. */
const SIMULATED_SLICE = 3_000;
/** Missing instructions that are told; a guest in garbage may meet thousands. */
const MISSING_TOLD = 8;
/** The two resets, which differ in how much they clear. */
const RESETS = LOCAL.INITIAL_RESET | LOCAL.CPU_RESET;
/** Bytes of the general registers, in the state block and in the run page. */
const GPRS_SIZE = cpu_state.fields.gpr.size;
/** Bytes of control and access registers, which follow each other in both. */
const CRS_AND_ACRS_SIZE = cpu_state.fields.cr.size + cpu_state.fields.ar.size;
/** Virtual time one guest instruction takes, ns. */
const INSTRUCTION_NS = 1;

/** Counters of one vCPU. */
export interface VcpuStatistics {
  readonly instructions: number;
  /** Scheduler time (ns) at which the first guest instruction ran. */
  readonly firstRun: number;
  /** Hypercalls finished by real mode, virtual mode and the VMM. */
  readonly hypercalls: readonly number[];
  /** Instructions the guest tried that the core does not have, each once: mnemonic and text. */
  readonly missing: readonly string[];
  /** PSW at the end, two doublewords. */
  readonly psw: string;
  /** Disassembly of the last instructions, oldest first. */
  readonly lastInstructions: readonly string[];
}

export class VcpuThread {
  readonly cpu: Cpu;
  readonly hypercalls: Hypercalls;
  readonly #o: VcpuOptions;
  readonly #page: number;
  readonly #run: KvmRun;
  readonly #registers: Registers;
  readonly #floating: FloatingInterrupts;
  readonly #local: LocalInterrupts;
  readonly #interrupts: Interrupts;
  readonly #pages: GuestPages;
  readonly #quiesce: Quiesce;
  readonly #staleCode: Ring;
  readonly #vmm: Doorbell;
  readonly #kernel: Doorbell;
  readonly #tracer: Tracer;
  readonly #exits: ExitStatistics | undefined;

  constructor(options: VcpuOptions) {
    const { actor, memory, map, index } = options;
    const areas = map.vcpus[index];
    this.#o = options;
    this.#page = areas.run;
    this.#run = KVM_RUN.at(memory.dv, areas.run);
    this.#registers = new Registers(memory, areas.state);
    const taken = new TakenIo(memory, areas.run + KVM_RUN.offset.io_taken);
    this.#floating = new FloatingInterrupts(memory, map.floating, taken);
    this.#local = new LocalInterrupts(memory, areas.run + RUN_LOCAL_INTERRUPTS);
    this.#pages = new GuestPages(memory, map);
    this.#quiesce = new Quiesce(memory, map, index);
    this.#staleCode = new Ring(memory, areas.run + RUN_CODE_RING, RUN_CODE_RING_SLOTS);
    this.#vmm = new Doorbell(memory, actorAreas(map, 'vmm').doorbell);
    this.#tracer = new Tracer(memory, map.traceEnable, actorAreas(map, `vcpu${index}`).trace, () => actor.now());
    this.#kernel = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
    const realMode = new RealMode(memory, map, map.phb, {
      attentionOffset: STATE_ATTENTION,
      tracer: this.#tracer,
      kernel: this.#kernel,
    });
    this.hypercalls = new Hypercalls(memory, areas.run, this.#registers, realMode, this.#kernel, {
      spin: !actor.simulated,
      cpu: index,
      tracer: this.#tracer,
    });
    if (options.exitStatistics) this.#exits = new ExitStatistics(memory, areas.exits, () => actor.now());
    const clock = new TodClock(actor, options.todBase);
    this.cpu = new Cpu(
      memory,
      {
        stateBase: areas.state,
        tlbBase: areas.tlb,
        pcCacheBase: areas.pcCache,
        storageKeys: map.storageKeys,
        address: index,
        model: options.model,
      },
      {
        translate: (page, write) => this.#translate(page, write),
        markCode: (hpa) => this.#pages.markCode(hpa),
        tod: () => clock.tod(),
        hypercall: () => this.hypercalls.call(),
        fastHypercall: this.hypercalls.fast,
        onMissing: (mnemonic, text, address) => this.#onMissing(mnemonic, text, address),
        quiesce: this.#quiesce.needed ? () => this.#quiesce.want() : undefined,
      },
    );
    this.#interrupts = new Interrupts(
      this.cpu,
      this.#registers,
      this.#floating,
      this.#local,
      new Timers(this.cpu.state, clock),
    );
    this.cpu.reset();
  }

  /** Until the VMM hands the run page back. */
  readonly #answered: Wait = {
    what: 'VMM',
    ready: () => this.#o.memory.load(this.#page + KVM_RUN.offset.owner) === RUN_OWNER.VCPU,
    strategy: 'vcpu_reply',
  };
  #firstRun = 0;
  readonly #missing = new Set<string>();

  /** The guest gets an operation exception; the user is told once per instruction. */
  #onMissing(mnemonic: string, text: Uint8Array, address: bigint): void {
    const name = `${mnemonic} (${Buffer.from(text).toString('hex')})`;
    if (this.#missing.has(name) || this.#missing.size >= MISSING_TOLD) return;
    this.#missing.add(name);
    this.#o.log(`cpu ${this.#o.index}: no such instruction: ${name} at 0x${address.toString(16)}; operation exception`);
  }

  /** The page whose frame was being moved when the core last asked. */
  #moving = 0;
  #translate(page: number, write: boolean): number {
    const answer = this.#pages.translate(page, write);
    if (answer === RETRY) this.#moving = page;
    return answer;
  }

  /**
   * Runs the CPU for ever. What every exit passes stands here and in plain methods: a generator in between would be made,
   * and gone through when the answer comes, at each of them.
   */
  *task(): Task {
    const { memory } = this.#o;
    for (;;) {
      if (memory.load(this.#page + KVM_RUN.offset.cpu_state) === CPU_STATE.STOPPED) {
        yield* this.#stopped();
        continue;
      }
      memory.store(this.#page + KVM_RUN.offset.mode, VCPU_MODE.IN_GUEST_MODE);
      // Order: mode first, then requests; the kernel writes them in the other order and so never misses both.
      if (this.#requested()) {
        yield* this.#requests();
        continue;
      }
      const reason = this.#stay();
      if (this.#quiesce.wanted) yield* this.#quiesce.perform();
      if (reason !== 'hypercall' && reason !== 'intercept') {
        yield* this.#pause(reason);
        continue;
      }
      if (reason === 'hypercall' && this.hypercalls.posted && (yield* this.hypercalls.complete())) {
        this.#exits?.handledInKernel();
        continue;
      }
      this.#leave(reason === 'hypercall' ? KVM_EXIT.PAPR_HCALL : this.#intercept());
      if (!this.#answered.ready()) yield this.#answered;
      this.#return();
      if (reason === 'hypercall') this.hypercalls.count(HCALL_TIER.VMM);
    }
  }

  /** One stay in the guest; returns why it ended. */
  #stay(): ExitReason {
    const { actor } = this.#o;
    this.#deliver();
    const before = this.cpu.instructions;
    if (before === 0 && this.#firstRun === 0) this.#firstRun = actor.now();
    this.#exits?.entered(this.hypercalls.finished);
    const reason = this.cpu.run(actor.simulated ? 1 + actor.choose(SIMULATED_SLICE) : SLICE);
    this.#leaveGuestMode();
    actor.consume((this.cpu.instructions - before) * INSTRUCTION_NS);
    this.#exits?.left(reason, this.cpu, this.#registers);
    return reason;
  }

  /** What follows when the stay ended for no instruction. */
  #pause(reason: Exclude<ExitReason, 'hypercall' | 'intercept'>): Task {
    switch (reason) {
      case 'budget':
      case 'attention':
        // The scheduler gets a turn: to look at the stop word, or to let another actor go first.
        return preempt();
      case 'retry':
        return until('page being moved', () => !this.#pages.moving(this.#moving) || this.#requested());
      case 'wait':
        return this.#idle();
      case 'disabled_wait':
        return this.#systemEvent(SYSTEM_EVENT.DISABLED_WAIT);
      case 'program_loop':
        return this.#systemEvent(SYSTEM_EVENT.PROGRAM_LOOP);
    }
  }

  /** Tells the kernel, or another CPU, when it waits for this one to serve a request or to leave the guest. */
  #leaveGuestMode(): void {
    const { memory } = this.#o;
    memory.store(this.#page + KVM_RUN.offset.mode, VCPU_MODE.OUTSIDE_GUEST_MODE);
    this.#answer(memory.load(this.#page + KVM_RUN.offset.requests));
  }
  /** Only a flush has somebody waiting: an interruption's ring would take the CPU from the VMM that has sent it. */
  #answer(requests: number): void {
    if ((requests & KVM_REQ.TLB_FLUSH) === 0) return;
    this.#kernel.ring();
    this.#quiesce.answer(requests);
  }

  #requested(): boolean {
    return this.#o.memory.load(this.#page + KVM_RUN.offset.requests) !== 0;
  }

  /** Serves requests; the CPU may have left the operating state afterwards. */
  *#requests(): Task {
    const { memory } = this.#o;
    const requests = memory.exchange(this.#page + KVM_RUN.offset.requests, 0);
    memory.store(this.cpu.state.address + STATE_ATTENTION, 0);
    if ((requests & KVM_REQ.TLB_FLUSH) !== 0) this.cpu.flushTlb();
    if ((requests & KVM_REQ.CODE_OVERFLOW) !== 0) this.cpu.invalidateAll();
    if ((requests & KVM_REQ.CODE_WRITTEN) !== 0)
      for (let page = this.#staleCode.pop(); page !== undefined; page = this.#staleCode.pop())
        this.cpu.invalidatePage((page >>> 0) * PAGE_SIZE);
    this.#leaveGuestMode();
    this.#answer(requests);
    yield* this.#orders();
  }

  /**
   * Orders of SIGP: resets, set prefix, store status, stop, restart, start. Each is withdrawn only when it has been
   * performed: until then the CPU is busy, and whoever looks at its state sees the order or its effect.
   */
  *#orders(): Task {
    const local = this.#local;
    const given = (order: number) => (local.pending() & order) !== 0;
    if (given(RESETS)) {
      // A reset ends what is under way; nothing but resets is accepted meanwhile.
      local.clear(RESETS);
      if (given(LOCAL.INITIAL_RESET)) initialReset(this.cpu);
      yield* this.#enterStopped(RESETS);
    }
    if (given(LOCAL.SET_PREFIX)) {
      this.cpu.state.prefix = local.prefix;
      this.cpu.flushTlb();
      local.take(LOCAL.SET_PREFIX);
    }
    const stop = given(LOCAL.STOP);
    if (stop) this.#exits?.wanted(SIE.STOP_REQUEST);
    if (given(LOCAL.STORE_STATUS)) yield* this.#storeStatus();
    if (stop) yield* this.#enterStopped(LOCAL.STOP);
    if (given(LOCAL.RESTART)) {
      this.#inGuestMode(() => this.cpu.restart());
      this.#operate(LOCAL.RESTART);
    }
    if (given(LOCAL.START)) {
      this.#takeRegisters();
      this.#operate(LOCAL.START);
    }
  }

  /** Enters the operating state by an order. */
  #operate(order: number): void {
    const { memory } = this.#o;
    memory.store(this.#page + KVM_RUN.offset.parked, 0);
    memory.store(this.#page + KVM_RUN.offset.cpu_state, CPU_STATE.OPERATING);
    this.#local.take(order);
  }

  /**
   * Reaches guest storage outside a guest run. The mover of frames must see the CPU in guest mode until it is done:
   * what is translated here might be taken away otherwise, between the look at the page table and the access.
   */
  #inGuestMode(action: () => void): void {
    this.#o.memory.store(this.#page + KVM_RUN.offset.mode, VCPU_MODE.IN_GUEST_MODE);
    action();
    this.#leaveGuestMode();
  }

  /** Stores the status at the address SIGP gave, or in the CPU's own lowcore. */
  *#storeStatus(): Task {
    const local = this.#local;
    const own = local.statusAddress === OWN_LOWCORE;
    const origin = own ? this.cpu.state.prefix + LOWCORE_STATUS : local.statusAddress;
    const page = origin - (origin % PAGE_SIZE);
    const store = () => {
      const hpa = this.#translate(page, true);
      // SIGP has checked the address: outside RAM there is nothing to store.
      if (hpa !== RETRY && hpa !== ADDRESSING)
        this.#o.memory.u8.set(storedStatus(this.cpu), hpa + (origin % PAGE_SIZE));
      return hpa !== RETRY;
    };
    for (let stored = false; !stored; ) {
      this.#inGuestMode(() => {
        stored = store();
      });
      if (!stored) yield* until('page being moved', () => !this.#pages.moving(page));
    }
    local.take(LOCAL.STORE_STATUS);
  }

  /** @param order what made it stop, performed now */
  *#enterStopped(order: number): Task {
    this.#o.memory.store(this.#page + KVM_RUN.offset.cpu_state, CPU_STATE.STOPPED);
    this.#local.take(order);
    yield* this.#systemEvent(SYSTEM_EVENT.STOPPED);
  }

  /** The stopped state: only orders matter. */
  *#stopped(): Task {
    yield* this.#awaitOrders('CPU stopped');
    yield* this.#requests();
  }

  *#awaitOrders(what: string): Task {
    this.#run.idle = 1;
    yield* until(what, () => this.#requested());
    this.#run.idle = 0;
  }

  #deliver(): void {
    const { index } = this.#o;
    this.#interrupts.deliver((code, type, io) => {
      const { subsystemId = 0, intparm = 0 } = io ?? {};
      this.#tracer.point(
        EVENT.kvm_s390_deliver_interrupt,
        index,
        interruptType(type, code, subsystemId),
        subsystemId,
        intparm,
      );
      this.#exits?.wanted(REQUESTED[type]);
    });
  }

  /** Enabled wait: the thread sleeps until an interruption is open, a timer runs out or a request comes. */
  *#idle(): Task {
    const deadline = this.#interrupts.nextTimer();
    this.#run.idle = 1;
    yield* untilDeadline('enabled wait', () => this.#interrupts.open() || this.#requested(), deadline, 'vcpu_idle');
    this.#run.idle = 0;
  }

  /**
   * Puts the intercepted instruction into the run page; TSCH and TPI take their interruption off the queue first, as KVM
   * does. @returns the exit's reason
   */
  #intercept(): number {
    const { cpu } = this;
    const opcode = cpu.exitOpcode;
    let io: IoInterruption | undefined;
    if (opcode === TSCH) io = this.#floating.takeIo(0xff, this.#registers.gprLow(1));
    else if (opcode === TPI) io = this.#floating.takeIo(this.#registers.crLow(6) >>> 24);
    const run = this.#run;
    cpu.storeExit(this.#page + KVM_RUN.offset.text, this.#page + KVM_RUN.offset.operand);
    run.io_dequeued = io === undefined ? 0 : 1;
    run.io_subsystem_id = io?.subsystemId ?? 0;
    run.io_intparm = io?.intparm ?? 0;
    run.io_word = io?.word ?? 0;
    return opcode === TSCH ? KVM_EXIT.S390_TSCH : KVM_EXIT.S390_SIEIC;
  }

  *#systemEvent(event: number): Task {
    this.#run.event = event;
    this.#leave(KVM_EXIT.SYSTEM_EVENT);
    if (!this.#answered.ready()) yield this.#answered;
    this.#return();
    if (this.#run.answer_kind === RUN_ANSWER.PARK) yield* this.#awaitOrders('disabled wait');
  }

  /** Leaves to the VMM: the run page is its own until {@link #answered}. */
  #leave(reason: number): void {
    const { memory } = this.#o;
    const page = this.#page;
    this.#run.exit_reason = reason;
    this.cpu.storePsw(page + KVM_RUN.offset.psw_mask, page + KVM_RUN.offset.psw_address);
    this.#run.prefix = this.cpu.state.prefix;
    const { address } = this.cpu.state;
    memory.move(page + KVM_RUN.offset.gprs, address, GPRS_SIZE);
    memory.move(page + KVM_RUN.offset.crs, address + cpu_state.offset.cr, CRS_AND_ACRS_SIZE);
    // The text is that of an instruction only where one was intercepted.
    const text = reason === KVM_EXIT.S390_SIEIC || reason === KVM_EXIT.S390_TSCH ? this.cpu.exitOpcode : 0;
    this.#tracer.point(EVENT.kvm_userspace_exit, this.#o.index, reason, text);
    memory.store(page + KVM_RUN.offset.owner, RUN_OWNER.VMM);
    this.#vmm.ring();
  }

  /** The VMM has handed the page over: does what it says. */
  #return(): void {
    const run = this.#run;
    this.#tracer.point(EVENT.kvm_userspace_enter, this.#o.index, run.answer_kind);
    this.#takeRegisters();
    if (run.answer_kind === RUN_ANSWER.CC) this.cpu.setCc(run.answer_value);
    else if (run.answer_kind === RUN_ANSWER.PROGRAM)
      this.#inGuestMode(() => this.cpu.programInterruption(run.answer_value));
    const found = this.#local.takeProgram();
    if (found !== undefined)
      this.#inGuestMode(() => this.cpu.programInterruption(found.code, found.teid, found.accessId));
  }

  /** Takes over the registers that the VMM has changed in the run page. */
  #takeRegisters(): void {
    const run = this.#run;
    if ((run.dirty_regs & RUN_DIRTY.GPRS) !== 0)
      this.#o.memory.move(this.cpu.state.address, this.#page + KVM_RUN.offset.gprs, GPRS_SIZE);
    if ((run.dirty_regs & RUN_DIRTY.PSW) !== 0) this.cpu.setPsw(run.psw_mask, run.psw_address);
    run.dirty_regs = 0;
  }

  /** What the thread tells at its end: plain data. */
  statistics(): VcpuStatistics {
    const { mask, address } = this.cpu.psw();
    const hex = (value: bigint) => value.toString(16).padStart(16, '0');
    return {
      instructions: this.cpu.instructions,
      firstRun: this.#firstRun,
      hypercalls: [...this.hypercalls.finished],
      psw: `${hex(mask)} ${hex(address)}`,
      missing: [...this.#missing],
      lastInstructions: this.cpu.lastInstructions(8),
    };
  }
}
