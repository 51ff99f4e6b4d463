/** A small host with an installed bridge: what the unit tests of this folder start from. */
import { Doorbell } from '../../../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { enableTrace, TRACE_ENABLE_SIZE, TRACE_RING_SIZE, Tracer } from '../../../kernel/lib/trace.ts';
import { readTrace } from '../../../kernel/lib/trace_reader.ts';
import type { PciDeviceName } from './device.ts';
import { HostBridge, installHostBridge } from './host_bridge.ts';
import { PHB_AREA_SIZE } from './pe.ts';
import { exchangeTce } from './tce_table.ts';

/** Where things lie in the test host. */
export const AT = {
  doorbell: 0x1000,
  traceEnable: 0x1100,
  phb: 0x2000,
  trace: 0x2000 + PHB_AREA_SIZE,
  firstFrame: 0x80000,
  table: 0x80000,
  table2: 0x81000,
  /** 256 data pages follow. */
  page: 0x100000,
  size: 0x200000,
} as const;
if (AT.trace + TRACE_RING_SIZE > AT.firstFrame) throw new Error('the test host has areas that overlap');
if (AT.traceEnable + TRACE_ENABLE_SIZE > AT.phb) throw new Error('the test host has areas that overlap');

export const READ = 1;
export const WRITE = 2;
export const RW = READ | WRITE;
/** Bus address of window 1. */
export const WINDOW1 = 1n << 59n;

export interface TestBridge {
  readonly memory: HostMemory;
  readonly bridge: HostBridge;
  readonly tracer: Tracer;
  /** Entry `n` of the table of window 0 becomes page `page` with `permission`; no kill. */
  map(entry: number, page: number, permission?: number): void;
  /** Names and arguments of trace points so far. */
  events(): (string | number)[][];
}

/** HPA of data page `n`. */
export const pageAt = (n: number) => AT.page + n * 4096;

/** A bridge whose devices have MMIO and DMA enabled and a 16-entry 4K window 0 (table at AT.table) on PE 0. */
export function testBridge(
  devices: PciDeviceName[] = ['dma_port', 'dma_port'],
  memory = new HostMemory(createMemory(AT.size)),
): TestBridge {
  installHostBridge(memory, AT.phb, { firstFrame: AT.firstFrame, pes: devices.map((device) => ({ device })) });
  let time = 0;
  const tracer = new Tracer(memory, AT.traceEnable, AT.trace, () => time++);
  enableTrace(memory, AT.traceEnable, '*');
  const doorbell = new Doorbell(memory, AT.doorbell);
  const doorbells = devices.map(() => doorbell);
  const bridge = new HostBridge(memory, AT.phb, { firstFrame: AT.firstFrame, doorbells, tracer });
  for (let pe = 0; pe < devices.length; pe++) bridge.configWrite(pe, 4, 2, 0x0006);
  bridge.setWindow(0, 0, { tableHpa: AT.table, entries: 16, pageShift: 12 });
  return {
    memory,
    bridge,
    tracer,
    map: (entry, page, permission = RW) => {
      exchangeTce(memory, AT.table, entry, permission === 0 ? 0 : pageAt(page) + permission);
    },
    events: () => readTrace(memory, [{ actor: 'test', hpa: AT.trace }]).map(({ event, args }) => [event, ...args]),
  };
}

/**
 * Host memory that lets another thread's code run between two atomic operations of the code under test: just before
 * the `stopAt`-th of them. When the other thread meets dmaLock taken by the first one, it cannot go on; what it would do
 * after it got the lock is nothing, so its wait is left out and noted.
 */
export class InterleavedMemory extends HostMemory {
  operations = 0;
  stopAt = -1;
  drained = false;
  other: () => void = () => {};
  #inside = false;
  /** Locks that the other thread goes on without. */
  readonly #notTaken = new Set<number>();

  #step(): void {
    if (this.#inside || this.operations++ !== this.stopAt) return;
    this.#inside = true;
    this.other();
    this.#inside = false;
  }
  override load(hpa: number): number {
    this.#step();
    return super.load(hpa);
  }
  override store(hpa: number, value: number): void {
    this.#step();
    super.store(hpa, value);
  }
  override add(hpa: number, value: number): number {
    this.#step();
    return super.add(hpa, value);
  }
  override or(hpa: number, mask: number): number {
    this.#step();
    return super.or(hpa, mask);
  }
  override exchange(hpa: number, value: number): number {
    this.#step();
    return super.exchange(hpa, value);
  }
  override lock(hpa: number): void {
    if (this.#inside && super.load(hpa) !== 0) {
      this.drained = true;
      this.#notTaken.add(hpa);
    } else super.lock(hpa);
  }
  override unlock(hpa: number): void {
    if (!this.#notTaken.delete(hpa)) super.unlock(hpa);
  }
}
