/** Starts the VMM's thread: brings the machine up, loads the program, answers every exit, ends the run. */

import { Errno } from '../../kernel/include/uapi/errno.ts';
import { HCALL_TIER, KVM_EXIT, RUN_ANSWER, SYSTEM_EVENT } from '../../kernel/include/uapi/kvm_run.ts';
import type { ActorContext, Running } from '../../kernel/lib/actor_module.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { MailboxServer } from '../../kernel/lib/monitor_mailbox.ts';
import { stopMachine, stopping } from '../../kernel/lib/stop.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { EVENT } from '../../kernel/lib/trace.ts';
import { setVmState, VM_STATE, type VmState } from '../../kernel/lib/vm_state.ts';
import type { MachineConfig, MachineResult } from '../config.ts';
import { ProgramInterruption } from '../machine_api.ts';
import { timedCommands } from '../monitor/at.ts';
import { Monitor } from '../monitor/monitor.ts';
import { readExits } from './exit_statistics.ts';
import { intercept } from './intercepts.ts';
import { loadGuest } from './loader.ts';
import { realizeMachine } from './machine_toy.ts';
import { MonitoredMachine } from './monitored_machine.ts';
import { type CpuEnd, type Outcome, outcome } from './outcome.ts';
import { RunState } from './run_state.ts';
import type { VcpuHandle } from './vcpu_handle.ts';
import { Vmm } from './vmm.ts';

/** @see ActorModule */
export function start(context: ActorContext<MachineConfig>): Running {
  const run = new Run(context);
  context.actor.spawn('machine', run.machine());
  return { finish: () => run.result() };
}

/** Arguments a hypercall may have: GPR2 to GPR10. */
const HCALL_ARGS = 9;
/** Exit reasons are below this (include/uapi/linux/kvm.h). */
const EXIT_REASONS = 64;
const EXIT_NAMES: Readonly<Record<number, string>> = {
  [KVM_EXIT.S390_SIEIC]: 'instruction',
  [KVM_EXIT.S390_TSCH]: 'tsch',
  [KVM_EXIT.PAPR_HCALL]: 'papr_hcall',
  [KVM_EXIT.SYSTEM_EVENT]: 'system_event',
};

class Run {
  readonly #context: ActorContext<MachineConfig>;
  readonly #vmm: Vmm;
  readonly #state: RunState;
  /** By the exit's reason; 0 for those without a name. */
  readonly #exitCounts: number[] = new Array(EXIT_REASONS).fill(0);
  readonly #ends = new Map<number, CpuEnd>();
  #outcome: Outcome = { status: 1, reason: 'the machine was stopped before the guest ended' };
  #endedNs: number | undefined;

