/**
 * Taking interruptions: which pending condition the CPU is open for, in the order of SA22-7832 chapter 6,
 * "Priority of Interruptions": machine check, external, I/O, restart.
 */
import type { FloatingInterrupts, IoInterruption } from '../../kernel/lib/floating_interrupts.ts';
import { PENDING } from '../../kernel/lib/floating_interrupts.ts';
import { LOCAL, type LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import type { Cpu } from '../cpu/cpu.ts';
import type { Timers } from './clock.ts';
import {
  CR0_CLOCK_COMPARATOR,
  CR0_CPU_TIMER,
  CR0_EMERGENCY,
  CR0_EXTERNAL_CALL,
  CR0_SERVICE,
  CR14_CHANNEL_REPORT,
  PSW_EXTERNAL,
  PSW_MACHINE_CHECK,
  type Registers,
} from './registers.ts';

/** External-interruption codes (chapter 6, "External Interruption"). */
const EXTERNAL = {
  CLOCK_COMPARATOR: 0x1004,
  CPU_TIMER: 0x1005,
  EMERGENCY: 0x1201,
  EXTERNAL_CALL: 0x1202,
  SERVICE: 0x2401,
} as const;
/** Machine-check-interruption code with channel report pending (bit 9) and the validity bits Linux looks at. */
const MCIC_CHANNEL_REPORT = 0x0040_0f1d_4033_0000n;

/** More than there are kinds of interruption, so that only a loop of interruptions has more to take. */
const MOST_AT_ONCE = 64;

/** Classes of interruption that somebody else makes pending. */
export type InterruptionType = 'machine check' | 'external' | 'io';

/** A condition found open: what it is, and how it is taken. */
interface Open {
  readonly type: InterruptionType;
  readonly code: number;
  take(): boolean;
}

export class Interrupts {
  readonly #cpu: Cpu;
  readonly #registers: Registers;
  readonly #floating: FloatingInterrupts;
  readonly #local: LocalInterrupts;
  readonly #timers: Timers;
  /** The I/O interruption taken last. */
  #taken: IoInterruption | undefined;

  constructor(cpu: Cpu, registers: Registers, floating: FloatingInterrupts, local: LocalInterrupts, timers: Timers) {
    this.#cpu = cpu;
    this.#registers = registers;
    this.#floating = floating;
    this.#local = local;
    this.#timers = timers;
  }

  /** True when an interruption would be taken now. Cheap: asked by the scheduler while the CPU waits. */
  open(): boolean {
    return this.#find() !== undefined;
  }

  /**
   * Takes the open interruptions, the last taken is the first to run; returns how many were. A new PSW that is open
   * for a timer that has run out takes the same one for ever: the rest is left to the next call then.
   */
  deliver(trace: (code: number, type: InterruptionType, io?: IoInterruption) => void): number {
    let taken = 0;
    // One whose lowcore is being moved leaves the PSW as it is, open for the next: that one has to wait.
    while (!this.#cpu.interruptionAccepted && taken < MOST_AT_ONCE) {
      const found = this.#find();
      if (found === undefined) break;
      // Another CPU may have taken a floating one in between: look again.
      if (found.take()) {
        taken++;
        trace(found.code, found.type, found.type === 'io' ? this.#taken : undefined);
      }
    }
    return taken;
  }

  /** Scheduler time of the next timer condition the CPU is open for. */
  nextTimer(): number {
    const cr0 = this.#registers.masked(PSW_EXTERNAL) ? this.#registers.crLow(0) : 0;
    return this.#timers.nextDeadline((cr0 & CR0_CLOCK_COMPARATOR) !== 0, (cr0 & CR0_CPU_TIMER) !== 0);
  }

  #find(): Open | undefined {
    const registers = this.#registers;
    const pending = this.#floating.summary();
    if (
      (pending & PENDING.MACHINE_CHECK) !== 0 &&
      registers.masked(PSW_MACHINE_CHECK) &&
      (registers.crLow(14) & CR14_CHANNEL_REPORT) !== 0
    )
      return { type: 'machine check', code: 0, take: () => this.#machineCheck() };
    if (registers.masked(PSW_EXTERNAL)) {
      const external = this.#findExternal(pending);
      if (external !== undefined) return external;
    }
    const iscs = pending & PENDING.ISC_MASK & registers.openIscs();
    return iscs === 0 ? undefined : { type: 'io', code: iscs, take: () => this.#io(iscs) };
  }

  #findExternal(pending: number): Open | undefined {
    const cr0 = this.#registers.crLow(0);
    const local = this.#local.pending();
    if ((local & LOCAL.EMERGENCY) !== 0 && (cr0 & CR0_EMERGENCY) !== 0)
      return this.#external(EXTERNAL.EMERGENCY, () => this.#local.takeEmergency());
    if ((local & LOCAL.EXTERNAL_CALL) !== 0 && (cr0 & CR0_EXTERNAL_CALL) !== 0)
      return this.#external(EXTERNAL.EXTERNAL_CALL, () => this.#local.takeExternalCall());
    if ((cr0 & CR0_CLOCK_COMPARATOR) !== 0 && this.#timers.comparatorPending())
      return this.#external(EXTERNAL.CLOCK_COMPARATOR, () => 0);
    if ((cr0 & CR0_CPU_TIMER) !== 0 && this.#timers.cpuTimerPending())
      return this.#external(EXTERNAL.CPU_TIMER, () => 0);
    if ((pending & PENDING.SERVICE) !== 0 && (cr0 & CR0_SERVICE) !== 0)
      return { type: 'external', code: EXTERNAL.SERVICE, take: () => this.#service() };
    return undefined;
  }

  /** An external interruption whose source is a CPU address. */
  #external(code: number, source: () => number | undefined): Open {
    return {
      type: 'external',
      code,
      take: () => {
        const address = source();
        if (address === undefined) return false;
        this.#cpu.externalInterruption(code, address, 0);
        return true;
      },
    };
  }
  #service(): boolean {
    const parameter = this.#floating.takeService();
    if (parameter === undefined) return false;
    this.#cpu.externalInterruption(EXTERNAL.SERVICE, 0, parameter);
    return true;
  }
  #io(iscs: number): boolean {
    const io = this.#floating.takeIo(iscs);
    this.#taken = io;
    if (io === undefined) return false;
    this.#cpu.ioInterruption(io.subsystemId, io.intparm, io.word);
    return true;
  }
  #machineCheck(): boolean {
    if (!this.#floating.takeMachineCheck()) return false;
    this.#cpu.machineCheck(MCIC_CHANNEL_REPORT);
    return true;
  }
}
