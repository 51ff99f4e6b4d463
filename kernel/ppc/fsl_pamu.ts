/**
 * The PAMU driver (drivers/iommu/fsl_pamu.c): at boot every LIODN of the device tree gets an entry that lets it everywhere,
 * the PAMUs are enabled and their bypass ends; from then on violations are caught. The first bad access of a LIODN silences
 * all devices that share it. Facts: vfio-pamu 1.7.
 */
import { CCSR, GUTS, MPIC_SOURCE } from '../include/arch/ppc/fsl_soc.ts';
import {
  OME_NUMBER_ENTRIES,
  OME_SIZE,
  PAACE,
  PAACE_NUMBER_ENTRIES,
  PAMU,
  PAMU_AV_MASK,
  PAMU_AVS1_LIODN_SHIFT,
  PAMU_AVS2,
  PAMU_PC,
  PAMU_PC3,
  PAMU_PICS,
  PAMU_STRIDE,
  PAMU_VIOLATION,
  PAMUS,
  type PamuViolation,
  SPAACE_NUMBER_ENTRIES,
  windowCount,
} from '../include/arch/ppc/pamu.ts';
import type { Kernel } from '../kernel.ts';
import { EVENT } from '../lib/trace.ts';
import type { LiodnAttributes } from './fsl_pamu_omt.ts';
import { PamuTables } from './fsl_pamu_tables.ts';
import type { FslSocBus } from './fsl_soc_bus.ts';
import type { Mpic } from './mpic.ts';

/** One violation, as the host's log keeps it. */
export interface PamuViolationRecord {
  readonly pamu: number;
  readonly liodn: number;
  /** Bus address. */
  readonly address: number;
  /** What was wrong; undefined when no code of this table is set. */
  readonly code: PamuViolation | undefined;
  readonly kind: 'read' | 'write';
  /** The LIODN was off already (erratum A-003638): the PAMU reports nothing from then on. */
  readonly disabled: boolean;
}

/** Violations the host's log keeps. */
const LOG_RECORDS = 256;
const U32 = 2 ** 32;

export class FslPamu {
  readonly tables: PamuTables;
  /** Most windows an aperture may have. */
  readonly maxWindows: number;
  /** Violations, oldest first; the last {@link LOG_RECORDS} of them. */
  readonly violations: PamuViolationRecord[] = [];
  readonly #kernel: Kernel;
  readonly #bus: FslSocBus;
  readonly #liodns: ReadonlyMap<number, LiodnAttributes>;
  /** Told when a violation has stopped a LIODN. */
  readonly #faultListeners = new Set<(liodn: number) => void>();

  /** @param liodns of the device tree, with what is particular of each */
  constructor(kernel: Kernel, bus: FslSocBus, mpic: Mpic, liodns: ReadonlyMap<number, LiodnAttributes>) {
    this.#kernel = kernel;
    this.#bus = bus;
    this.tables = new PamuTables(kernel.memory, kernel.pages, () => this.#drain());
    this.#liodns = liodns;
    for (const liodn of liodns.keys()) {
      this.configureIdentity(liodn);
      this.tables.setValid(liodn, true);
    }
    this.maxWindows = windowCount(PAMU_PC3.get(this.#load(0, PAMU.PC3), 'MWCE'));
    for (let pamu = 0; pamu < PAMUS; pamu++) this.#setUp(pamu);
    const pamu = this;
    mpic.request(MPIC_SOURCE.PAMU, function* () {
      pamu.#violation();
    });
    bus.write32(GUTS.PAMUBYPENR, 0);
  }

  #load(pamu: number, register: number): number {
    return this.#bus.read32(CCSR.PAMU + pamu * PAMU_STRIDE + register) >>> 0;
  }
  #store(pamu: number, register: number, value: number): void {
    this.#bus.write32(CCSR.PAMU + pamu * PAMU_STRIDE + register, value);
  }
  #load64(pamu: number, high: number, low: number): number {
    return this.#load(pamu, high) * U32 + this.#load(pamu, low);
  }

  /** The host's own entry of a LIODN, which must not be valid. */
  configureIdentity(liodn: number): void {
    this.tables.configureIdentity(liodn, this.#liodns.get(liodn));
  }
  /** Row of the operation mapping table for a LIODN's devices, whoever has them (get_ome_index); undefined for none. */
  omiOf(liodn: number): number | undefined {
    return this.#liodns.get(liodn)?.omi;
  }

  /** setup_one_pamu: the tables, then enable, then report violations. */
  #setUp(pamu: number): void {
    const { ppaact, spaact, omt } = this.tables;
    const table = (registers: readonly number[], base: number, size: number) => {
      for (const [i, address] of [base, base + size].entries()) {
        this.#store(pamu, registers[2 * i], Math.floor(address / U32));
        this.#store(pamu, registers[2 * i + 1], address);
      }
    };
    table([PAMU.PPBAH, PAMU.PPBAL, PAMU.PPLAH, PAMU.PPLAL], ppaact, PAACE_NUMBER_ENTRIES * PAACE.size);
    table([PAMU.SPBAH, PAMU.SPBAL, PAMU.SPLAH, PAMU.SPLAL], spaact, SPAACE_NUMBER_ENTRIES * PAACE.size);
    table([PAMU.OBAH, PAMU.OBAL, PAMU.OLAH, PAMU.OLAL], omt, OME_NUMBER_ENTRIES * OME_SIZE);
    this.#store(pamu, PAMU.PICS, PAMU_PICS.ENABLE);
    this.#store(pamu, PAMU.PC, PAMU_PC.PE | PAMU_PC.OCE | PAMU_PC.SPCC | PAMU_PC.PPCC);
  }

