/**
 * XICS, the interrupt controller of PAPR (QEMU hw/intc/xics.c; PAPR, "Interrupt Controller"): sources, each with a server
 * and a priority, and one presentation controller for each CPU. The lower a priority's number, the more it is favoured;
 * 255 is never presented.
 *
 * Everything here is done without a pause; what a CPU is to be told comes out of {@link Xics.takeRaised}.
 */

/** The least favoured priority: masked. */
export const PRIORITY_LEAST = 0xff;
/** Source number of an inter-processor interrupt (PAPR; QEMU XICS_IPI). */
export const XICS_IPI = 2;

/** Status of a source. */
interface Source {
  readonly lsi: boolean;
  server: number;
  priority: number;
  savedPriority: number;
  /** LSI: its level. */
  asserted: boolean;
  /** LSI: presented, and not ended. */
  sent: boolean;
  /** MSI: a presentation controller had something better. */
  rejected: boolean;
  /** MSI: came while it was masked. */
  maskedPending: boolean;
}

/** A presentation controller. */
interface Presentation {
  /** Current processor priority: only what is more favoured is presented. */
  cppr: number;
  /** Source being presented; 0: none. */
  xisr: number;
  /** Priority of that one. */
  pendingPriority: number;
  /** Most favoured request register: the priority of its inter-processor interrupt. */
  mfrr: number;
  /** The CPU's interrupt line. */
  line: boolean;
}

const IDLE: Readonly<Presentation> = {
  cppr: 0,
  xisr: 0,
  pendingPriority: PRIORITY_LEAST,
  mfrr: PRIORITY_LEAST,
  line: false,
};
const NEW_SOURCE: Readonly<Omit<Source, 'lsi'>> = {
  server: 0,
  priority: PRIORITY_LEAST,
  savedPriority: PRIORITY_LEAST,
  asserted: false,
  sent: false,
  rejected: false,
  maskedPending: false,
};

/** What XIRR holds: priority in bits 0-7, source in bits 8-31. */
const xirrOf = (cppr: number, xisr: number) => ((cppr << 24) | xisr) >>> 0;
const XISR_MASK = 0xff_ffff;

export class Xics {
  readonly #sources = new Map<number, Source>();
  readonly #presentations: readonly Presentation[];
  /** CPUs whose line has risen since last asked. */
  readonly #raised = new Set<number>();

  constructor(cpus: number) {
    this.#presentations = Array.from({ length: cpus }, () => ({ ...IDLE }));
  }

  /** Servers, one for each CPU; CPU addresses are server numbers. */
  get servers(): number {
    return this.#presentations.length;
  }

  // Sources

