/**
 * Enhanced I/O Error Handling of a PE, for whoever passes it through (arch/powerpc/kernel/eeh.c, the functions that VFIO
 * calls; arch/powerpc/platforms/powernv/eeh-powernv.c). The host keeps its hands off: a PE that user space has is recovered
 * by its guest. Other PEs of the bridge never notice.
 */
import type { EehPeState, HostBridge } from '../../devices/physical/phb/host_bridge.ts';
import { EEH_PE_STATE, EEH_UNFREEZE } from '../../devices/physical/phb/host_bridge.ts';
import { INJECT } from '../../devices/physical/phb/pe.ts';
import { Errno } from '../include/uapi/errno.ts';
import { EEH_ERR_TYPE } from '../include/uapi/vfio.ts';

/**
 * What an error is injected into, by function number (include/uapi/asm/eeh.h, EEH_ERR_FUNC_*): address and data errors of
 * an access are one here, as are those of a DMA's master and target.
 */
const ERR_FUNC: readonly number[] = [
  INJECT.LOAD, // LD_MEM_ADDR
  INJECT.LOAD, // LD_MEM_DATA
  INJECT.LOAD, // LD_IO_ADDR
  INJECT.LOAD, // LD_IO_DATA
  INJECT.CONFIG_LOAD, // LD_CFG_ADDR
  INJECT.CONFIG_LOAD, // LD_CFG_DATA
  INJECT.STORE, // ST_MEM_ADDR
  INJECT.STORE, // ST_MEM_DATA
  INJECT.STORE, // ST_IO_ADDR
  INJECT.STORE, // ST_IO_DATA
  INJECT.CONFIG_STORE, // ST_CFG_ADDR
  INJECT.CONFIG_STORE, // ST_CFG_DATA
  INJECT.DMA_READ, // DMA_RD_ADDR
  INJECT.DMA_READ, // DMA_RD_DATA
  INJECT.DMA_READ, // DMA_RD_MASTER
  INJECT.DMA_READ, // DMA_RD_TARGET
  INJECT.DMA_WRITE, // DMA_WR_ADDR
  INJECT.DMA_WRITE, // DMA_WR_DATA
  INJECT.DMA_WRITE, // DMA_WR_MASTER
  INJECT.DMA_WRITE, // DMA_WR_TARGET
];

/** Configuration registers that a reset loses and {@link EehPe.deactivateReset} puts back (eeh_restore_bars). */
const RESTORED = [
  // Cache line size and latency timer, then BARs 0 to 5, then the interrupt line (PCI 3.0, figure 6-1).
  { at: 0x0c, size: 2 },
  ...[0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map((at) => ({ at, size: 4 })),
  { at: 0x3c, size: 1 },
];
/** Command register and its memory-space bit (PCI 3.0, table 6-1). */
const PCI_COMMAND = 0x04;
const PCI_COMMAND_MEMORY = 0x2;

/** A PE and what VFIO may do with it (struct eeh_pe). */
export class EehPe {
  readonly #bridge: HostBridge;
  readonly #pe: number;
  /** What stood in {@link RESTORED} when the reset was asserted. */
  #saved: readonly number[] | undefined;

  constructor(bridge: HostBridge, pe: number) {
    this.#bridge = bridge;
    this.#pe = pe;
  }

  /** eeh_pe_get_state. */
  state(): EehPeState {
    return this.#bridge.eehState(this.#pe);
  }

  /** EEH_OPT_ENABLE: EEH is on for every PE, always; a PE that is frozen is given over running (eeh_pe_change_owner). */
  enable(): void {
    const state = this.state();
    if (state !== EEH_PE_STATE.NORMAL && state !== EEH_PE_STATE.RESET) this.#bridge.eehUnfreeze(this.#pe);
  }

  /** EEH_OPT_THAW_MMIO. */
  thawMmio(): void {
    this.#bridge.eehUnfreeze(this.#pe, EEH_UNFREEZE.IO);
  }
  /** EEH_OPT_THAW_DMA. */
  thawDma(): void {
    this.#bridge.eehUnfreeze(this.#pe, EEH_UNFREEZE.DMA);
  }

  /** EEH_RESET_HOT and _FUNDAMENTAL: frozen and in reset, configuration space blocked, until {@link deactivateReset}. */
  assertReset(): void {
    // A second one, while the first lasts, finds nothing worth keeping.
    if (this.state() !== EEH_PE_STATE.RESET)
      this.#saved = RESTORED.map(({ at, size }) => this.#bridge.configRead(this.#pe, at, size));
    this.#bridge.assertReset(this.#pe);
  }

  /** EEH_RESET_DEACTIVATE: reset ends, BARs are put back, memory decoding is on, the PE runs. Bus mastering is its driver's. */
  deactivateReset(): void {
    if (this.state() === EEH_PE_STATE.RESET) this.#bridge.deassertReset(this.#pe);
    else {
      this.#bridge.eehUnfreeze(this.#pe);
      // What was saved is of a reset that something else has ended: a reset of the device, or that it was closed.
      this.#saved = undefined;
    }
    if (this.#saved === undefined) return;
    for (const [i, { at, size }] of RESTORED.entries()) this.#bridge.configWrite(this.#pe, at, size, this.#saved[i]);
    this.#saved = undefined;
    const command = this.#bridge.configRead(this.#pe, PCI_COMMAND, 2);
    this.#bridge.configWrite(this.#pe, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
  }

  /**
   * eeh_pe_inject_err: the next access of that kind at an address that agrees with `addr` in the bits of `mask` fails.
   * @throws Errno EINVAL for a type or function that there is not
   */
  injectError(type: number, func: number, addr: bigint, mask: bigint): void {
    const kind = ERR_FUNC[func];
    if ((type !== EEH_ERR_TYPE.BITS_32 && type !== EEH_ERR_TYPE.BITS_64) || kind === undefined)
      throw new Errno('EINVAL', `EEH error of type ${type}, function ${func}`);
    const width = type === EEH_ERR_TYPE.BITS_32 ? 32 : 64;
    this.#bridge.injectError(this.#pe, kind, BigInt.asUintN(width, addr), BigInt.asUintN(width, mask));
  }
}
