/** The VMM as its devices see it: memory, system calls, interrupts, and what the machine is made of (QEMU's role). */

import { SpaprHypercalls } from '../../devices/virtual/ppc/spapr_hcall.ts';
import { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { Sclp } from '../../devices/virtual/s390x/sclp.ts';
import {
  asciiConsole,
  lineModeConsole,
  operatorCommand,
  SignalQuiesce,
} from '../../devices/virtual/s390x/sclp_console.ts';
import { ConsoleInput } from '../../devices/virtual/s390x/sclp_console_input.ts';
import type { ActorContext } from '../../kernel/lib/actor_module.ts';
import { kernelWorkReader } from '../../kernel/lib/kernel_work.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import { CPUS } from '../../kernel/lib/spin_budget.ts';
import { type Actor, Mutex, type Task } from '../../kernel/lib/task.ts';
import { Tracer } from '../../kernel/lib/trace.ts';
import { FOUR_CPUS } from '../../kernel/lib/wait_strategy.ts';
import type { MachineConfig } from '../config.ts';
import type { ChannelStorage, IoWatch, Machine } from '../machine_api.ts';
import { Syscalls } from '../syscall.ts';
import { MachineCpus } from './cpus.ts';
import { GuestRam } from './guest_memory.ts';
import { handOffCounter } from './hand_offs.ts';
import type { Board } from './intercepts.ts';
import { KeyedMemory } from './keyed_memory.ts';
import { Kvm } from './kvm.ts';
import { LabelledOutput } from './labelled_output.ts';
import { LogicalMemory } from './logical_memory.ts';
import { Marks } from './marks.ts';
import { VcpuHandle } from './vcpu_handle.ts';

/** Machine type of the CPUs (z196), as STSI and the CPU id tell it. */
const MACHINE_TYPE = '2817';

export class Vmm implements Machine {
  readonly actor: Actor;
  readonly config: MachineConfig;
  readonly sys: Syscalls;
  readonly tracer: Tracer;
  readonly memory: GuestRam;
  readonly kvm: Kvm;
  readonly vcpus: readonly VcpuHandle[];
  readonly hypercalls: SpaprHypercalls;
  readonly marks: Marks;
  /** Exits served so far. */
  exitCount = 0;
  hostIos = 0;
  /** QEMU's big lock: one handler at a time, however many CPUs have left the guest. */
  readonly bql = new Mutex('bql');
  readonly board: Board;
  /** What is typed at the guest's console. */
  readonly consoleInput = new ConsoleInput();
  readonly log: (line: string) => void;
  /** Shows bytes on the user's console. */
  readonly write: (bytes: Uint8Array) => void;
  readonly #lines: LabelledOutput | undefined;
  /** Shows the operator a line; nobody does before the machine is set up. */
  onNotice: (line: string) => void = () => {};

  /**
   * @param reIpl called when the guest asks for a reset (DIAGNOSE X'308')
   * @param osTerm called when its operating system has ended (RTAS ibm,os-term)
   */
  constructor(
    context: ActorContext<MachineConfig>,
    reIpl: (subcode: number) => void,
    osTerm: (message: string) => void,
  ) {
    const { actor, memory, map, config } = context;
    this.actor = actor;
    this.config = config;
    this.log = context.log;
    this.tracer = new Tracer(memory, map.traceEnable, actorAreas(map, 'vmm').trace, () => actor.now());
    this.sys = new Syscalls(memory, map, this.tracer);
    this.memory = new GuestRam(memory, map, config.memory);
    this.kvm = new Kvm(this.sys);
    const logical = new LogicalMemory(this.sys);
    this.vcpus = Array.from(
      { length: config.cpus },
      (_, i) =>
        new VcpuHandle(memory, map, this.memory, i, {
          logical,
          hostBusy: () => CPUS < FOUR_CPUS && this.hostIos > 0,
        }),
    );
    const handOffs = handOffCounter(memory, map);
    const kernelWork = kernelWorkReader(memory, map.work);
    this.marks = new Marks(() => ({
      exits: this.exitCount,
      systemCalls: this.sys.count,
      handOffs: handOffs(),
      ...kernelWork(),
    }));
    this.hypercalls = new SpaprHypercalls(this, {
      tier: config.tce === 'user' ? 'vmm' : config.tce,
      directMmio: config.mmio !== 'exit',
      mark: (series, calls, units) => this.marks.add(series, calls, units),
      cpus: config.cpus,
      platform: { tod: () => config.todBase + (BigInt(Math.floor(actor.now())) * 4096n) / 1000n, osTerm },
    });
    const lines = config.label === undefined ? undefined : new LabelledOutput(config.label, context.output);
    this.#lines = lines;
    const write = lines === undefined ? context.output : (bytes: Uint8Array) => lines.write(bytes);
    this.write = config.quiet === true ? () => {} : write;
    const cpus = new MachineCpus(memory, map, this.vcpus);
    this.memory.space.onCodeWritten = (va) => {
      const gpa = this.memory.gpa(va);
      if (gpa >= 0) cpus.codeWritten(gpa);
    };
    this.board = {
      machine: this,
      css: new ChannelSubsystem(this),
      sclp: new Sclp(this, { ramSize: config.memory, cpuCount: config.cpus }, [
        asciiConsole(this.write, this.consoleInput),
        operatorCommand(this.consoleInput),
        lineModeConsole(this.write),
        new SignalQuiesce(),
      ]),
      cpus,
      information: { cpuCount: config.cpus, machineType: MACHINE_TYPE },
      ipl: {
        *reset(subcode) {
          reIpl(subcode);
        },
      },
    };
  }

  notify(line: string): void {
    this.log(line);
    this.onNotice(line);
  }
  storage(key: number): ChannelStorage {
    return key === 0 ? this.memory : new KeyedMemory(this.sys, this.vmFd, key);
  }
  /** The run is over. */
  end(): void {
    this.#lines?.end();
  }
  get vmFd(): number {
    return this.kvm.vmFd;
  }
  get kvmVfioFd(): number {
    return this.kvm.vfioFd;
  }
  *unlocked<T>(task: Task<T>): Task<T> {
    this.bql.unlock();
    try {
      return yield* task;
    } finally {
      yield* this.bql.lock();
    }
  }
  injectIo(subsystemId: number, intparm: number, isc: number): Task {
    return this.kvm.injectIo(subsystemId, intparm, isc);
  }
  injectAdapter(isc: number): Task {
    return this.kvm.injectAdapter(isc);
  }
  clearIo(subsystemId: number): Task {
    return this.kvm.clearIo(subsystemId);
  }
  clearInterrupts(): Task {
    return this.kvm.clearInterrupts();
  }
  watchIo(subsystemId: number): IoWatch {
    const counts = this.vcpus.map(({ taken }) => taken.count());
    return {
      subsystemId,
      taken: () => this.vcpus.some(({ taken }, i) => taken.since(counts[i], subsystemId)),
    };
  }
  injectService(parameter: number): Task {
    return this.kvm.injectService(parameter);
  }
  injectChannelReport(): Task {
    return this.kvm.injectChannelReport();
  }
}
