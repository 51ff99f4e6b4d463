/** RTAS calls on dynamic DMA windows (QEMU hw/ppc/spapr_rtas_ddw.c; PAPR, "Dynamic DMA Windows"; vfio-tce facts 3.5). */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { DMA_WINDOWS } from '../../../kernel/include/arch/ppc/tce.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { high32, low32 } from '../../../kernel/lib/words64.ts';
import type { SpaprPhb } from './spapr_pci.ts';
import { RTAS, type RtasRow } from './spapr_rtas.ts';
import type { SpaprPhbs } from './spapr_rtas_pci.ts';

/** Page sizes that a window may have (QEMU's default property `pgsz`), and their bits in a query's result. */
const PAGE_SIZES: readonly { readonly shift: number; readonly bit: number }[] = [
  { shift: 12, bit: 0x01 },
  { shift: 16, bit: 0x02 },
];
const PAGE_MASK = PAGE_SIZES.reduce((mask, { bit }) => mask | bit, 0);
/** log2 of the unit in which a query tells the largest window. */
const TCE_UNIT_SHIFT = 12;

const { SUCCESS, HW_ERROR, PARAM_ERROR } = RTAS;

export function ddwRows(machine: Machine, phbs: SpaprPhbs): RtasRow[] {
  /** The bridge a call names, if it offers dynamic windows. */
  const bridge = (high: number, low: number): SpaprPhb | undefined => {
    const phb = phbs.find(high, low);
    return phb?.ddw ? phb : undefined;
  };
  /** What the host has against it is the user's to see; the guest gets a hardware error. */
  function* attempt(what: string, change: Task): Task<boolean> {
    try {
      yield* change;
      return true;
    } catch (error) {
      // Errno and what the container refuses in words; anything else is a mistake of this program.
      if (!(error instanceof Errno) && (error as Error).constructor !== Error) throw error;
      machine.log(`${what}: ${(error as Error).message}`);
      return false;
    }
  }
  return [
    {
      token: 0x2026,
      name: 'ibm,query-pe-dma-window',
      nargs: [3],
      // Six: the largest window in two words.
      nret: [5, 6],
      *handler([, high, low], nret) {
        const phb = bridge(high, low);
        if (phb === undefined) return [PARAM_ERROR];
        const left = DMA_WINDOWS - phb.windows.active;
        const most = Math.floor(machine.memory.size / 2 ** TCE_UNIT_SHIFT);
        // No window can be migrated to other page sizes.
        return nret === 5 ? [SUCCESS, left, most, PAGE_MASK, 0] : [SUCCESS, left, 0, most, PAGE_MASK, 0];
      },
    },
    {
      token: 0x2027,
      name: 'ibm,create-pe-dma-window',
      nargs: [5],
      nret: [4],
      *handler([, high, low, pageShift, windowShift]) {
        const phb = bridge(high, low);
        if (phb === undefined || !PAGE_SIZES.some(({ shift }) => shift === pageShift) || windowShift < pageShift)
          return [PARAM_ERROR];
        const { windows } = phb;
        const { free } = windows;
        if (free === undefined) return [HW_ERROR];
        const nbTable = 2 ** (windowShift - pageShift);
        if (!(yield* attempt('ibm,create-pe-dma-window', windows.set(free, { pageShift, nbTable })))) return [HW_ERROR];
        const table = windows.table(free);
        if (table === undefined) return [HW_ERROR];
        const start = BigInt(table.busOffset);
        return [SUCCESS, table.liobn, high32(start), low32(start)];
      },
    },
    {
      token: 0x2028,
      name: 'ibm,remove-pe-dma-window',
      nargs: [1],
      nret: [1],
      *handler([liobn]) {
        for (const phb of phbs.all()) {
          const window = phb.windows.windowOf(liobn);
          if (window === undefined || !phb.ddw) continue;
          yield* phb.windows.unset(window);
          return [SUCCESS];
        }
        return [PARAM_ERROR];
      },
    },
    {
      token: 0x2029,
      name: 'ibm,reset-pe-dma-window',
      nargs: [3],
      nret: [1],
      *handler([, high, low]) {
        const phb = bridge(high, low);
        if (phb === undefined) return [PARAM_ERROR];
        return [(yield* attempt('ibm,reset-pe-dma-window', phb.windows.reset())) ? SUCCESS : HW_ERROR];
      },
    },
  ];
}