  /** Returns when every transaction that may have used a table as it was has ended: a register load waits for them. */
  #drain(): void {
    for (let pamu = 0; pamu < PAMUS; pamu++) this.#load(pamu, PAMU.PC);
  }

  /** Tells `listener` of every LIODN that a violation stops. Returns how to end that. */
  onFault(listener: (liodn: number) => void): () => void {
    this.#faultListeners.add(listener);
    return () => this.#faultListeners.delete(listener);
  }

  /**
   * A LIODN's DMA goes on (pamu_enable_liodn). If it was off, its violations are reported, though an earlier user's accesses
   * while off may have ended all reports (erratum A-003638): nobody inherits that silence.
   */
  allow(liodn: number): void {
    if (this.tables.isValid(liodn)) return;
    this.#rearm();
    this.tables.setValid(liodn, true);
  }

  /**
   * Reports violations again, where the handler has stopped that. What was captured meanwhile is forgotten, or it would
   * keep the next one from being captured.
   */
  #rearm(): void {
    for (let pamu = 0; pamu < PAMUS; pamu++) {
      if ((this.#load(pamu, PAMU.PICS) & PAMU_PICS.ENABLE) !== 0) continue;
      this.#store(pamu, PAMU.AVS1, PAMU_AV_MASK);
      this.#store(pamu, PAMU.PICS, PAMU_PICS.STAT | PAMU_PICS.ENABLE);
    }
  }

  /**
   * Handles what was captured and not handled yet: the interrupt may still be on its way. Whoever lets a LIODN go on asks for
   * this first, or a violation from before would stop it again.
   */
  settle(): void {
    this.#violation();
  }

  /** pamu_av_isr. */
  #violation(): void {
    for (let pamu = 0; pamu < PAMUS; pamu++) {
      const pics = this.#load(pamu, PAMU.PICS);
      if ((pics & PAMU_PICS.STAT) !== 0) this.#handle(pamu, pics);
    }
  }

  #handle(pamu: number, pics: number): void {
    const avs1 = this.#load(pamu, PAMU.AVS1);
    const liodn = avs1 >>> PAMU_AVS1_LIODN_SHIFT;
    const address = this.#load64(pamu, PAMU.AVAH, PAMU.AVAL);
    const disabled = !this.tables.isValid(liodn);
    const kind = (this.#load(pamu, PAMU.AVS2) & PAMU_AVS2.WRITE) !== 0 ? 'write' : 'read';
    this.#record({ pamu, liodn, address, code: violationOf(avs1), kind, disabled }, avs1);
    this.#store(pamu, PAMU.AVS1, avs1 & PAMU_AV_MASK);
    // Erratum A-003638: a report for a LIODN that is off already is the first of many.
    if (disabled) this.#store(pamu, PAMU.PICS, (pics & ~PAMU_PICS.ENABLE) | PAMU_PICS.STAT);
    else {
      this.tables.setValid(liodn, false);
      this.#kernel.tracer.point(EVENT.fsl_pamu_isolated, liodn, address);
      this.#store(pamu, PAMU.PICS, pics);
      for (const listener of this.#faultListeners) listener(liodn);
    }
  }

  #record(record: PamuViolationRecord, avs1: number): void {
    const { pamu, liodn, address, code, kind, disabled } = record;
    this.violations.push(record);
    if (this.violations.length > LOG_RECORDS) this.violations.shift();
    const entry = this.#load64(pamu, PAMU.POEAH, PAMU.POEAL);
    this.#kernel.log(
      `fsl-pamu: access violation: PAMU ${pamu}, LIODN ${hex(liodn)}, ${kind} at ${hex(address)}, ${code ?? 'unknown'} ` +
        `(AVS1 ${hex(avs1)}), entry ${this.#dump(entry)}${disabled ? '; the LIODN is off: no more reports' : ''}`,
    );
  }

  /** The first four words of an entry, if there was one and it is in memory. */
  #dump(entry: number): string {
    if (entry === 0 || entry + PAACE.size > this.#kernel.memory.size) return 'none';
    const { wbah, addr_bitfields, domain_attr, impl_attr } = PAACE.at(this.#kernel.memory.dv, entry);
    return `${hex(entry)}: ${[wbah, addr_bitfields, domain_attr, impl_attr].map(hex).join(' ')}`;
  }
}

function violationOf(avs1: number): PamuViolation | undefined {
  const rows = Object.entries(PAMU_VIOLATION) as [PamuViolation, number][];
  return rows.find(([, bit]) => (avs1 & bit) !== 0)?.[0];
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
