/**
 * FH_DMA_ENABLE, the hypercall by which a guest of Freescale's hypervisor lets a device do DMA again (Linux
 * arch/powerpc/include/asm/fsl_hcalls.h, fh_dma_enable): also for one that an access violation has stopped. Real guests find
 * the handle in their device tree (fsl,hv-dma-handle); here it is the device's number among the platform devices.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { HcallResult } from './hcall_result.ts';

/** A device whose DMA may have been stopped. */
export interface DmaMaster {
  /** Ends what the device does, resets it, and lets its DMA go on. @throws Errno */
  restart(): Task;
}

const { H_SUCCESS, H_PARAMETER, H_HARDWARE } = HCALL_RETURN;
const answer = (ret: number): HcallResult => ({ ret: BigInt(ret), out: [] });

export class FslHcalls {
  readonly #machine: Machine;
  /** By handle. */
  readonly #masters: DmaMaster[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Gives a device the next handle. */
  add(master: DmaMaster): void {
    this.#masters.push(master);
  }

  /** FH_DMA_ENABLE(handle). H_PARAMETER for a handle that nobody has, H_HARDWARE when the host refuses. */
  *dmaEnable([handle]: readonly bigint[]): Task<HcallResult> {
    const master = handle < BigInt(this.#masters.length) ? this.#masters[Number(handle)] : undefined;
    if (master === undefined) return answer(H_PARAMETER);
    try {
      yield* master.restart();
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(error.message);
      return answer(H_HARDWARE);
    }
    return answer(H_SUCCESS);
  }

  /** Machine reset: every device as after power-on. @throws Errno */
  *reset(): Task {
    for (const master of this.#masters) yield* master.restart();
  }
}
