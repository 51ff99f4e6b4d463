/**
 * A host for unit tests: kernel, host bridge with PEs, VFIO and KVM on one simulated thread, and a user process that
 * makes system calls by calling the open files' operations.
 */
import { installNics } from '../../devices/physical/net/install_nics.ts';
import { HostBridge, installHostBridge } from '../../devices/physical/phb/host_bridge.ts';
import { HCALL } from '../include/arch/ppc/hcall.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { Ioctl } from '../include/uapi/ioctl.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { HCALL_STATE, KVM_RUN } from '../include/uapi/kvm_run.ts';
import { VFIO_SPAPR_TCE_v2_IOMMU } from '../include/uapi/vfio.ts';
import { Kernel } from '../kernel.ts';
import { createMemory, HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import { type SharedMap, sharedMap } from '../lib/shared_map.ts';
import { Simulation } from '../lib/simulated.ts';
import type { Fields, View } from '../lib/struct.ts';
import { type Task, until } from '../lib/task.ts';
import { TaskFailure } from '../lib/threaded.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import { Powernv } from '../ppc/powernv.ts';
import { BUG } from '../syscall/ioctl.ts';
import { spaprTceDriver } from '../vfio/vfio_iommu_spapr_tce.ts';
import { VfioCore } from '../vfio/vfio_main.ts';
import { bindVfioPci } from '../vfio/vfio_pci.ts';
import { RealMode } from './book3s_64_vio_hv.ts';
import { IOMMU_MEM, IOMMU_MEMS, IOMMU_TABLE, IOMMU_TABLES, KVM_AREA, KVM_STT, KVM_STTS } from './kvm_area.ts';
import { Kvm } from './kvm_main.ts';
import { alwaysInvariants } from './test_invariants.ts';

/** A place for the attention word in the tests' state blocks. */
export const ATTENTION = 500;
const GUEST_MEMORY = 0x10_0000;
const MAX_STEPS = 1_000_000;
/** Bytes of the user process's own memory for arguments. */
const USER_SIZE = 0x10000;

/** A 64-bit argument. */
export type Words = bigint | number;

/** What each of the host's processes has for its tests. */
interface TestProcess {
  readonly realMode: RealMode;
  /** The WebAssembly handler of CPU 0, once it was asked for. */
  hcall: (() => number) | undefined;
  readonly user: number;
  readonly userHpa: number;
}

export class TestHost {
  readonly memory: HostMemory;
  readonly simulation: Simulation;
  readonly kernel: Kernel;
  readonly bridge: HostBridge;
  readonly phbBase: number;
  readonly powernv: Powernv;
  readonly vfio: VfioCore;
  readonly kvm: Kvm;
  /** What the WebAssembly handler said of the last {@link wasm}: true when it did the call. */
  wasmDone = false;
  readonly #processes: readonly TestProcess[];

  /** @param options `others`: processes beside the first, each for a machine of the same size */
  constructor(
    options: { seed?: number; lockLimit?: number; pes?: number; nics?: number; vcpus?: number; others?: number } = {},
  ) {
    const { seed = 1, lockLimit = 100_000, pes = 3, nics = 0, vcpus = 2 } = options;
    const others = Array.from({ length: options.others ?? 0 }, () => ({ guestMemory: GUEST_MEMORY, vcpus }));
    const map = sharedMap({ guestMemory: GUEST_MEMORY, vcpus, hardware: [], nics, others });
    this.memory = new HostMemory(createMemory(map.size));
    this.simulation = new Simulation(seed);
    this.kernel = new Kernel(this.simulation.actor('kernel'), this.memory, map, {
      lockLimit,
      seed,
      log: (line) => {
        if (line.startsWith(BUG)) throw new Error(line);
      },
    });
    this.phbBase = map.phb;
    const { firstFrame } = map;
    installHostBridge(this.memory, this.phbBase, {
      firstFrame,
      pes: [
        ...Array.from({ length: pes }, () => ({ device: 'dma_port' as const })),
        ...Array.from({ length: nics }, () => ({ device: 'e1000' as const })),
      ],
    });
    const cards = Array.from({ length: nics }, (_, i) => ({ mac: `52:54:00:12:34:5${i}`, wire: 'none' as const }));
    installNics(this.memory, this.phbBase, map.net, cards, pes);
    this.bridge = new HostBridge(this.memory, this.phbBase, { firstFrame, doorbells: [] });
    this.vfio = new VfioCore(this.kernel);
    this.powernv = new Powernv(this.kernel, this.bridge, this.phbBase, ATTENTION);
    this.vfio.registerIommuDriver(spaprTceDriver(this.powernv));
    bindVfioPci(this.powernv, this.vfio);
    this.kvm = new Kvm(this.kernel, this.powernv, this.vfio);
    this.#processes = this.kernel.processes.map(({ map: own, mm }) => {
      const user = mm.mmapAnonymous('user', USER_SIZE, false).start;
      return {
        realMode: new RealMode(this.memory, own, this.phbBase, { attentionOffset: ATTENTION }),
        hcall: undefined,
        user,
        userHpa: mm.space.lookup(user, false),
      };
    });
  }

  /** From now on everything is done by this process, and by its virtual machine. */
  switchTo(process: number): void {
    this.kernel.current = this.kernel.processes[process];
  }
  get #own(): TestProcess {
    return this.#processes[this.kernel.process.number];
  }
  /** The shared map as the process sees it. */
  get map(): SharedMap {
    return this.kernel.process.map;
  }
  get realMode(): RealMode {
    return this.#own.realMode;
  }
  /** User address of the process's argument memory. */
  get user(): number {
    return this.#own.user;
  }

  /** Runs a task of the user process to its end. @throws what it throws */
  run<T>(body: () => Task<T>): T {
    let result: { value: T } | undefined;
    this.kernel.spawn(
      this.kernel.process,
      'user',
      (function* () {
        result = { value: yield* body() };
      })(),
    );
    try {
      this.simulation.run(() => result !== undefined, this.simulation.steps + MAX_STEPS);
    } catch (error) {
      throw error instanceof TaskFailure ? error.cause : error;
    }
    return (result as { value: T }).value;
  }

  /** Name of the errno that a task ends with, or 'OK'. */
  errno(body: () => Task<unknown>): string {
    let code = 'OK';
    this.run(function* () {
      try {
        yield* body();
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        code = error.code;
      }
    });
    return code;
  }

  *open(path: string): Task<number> {
    return this.kernel.files.install(yield* this.kernel.vfs.open(path, 0));
  }
  *close(fd: number): Task {
    yield* this.kernel.files.close(fd);
  }

  /** ioctl with a value. */
  *ioctl(fd: number, { number }: Ioctl, value = 0): Task<number> {
    const { operations, name } = this.kernel.files.file(fd);
    if (operations.ioctl === undefined) throw new Errno('ENOTTY', name);
    return yield* operations.ioctl(number, value);
  }
  /** ioctl with a structure, made from `values` with `argsz` filled in; returns it as the kernel left it. */
  *ioctlStruct<F extends Fields>(
    fd: number,
    ioctl: Ioctl<F>,
    values: Partial<Record<keyof F, unknown>> = {},
    tail?: Uint8Array,
  ): Task<View<F>> {
    const type = ioctl.struct as NonNullable<typeof ioctl.struct>;
    const made = { ...('argsz' in type.fields ? { argsz: type.size + (tail?.length ?? 0) } : {}), ...values };
    const bytes = type.bytes(type.make(made as never));
    this.poke(0, bytes);
    if (tail !== undefined) this.poke(bytes.length, tail);
    yield* this.ioctl(fd, ioctl as Ioctl, this.user);
    return type.at(new DataView(this.peek(0, type.size).buffer));
  }
  /** ioctl with 32-bit words. */
  *ioctlWords(fd: number, ioctl: Ioctl, ...words: number[]): Task<number> {
    this.poke(0, new Uint8Array(Int32Array.from(words).buffer));
    return yield* this.ioctl(fd, ioctl, this.user);
  }

  /** Writes and reads the process's argument memory. */
  poke(offset: number, bytes: Uint8Array): void {
    this.memory.u8.set(bytes, this.#own.userHpa + offset);
  }
  peek(offset: number, length: number): Uint8Array {
    return this.memory.bytes(this.#own.userHpa + offset, length).slice();
  }

  /** A hypercall in real mode. */
  real(nr: number, ...args: Words[]): number {
    const [a, b, c, d] = [0, 1, 2, 3].map((i) => words(args[i] ?? 0));
    return this.realMode.hcall(nr, a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]);
  }

  /**
   * A hypercall as translated code of CPU 0 makes it: by the WebAssembly handler, and what that does not do by real
   * mode as it is. The result of H_GET_TCE is in `wasmOut`. @throws Error when a call was refused and yet registers changed
   */
  wasm(nr: number, ...args: Words[]): number {
    const { state, run } = this.map.vcpus[0];
    const own = this.#own;
    own.hcall ??= this.realMode.compile({ gprs: state, done: run + KVM_RUN.offset.hcall_real });
    const { dv } = this.memory;
    [nr, ...args].forEach((value, i) => {
      dv.setBigUint64(state + 8 * (i + 1), BigInt.asUintN(64, BigInt(value)), true);
    });
    const before = this.memory.bytes(state, 128).slice();
    this.wasmDone = own.hcall() !== 0;
    if (this.wasmDone) return Number(dv.getBigInt64(state + 16, true));
    if (Buffer.compare(before, this.memory.bytes(state, 128)) !== 0)
      throw new Error('a refused call changed registers');
    const ret = this.real(nr, ...args);
    if (nr === HCALL.H_GET_TCE && ret === 0) dv.setBigUint64(state + 24, this.realOut, true);
    return ret;
  }
  get wasmOut(): bigint {
    return this.memory.dv.getBigUint64(this.map.vcpus[0].state + 24, true);
  }
  /** Calls that the WebAssembly handler did. */
  get wasmCalls(): number {
    return KVM_RUN.at(this.memory.dv, this.map.vcpus[0].run).hcall_real;
  }

  /** A hypercall in virtual mode, posted through the run page of CPU `vcpu`; the result of H_GET_TCE in `virtualOut`. */
  virtual(nr: number, ...args: Words[]): number {
    return this.run(() => this.virtualTask(0, nr, ...args));
  }
  *virtualTask(vcpu: number, nr: number, ...args: Words[]): Task<number> {
    const { run } = this.map.vcpus[vcpu];
    const page = KVM_RUN.at(this.memory.dv, run);
    page.hcall_nr = BigInt(nr);
    for (let i = 0; i < 4; i++)
      this.memory.dv.setBigUint64(
        run + KVM_RUN.offset.hcall_args + 8 * i,
        BigInt.asUintN(64, BigInt(args[i] ?? 0)),
        true,
      );
    this.memory.store(run + KVM_RUN.offset.hcall_state, HCALL_STATE.POSTED);
    yield* until('hypercall', () => this.memory.load(run + KVM_RUN.offset.hcall_state) === HCALL_STATE.DONE);
    this.memory.store(run + KVM_RUN.offset.hcall_state, HCALL_STATE.IDLE);
    return Number(this.memory.dv.getBigInt64(run + KVM_RUN.offset.hcall_args, true));
  }
  get virtualOut(): bigint {
    return this.memory.dv.getBigUint64(this.map.vcpus[0].run + KVM_RUN.offset.hcall_args + 8, true);
  }
  get realOut(): bigint {
    return (BigInt(this.realMode.outHi >>> 0) << 32n) | BigInt(this.realMode.outLo >>> 0);
  }

  // Set-ups

  /** Opens a container of `type` with the groups of `pes`. */
  *container(pes: readonly number[], type = VFIO_SPAPR_TCE_v2_IOMMU): Task<Container> {
    const container = yield* this.open('/dev/vfio/vfio');
    const groups: number[] = [];
    for (const pe of pes) {
      const group = yield* this.open(`/dev/vfio/${pe}`);
      groups.push(group);
      yield* this.ioctlWords(group, ioctls.VFIO_GROUP_SET_CONTAINER, container);
    }
    yield* this.ioctl(container, ioctls.VFIO_SET_IOMMU, type);
    return { fd: container, groups };
  }

  /** User memory of `pages` pages that may move. */
  ram(pages: number): number {
    return this.kernel.mm.mmapAnonymous('ram', pages * PAGE_SIZE, true).start;
  }

  *register(fd: number, vaddr: number, pages: number): Task {
    yield* this.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY, { vaddr, size: pages * PAGE_SIZE });
  }
  *unregister(fd: number, vaddr: number, pages: number): Task {
    yield* this.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, { vaddr, size: pages * PAGE_SIZE });
  }
  /** Cancels the default window and creates one at bus address 0. */
  *window(fd: number, pageShift: number, size: number, levels = 1): Task {
    yield* this.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
    yield* this.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, {
      page_shift: pageShift,
      window_size: size,
      levels,
    });
  }
  *mapDma(fd: number, iova: number, vaddr: number, size: number, flags = 3): Task {
    yield* this.ioctlStruct(fd, ioctls.VFIO_IOMMU_MAP_DMA, { flags, iova, vaddr, size });
  }
  *unmapDma(fd: number, iova: number, size: number): Task {
    yield* this.ioctlStruct(fd, ioctls.VFIO_IOMMU_UNMAP_DMA, { iova, size });
  }

  /** A virtual machine with CPU 0, whose memory at guest address 0 is `ram`. */
  *machine(ram: number, pages: number): Task<{ vm: number; vcpu: number }> {
    const kvm = yield* this.open('/dev/kvm');
    const vm = yield* this.ioctl(kvm, ioctls.KVM_CREATE_VM);
    yield* this.close(kvm);
    const vcpu = yield* this.ioctl(vm, ioctls.KVM_CREATE_VCPU, 0);
    yield* this.ioctlStruct(vm, ioctls.KVM_SET_USER_MEMORY_REGION, {
      memory_size: pages * PAGE_SIZE,
      userspace_addr: ram,
    });
    return { vm, vcpu };
  }
  /** A guest table; returns its descriptor. */
  *table(vm: number, liobn: number, pageShift: number, size: number, offset = 0): Task<number> {
    const number = ioctls.KVM_CREATE_SPAPR_TCE_64;
    const type = number.struct as NonNullable<typeof number.struct>;
    this.poke(0, type.bytes(type.make({ liobn, page_shift: pageShift, offset, size } as never)));
    return yield* this.ioctl(vm, number as Ioctl, this.user);
  }
  *kvmVfio(vm: number): Task<number> {
    return (yield* this.ioctlStruct(vm, ioctls.KVM_CREATE_DEVICE, { type: 4 })).fd as number;
  }
  /** KVM_SET_DEVICE_ATTR of the group attributes, whose argument is 32-bit words. */
  *setAttr(device: number, attr: number, ...args: number[]): Task {
    const at = 0x1000;
    this.poke(at, new Uint8Array(Int32Array.from(args).buffer));
    yield* this.ioctlStruct(device, ioctls.KVM_SET_DEVICE_ATTR, { group: 1, attr, addr: this.user + at });
  }
  *enableHcall(vm: number, token: number, on = 1): Task {
    yield* this.ioctlStruct(vm, ioctls.KVM_ENABLE_CAP, { cap: 104, arg0: token, arg1: on });
  }

  // Inspection

  /** What is held of the host: all equal before and after a life cycle that leaks nothing. */
  held() {
    const { mm } = this.kernel;
    return {
      pages: mm.pages.allocated,
      locked: mm.lockedVm,
      vmas: mm.vmas.length,
      regions: this.powernv.regions.list().length,
      windows: this.bridge.pes().flatMap((pe) => this.bridge.inspect(pe).windows.filter((w) => w !== undefined)).length,
      files: [...this.kernel.files.entries()].length,
      slots: this.#slotsTaken(),
    };
  }

  #slotsTaken(): number {
    const taken = (base: number, size: number, count: number, word: number) =>
      Array.from({ length: count }, (_, i) => this.memory.load(this.map.kvm + base + i * size + word)).filter(
        (w) => w !== 0,
      ).length;
    return (
      taken(KVM_AREA.stt, KVM_STT.size, KVM_STTS, KVM_STT.offset.view) +
      taken(KVM_AREA.table, IOMMU_TABLE.size, IOMMU_TABLES, IOMMU_TABLE.offset.table) +
      taken(KVM_AREA.mem, IOMMU_MEM.size, IOMMU_MEMS, IOMMU_MEM.offset.hpas)
    );
  }

  /** The rules that always hold, of these tables too: see {@link alwaysInvariants}. */
  invariants(tables: readonly IommuTable[] = []): void {
    alwaysInvariants(this, tables);
  }
}

export interface Container {
  readonly fd: number;
  readonly groups: readonly number[];
}

/** A 64-bit value as signed high and low words. */
export function words(value: Words): [number, number] {
  const bits = BigInt.asUintN(64, BigInt(value));
  return [Number(bits >> 32n) | 0, Number(bits & 0xffff_ffffn) | 0];
}
