/** The hypercall table of the VMM: token to handler (QEMU hw/ppc/spapr_hcall.c). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { HCALL, HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { HcallResult } from './hcall_result.ts';
import { SpaprCi } from './spapr_ci.ts';
import { SpaprTceHcalls } from './spapr_tce_hcalls.ts';
import { setTceTier, type TceTier, TIER_NUMBERS } from './spapr_tier.ts';

export interface SpaprHcallOptions {
  /** Tier that the command line chose. */
  readonly tier: TceTier;
  /** Takes H_MINIVISOR_MARK: one measured batch of `calls` hypercalls that took `units` of the TOD clock (4096 to a microsecond). */
  mark(series: number, calls: number, units: number): void;
}

/** Arguments of a hypercall at most (registers 4 to 12). */
const ARGUMENTS = 9;
const NO_ARGUMENTS: readonly bigint[] = new Array(ARGUMENTS).fill(0n);
const answer = (ret: number): HcallResult => ({ ret: BigInt(ret), out: [] });

type Handler = (args: readonly bigint[]) => Task<HcallResult>;

export class SpaprHypercalls {
  /** LIOBN tables are added here. */
  readonly tce: SpaprTceHcalls;
  /** BAR windows are added here. */
  readonly ci = new SpaprCi();
  readonly #machine: Machine;
  readonly #options: SpaprHcallOptions;
  /** The table: one row per token. */
  readonly handlers: ReadonlyMap<bigint, Handler>;

  constructor(machine: Machine, options: SpaprHcallOptions) {
    this.#machine = machine;
    this.#options = options;
    this.tce = new SpaprTceHcalls(machine);
    const { tce, ci } = this;
    const rows: readonly (readonly [number, Handler])[] = [
      [HCALL.H_GET_TCE, (args) => tce.getTce(args)],
      [HCALL.H_PUT_TCE, (args) => tce.putTce(args)],
      [HCALL.H_STUFF_TCE, (args) => tce.stuffTce(args)],
      [HCALL.H_PUT_TCE_INDIRECT, (args) => tce.putTceIndirect(args)],
      [HCALL.H_LOGICAL_CI_LOAD, (args) => ci.load(args)],
      [HCALL.H_LOGICAL_CI_STORE, (args) => ci.store(args)],
      [HCALL.H_MINIVISOR_TIER, (args) => this.#tier(args)],
      [HCALL.H_MINIVISOR_MARK, (args) => this.#mark(args)],
    ];
    this.handlers = new Map(rows.map(([token, handler]) => [BigInt(token), handler]));
  }

  /** One hypercall that came to the VMM; `args` are unsigned, missing ones are 0. An unknown token is H_FUNCTION. */
  *hypercall(nr: bigint, args: readonly bigint[]): Task<HcallResult> {
    const handler = this.handlers.get(nr);
    if (handler === undefined) return answer(HCALL_RETURN.H_FUNCTION);
    return yield* handler(args.length < ARGUMENTS ? [...args, ...NO_ARGUMENTS].slice(0, ARGUMENTS) : args);
  }

  /** Puts the command line's tier in force; called once KVM is set up. @throws Errno */
  *start(): Task {
    yield* setTceTier(this.#machine, this.#options.tier);
  }

  /**
   * H_MINIVISOR_TIER(tier): 0 real mode, 1 virtual mode, 2 VMM, 3 what the command line chose. A tier that comes before
   * that one is H_AUTHORITY.
   */
  *#tier([number]: readonly bigint[]): Task<HcallResult> {
    const tier =
      number === BigInt(TIER_NUMBERS.length)
        ? this.#options.tier
        : number < 3n
          ? TIER_NUMBERS[Number(number)]
          : undefined;
    if (tier === undefined) return answer(HCALL_RETURN.H_PARAMETER);
    if (TIER_NUMBERS.indexOf(tier) < TIER_NUMBERS.indexOf(this.#options.tier)) return answer(HCALL_RETURN.H_AUTHORITY);
    yield* setTceTier(this.#machine, tier);
    return answer(HCALL_RETURN.H_SUCCESS);
  }

  /** H_MINIVISOR_MARK(series, calls, units). */
  *#mark([series, calls, units]: readonly bigint[]): Task<HcallResult> {
    this.#options.mark(Number(series), Number(calls), Number(units));
    return answer(HCALL_RETURN.H_SUCCESS);
  }

  /** Machine reset. */
  *reset(): Task {
    yield* this.tce.reset();
    yield* this.start();
  }
}
