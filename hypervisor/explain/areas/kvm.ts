/** What KVM and the host's IOMMU code keep of a DMA window: the guest's table, and the hardware's under it. */
import { TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import { IOMMU_TABLE, KVM_AREA, KVM_STT, KVM_STTS } from '../../../kernel/kvm/kvm_area.ts';
import { manual } from '../manual/manual.ts';
import type { MachineMemory, Placed } from '../peek.ts';

export const STT_MANUAL = manual(KVM_STT, {
  name: 'kvmppc_spapr_tce_table',
  title: "the guest's table for this LIOBN",
  source: 'arch/powerpc/include/asm/kvm_host.h',
  fields: {
    liobn: 'LIOBN',
    pageShift: { title: 'log2 of the IOMMU page', decimal: true, means: (value) => `pages of ${1n << value} bytes` },
    size: { title: 'entries', decimal: true },
    offsetHi: 'bus address of the first entry, in pages, upper half',
    offsetLo: 'lower half',
    view: "where the guest's view is: what H_GET_TCE reads",
    subpages: { title: "hardware entries for one of the guest's", decimal: true },
    tablesEnd: { title: 'bytes of the list of hardware tables', decimal: true },
    reserved: 'not used',
    tables: 'the hardware tables that hang under it, a word each',
  },
});

export const TABLE_MANUAL = manual(IOMMU_TABLE, {
  name: 'iommu_table',
  title: 'the hardware table under it',
  source: 'arch/powerpc/include/asm/iommu.h',
  fields: {
    live: { title: 'in use', means: { 0: 'no', 1: 'yes' } },
    table: 'where the entries are that the host bridge reads',
    entries: { title: 'entries', decimal: true },
    pageShift: { title: 'log2 of the IOMMU page', decimal: true },
    userspace: 'it_userspace: for each entry, which user page it maps; 0 until VFIO maps for the first time',
    pes: 'partitionable endpoints that use it, a bit each',
    window: "which of an endpoint's windows",
    levels: { title: 'levels of the table', decimal: true },
    levelShift: 'log2 of the entries in a level, if there are several',
    pins: 'whether each page is pinned when it is mapped',
    reserved: 'not used',
  },
});

/** A window's tables, and one entry of each. */
export interface WindowTables {
  readonly stt: Placed;
  readonly table: Placed;
  /** Number of the entry. */
  readonly index: number;
  readonly view: Placed;
  /** Undefined in a table of several levels. */
  readonly hardware: Placed | undefined;
  /** Undefined while there is none. */
  readonly userspace: Placed | undefined;
}

/** The tables of a LIOBN, and the entry of a bus address; undefined where no guest table has the LIOBN. */
export function windowTables({ memory, map }: MachineMemory, liobn: number, ioba: number): WindowTables | undefined {
  const placed = (hpa: number, size: number): Placed => ({ hpa, bytes: memory.bytes(hpa, size).slice() });
  for (let i = 0; i < KVM_STTS; i++) {
    const slot = memory.load(map.kvm + KVM_AREA.sttPointer + 4 * i);
    if (slot === 0) continue;
    const stt = KVM_STT.at(memory.dv, slot);
    if (stt.liobn !== liobn) continue;
    const index = Math.floor(ioba / 2 ** stt.pageShift) - stt.offsetLo;
    const at = memory.load(slot + KVM_STT.offset.tables);
    if (at === 0) return undefined;
    const table = IOMMU_TABLE.at(memory.dv, at);
    return {
      stt: placed(slot, KVM_STT.size),
      table: placed(at, IOMMU_TABLE.size),
      index,
      view: placed(stt.view + index * TCE_SIZE, TCE_SIZE),
      hardware: table.levels === 1 ? placed(table.table + index * TCE_SIZE, TCE_SIZE) : undefined,
      userspace: table.userspace === 0 ? undefined : placed(table.userspace + index * 4, 4),
    };
  }
  return undefined;
}
