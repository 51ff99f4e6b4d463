/**
 * Interrupts of the sPAPR side: the numbers of sources (QEMU include/hw/ppc/spapr_irq.h), the XICS hypercalls and RTAS
 * calls (QEMU hw/intc/xics_spapr.c), and how a presentation controller's line reaches a CPU. The CPU is not a POWER one:
 * a rising line is an adapter interruption, and its handler asks by H_XIRR which source it was.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { HcallResult } from './hcall_result.ts';
import { SPAPR_IRQ_END, SPAPR_IRQ_MSI, SPAPR_IRQ_PCI_LSI } from './spapr_irq_numbers.ts';
import { RTAS, type RtasRow } from './spapr_rtas.ts';
import { PRIORITY_LEAST, Xics } from './xics.ts';

/** Interruption subclass of PCI on s390x (Linux arch/s390/include/asm/isc.h, PCI_ISC). */
export const SPAPR_ISC = 2;

/** Interrupt pins of a host bridge. */
const PINS = 4;

/** Source number of a pin, 0 for INTA#, of a host bridge. */
export function lsiNumber(phb: number, pin: number): number {
  return SPAPR_IRQ_PCI_LSI + phb * PINS + pin;
}

const { H_SUCCESS, H_PARAMETER } = HCALL_RETURN;
const answer = (ret: number, ...out: number[]): HcallResult => ({ ret: BigInt(ret), out: out.map(BigInt) });
const low = (value: bigint, mask: bigint) => Number(value & mask);
const WORD = 0xffff_ffffn;

export class SpaprIrq {
  readonly xics: Xics;
  readonly #machine: Machine;
  /** Told when a CPU ends an interrupt of a source, before the source may be presented again. */
  readonly #eoi = new Map<number, () => Task>();

  constructor(machine: Machine, cpus: number) {
    this.#machine = machine;
    this.xics = new Xics(cpus);
  }

  /** Claims a pin's source. @param eoi called when its interrupt is ended */
  claimLsi(number: number, eoi: () => Task): void {
    this.xics.claim(number, true);
    this.#eoi.set(number, eoi);
  }
  /** Claims `count` sources for messages, one after the other, the first at a multiple of `align`; undefined when there are none. */
  claimMsis(count: number, align: number): number | undefined {
    const free = (first: number) =>
      Array.from({ length: count }, (_, i) => first + i).every((n) => !this.xics.claimed(n));
    for (let first = SPAPR_IRQ_MSI; first + count <= SPAPR_IRQ_END; first += align) {
      if (!free(first)) continue;
      for (let i = 0; i < count; i++) this.xics.claim(first + i, false);
      return first;
    }
    return undefined;
  }
  freeMsis(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.xics.free(first + i);
  }

  /** A message of a source. */
  *pulse(number: number): Task {
    this.xics.pulse(number);
    yield* this.#tell();
  }
  *setLevel(number: number, asserted: boolean): Task {
    this.xics.setLevel(number, asserted);
    yield* this.#tell();
  }
  /** Lines that have risen: adapter interruptions float, so one does for all of them. */
  *#tell(): Task {
    if (this.xics.takeRaised().length > 0) yield* this.#machine.injectAdapter(SPAPR_ISC);
  }

  // Hypercalls; `cpu` is the one that makes it

  *xirr(cpu: number): Task<HcallResult> {
    return answer(H_SUCCESS, this.xics.accept(cpu));
  }
  *ipoll([server]: readonly bigint[]): Task<HcallResult> {
    if (server >= BigInt(this.xics.servers)) return answer(H_PARAMETER);
    const { xirr, mfrr } = this.xics.poll(Number(server));
    return answer(H_SUCCESS, xirr, mfrr);
  }
  *cppr([cppr]: readonly bigint[], cpu: number): Task<HcallResult> {
    this.xics.setCppr(cpu, low(cppr, 0xffn));
    yield* this.#tell();
    return answer(H_SUCCESS);
  }
  *ipi([server, mfrr]: readonly bigint[]): Task<HcallResult> {
    if (server >= BigInt(this.xics.servers)) return answer(H_PARAMETER);
    this.xics.setMfrr(Number(server), low(mfrr, 0xffn));
    yield* this.#tell();
    return answer(H_SUCCESS);
  }
  *eoi([xirr]: readonly bigint[], cpu: number): Task<HcallResult> {
    const word = low(xirr, WORD);
    const told = this.#eoi.get(word & 0xff_ffff);
    if (told !== undefined) yield* told();
    this.xics.eoi(cpu, word);
    yield* this.#tell();
    return answer(H_SUCCESS);
  }

  // RTAS

  /** The calls, as rows of the RTAS table. */
  rtasRows(): RtasRow[] {
    const { SUCCESS, PARAM_ERROR } = RTAS;
    const { xics } = this;
    const irq = this;
    const refused = [PARAM_ERROR];
    /** A call on one source: what it changes. */
    const change = (apply: (number: number) => void) =>
      function* ([number]: readonly number[]): Task<readonly number[]> {
        if (!xics.claimed(number)) return refused;
        apply(number);
        yield* irq.#tell();
        return [SUCCESS];
      };
    return [
      {
        token: 0x200a,
        name: 'ibm,set-xive',
        nargs: [3],
        nret: [1],
        *handler(args) {
          const [number, server, priority] = args;
          if (server >= xics.servers || priority > PRIORITY_LEAST) return refused;
          return yield* change((n) => xics.setXive(n, server, priority))([number]);
        },
      },
      {
        token: 0x200b,
        name: 'ibm,get-xive',
        nargs: [1],
        nret: [3],
        *handler([number]) {
          const xive = xics.xive(number);
          return xive === undefined ? refused : [SUCCESS, xive.server, xive.priority];
        },
      },
      { token: 0x200c, name: 'ibm,int-off', nargs: [1], nret: [1], handler: change((n) => xics.mask(n)) },
      { token: 0x200d, name: 'ibm,int-on', nargs: [1], nret: [1], handler: change((n) => xics.unmask(n)) },
    ];
  }

  reset(): void {
    this.xics.reset();
  }
}