  /** A source comes into being, masked. @throws Error when there is one of that number */
  claim(number: number, lsi: boolean): void {
    if (this.#sources.has(number)) throw new Error(`interrupt source 0x${number.toString(16)} is in use`);
    this.#sources.set(number, { lsi, ...NEW_SOURCE });
  }
  /** It goes; what is presented of it stays. */
  free(number: number): void {
    this.#sources.delete(number);
  }
  claimed(number: number): boolean {
    return this.#sources.has(number);
  }

  /** A message of a source (ics_set_irq_msi); unknown sources are ignored. */
  pulse(number: number): void {
    const source = this.#sources.get(number);
    if (source === undefined || source.lsi) return;
    if (source.priority === PRIORITY_LEAST) source.maskedPending = true;
    else this.#present(source.server, number, source.priority);
  }
  /** The level of a source (ics_set_irq_lsi). */
  setLevel(number: number, asserted: boolean): void {
    const source = this.#sources.get(number);
    if (source === undefined || !source.lsi) return;
    source.asserted = asserted;
    this.#resendLsi(number, source);
  }

  /** Where a source goes, and how urgent it is (ibm,get-xive); undefined when there is none. */
  xive(number: number): { readonly server: number; readonly priority: number } | undefined {
    const source = this.#sources.get(number);
    return source && { server: source.server, priority: source.priority };
  }
  /** ibm,set-xive. */
  setXive(number: number, server: number, priority: number, saved = priority): void {
    const source = this.#sources.get(number);
    if (source === undefined) return;
    source.server = server;
    source.priority = priority;
    source.savedPriority = saved;
    if (source.lsi) this.#resendLsi(number, source);
    else if (source.maskedPending && priority !== PRIORITY_LEAST) {
      source.maskedPending = false;
      this.#present(server, number, priority);
    }
  }
  /** ibm,int-off: masked, and its priority remembered. */
  mask(number: number): void {
    const source = this.#sources.get(number);
    if (source !== undefined) this.setXive(number, source.server, PRIORITY_LEAST, source.priority);
  }
  /** ibm,int-on. */
  unmask(number: number): void {
    const source = this.#sources.get(number);
    if (source !== undefined) this.setXive(number, source.server, source.savedPriority, source.savedPriority);
  }

  // Hypercalls

  /** H_XIRR: takes what is presented; the processor priority becomes its (icp_accept). Nothing: source 0, no change. */
  accept(cpu: number): number {
    const icp = this.#presentations[cpu];
    const xirr = xirrOf(icp.cppr, icp.xisr);
    if (icp.xisr === 0) return xirr;
    this.#lower(cpu);
    icp.cppr = icp.pendingPriority;
    icp.xisr = 0;
    icp.pendingPriority = PRIORITY_LEAST;
    return xirr;
  }
  /** H_IPOLL: XIRR and MFRR as they are. */
  poll(cpu: number): { readonly xirr: number; readonly mfrr: number } {
    const { cppr, xisr, mfrr } = this.#presentations[cpu];
    return { xirr: xirrOf(cppr, xisr), mfrr };
  }
  /** H_EOI: the source has been served, and the processor priority is restored (icp_eoi). */
  eoi(cpu: number, xirr: number): void {
    const icp = this.#presentations[cpu];
    icp.cppr = xirr >>> 24;
    const source = this.#sources.get(xirr & XISR_MASK);
    if (source?.lsi) source.sent = false;
    if (icp.xisr === 0) this.#resend(cpu);
  }
  /** H_CPPR (icp_set_cppr): what is not favoured any more goes back to its source. */
  setCppr(cpu: number, cppr: number): void {
    const icp = this.#presentations[cpu];
    const before = icp.cppr;
    icp.cppr = cppr;
    if (cppr >= before) {
      if (icp.xisr === 0) this.#resend(cpu);
      return;
    }
    if (icp.xisr === 0 || cppr > icp.pendingPriority) return;
    const { xisr } = icp;
    icp.xisr = 0;
    icp.pendingPriority = PRIORITY_LEAST;
    this.#lower(cpu);
    this.#reject(xisr);
  }
  /** H_IPI (icp_set_mfrr). */
  setMfrr(cpu: number, mfrr: number): void {
    this.#presentations[cpu].mfrr = mfrr;
    if (mfrr < this.#presentations[cpu].cppr) this.#checkIpi(cpu);
  }

  /** CPUs whose interrupt line has risen since this was last called, and is still up. */
  takeRaised(): number[] {
    const raised = [...this.#raised].filter((cpu) => this.#presentations[cpu].line);
    this.#raised.clear();
    return raised;
  }

  /** Machine reset: nothing is presented, every source is masked; levels stay what the devices make them. */
  reset(): void {
    for (const icp of this.#presentations) Object.assign(icp, IDLE);
    for (const source of this.#sources.values()) Object.assign(source, { ...NEW_SOURCE, asserted: source.asserted });
    this.#raised.clear();
  }

  // Presentation

  #raise(cpu: number): void {
    const icp = this.#presentations[cpu];
    if (!icp.line) this.#raised.add(cpu);
    icp.line = true;
  }
  #lower(cpu: number): void {
    this.#presentations[cpu].line = false;
  }

  /** icp_irq: presented if it is favoured; whichever of the two loses goes back. */
  #present(cpu: number, number: number, priority: number): void {
    const icp = this.#presentations[cpu];
    if (icp === undefined) return;
    if (priority >= icp.cppr || (icp.xisr !== 0 && icp.pendingPriority <= priority)) {
      this.#reject(number);
      return;
    }
    const before = icp.xisr;
    icp.xisr = number;
    icp.pendingPriority = priority;
    this.#raise(cpu);
    if (before !== 0) this.#reject(before);
  }
  /** ics_reject. An inter-processor interrupt needs no note: MFRR is still there. */
  #reject(number: number): void {
    const source = this.#sources.get(number);
    if (source === undefined) return;
    if (source.lsi) source.sent = false;
    else source.rejected = true;
  }
  #checkIpi(cpu: number): void {
    const icp = this.#presentations[cpu];
    if (icp.xisr !== 0 && icp.pendingPriority <= icp.mfrr) return;
    const before = icp.xisr;
    icp.xisr = XICS_IPI;
    icp.pendingPriority = icp.mfrr;
    this.#raise(cpu);
    if (before !== 0) this.#reject(before);
  }
  /** icp_resend: whatever waits may go now. */
  #resend(cpu: number): void {
    if (this.#presentations[cpu].mfrr < this.#presentations[cpu].cppr) this.#checkIpi(cpu);
    for (const [number, source] of this.#sources) {
      if (source.server !== cpu) continue;
      if (source.lsi) this.#resendLsi(number, source);
      else if (source.rejected) {
        source.rejected = false;
        if (source.priority === PRIORITY_LEAST) source.maskedPending = true;
        else this.#present(source.server, number, source.priority);
      }
    }
  }
  #resendLsi(number: number, source: Source): void {
    if (source.priority === PRIORITY_LEAST || !source.asserted || source.sent) return;
    source.sent = true;
    this.#present(source.server, number, source.priority);
  }
}
