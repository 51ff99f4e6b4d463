/** The rules of the TCE model that hold whenever no call is under way (vfio-tce facts, section 9), and those that always do. */
import { tceCacheEntries } from '../../devices/physical/phb/tce_cache.ts';
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import { AREA } from '../lib/shared_map.ts';
import { type IommuTable, tablePages } from '../ppc/iommu_table.ts';
import { IOMMU_TABLE } from './kvm_area.ts';
import type { SpaprTceTable } from './spapr_tce_table.ts';
import type { TestHost } from './test_host.ts';

/** What only the test knows. */
export interface TceState {
  /** Nothing but hypercalls changes the hardware tables, so each entry of a guest's view is what its hardware has. */
  readonly hypercallsOnly?: boolean;
  /** Pages charged for something else: enabled v1 containers, other users. */
  readonly otherCharges?: number;
}

/** Hardware tables of the process that a group or a guest table names. */
export function hardwareTables(host: TestHost): Set<IommuTable> {
  const tables = new Set<IommuTable>();
  const { kvm } = host.map;
  const own = ({ slot }: IommuTable) => slot >= kvm && slot < kvm + AREA.kvm;
  for (const group of host.powernv.groups)
    for (const table of group?.tables ?? []) if (table !== undefined && own(table)) tables.add(table);
  for (const stt of guestTables(host)) for (const { table } of stt.attached()) tables.add(table);
  return tables;
}

function guestTables(host: TestHost): readonly SpaprTceTable[] {
  return [...(host.kvm.vm?.tables ?? [])];
}

const isLive = (tce: number) => (tce & TCE_PERMISSION_MASK) !== 0;
const pageOf = (tce: number) => tce - (tce % PAGE_SIZE);

/**
 * At every step of every task: (a) a region counts the live entries that name it, (b) an entry is live exactly when it
 * names a user page, (c) it has that page's frame, (g) no TCE cache holds what no table has.
 */
export function alwaysInvariants(host: TestHost, more: Iterable<IommuTable> = []): void {
  const live = new Map<number, number>();
  for (const table of new Set([...hardwareTables(host), ...more])) checkEntries(host, table, live);
  for (const region of host.powernv.regions.list()) {
    const mapped = host.powernv.regions.mapped(region) - 1;
    // -1: it is just being unregistered.
    if (mapped !== (live.get(region.slot) ?? 0) && mapped !== -1)
      throw new Error(`region counts ${mapped} entries, ${live.get(region.slot) ?? 0} are live`);
  }
  for (const pe of host.bridge.pes())
    for (const { window, entry, tce } of tceCacheEntries(host.memory, host.phbBase, pe))
      if (host.powernv.groups[pe]?.tables[window]?.entry(entry) !== tce)
        throw new Error(`PE ${pe} has a stale TCE for entry ${entry}`);
}

function checkEntries(host: TestHost, table: IommuTable, live: Map<number, number>): void {
  const { regions } = host.powernv.ops;
  const { frames } = host.kernel.mm.space;
  for (let i = 0; i < table.entries; i++) {
    const tce = table.entry(i);
    if (table.pins) {
      if (isLive(tce) && frames.pins(pageOf(tce)) === 0) throw new Error(`entry ${i}: its frame is not pinned`);
      continue;
    }
    const page = table.userPage(i);
    if (isLive(tce) !== (page !== 0)) throw new Error(`entry ${i}: TCE 0x${tce.toString(16)}, user page ${page}`);
    if (!isLive(tce)) continue;
    const region = regions.lookup(page, 1);
    if (region === 0) throw new Error(`entry ${i}: user page ${page} is not registered`);
    if (regions.hpa(region, page) >>> 0 !== pageOf(tce)) throw new Error(`entry ${i}: not the page's HPA`);
    if (frames.pins(pageOf(tce)) === 0) throw new Error(`entry ${i}: its frame is not pinned`);
    live.set(region, (live.get(region) ?? 0) + 1);
  }
}

/** When no call is under way, besides: (d) subpages agree, (f) charges add up, (h) references are those of the holders. */
export function quietInvariants(host: TestHost, state: TceState = {}): void {
  alwaysInvariants(host);
  const tables = hardwareTables(host);
  for (const table of tables) {
    const nodes = guestTables(host).filter((stt) => stt.attached().some((link) => link.table === table)).length;
    const references = nodes + Number(isInUse(host, table));
    if (table.references !== references)
      throw new Error(`a hardware table has ${table.references} references, of ${references} holders`);
  }
  if (state.hypercallsOnly) for (const stt of guestTables(host)) checkView(host, stt);
  const charges = [
    ...host.powernv.regions.list().map(({ pages }) => pages),
    ...[...tables].filter((table) => isInUse(host, table)).map(({ entries, levels }) => tablePages(entries, levels)),
    ...guestTables(host).map(({ size }) => guestTablePages(size)),
    state.otherCharges ?? 0,
  ];
  const charged = charges.reduce((sum, pages) => sum + pages, 0);
  if (host.kernel.mm.lockedVm !== charged)
    throw new Error(`${host.kernel.mm.lockedVm} pages are charged, for ${charged} that are held`);
}

/** Whether the container still has the window. */
function isInUse({ memory }: TestHost, table: IommuTable): boolean {
  return memory.load(table.slot + IOMMU_TABLE.offset.live) !== 0;
}

/** Pages of a guest's view and of its descriptor: a pointer for each (kvmppc_stt_pages, kvmppc_tce_pages). */
function guestTablePages(size: number): number {
  const pages = Math.ceil((size * TCE_SIZE) / PAGE_SIZE);
  return pages + Math.ceil((128 + pages * 8) / PAGE_SIZE);
}

/** A guest entry with permission has every one of its hardware entries, in order; one without has none of them. */
function checkView(host: TestHost, stt: SpaprTceTable): void {
  const memslots = new Memslots(host.memory, host.map.memslots);
  for (const { table } of stt.attached()) {
    if (!isInUse(host, table)) continue;
    const subpages = 2 ** (stt.pageShift - table.pageShift);
    for (let entry = 0; entry < stt.size; entry++) {
      const tce = host.memory.dv.getBigUint64(stt.view + entry * TCE_SIZE, true);
      const permission = Number(tce & 3n);
      const first = memslots.hva(Number(tce - BigInt(permission))) / PAGE_SIZE;
      for (let i = 0; i < subpages; i++) {
        const hardware = table.entry(entry * subpages + i) & TCE_PERMISSION_MASK;
        const wanted = permission === 0 ? 0 : permission | (permission >> 1);
        if (hardware !== wanted) throw new Error(`entry ${entry}.${i}: the guest says ${wanted}, hardware ${hardware}`);
        const page = first + i * 2 ** (table.pageShift - PAGE_SHIFT);
        if (permission !== 0 && !table.pins && table.userPage(entry * subpages + i) !== page)
          throw new Error(`entry ${entry}.${i}: the hardware has another page than the guest's view`);
      }
    }
  }
}