  constructor(context: ActorContext<MachineConfig>) {
    this.#context = context;
    this.#vmm = new Vmm(
      context,
      (subcode) => this.#end({ status: 0, reason: `the guest asked for a reset (DIAGNOSE X'308' subcode ${subcode})` }),
      (message) => this.#end({ status: 1, reason: `the guest's operating system has ended (ibm,os-term): ${message}` }),
    );
    this.#state = new RunState(this.#vmm, (running) => this.#tell(running ? VM_STATE.RUNNING : VM_STATE.PAUSED));
  }

  result(): MachineResult {
    this.#vmm.end();
    return {
      ...this.#outcome,
      endedNs: this.#endedNs ?? this.#context.actor.now(),
      marks: this.#vmm.marks.result(),
      systemCalls: this.#vmm.sys.count,
      exits: this.#exitsByName(),
      ...(this.#context.config.exits === true ? { exitStatistics: this.#exits() } : {}),
    };
  }

  #exitsByName(): Record<string, number> {
    const named = this.#exitCounts.map((count, reason) => [EXIT_NAMES[reason] ?? 'unknown', count] as const);
    return Object.fromEntries(named.filter(([, count]) => count > 0));
  }
  #exits() {
    return readExits(this.#context.memory, this.#context.map);
  }

  *machine(): Task {
    const { config } = this.#context;
    const vmm = this.#vmm;
    try {
      yield* realizeMachine(vmm);
    } catch (error) {
      return this.#end({ status: 1, reason: `the machine could not be set up: ${setUpProblem(error, config)}` });
    }
    const psw = yield* loadGuest(vmm.memory, config.kernel, config.append);
    for (const vcpu of vmm.vcpus) this.#context.actor.spawn(`vcpu${vcpu.address}`, this.#vcpu(vcpu));
    vmm.vcpus[0].setPsw(psw.mask, psw.address);
    yield* vmm.board.cpus.start(0);
    this.#tell(VM_STATE.RUNNING);
    this.#startMonitor();
  }

  /** What `info vms` shows of the machine. */
  #tell(state: VmState): void {
    const { config, memory, map } = this.#context;
    setVmState(memory, map, config.number ?? 0, state);
  }

  /** The monitor's two ways in: commands at given times, and lines from the main thread. */
  #startMonitor(): void {
    const { actor, config, memory, map } = this.#context;
    const { at = [] } = config;
    const monitor = new Monitor(new MonitoredMachine(this.#vmm, this.#state, this.#context, (how) => this.#end(how)));
    this.#vmm.onNotice = (line) => monitor.note(line);
    const show = (text: string) => this.#vmm.write(new TextEncoder().encode(text));
    if (at.length > 0)
      actor.spawn('timed commands', this.#timed(timedCommands(actor, monitor, at, show), config.monitor !== true));
    if (config.monitor !== true) return;
    const mailbox = new MailboxServer(memory, map.monitor);
    actor.spawn('monitor', serve(mailbox, monitor));
  }
  /** @param last nobody else can give a command: a machine that is stopped afterwards stays so for ever */
  *#timed(commands: Task, last: boolean): Task {
    yield* commands;
    const { memory, map } = this.#context;
    if (last && !this.#state.running && !stopping(memory, map))
      this.#end({ status: 1, reason: 'the machine is stopped, and no --at command is left that lets it go on' });
  }

  /** Answers one vCPU for ever. */
  *#vcpu(vcpu: VcpuHandle): Task {
    for (;;) {
      if (!vcpu.exit.ready()) yield vcpu.exit;
      vcpu.take();
      this.#traceExit(vcpu);
      const reason = vcpu.run.exit_reason;
      this.#exitCounts[reason in EXIT_NAMES ? reason : 0]++;
      this.#vmm.exitCount++;
      this.#ends.delete(vcpu.address);
      if (!this.#vmm.bql.tryLock()) yield* this.#vmm.bql.lock();
      try {
        yield* this.#handle(vcpu);
      } finally {
        this.#vmm.bql.unlock();
      }
    }
  }

  #traceExit({ address, run }: VcpuHandle): void {
    if (!this.#vmm.tracer.on(EVENT.kvm_run_exit)) return;
    const { exit_reason: reason, text } = run;
    const instruction = reason === KVM_EXIT.S390_SIEIC || reason === KVM_EXIT.S390_TSCH;
    this.#vmm.tracer.point(EVENT.kvm_run_exit, address, reason, instruction ? (text[0] << 8) | text[1] : 0);
  }

  #answer(vcpu: VcpuHandle, kind: number, value = 0): void {
    this.#vmm.tracer.point(EVENT.kvm_vcpu_ioctl, vcpu.address, KVM_RUN_IOCTL, kind);
    vcpu.answer(kind, value);
  }

  #handle(vcpu: VcpuHandle): Task {
    switch (vcpu.run.exit_reason) {
      case KVM_EXIT.PAPR_HCALL:
        return this.#hypercall(vcpu);
      case KVM_EXIT.SYSTEM_EVENT:
        return this.#systemEvent(vcpu);
      default:
        return this.#instruction(vcpu);
    }
  }

  *#instruction(vcpu: VcpuHandle): Task {
    try {
      const cc = yield* intercept(this.#vmm.board, vcpu);
      if (cc < 0) this.#answer(vcpu, RUN_ANSWER.NONE);
      else this.#answer(vcpu, RUN_ANSWER.CC, cc);
    } catch (error) {
      if (!(error instanceof ProgramInterruption)) throw error;
      if (error.pending) this.#answer(vcpu, RUN_ANSWER.NONE);
      else this.#answer(vcpu, RUN_ANSWER.PROGRAM, error.interruption);
    }
  }

  *#hypercall(vcpu: VcpuHandle): Task {
    // As a number: rounding above 2^53 makes no token of one that is none.
    const nr = Number(vcpu.gpr(1));
    const args: bigint[] = [];
    const traces = this.#vmm.tracer.on(EVENT.hypercall);
    const wanted = traces ? HCALL_ARGS : this.#vmm.hypercalls.argumentsOf(nr);
    for (let i = 0; i < wanted; i++) args.push(vcpu.gpr(2 + i));
    if (traces) this.#vmm.tracer.point(EVENT.hypercall, nr, traced(args[0]), traced(args[1]), traced(args[2]));
    const { ret, out } = yield* this.#vmm.hypercalls.hypercall(nr, args, vcpu.address);
    vcpu.setGpr(2, ret);
    for (let i = 0; i < out.length; i++) vcpu.setGpr(3 + i, out[i]);
    this.#vmm.tracer.point(EVENT.hypercall_ret, nr, Number(ret), HCALL_TIER.VMM);
    this.#answer(vcpu, RUN_ANSWER.NONE);
  }

  /** A CPU stopped, or will never run again: the run ends with the last one. */
  *#systemEvent(vcpu: VcpuHandle): Task {
    const { event, psw_mask, psw_address } = vcpu.run;
    const final = event !== SYSTEM_EVENT.STOPPED;
    this.#ends.set(vcpu.address, { cpu: vcpu.address, event, pswMask: psw_mask, pswAddress: psw_address });
    // A CPU in a disabled wait can still be reset or restarted by another one: it stops like a stopped one.
    this.#answer(vcpu, final ? RUN_ANSWER.PARK : RUN_ANSWER.NONE);
    // CPUs that the monitor stopped are not at their end.
    if (!this.#state.running) return;
    // An entry may be of a CPU that was made to run again since: it counts only while the CPU is at rest.
    if (this.#vmm.vcpus.every((v) => v.atRest)) this.#end(outcome([...this.#ends.values()]));
  }

  #end(how: Outcome): void {
    this.#outcome = how;
    this.#endedNs = this.#context.actor.now();
    this.#tell(VM_STATE.ENDED);
    stopMachine(this.#context.memory, this.#context.map);
  }
}

/** Carries out the lines that come through the mailbox. */
function* serve(mailbox: MailboxServer, monitor: Monitor): Task {
  for (;;) mailbox.answer(yield* monitor.execute(yield* mailbox.next()));
}

/** Why a device could not be realized, with what to do where that is known. */
function setUpProblem(error: unknown, config: MachineConfig): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Errno) || error.code !== 'ENOMEM') return message;
  const limit = Number(((config.lockLimit * PAGE_SIZE) / 2 ** 20).toFixed(2));
  return `${message}; the VMM may lock ${limit} MiB for a guest of ${config.memory / 2 ** 20} MiB: give more --memlock, or less --memory`;
}

/** KVM_RUN: the CPU goes on (include/uapi/linux/kvm.h, `_IO(KVMIO, 0x80)`); here a word of the run page does that. */
const KVM_RUN_IOCTL = 0xae80;
/** A guest's number for traces: rounded above 2^53. */
const traced = (value: bigint) => Number(BigInt.asUintN(64, value));
