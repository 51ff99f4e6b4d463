/** Counts the exits of one vCPU by their reason, from leaving the guest to entering it again. */
import {
  EXIT_KIND,
  EXIT_STAT,
  EXIT_STAT_HEADER,
  EXIT_STAT_ROWS,
  EXIT_VALUE_MAX,
  exitKey,
  SIE,
} from '../../kernel/include/uapi/kvm_exit_stat.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { Cpu } from '../cpu/cpu.ts';
import type { ExitReason } from '../cpu/exit_reason.ts';
import type { Registers } from './registers.ts';

/** Opcodes whose exits are told apart by their operand's address (SA22-7832 chapters 4 and 10): a code in its last bits. */
const DIAG = 0x83;
const SIGP = 0xae;

/** The interception code of a guest run that ended for no instruction. */
const INTERCEPTION: Readonly<Record<Exclude<ExitReason, 'intercept' | 'hypercall'>, number>> = {
  budget: SIE.HOST_INTERRUPTION,
  attention: SIE.HOST_INTERRUPTION,
  // A page that is not there for the moment: SIE ends with a host exception, and interception code 0.
  retry: SIE.HOST_INTERRUPTION,
  wait: SIE.WAIT_STATE,
  disabled_wait: SIE.WAIT_STATE,
  program_loop: SIE.PROGRAM_INTERRUPTION,
};

export class ExitStatistics {
  readonly #memory: HostMemory;
  readonly #area: number;
  readonly #now: () => number;
  readonly #rows = new Map<number, number>();
  #key = 0;
  #left = 0;
  /** A guest run under no name of its own yet: what the host wanted of the CPU decides. */
  #attention = false;

  /** @param area page of `SharedMap.vcpus`, zeroed. @param now nanoseconds */
  constructor(memory: HostMemory, area: number, now: () => number) {
    this.#memory = memory;
    this.#area = area;
    this.#now = now;
  }

  /** The CPU has left the guest. */
  left(reason: ExitReason, cpu: Cpu, registers: Registers): void {
    this.#left = this.#now();
    this.#key = keyOf(reason, cpu, registers);
    this.#attention = reason === 'attention';
  }

  /** What called the CPU out of the guest: the first thing found after an exit without a reason of its own counts. */
  wanted(code: number): void {
    if (!this.#attention) return;
    this.#attention = false;
    this.#key = exitKey(EXIT_KIND.INTERCEPT, code);
  }

  /** The kernel has finished the hypercall: that was no exit. */
  handledInKernel(): void {
    this.#key = 0;
  }

  /** The CPU enters the guest: ends the exit, if there was one. @param hypercalls finished so far: real mode, virtual mode */
  entered(hypercalls: readonly number[]): void {
    const { dv } = this.#memory;
    const header = EXIT_STAT_HEADER.at(dv, this.#area);
    [header.hcall_real, header.hcall_virtual] = hypercalls;
    if (this.#key === 0) return;
    const ns = Math.max(0, this.#now() - this.#left);
    const row = EXIT_STAT.at(dv, this.#row(this.#key));
    this.#key = 0;
    row.min = row.samples === 0 ? ns : Math.min(row.min, ns);
    row.max = Math.max(row.max, ns);
    row.sum += ns;
    row.squares += ns * ns;
    row.samples++;
  }

  /** Where the row of `key` is; a new one when it has none yet, and the common one when the page is full. */
  #row(key: number): number {
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const full = this.#rows.size >= EXIT_STAT_ROWS - 1;
    const own = full ? exitKey(EXIT_KIND.OTHER, 0) : key;
    const number = full ? EXIT_STAT_ROWS - 1 : this.#rows.size;
    const row = this.#area + EXIT_STAT_HEADER.size + number * EXIT_STAT.size;
    this.#memory.store(row + EXIT_STAT.offset.key, own);
    if (!full) this.#rows.set(key, row);
    return row;
  }
}

function keyOf(reason: ExitReason, cpu: Cpu, registers: Registers): number {
  if (reason === 'hypercall') return exitKey(EXIT_KIND.HCALL, token(registers));
  if (reason !== 'intercept') return exitKey(EXIT_KIND.INTERCEPT, INTERCEPTION[reason]);
  const [first, second] = cpu.exitText;
  if (first === DIAG) return exitKey(EXIT_KIND.DIAGNOSE, Number(cpu.exitOperand & 0xffffn));
  if (first === SIGP) return exitKey(EXIT_KIND.SIGP, Number(cpu.exitOperand & 0xffn));
  return exitKey(EXIT_KIND.INSTRUCTION, (first << 8) | second);
}

/** The hypercall's token, GPR1; nothing is called by one of more than 32 bits. */
function token(registers: Registers): number {
  return registers.gprHigh(1) === 0 ? registers.gprLow(1) >>> 0 : EXIT_VALUE_MAX;
}
