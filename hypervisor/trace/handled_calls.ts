/**
 * Which CPU's hypercall a handler is at work for. The handlers' events name the token only, and one thread may be in the
 * middle of the same call for two CPUs: their beginnings are told apart by the calls under way on the CPUs, their ends by
 * the CPU that goes on.
 */

/** A moment, and the number of its record. */
export interface Moment {
  readonly time: number;
  readonly order: number;
}

/** A handler that has ended, of which CPU is not known yet. */
interface Unclaimed {
  readonly thread: string;
  readonly token: number;
  readonly ret: number;
  readonly args: readonly number[];
  readonly at: Moment;
}

/** A handler's end, with its CPU. */
export interface HandlerEnd {
  readonly thread: string;
  readonly cpu: number;
  /** of hypercall_ret */
  readonly args: readonly number[];
  readonly at: Moment;
}

/** The handler of a call that no CPU was seen to make. */
const NO_CPU = -1;
/** CPUs trace the low words of their registers. */
const sameWord = (a: number, b: number) => a >>> 0 === b >>> 0;

export class HandledCalls {
  /** Calls under way, by CPU: token and arguments. */
  readonly #calls = new Map<number, readonly number[]>();
  /** Tokens of the handlers at work, by thread and CPU. */
  readonly #handlers = new Map<string, Map<number, number>>();
  #unclaimed: Unclaimed[] = [];

  /** A CPU makes a call. @param args of kvm_hcall_enter */
  enter([cpu, ...call]: readonly number[]): void {
    this.#calls.set(cpu, call);
  }

  /** A thread begins to handle a call. @param args of hypercall @returns the CPU that made it, -1 when none did */
  begin(thread: string, args: readonly number[]): number {
    const handlers = this.#handlers.get(thread) ?? new Map<number, number>();
    this.#handlers.set(thread, handlers);
    const [token] = args;
    const free = [...this.#calls].filter(([cpu, call]) => call[0] === token && !handlers.has(cpu));
    const same = free.find(([, [, arg1, arg2]]) => sameWord(arg1, args[1]) && sameWord(arg2, args[2]));
    const [cpu] = same ?? free[0] ?? [NO_CPU];
    handlers.set(cpu, token);
    return cpu;
  }

  /**
   * A handler of a thread ends. @param args of hypercall_ret
   * @returns its CPU; `later` when that shows later; undefined when none of the thread is at work for such a call
   */
  end(thread: string, args: readonly number[], at: Moment): number | 'later' | undefined {
    const [token, ret] = args;
    const [cpu, another] = this.#atWork(thread, token);
    if (another !== undefined) {
      this.#unclaimed.push({ thread, token, ret, args, at });
      return 'later';
    }
    if (cpu !== undefined) this.#handlers.get(thread)?.delete(cpu);
    return cpu;
  }

  /** A CPU, or the VMM for it, goes on after a call: its handlers have ended. @param ret the return code, where it is known */
  goesOn(cpu: number, ret?: number): HandlerEnd[] {
    const ends: HandlerEnd[] = [];
    for (const [thread, handlers] of this.#handlers) {
      const token = handlers.get(cpu);
      const candidates = this.#unclaimed.filter((one) => one.thread === thread && one.token === token);
      const one = candidates.find((each) => ret !== undefined && sameWord(each.ret, ret)) ?? candidates[0];
      if (one !== undefined) ends.push(this.#claim(one, cpu));
    }
    return ends;
  }

  /** The call of a CPU is over. @param args of kvm_hcall_exit */
  exit([cpu, , ret]: readonly number[]): HandlerEnd[] {
    this.#calls.delete(cpu);
    return this.goesOn(cpu, ret);
  }

  /** Nothing comes any more: ends that nobody claimed, in their order. */
  rest(): HandlerEnd[] {
    return [...this.#unclaimed].flatMap((one) => {
      const [cpu] = this.#atWork(one.thread, one.token);
      return cpu === undefined ? [] : [this.#claim(one, cpu)];
    });
  }

  /** CPUs that a thread handles such a call for, the longest first. */
  #atWork(thread: string, token: number): number[] {
    return [...(this.#handlers.get(thread) ?? [])].filter(([, of]) => of === token).map(([cpu]) => cpu);
  }
  #claim(one: Unclaimed, cpu: number): HandlerEnd {
    this.#unclaimed = this.#unclaimed.filter((each) => each !== one);
    this.#handlers.get(one.thread)?.delete(cpu);
    return { thread: one.thread, cpu, args: one.args, at: one.at };
  }
}
