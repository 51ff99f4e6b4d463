/**
 * What translating a channel program costs: cp_init, cp_prefetch and cp_free on the kernel's thread, with a type1
 * container over movable memory that every data page is pinned in anew, as for each I/O of a machine. No other actor
 * runs. Called by name on a pool thread.
 */

import { BenchKernel } from '../../bench_kernel.ts';
import { CCW_CMD, CCW_FLAG, CCW1 } from '../../include/arch/s390/ccw.ts';
import { ORB, ORB_CTRL0, type Orb } from '../../include/arch/s390/orb.ts';
import { VFIO_IOMMU_MAP_DMA } from '../../include/uapi/ioctl.ts';
import { VFIO_DMA_MAP_FLAG, vfio_iommu_type1_dma_map } from '../../include/uapi/vfio.ts';
import type { Kernel } from '../../kernel.ts';
import { CCW_SIZE } from '../../lib/ccw_program.ts';
import { clockOrigin, hostClock } from '../../lib/clock.ts';
import { createMemory, HostMemory, PAGE_SHIFT, PAGE_SIZE } from '../../lib/host_memory.ts';
import { u64 } from '../../lib/struct.ts';
import type { Task } from '../../lib/task.ts';
import type { Vma } from '../../mm/mm.ts';
import type { VfioDevice, VfioIommuDriver } from '../../vfio/vfio.ts';
import { Type1Iommu } from '../../vfio/vfio_iommu_type1.ts';
import { DmaPool } from './dma_pool.ts';
import { ChannelProgram } from './vfio_ccw_cp.ts';

/** What the CCWs of a program are: without data, 4K at an address, 4K by an IDAL of one or of two words. */
export type Shape = 'NOP' | 'direct' | 'IDAL of 1' | 'IDAL of 2';

export interface TranslationOptions {
  readonly shape: Shape;
  /** CCWs of the program, at most 255. */
  readonly ccws: number;
  /** Programs translated; the first half warms up and is not reported. */
  readonly programs: number;
}

/** Nanoseconds per program, one entry for each that was not warm-up. */
export interface TranslationTimes {
  readonly init: number[];
  readonly prefetch: number[];
  readonly free: number[];
  /** All three. */
  readonly total: number[];
  /** Pages pinned for one program. */
  readonly pins: number;
}

/** Guest memory: CCWs, IDALs of 16 bytes each, and two pages of data for every CCW. */
const PROGRAM = 0x1000;
const IDALS = 0x4000;
const DATA = 0x100000;
const RAM = 4 << 20;
/** Data of a CCW, bytes. */
const LENGTH = PAGE_SIZE;
/** Most CCWs that the memory above has room for. */
const MOST = 255;

class TranslationBench {
  readonly #host: BenchKernel;
  readonly #kernel: Kernel;
  readonly #iommu: Type1Iommu;
  readonly #ram: Vma;
  readonly #device: VfioDevice;
  readonly #pool: DmaPool;

  constructor() {
    this.#host = new BenchKernel({ memory: RAM, lockLimit: RAM / PAGE_SIZE });
    this.#kernel = this.#host.kernel;
    const driver: VfioIommuDriver = {
      name: 'vfio-iommu-type1',
      checkExtension: () => 1,
      open: () => this.#iommu,
    };
    this.#iommu = new Type1Iommu(this.#kernel, driver, true, 1);
    this.#ram = this.#kernel.mm.mmapAnonymous('guest ram', RAM, true);
    this.#device = device();
    this.#iommu.kernelUsers.registerDevice(this.#device);
    this.#pool = new DmaPool(this.#host.memory, this.#kernel.mm.pages);
  }

  /** Runs `task` to its end. */
  run<T>(task: () => Task<T>): T {
    return this.#host.run(task);
  }

