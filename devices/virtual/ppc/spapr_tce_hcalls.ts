/**
 * The TCE hypercalls in the VMM: the last tier, for what neither real nor virtual mode finished (QEMU hw/ppc/spapr_iommu.c,
 * vfio-tce facts 7.2). All tiers answer alike, so this one is stricter than QEMU: an unaligned IOBA is H_PARAMETER, a
 * count is checked against the whole window before anything changes, and a count of 0 is H_SUCCESS.
 */

import { type Machine, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import { HCALL_RETURN, TCE_INDIRECT_MAX } from '../../../kernel/include/arch/ppc/hcall.ts';
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import type { HcallResult } from './hcall_result.ts';
import { isLive, type SpaprTceTable } from './spapr_iommu.ts';

const { H_SUCCESS, H_PARAMETER } = HCALL_RETURN;
/** The list of H_PUT_TCE_INDIRECT is a 4K page. */
const LIST_PAGE = 4096n;
const MASK_53 = 2 ** 53;

const success: HcallResult = { ret: BigInt(H_SUCCESS), out: [] };
const parameter: HcallResult = { ret: BigInt(H_PARAMETER), out: [] };

/** A number for traces: rounded above 2^53. */
const traced = (value: bigint) => Math.min(Number(value), MASK_53);

export class SpaprTceHcalls {
  readonly #machine: Machine;
  readonly #tables = new Map<number, SpaprTceTable>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Makes a table known under its LIOBN. @throws Error when the LIOBN is taken */
  add(table: SpaprTceTable): void {
    if (this.#tables.has(table.liobn))
      throw new Error(`LIOBN 0x${table.liobn.toString(16)} is in use: choose another one`);
    this.#tables.set(table.liobn, table);
  }
  remove(table: SpaprTceTable): void {
    this.#tables.delete(table.liobn);
  }

  /** The table and the first entry of `count`; undefined when LIOBN, IOBA or the range is not right. */
  #range(liobn: bigint, ioba: bigint, count: number): { table: SpaprTceTable; first: number } | undefined {
    // As numbers: rounding above 2^53 makes no LIOBN and no count of one that is not.
    const table = this.#tables.get(Number(liobn));
    const first = table?.index(ioba);
    if (table === undefined || first === undefined) return undefined;
    return first + count <= table.nbTable ? { table, first } : undefined;
  }
  /** An entry the guest may write: no permission, or an address on a page boundary. */
  #valid(table: SpaprTceTable, tce: bigint): boolean {
    return !isLive(tce) || table.aligned(low32(tce) & ~TCE_PERMISSION_MASK);
  }
  /** @param last `tce`, `npages` or `list` of the event */
  #traced(event: number, result: HcallResult, liobn: bigint, ioba: bigint, last: bigint): HcallResult {
    const { tracer } = this.#machine;
    if (tracer.on(event)) tracer.point(event, traced(liobn), traced(ioba), traced(last), Number(result.ret));
    return result;
  }

  /** H_PUT_TCE(liobn, ioba, tce). The result of VFIO is not the guest's: an entry VFIO refused is in the view all the same. */
  *putTce([liobn, ioba, tce]: readonly bigint[]): Task<HcallResult> {
    const range = this.#range(liobn, ioba, 1);
    if (range === undefined || !this.#valid(range.table, tce))
      return this.#traced(EVENT.spapr_iommu_put, parameter, liobn, ioba, tce);
    yield* range.table.put(range.first, tce);
    return this.#traced(EVENT.spapr_iommu_put, success, liobn, ioba, tce);
  }

  /** H_GET_TCE(liobn, ioba) -> tce. */
  *getTce([liobn, ioba]: readonly bigint[]): Task<HcallResult> {
    const range = this.#range(liobn, ioba, 1);
    const result = range === undefined ? parameter : { ret: success.ret, out: [range.table.get(range.first)] };
    const [tce = 0n] = result.out;
    const { tracer } = this.#machine;
    tracer.point(EVENT.spapr_iommu_get, traced(liobn), traced(ioba), Number(result.ret), traced(tce));
    return result;
  }

  /** H_STUFF_TCE(liobn, ioba, value, count): the same entry, without permission, in a range. */
  *stuffTce([liobn, ioba, value, count]: readonly bigint[]): Task<HcallResult> {
    const range = this.#range(liobn, ioba, Number(count));
    if (range === undefined || isLive(value))
      return this.#traced(EVENT.spapr_iommu_stuff, parameter, liobn, ioba, count);
    for (let i = 0; i < Number(count); i++) yield* range.table.put(range.first + i, value);
    return this.#traced(EVENT.spapr_iommu_stuff, success, liobn, ioba, count);
  }

  /** H_PUT_TCE_INDIRECT(liobn, ioba, list, count): entries from a page of the guest, all checked before one is written. */
  *putTceIndirect([liobn, ioba, list, count]: readonly bigint[]): Task<HcallResult> {
    const range = this.#range(liobn, ioba, Number(count));
    if (range === undefined || count > BigInt(TCE_INDIRECT_MAX) || list % LIST_PAGE !== 0n)
      return this.#traced(EVENT.spapr_iommu_indirect, parameter, liobn, ioba, list);
    const entries = count === 0n ? [] : yield* this.#readList(list, Number(count));
    if (entries === undefined || !entries.every((tce) => this.#valid(range.table, tce)))
      return this.#traced(EVENT.spapr_iommu_indirect, parameter, liobn, ioba, list);
    for (const [i, tce] of entries.entries()) yield* range.table.put(range.first + i, tce);
    return this.#traced(EVENT.spapr_iommu_indirect, success, liobn, ioba, list);
  }
  /** The list, read once, big-endian; undefined when it is not in RAM. */
  *#readList(address: bigint, count: number): Task<bigint[] | undefined> {
    if (address >= BigInt(this.#machine.memory.size)) return undefined;
    try {
      const bytes = yield* this.#machine.memory.read(Number(address), count * TCE_SIZE);
      const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      return Array.from({ length: count }, (_, i) => dv.getBigUint64(i * TCE_SIZE));
    } catch (error) {
      if (error instanceof ProgramInterruption) return undefined;
      throw error;
    }
  }

  /** Machine reset. */
  *reset(): Task {
    for (const table of this.#tables.values()) yield* table.reset();
  }
}
