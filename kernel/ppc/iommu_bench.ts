/**
 * What the two IOMMUs of the SoC cost: a container is set up by its ioctls, as a VMM does it, and then accesses of a device
 * are translated as the hardware does it. No other actor runs. Called by name on a pool thread.
 */
import { Iommu4kUnit, installIommu4k } from '../../devices/physical/iommu/page_iommu.ts';
import { translate4k } from '../../devices/physical/iommu/translate.ts';
import { FslSoc, installFslSoc } from '../../devices/physical/pamu/fsl_soc.ts';
import { lookup } from '../../devices/physical/pamu/lookup.ts';
import { SocArea } from '../../devices/physical/pamu/soc_area.ts';
import { BenchKernel } from '../bench_kernel.ts';
import { DMA_CHANNELS } from '../include/arch/ppc/fsl_soc.ts';
import { IOMMU4K_DEVICES, IOMMU4K_ENTRY, IOMMU4K_VECTORS } from '../include/arch/ppc/iommu4k.ts';
import {
  OME_NUMBER_ENTRIES,
  OME_SIZE,
  PAACE,
  PAACE_NUMBER_ENTRIES,
  SPAACE_NUMBER_ENTRIES,
} from '../include/arch/ppc/pamu.ts';
import {
  type Ioctl,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_PAMU_GET_ATTR,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT,
  VFIO_IOMMU_PAMU_MAP_MSI_BANK,
  VFIO_IOMMU_PAMU_SET_ATTR,
} from '../include/uapi/ioctl.ts';
import {
  VFIO_DMA_MAP_FLAG,
  VFIO_PAMU_ATTR,
  vfio_iommu_type1_dma_map,
  vfio_pamu_attr,
  vfio_pamu_attr_geometry,
  vfio_pamu_attr_windows,
  vfio_pamu_msi_bank_map,
} from '../include/uapi/vfio.ts';
import { AddressSpace } from '../lib/address_space.ts';
import { HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import { type KernelWorkDone, kernelWorkReader } from '../lib/kernel_work.ts';
import { Random } from '../lib/random.ts';
import type { Task } from '../lib/task.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from '../vfio/vfio.ts';
import { VfioPamuIommu } from '../vfio/vfio_iommu_fsl_pamu.ts';
import { Type1Iommu } from '../vfio/vfio_iommu_type1.ts';
import { PamuGroup } from './fsl_pamu_group.ts';
import { Iommu4k, Iommu4kGroup } from './iommu4k.ts';
import { LIODNS, type Qoriq, startPamu, startQoriq } from './qoriq.ts';

/** Which IOMMU, and which pages of it. */
export type IommuSide = 'type1 4K' | 'type1 2M' | 'PAMU';

/** One MAP_DMA. */
interface Mapping {
  readonly iova: number;
  readonly size: number;
  /** Where in the host memory of the process it begins. */
  readonly offset: number;
}

export interface IommuBenchOptions {
  readonly side: IommuSide;
  /** Bytes of memory of the process; one map may show the same memory at several bus addresses. */
  readonly memory: number;
  /** Bytes of its pieces: a page, or huge pages. */
  readonly piece: number;
  readonly maps: readonly Mapping[];
  /** PAMU: aperture, windows, and bus addresses of the MSI banks' windows. */
  readonly windows?: {
    readonly start: number;
    readonly end: number;
    readonly count: number;
    readonly msi: readonly number[];
  };
  /** Containers that are set up one after the other; the first warms up when there are several. */
  readonly repeats: number;
  /** Batches of accesses; the first half warms up. */
  readonly batches: number;
}

export interface IommuCosts {
  /** Ioctls of a container from its backend to the last mapping. */
  readonly ioctls: number;
  /** Copies that these ioctls made, and pages they pinned. */
  readonly work: KernelWorkDone;
  /** Bytes of tables that the container needs, beyond those of the chip. */
  readonly tableBytes: number;
  /** Bytes of the tables that the chip has for all containers. */
  readonly chipBytes: number;
  /** Lines of 64 bytes of tables that the hardware reads for an access, at most. */
  readonly lines: number;
  /** ns of all ioctls, each set-up. */
  readonly setUp: readonly number[];
  /** ns for one access, each batch. */
  readonly access: readonly number[];
}

/** Accesses of a batch; and the bus addresses that they are spread over, one after the other. */
const BATCH = 1000;
/** Bytes of a cache line (e500mc core reference manual, "Cache line size"). */
const LINE = 64;
const ADDRESSES = 4096;
/** Beside the process's memory: what aligning huge pages may lose. */
const SLACK = 64 << 20;
const [CHANNEL] = DMA_CHANNELS;
/** Containers come and go without a core of VFIO. */
const DRIVER = { name: 'bench', checkExtension: () => 1 };
const GROUP = { id: 0, devices: [], emulated: false, ownedByHost: false };
const { READ, WRITE } = VFIO_DMA_MAP_FLAG;
/** Bytes of the tables that a chip has for everybody: entries of the PAMUs' three tables; devices and messages of the other. */
const CHIP_BYTES = {
  PAMU: (PAACE_NUMBER_ENTRIES + SPAACE_NUMBER_ENTRIES) * PAACE.size + OME_NUMBER_ENTRIES * OME_SIZE,
  type1: IOMMU4K_DEVICES * IOMMU4K_ENTRY.DEVICE + IOMMU4K_VECTORS * IOMMU4K_ENTRY.MESSAGE,
};

/** A side: how a container is opened, how many bytes of tables containers use, and the hardware's way. */
interface Side {
  open(): { readonly iommu: VfioIommu; readonly group: IommuGroup };
  tables(): number;
  /** Host-physical address of an access by the device, negative when it is refused. */
  translate(address: number): number;
  /** Lines of tables that the hardware reads for it. */
  lines(address: number): number;
}

class IommuBench {
  readonly #options: IommuBenchOptions;
  readonly #host: BenchKernel;
  readonly #side: Side;
  /** The process's own view of its memory: what it writes is no copy of the kernel's. */
  readonly #user: AddressSpace;
  readonly #work: () => KernelWorkDone;
  readonly #ram: number;
  readonly #heap: number;

  constructor(options: IommuBenchOptions) {
    this.#options = options;
    const lockLimit = options.maps.reduce((sum, { size }) => sum + size, 0) / PAGE_SIZE;
    this.#host = new BenchKernel({ memory: options.memory + SLACK, lockLimit });
    const { kernel, memory, map } = this.#host;
    const { mm } = kernel;
    this.#user = new AddressSpace(memory, map);
    this.#work = kernelWorkReader(memory, map.work);
    // Three banks, each with a page of its own.
    installFslSoc(memory, map.soc, { firstFrame: map.firstFrame, msi: 'classic-alias' });
    if (options.side !== 'PAMU') installIommu4k(memory, map.soc);
    const qoriq = startQoriq(kernel, new FslSoc(memory, map.soc, {}));
    const area = new SocArea(memory, map.soc);
    this.#side = options.side === 'PAMU' ? pamuSide(qoriq, area) : type1Side(qoriq, area, map.soc);
    this.#heap = mm.mmapAnonymous('heap', PAGE_SIZE, false).start;
    const { memory: size, piece } = options;
    this.#ram = (piece === PAGE_SIZE ? mm.mmapAnonymous('ram', size, true) : mm.mmapHuge('ram', size, piece)).start;
  }

  /** Runs `task` to its end. */
  run<T>(task: () => Task<T>): T {
    return this.#host.run(task);
  }

  *measure(): Task<IommuCosts> {
    const { repeats, side } = this.#options;
    const { now } = this.#host;
    const setUp: number[] = [];
    for (let i = 0; ; i++) {
      const before = this.#side.tables();
      const { iommu, group } = this.#side.open();
      const done = this.#work();
      const start = now();
      yield* iommu.attachGroup(group);
      const ioctls = yield* this.#configure(iommu);
      const time = now() - start;
      const work = since(done, this.#work());
      if (i > 0 || repeats === 1) setUp.push(time);
      if (setUp.length === Math.max(1, repeats - 1)) {
        const tableBytes = this.#side.tables() - before;
        const chipBytes = side === 'PAMU' ? CHIP_BYTES.PAMU : CHIP_BYTES.type1;
        return { ioctls, work, tableBytes, chipBytes, lines: this.#lines(), setUp, access: this.#accesses() };
      }
      yield* iommu.detachGroup(group);
      yield* iommu.release();
    }
  }

  /** The ioctls, in a VMM's order. @returns how many */
  *#configure(iommu: VfioIommu): Task<number> {
    let ioctls = 0;
    const space = this.#user;
    const heap = this.#heap;
    const call = function* (ioctl: Ioctl, bytes: Uint8Array = new Uint8Array(0)): Task<number> {
      ioctls++;
      if (bytes.length > 0) yield* space.copy(heap, bytes, true);
      return yield* iommu.ioctl(ioctl.number, bytes.length > 0 ? heap : 0);
    };
    const attribute = function* (ioctl: Ioctl, number: number, u: Uint8Array): Task {
      const attr = vfio_pamu_attr.make({ argsz: vfio_pamu_attr.size, attribute: number });
      attr.u.set(u);
      yield* call(ioctl, vfio_pamu_attr.bytes(attr));
    };
    const { windows, maps } = this.#options;
    if (windows !== undefined) {
      const { GEOMETRY, WINDOWS } = VFIO_PAMU_ATTR;
      const { start: aperture_start, end: aperture_end, count } = windows;
      yield* call(VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT);
      for (const number of [WINDOWS, GEOMETRY]) yield* attribute(VFIO_IOMMU_PAMU_GET_ATTR, number, new Uint8Array(0));
      const geometry = vfio_pamu_attr_geometry.bytes(vfio_pamu_attr_geometry.make({ aperture_start, aperture_end }));
      yield* attribute(VFIO_IOMMU_PAMU_SET_ATTR, GEOMETRY, geometry);
      const windowCount = vfio_pamu_attr_windows.bytes(vfio_pamu_attr_windows.make({ count }));
      yield* attribute(VFIO_IOMMU_PAMU_SET_ATTR, WINDOWS, windowCount);
    }
    for (const { iova, size, offset } of maps) {
      const argsz = vfio_iommu_type1_dma_map.size;
      const vaddr = this.#ram + offset;
      const map = vfio_iommu_type1_dma_map.make({ argsz, flags: READ | WRITE, iova, vaddr, size });
      yield* call(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map.bytes(map));
    }
    for (const [msi_bank_index, iova] of windows?.msi.entries() ?? []) {
      const argsz = vfio_pamu_msi_bank_map.size;
      const map = vfio_pamu_msi_bank_map.make({ argsz, msi_bank_index, iova });
      yield* call(VFIO_IOMMU_PAMU_MAP_MSI_BANK, vfio_pamu_msi_bank_map.bytes(map));
    }
    return ioctls;
  }

  /** Looked at in the last page of each map, which no entry of the first one serves. */
  #lines(): number {
    return Math.max(...this.#options.maps.map(({ iova, size }) => this.#side.lines(iova + size - PAGE_SIZE)));
  }

  /** ns for the translation of one access, everywhere in the mapped memory. @throws Error when one is refused, or wrong */
  #accesses(): number[] {
    const { maps, batches } = this.#options;
    const random = new Random(1);
    const { space } = this.#host.kernel.mm;
    const addresses = Float64Array.from({ length: ADDRESSES }, () => {
      const { iova, size, offset } = maps[random.below(maps.length)];
      const at = random.below(size / PAGE_SIZE) * PAGE_SIZE + random.below(PAGE_SIZE);
      const page = this.#ram + offset + at - (at % PAGE_SIZE);
      if (this.#side.translate(iova + at) !== space.lookup(page, false) + (at % PAGE_SIZE))
        throw new Error(`bus address 0x${(iova + at).toString(16)} does not lead to its memory`);
      return iova + at;
    });
    const { now } = this.#host;
    const times: number[] = [];
    let next = 0;
    let sum = 0;
    for (let batch = 0; batch < batches; batch++) {
      const start = now();
      for (let i = 0; i < BATCH; i++) {
        sum += this.#side.translate(addresses[next]);
        next = (next + 1) % ADDRESSES;
      }
      if (batch >= batches >> 1) times.push((now() - start) / BATCH);
    }
    if (!(sum > 0)) throw new Error('an access was refused');
    return times;
  }
}

/** What was done between two readings. */
function since(before: KernelWorkDone, now: KernelWorkDone): KernelWorkDone {
  return {
    copies: now.copies - before.copies,
    copiedBytes: now.copiedBytes - before.copiedBytes,
    pins: now.pins - before.pins,
  };
}

/** An access through a memory that notes the lines read of page frames: registers are no tables. */
function linesRead({ memory, base }: SocArea, access: (area: SocArea) => void): number {
  const noting = new HostMemory(memory.memory);
  const area = new SocArea(noting, base);
  const firstFrame = area.get('firstFrame');
  const lines = new Set<number>();
  const load = noting.load.bind(noting);
  noting.load = (at) => {
    if (at >= firstFrame) lines.add(Math.floor(at / LINE));
    return load(at);
  };
  access(area);
  return lines.size;
}

function pamuSide(qoriq: Qoriq, area: SocArea): Side {
  const host = startPamu(qoriq);
  const { liodn, pamu } = CHANNEL;
  const driver: VfioIommuDriver = { ...DRIVER, open: () => new VfioPamuIommu(host, driver, () => false) };
  const group = { ...GROUP, liodn: new PamuGroup(host.pamu, liodn) };
  // The primary entry is there for every LIODN; it is counted once there are windows.
  const { tables } = host.pamu;
  return {
    open: () => ({ iommu: driver.open(0), group }),
    tables: () => (tables.allocated === 0 ? 0 : (tables.allocated + 1) * PAACE.size),
    translate(address) {
      const answer = lookup(area, pamu, { liodn, address, length: 1, write: true });
      return 'physical' in answer ? answer.physical : -1;
    },
    lines: (address) => linesRead(area, (noting) => lookup(noting, pamu, { liodn, address, length: 1, write: true })),
  };
}

function type1Side(qoriq: Qoriq, area: SocArea, socBase: number): Side {
  const { kernel } = qoriq;
  const { liodn } = CHANNEL;
  const iommu4k = new Iommu4k(qoriq, new Iommu4kUnit(kernel.memory, socBase), LIODNS);
  const driver: VfioIommuDriver = { ...DRIVER, open: () => new Type1Iommu(kernel, driver, true, 0xffff) };
  const group = { ...GROUP, domain: new Iommu4kGroup(iommu4k, liodn) };
  return {
    open: () => ({ iommu: driver.open(0), group }),
    // All that is allocated while a container is set up is its tables.
    tables: () => kernel.mm.pages.allocated * PAGE_SIZE,
    translate(address) {
      const answer = translate4k(area, { liodn, address, length: 1, write: true });
      return typeof answer === 'number' ? answer : -1;
    },
    lines: (address) => linesRead(area, (noting) => translate4k(noting, { liodn, address, length: 1, write: true })),
  };
}

/** Sets containers up and translates accesses. @throws Errno, Error when the machine cannot do what was asked */
export function measureIommu(options: IommuBenchOptions): IommuCosts {
  const bench = new IommuBench(options);
  return bench.run(() => bench.measure());
}
