/** The hypercall table of the VMM: token to handler (QEMU hw/ppc/spapr_hcall.c). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { HCALL, HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import { VFIO_EEH_PE } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { FslHcalls } from './fsl_hcalls.ts';
import type { HcallResult } from './hcall_result.ts';
import { SpaprCi } from './spapr_ci.ts';
import { SpaprEvents } from './spapr_events.ts';
import { SpaprIrq } from './spapr_irq.ts';
import { SpaprPciHotplug } from './spapr_pci_hotplug.ts';
import { SpaprRtas } from './spapr_rtas.ts';
import { ddwRows } from './spapr_rtas_ddw.ts';
import { drcRows } from './spapr_rtas_drc.ts';
import { eehOp, eehRows } from './spapr_rtas_eeh.ts';
import { configRows, msiRows, SpaprPhbs } from './spapr_rtas_pci.ts';
import { platformRows, type RtasPlatform } from './spapr_rtas_platform.ts';
import { SpaprTceHcalls } from './spapr_tce_hcalls.ts';
import { enableLogicalCi, setTceTier, type TceTier, TIER_NUMBERS } from './spapr_tier.ts';

export interface SpaprHcallOptions {
  /** Tier that the command line chose. */
  readonly tier: TceTier;
  /** True: KVM does accesses to mapped BARs itself. */
  readonly directMmio?: boolean;
  /** CPUs, each with a presentation controller; 1 when omitted. */
  readonly cpus?: number;
  /** What RTAS may do to the machine as a whole; without it there are no such calls. */
  readonly platform?: RtasPlatform;
  /**
   * Takes H_MINIVISOR_MARK: one measured batch of `calls` hypercalls that took `units` of the TOD clock (4096 to a
   * microsecond); of 0 calls, that `units` operations have been done.
   */
  mark(series: number, calls: number, units: number): void;
}

/** Arguments of a hypercall at most (registers 4 to 12). */
const ARGUMENTS = 9;
const NO_ARGUMENTS: readonly bigint[] = new Array(ARGUMENTS).fill(0n);
function* unknown(): Task<HcallResult> {
  return answer(HCALL_RETURN.H_FUNCTION);
}
const answer = (ret: number): HcallResult => ({ ret: BigInt(ret), out: [] });

/** `cpu`: address of the CPU that makes the call. */
type Handler = (args: readonly bigint[], cpu: number) => Task<HcallResult>;

/** One hypercall, and how many arguments it looks at; all when omitted. */
type Row = readonly [token: number, handler: Handler, arguments?: number];

export class SpaprHypercalls {
  /** LIOBN tables are added here. */
  readonly tce: SpaprTceHcalls;
  /** BAR windows are added here. */
  readonly ci = new SpaprCi();
  /** The interrupt controller. */
  readonly irq: SpaprIrq;
  /** The firmware's calls. */
  readonly rtas: SpaprRtas;
  /** Platform devices are added here. */
  readonly fsl: FslHcalls;
  /** Host bridges are added here. */
  readonly phbs = new SpaprPhbs();
  /** What the platform tells the guest. */
  readonly events: SpaprEvents;
  /** Devices that come to the bridges and go while the machine runs. */
  readonly hotplug: SpaprPciHotplug;
  readonly #machine: Machine;
  readonly #options: SpaprHcallOptions;
  /** The table: one row per token. */
  readonly #rows: ReadonlyMap<number, Row>;

  constructor(machine: Machine, options: SpaprHcallOptions) {
    this.#machine = machine;
    this.#options = options;
    this.tce = new SpaprTceHcalls(machine);
    this.irq = new SpaprIrq(machine, options.cpus ?? 1);
    this.rtas = new SpaprRtas(machine);
    this.fsl = new FslHcalls(machine);
    this.events = new SpaprEvents(machine, this.irq, options.platform?.tod ?? (() => 0n));
    this.hotplug = new SpaprPciHotplug(machine, this.phbs, this.events);
    this.rtas.add(this.irq.rtasRows());
    this.rtas.add(configRows(this.phbs));
    this.rtas.add(msiRows(machine, this.phbs));
    this.rtas.add(eehRows(machine, this.phbs));
    this.rtas.add(ddwRows(machine, this.phbs));
    this.rtas.add(this.events.rtasRows());
    this.rtas.add(drcRows(machine, this.phbs));
    if (options.platform !== undefined) this.rtas.add(platformRows(machine, options.platform));
    const { tce, ci, irq, rtas, fsl } = this;
    const rows: readonly Row[] = [
      [HCALL.H_GET_TCE, (args) => tce.getTce(args), 2],
      [HCALL.H_PUT_TCE, (args) => tce.putTce(args), 3],
      [HCALL.H_STUFF_TCE, (args) => tce.stuffTce(args), 4],
      [HCALL.H_PUT_TCE_INDIRECT, (args) => tce.putTceIndirect(args), 4],
      [HCALL.H_LOGICAL_CI_LOAD, (args) => ci.load(args)],
      [HCALL.H_LOGICAL_CI_STORE, (args) => ci.store(args)],
      [HCALL.H_EOI, (args, cpu) => irq.eoi(args, cpu)],
      [HCALL.H_CPPR, (args, cpu) => irq.cppr(args, cpu)],
      [HCALL.H_IPI, (args) => irq.ipi(args)],
      [HCALL.H_IPOLL, (args) => irq.ipoll(args)],
      [HCALL.H_XIRR, (_, cpu) => irq.xirr(cpu)],
      [HCALL.H_RTAS, (args) => rtas.hypercall(args)],
      [HCALL.H_MINIVISOR_TIER, (args) => this.#tier(args)],
      [HCALL.H_MINIVISOR_MARK, (args) => this.#mark(args)],
      [HCALL.FH_DMA_ENABLE, (args) => fsl.dmaEnable(args)],
    ];
    this.#rows = new Map(rows.map((row) => [row[0], row]));
  }

  /** How many arguments a hypercall looks at: reading others takes time. */
  argumentsOf(nr: number): number {
    return this.#rows.get(nr)?.[2] ?? ARGUMENTS;
  }
  /** One hypercall that came to the VMM from CPU `cpu`; `args` are unsigned, missing ones are 0. An unknown token is H_FUNCTION. */
  hypercall(nr: number, args: readonly bigint[], cpu = 0): Task<HcallResult> {
    const row = this.#rows.get(nr);
    if (row === undefined) return unknown();
    const [, handler, wanted = ARGUMENTS] = row;
    return handler(args.length < wanted ? [...args, ...NO_ARGUMENTS].slice(0, wanted) : args, cpu);
  }

  /** Puts the command line's tiers in force; called once KVM is set up. @throws Errno */
  *start(): Task {
    yield* setTceTier(this.#machine, this.#options.tier);
    if (this.#options.directMmio === true) yield* enableLogicalCi(this.#machine);
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
    this.events.reset();
    yield* this.hotplug.reset();
    for (const phb of this.phbs.all()) {
      yield* phb.reset();
      yield* eehOp(this.#machine, phb, VFIO_EEH_PE.ENABLE);
    }
    yield* this.fsl.reset();
    this.irq.reset();
    yield* this.tce.reset();
    yield* this.start();
  }
}
