/**
 * The SoC as the kernel drives it: CCSR and the interrupt controller's pending sources. Every method runs on the
 * kernel's thread; `kernel/ppc/fsl_soc_bus.ts` is its interface there and says what order software keeps.
 */

import { MPIC_TIMERS, MSI_MODELS, type MsiModelName } from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { CCSR, DMA_CHANNELS, GUTS, MPIC_BRR1 } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA_DGSR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import { PAMU_STRIDE, PAMUS } from '../../../kernel/include/arch/ppc/pamu.ts';
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { channelAt, LIODN_MASK } from '../elo/channel.ts';
import { readChannel, readDgsr, writeChannel } from '../elo/registers.ts';
import { doorbellAt, msiModel, msirAt, postMessage, takeMsir } from '../mpic/msi_bank.ts';
import { pamuRegister } from './lookup.ts';
import { swap32 } from './paact.ts';
import { PAMU_POWER_ON, readPamu, writePamu } from './registers.ts';
import { isCcsrWord, SOC_AREA_SIZE, SocArea } from './soc_area.ts';
import { SocPort } from './soc_port.ts';

/** What the SoC is built with. */
export interface FslSocConfig {
  /** First HPA that devices may reach: `SharedMap.firstFrame`. */
  readonly firstFrame: number;
  /** Generation of the message banks. */
  readonly msi: MsiModelName;
}

/** Every PAMU's bit in PAMUBYPENR. */
const BYPASS_ALL = (0xffff_ffff << (32 - PAMUS)) >>> 0;

/** Power-on: called once, before any other thread uses the area. The PAMUs are bypassed. @param socBase page-aligned. */
export function installFslSoc(memory: HostMemory, socBase: number, { firstFrame, msi }: FslSocConfig): void {
  memory.bytes(socBase, SOC_AREA_SIZE).fill(0);
  const area = new SocArea(memory, socBase);
  area.set('firstFrame', firstFrame);
  area.set('msiModel', Object.keys(MSI_MODELS).indexOf(msi));
  for (let pamu = 0; pamu < PAMUS; pamu++)
    for (const [register, value] of PAMU_POWER_ON) area.store(pamuRegister(pamu, register), value);
  area.store(GUTS.PAMUBYPENR, BYPASS_ALL);
  for (const [channel, { liodn }] of DMA_CHANNELS.entries()) area.store(GUTS.DMA_LIODNR + 4 * channel, liodn);
  area.set('installed', 1);
}

export class FslSoc {
  readonly #port: SocPort;
  readonly #eloDoorbell: Doorbell | undefined;

  /** @param options `eloDoorbell`: of the actor that runs the DMA engines. @throws Error without a SoC. */
  constructor(
    memory: HostMemory,
    socBase: number,
    options: { readonly eloDoorbell?: Doorbell; readonly tracer?: Tracer },
  ) {
    this.#port = new SocPort({ memory, socBase, tracer: options.tracer });
    this.#eloDoorbell = options.eloDoorbell;
  }

  /** Loads a register; zero where none is. @param offset from CCSR. */
  read32(offset: number): number {
    const { area } = this.#port;
    if (!isCcsrWord(offset)) return 0;
    const pamu = pamuAt(offset);
    if (pamu !== undefined) return area.locked(() => readPamu(this.#port, pamu, offset % PAMU_STRIDE));
    const message = msirAt(msiModel(area), offset);
    if (message !== undefined) return takeMsir(area, message.bank, message.srs);
    const channel = channelAt(offset);
    if (channel !== undefined) return readChannel(area, channel.number, channel.register);
    if (offset === MPIC_BRR1) return msiModel(area).brr1;
    if (offset === FSL_DMA_DGSR) return readDgsr(area);
    return guts(offset) !== undefined || isTimer(offset) ? area.load(offset) : 0;
  }

  /** Stores to a register; dropped where none is. @param offset from CCSR. */
  write32(offset: number, value: number): void {
    const { area } = this.#port;
    if (!isCcsrWord(offset)) return;
    const pamu = pamuAt(offset);
    const bank = doorbellAt(msiModel(area), offset);
    const channel = channelAt(offset);
    const bits = guts(offset);
    if (pamu !== undefined) area.locked(() => writePamu(this.#port, pamu, offset % PAMU_STRIDE, value));
    else if (bank !== undefined) postMessage(this.#port, bank, swap32(value) >>> 0, -1);
    else if (channel !== undefined)
      writeChannel(area, channel.number, channel.register, value, () => this.#eloDoorbell?.ring());
    else if (bits !== undefined) area.store(offset, value & bits);
    else if (isTimer(offset)) area.store(offset, value);
  }

  /** Takes the lowest pending MPIC source. */
  interruptSource(): number | undefined {
    return this.#port.area.takePending();
  }
  /** Whether a source is pending; cheap. */
  interruptPending(): boolean {
    return this.#port.area.anyPending();
  }

  /** Host registers that devices have hit since power-on. */
  integrity(): { readonly count: number; readonly offset: number; readonly liodn: number } {
    const { area } = this.#port;
    return area.locked(() => ({
      count: area.get('integrityCount'),
      offset: area.get('integrityOffset'),
      liodn: area.get('integrityLiodn'),
    }));
  }
  /** Accesses of devices to alias pages that were not their doorbell. */
  ignoredMessages(): number {
    return this.#port.area.get('ignored');
  }
}

/** The PAMU whose registers an offset is in. */
function pamuAt(offset: number): number | undefined {
  const pamu = Math.floor((offset - CCSR.PAMU) / PAMU_STRIDE);
  return pamu >= 0 && pamu < PAMUS ? pamu : undefined;
}

/** The bits that a guts register has; undefined where none is. */
function guts(offset: number): number | undefined {
  if (offset === GUTS.PAMUBYPENR) return BYPASS_ALL;
  const channel = offset - GUTS.DMA_LIODNR;
  return channel >= 0 && channel < 4 * DMA_CHANNELS.length ? LIODN_MASK : undefined;
}

function isTimer(offset: number): boolean {
  return offset >= MPIC_TIMERS.start && offset < MPIC_TIMERS.end;
}