  /** VFIO_IOMMU_MAP_DMA of all memory at iova 0, as a VMM does it. */
  *map(): Task {
    const heap = this.#kernel.mm.mmapAnonymous('heap', PAGE_SIZE, false);
    const flags = VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE;
    const { size } = vfio_iommu_type1_dma_map;
    const map = vfio_iommu_type1_dma_map.make({ argsz: size, flags, iova: 0, vaddr: this.#ram.start, size: RAM });
    yield* this.#kernel.mm.space.copy(heap.start, vfio_iommu_type1_dma_map.bytes(map), true);
    yield* this.#iommu.ioctl(VFIO_IOMMU_MAP_DMA.number, heap.start);
  }

  /** Writes a program to guest memory; returns its ORB. */
  *write(shape: Shape, ccws: number): Task<Orb> {
    const program = new Uint8Array(ccws * CCW_SIZE);
    const idals = new Uint8Array(ccws * 2 * u64.size);
    const words = new DataView(idals.buffer);
    for (let i = 0; i < ccws; i++) {
      // Two blocks begin in the middle of a page, so that the data takes one page more.
      const data = DATA + i * 2 * PAGE_SIZE + (shape === 'IDAL of 2' ? PAGE_SIZE / 2 : 0);
      words.setUint32(i * 16 + 4, data);
      words.setUint32(i * 16 + 12, DATA + (i * 2 + 1) * PAGE_SIZE);
      const ccw = CCW1.at(new DataView(program.buffer), i * CCW_SIZE);
      ccw.cmd = shape === 'NOP' ? CCW_CMD.NOOP : CCW_CMD.READ;
      ccw.flags = (i < ccws - 1 ? CCW_FLAG.CC : 0) | (shape.startsWith('IDAL') ? CCW_FLAG.IDA : CCW_FLAG.SLI);
      ccw.count = shape === 'NOP' ? 1 : LENGTH;
      ccw.cda = shape.startsWith('IDAL') ? IDALS + i * 16 : data;
    }
    yield* this.#kernel.mm.space.copy(this.#ram.start + PROGRAM, program, true);
    yield* this.#kernel.mm.space.copy(this.#ram.start + IDALS, idals, true);
    const { F, P, H } = ORB_CTRL0.mask;
    return ORB.make({ intparm: 1, ctrl0: F | P | H, lpm: 0x80, cpa: PROGRAM });
  }

  /** Translates a program again and again. */
  *measure({ shape, ccws, programs }: TranslationOptions): Task<TranslationTimes> {
    const orb = yield* this.write(shape, ccws);
    const { kernelUsers } = this.#iommu;
    const { now } = this.#host;
    const cp = new ChannelProgram(this.#kernel, this.#pool);
    const init: number[] = [];
    const prefetch: number[] = [];
    const free: number[] = [];
    const total: number[] = [];
    let pins = 0;
    for (let i = 0; i < programs; i++) {
      const start = now();
      yield* cp.init(this.#device, kernelUsers, orb);
      const copied = now();
      pins = yield* cp.prefetch();
      const translated = now();
      cp.free();
      const end = now();
      if (i < programs >> 1) continue;
      init.push(copied - start);
      prefetch.push(translated - copied);
      free.push(end - translated);
      total.push(end - start);
    }
    return { init, prefetch, free, total, pins };
  }

  /** Pins and unpins one page after another; nanoseconds per page, one entry per `pages` pages, the first half left out. */
  *pinning(batches: number, pages: number): Task<number[]> {
    const { kernelUsers } = this.#iommu;
    const prot = VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE;
    const { now } = this.#host;
    const times: number[] = [];
    for (let i = 0; i < batches; i++) {
      const start = now();
      for (let page = 0; page < pages; page++) kernelUsers.tryPinPage(this.#device, DATA + page * PAGE_SIZE, prot);
      for (let page = 0; page < pages; page++) kernelUsers.unpinPages(this.#device, DATA + page * PAGE_SIZE, 1);
      if (i >= batches >> 1) times.push((now() - start) / pages);
    }
    return times;
  }
}

/** A device that may pin: nobody unmaps anything here. */
function device(): VfioDevice {
  const group = { id: 0, devices: [], emulated: true, ownedByHost: false };
  return {
    name: 'bench',
    group,
    operations: {},
    *openDevice() {},
    *closeDevice() {},
    *dmaUnmap() {},
  };
}

/** Times several kinds of programs, one after the other in one kernel, as it meets them in a machine. */
export function measureTranslations({ cases }: { readonly cases: readonly TranslationOptions[] }): TranslationTimes[] {
  for (const { ccws } of cases) if (!(ccws >= 1 && ccws <= MOST)) throw new RangeError(`${ccws} CCWs`);
  const bench = new TranslationBench();
  return bench.run(function* () {
    yield* bench.map();
    const times: TranslationTimes[] = [];
    for (const options of cases) times.push(yield* bench.measure(options));
    return times;
  });
}

/** Times pin and unpin of a page, ns. */
export function measurePinning({ batches, pages }: { readonly batches: number; readonly pages: number }): number[] {
  const bench = new TranslationBench();
  return bench.run(function* () {
    yield* bench.map();
    return yield* bench.pinning(batches, pages);
  });
}

/**
 * The floor: the memory that a translation has to read and write, and nothing else. The CCWs are copied, and for each of
 * them an IDAL of `words` words, whose addresses go through a page table of one level. @returns ns per program, warmed up
 */
export function measureCopy(options: {
  readonly ccws: number;
  readonly words: number;
  readonly programs: number;
}): number[] {
  const { ccws, words, programs } = options;
  const memory = new HostMemory(createMemory(RAM));
  const now = hostClock(clockOrigin());
  const { dv, u8 } = memory;
  const table = new Uint32Array(RAM / PAGE_SIZE).map((_, page) => page * PAGE_SIZE);
  const target = RAM / 2;
  for (let at = 0; at < ccws * words * u64.size; at += u64.size)
    dv.setUint32(IDALS + at + 4, DATA + (at * PAGE_SIZE) / 8);
  const times: number[] = [];
  for (let i = 0; i < programs; i++) {
    const start = now();
    u8.copyWithin(target + PROGRAM, PROGRAM, PROGRAM + ccws * CCW_SIZE);
    for (let ccw = 0, idaw = IDALS; ccw < ccws; ccw++) {
      dv.setUint32(target + PROGRAM + ccw * CCW_SIZE + 4, target + idaw);
      for (let word = 0; word < words; word++, idaw += u64.size) {
        const address = dv.getUint32(idaw + 4);
        dv.setUint32(target + idaw, dv.getUint32(idaw));
        dv.setUint32(target + idaw + 4, table[address >>> PAGE_SHIFT] + (address % PAGE_SIZE));
      }
    }
    if (i >= programs >> 1) times.push(now() - start);
  }
  return times;
}
