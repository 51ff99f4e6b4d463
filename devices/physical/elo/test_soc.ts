/** A small host with a SoC under the simulated scheduler: what the unit tests of pamu, mpic and elo start from. */
import { MSI_MODELS, type MsiModelName } from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { CCSR, DMA_CHANNELS, GUTS, MPIC_SOURCE } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA, FSL_DMA_LD, FSL_DMA_MR, FSL_DMA_SNOOP, FSL_DMA_SR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import {
  OME_NUMBER_ENTRIES,
  OME_SIZE,
  PAACE,
  PAACE_AP,
  PAACE_ATM,
  PAACE_IA,
  PAACE_NUMBER_ENTRIES,
  PAACE_PT,
  PAACE_WIN,
  PAMU,
  PAMU_PC,
  PAMU_PICS,
  PPAACE_AF,
  SPAACE_AF,
  SPAACE_NUMBER_ENTRIES,
  windowCountCode,
  windowSizeCode,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { Doorbell } from '../../../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { type Actor, sleep, type Task, until } from '../../../kernel/lib/task.ts';
import { enableTrace, TRACE_RING_SIZE, Tracer } from '../../../kernel/lib/trace.ts';
import { readTrace } from '../../../kernel/lib/trace_reader.ts';
import { FslSoc, installFslSoc } from '../pamu/fsl_soc.ts';
import { SOC_AREA_SIZE } from '../pamu/soc_area.ts';
import { spawnEloEngines } from './engine.ts';

/** Where things lie in the test host. */
export const AT = {
  kernelDoorbell: 0x1000,
  eloDoorbell: 0x1080,
  traceEnable: 0x1100,
  soc: 0x2000,
  trace: 0x22000,
  firstFrame: 0x80000,
  ppaact: 0x80000,
  spaact: 0x98000,
  omt: 0xb8000,
  /** Data and descriptors. */
  data: 0x100000,
  size: 0x400000,
} as const;
if (AT.soc + SOC_AREA_SIZE > AT.trace || AT.trace + TRACE_RING_SIZE > AT.firstFrame)
  throw new Error('the test host has areas that overlap');

/** One window of a LIODN. */
export interface TestWindow {
  readonly physical: number;
  /** Mapped bytes. */
  readonly size: number;
  readonly ap?: number;
}

/** A LIODN's geometry: sub-windows by number; one that is missing is not mapped. */
export interface TestGeometry {
  readonly base?: number;
  readonly size: number;
  readonly windows: readonly (TestWindow | undefined)[];
  /** First secondary entry. */
  readonly fspi?: number;
  readonly stash?: number;
  readonly otm?: number;
  readonly omi?: number;
}

export class TestSoc {
  readonly memory: HostMemory;
  readonly soc: FslSoc;
  readonly simulation: Simulation;
  readonly kernel: Actor;
  readonly model;

  /** The PAMU is on, nothing is bypassed, its interrupt is enabled, no LIODN is valid. */
  constructor(msi: MsiModelName = 'v4.3', seed = 1, memory = new HostMemory(createMemory(AT.size))) {
    this.memory = memory;
    this.model = MSI_MODELS[msi];
    this.simulation = new Simulation(seed);
    this.kernel = this.simulation.actor('kernel');
    const elo = this.simulation.actor('elo0');
    installFslSoc(memory, AT.soc, { firstFrame: AT.firstFrame, msi });
    const tracer = new Tracer(memory, AT.traceEnable, AT.trace, () => elo.now());
    enableTrace(memory, AT.traceEnable, '*');
    const kernelDoorbell = new Doorbell(memory, AT.kernelDoorbell);
    spawnEloEngines(elo, { memory, socBase: AT.soc, kernelDoorbell, tracer });
    this.soc = new FslSoc(memory, AT.soc, { eloDoorbell: new Doorbell(memory, AT.eloDoorbell) });
    memory.bytes(AT.ppaact, AT.data - AT.ppaact).fill(0);
    this.table(PAMU.PPBAH, AT.ppaact, PAACE_NUMBER_ENTRIES * PAACE.size);
    this.table(PAMU.SPBAH, AT.spaact, SPAACE_NUMBER_ENTRIES * PAACE.size);
    this.table(PAMU.OBAH, AT.omt, OME_NUMBER_ENTRIES * OME_SIZE);
    this.pamu(PAMU.PC, PAMU_PC.PE);
    this.pamu(PAMU.PICS, PAMU_PICS.ENABLE);
    this.soc.write32(GUTS.PAMUBYPENR, 0);
  }

  /** Writes a table's base and limit. */
  table(register: number, base: number, size: number): void {
    this.pamu(register, Math.floor(base / 2 ** 32));
    this.pamu(register + 4, base);
    this.pamu(register + 8, Math.floor((base + size) / 2 ** 32));
    this.pamu(register + 12, base + size);
  }

  /** Stores to a register of the first PAMU, if a value is given, and loads it. */
  pamu(register: number, value?: number): number {
    if (value !== undefined) this.soc.write32(CCSR.PAMU + register, value);
    return this.soc.read32(CCSR.PAMU + register);
  }

  /** Register of a DMA channel, likewise. */
  dma(channel: number, register: keyof typeof FSL_DMA, value?: number): number {
    const offset = DMA_CHANNELS[channel].registers + FSL_DMA[register];
    if (value !== undefined) this.soc.write32(offset, value);
    return this.soc.read32(offset);
  }

  primary(liodn: number) {
    return PAACE.at(this.memory.dv, AT.ppaact + liodn * PAACE.size);
  }
  secondary(index: number) {
    return PAACE.at(this.memory.dv, AT.spaact + index * PAACE.size);
  }

  /** Writes a LIODN's entries as Linux would, and makes it valid. */
  map(liodn: number, geometry: TestGeometry): void {
    const { base = 0, size, windows, fspi = 0, stash = 0, otm = 0, omi = 0 } = geometry;
    const count = windows.length;
    const attributes = PAACE_IA.set(PAACE_IA.set(0, 'CID', stash), 'OTM', otm);
    windows.forEach((window, i) => {
      const entry = i === 0 ? this.primary(liodn) : this.secondary(fspi + i - 1);
      entry.impl_attr = PAACE_IA.set(attributes, 'ATM', PAACE_ATM.WINDOW_XLATE);
      entry.op_encode = omi;
      entry.twbah = Math.floor((window?.physical ?? 0) / 2 ** 32);
      const code = windowSizeCode(window?.size ?? size / count);
      entry.win_bitfields = PAACE_WIN.set((window?.physical ?? 0) & PAACE_WIN.mask.TWBAL, 'SWSE', code);
      const ap = window === undefined ? PAACE_AP.DENIED : (window.ap ?? PAACE_AP.ALL);
      const valid = window === undefined ? 0 : 1;
      const common = SPAACE_AF.set(SPAACE_AF.set(0, 'AP', ap), 'V', valid);
      const secondary = SPAACE_AF.set(SPAACE_AF.set(common, 'PT', PAACE_PT.SECONDARY), 'LIODN', liodn);
      entry.addr_bitfields = i === 0 ? common : secondary;
    });
    const primary = this.primary(liodn);
    primary.wbah = Math.floor(base / 2 ** 32);
    primary.fspi = fspi;
    if (count > 1) primary.impl_attr = PAACE_IA.set(primary.impl_attr, 'WCE', windowCountCode(count));
    const word = PPAACE_AF.set(primary.addr_bitfields & PPAACE_AF.mask.AP, 'WSE', windowSizeCode(size));
    primary.addr_bitfields = (PPAACE_AF.set(word, 'MW', count > 1 ? 1 : 0) | (base & PPAACE_AF.mask.WBAL) | 1) >>> 0;
  }

  /** The whole 36-bit space, untranslated: what Linux gives every LIODN at boot. */
  identity(liodn: number): void {
    const primary = this.primary(liodn);
    primary.wbah = 0;
    primary.impl_attr = 0;
    primary.addr_bitfields = PPAACE_AF.set(PPAACE_AF.set(1, 'AP', PAACE_AP.ALL), 'WSE', windowSizeCode(2 ** 36));
  }

  /** Writes a link descriptor. @param next 1: end of links. */
  descriptor(at: number, source: number, target: number, count: number, next = 1): number {
    Object.assign(FSL_DMA_LD.at(this.memory.dv, at), {
      src_attr: FSL_DMA_SNOOP | Math.floor(source / 2 ** 32),
      src_addr: source % 2 ** 32,
      dst_attr: FSL_DMA_SNOOP | Math.floor(target / 2 ** 32),
      dst_addr: target % 2 ** 32,
      next_ext: Math.floor(next / 2 ** 32),
      next: next % 2 ** 32,
      count,
    });
    return at;
  }

  /** Starts a direct transfer. */
  direct(channel: number, source: number, target: number, count: number, mode = 0): void {
    this.dma(channel, 'MR', 0);
    this.dma(channel, 'SATR', FSL_DMA_SNOOP | Math.floor(source / 2 ** 32));
    this.dma(channel, 'SAR', source % 2 ** 32);
    this.dma(channel, 'DATR', FSL_DMA_SNOOP | Math.floor(target / 2 ** 32));
    this.dma(channel, 'DAR', target % 2 ** 32);
    this.dma(channel, 'BCR', count);
    this.dma(channel, 'MR', FSL_DMA_MR.CS | FSL_DMA_MR.CTM | mode);
  }

  /** Starts a chain. */
  chain(channel: number, first: number, mode = 0): void {
    this.dma(channel, 'MR', 0);
    this.dma(channel, 'ECLNDAR', Math.floor(first / 2 ** 32));
    this.dma(channel, 'CLNDAR', first % 2 ** 32);
    this.dma(channel, 'MR', FSL_DMA_MR.CS | mode);
  }

  /** Waits until a channel is idle; its SR. */
  *idle(channel: number): Task<number> {
    yield* until('idle channel', () => (this.dma(channel, 'SR') & FSL_DMA_SR.CB) === 0);
    return this.dma(channel, 'SR');
  }

  /** Performs a direct transfer and clears its status. @returns SR. */
  copy(channel: number, source: number, target: number, count: number, mode = 0): number {
    this.direct(channel, source, target, count, mode);
    const status = this.run(this.idle(channel));
    this.dma(channel, 'SR', 0xff);
    return status;
  }

  /** Runs the kernel's task to its end and returns what it returns. */
  run<T>(task: Task<T>, maxSteps = 100_000): T {
    let result: { value: T } | undefined;
    this.kernel.spawn(
      'driver',
      (function* () {
        result = { value: yield* task };
      })(),
    );
    this.simulation.run(() => result !== undefined, maxSteps);
    return (result as { value: T }).value;
  }

  /** Lets everything run for `ns` of virtual time. */
  elapse(ns: number): void {
    this.run(sleep(this.kernel, ns));
  }

  /** All pending MPIC sources, taken. */
  sources(): number[] {
    const taken: number[] = [];
    for (let source = this.soc.interruptSource(); source !== undefined; source = this.soc.interruptSource())
      taken.push(source);
    return taken;
  }

  /** The violation captured in the first PAMU, which is cleared; undefined when there is none. */
  violation() {
    const avs1 = this.pamu(PAMU.AVS1);
    if ((avs1 & 1) === 0) return undefined;
    const address = this.pamu(PAMU.AVAH) * 2 ** 32 + this.pamu(PAMU.AVAL);
    const entry = this.pamu(PAMU.POEAL);
    this.pamu(PAMU.AVS1, avs1);
    return {
      liodn: avs1 >>> 16,
      code: avs1 & 0x7ffe,
      address,
      entry,
      interrupt: this.sources().includes(MPIC_SOURCE.PAMU),
    };
  }

  /** Trace events of the engines, name and arguments. */
  events(): (string | number)[][] {
    return readTrace(this.memory, [{ actor: 'elo0', hpa: AT.trace }]).map(({ event, args }) => [event, ...args]);
  }
}
