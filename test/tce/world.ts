/** A host with containers whose windows hang under one LIOBN, by each of the three ways to say so. */
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import type { TceBind } from '../../hypervisor/config.ts';
import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { type Container, TestHost } from '../../kernel/kvm/test_host.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { IommuTable } from '../../kernel/ppc/iommu_table.ts';

export const LIOBN = 0x8000_0000;
export const PAGES = 64;
export const SIDES: readonly TceBind[] = ['group', 'group-liobn', 'container'];
export const ATTR = { ADD: 1, DEL: 2, SET_SPAPR_TCE: 3, SET_SPAPR_TCE_LIOBN: 4 } as const;

export interface WorldOptions {
  readonly side?: TceBind;
  /** PEs of each container. */
  readonly containers?: readonly (readonly number[])[];
  readonly guestShift?: number;
  readonly seed?: number;
  readonly levels?: number;
  /** Whether it_userspace is there from the beginning. */
  readonly mapped?: boolean;
  /** Whether all of RAM is registered. */
  readonly registered?: boolean;
}

/** RAM of 64 registered pages; each container has a window of as many 4K pages at bus address 0. */
export class World {
  readonly host: TestHost;
  readonly ram: number;
  readonly side: TceBind;
  /** What was held before anything was opened. */
  readonly idle: ReturnType<TestHost['held']>;
  readonly containers: Container[] = [];
  vm = -1;
  vcpu = -1;
  device = -1;
  tableFd = -1;

  constructor(options: WorldOptions = {}) {
    const { side = 'group', containers = [[0]], guestShift = 12, seed, levels = 1, mapped = true } = options;
    this.host = new TestHost({ seed });
    this.ram = this.host.ram(PAGES);
    this.side = side;
    this.idle = this.host.held();
    this.host.run(() => this.#open(containers, guestShift, levels, mapped, options.registered ?? true));
  }

  *#open(
    containers: readonly (readonly number[])[],
    guestShift: number,
    levels: number,
    mapped: boolean,
    registered: boolean,
  ): Task {
    const { host, ram } = this;
    const { vm, vcpu } = yield* host.machine(ram, PAGES);
    this.vm = vm;
    this.vcpu = vcpu;
    this.device = yield* host.kvmVfio(vm);
    this.tableFd = yield* host.table(vm, LIOBN, guestShift, (PAGES * PAGE_SIZE) / 2 ** guestShift);
    yield* host.enableHcall(vm, HCALL.H_STUFF_TCE);
    yield* host.enableHcall(vm, HCALL.H_PUT_TCE_INDIRECT);
    for (const pes of containers) {
      const container = yield* host.container(pes);
      this.containers.push(container);
      yield* host.register(container.fd, ram, PAGES);
      yield* host.ioctlStruct(container.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
      yield* this.createWindow(container.fd, levels);
      if (mapped) {
        yield* host.mapDma(container.fd, 0, ram, PAGE_SIZE);
        yield* host.unmapDma(container.fd, 0, PAGE_SIZE);
      }
      if (!registered) yield* host.unregister(container.fd, ram, PAGES);
      for (const group of container.groups) yield* host.setAttr(this.device, ATTR.ADD, group);
      yield* this.bind(container);
    }
  }

  *createWindow(fd: number, levels = 1): Task {
    const window = { page_shift: 12, window_size: PAGES * PAGE_SIZE, levels };
    yield* this.host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, window);
  }

  /** Binds the LIOBN to a container, or to its groups. */
  *bind(container: Container, side = this.side): Task {
    if (side === 'container') yield* this.bindContainer(container.fd);
    else for (const group of container.groups) yield* this.bindGroup(group, side);
  }
  *bindGroup(group: number, side = this.side): Task {
    const { host, device, tableFd } = this;
    if (side === 'group') yield* host.setAttr(device, ATTR.SET_SPAPR_TCE, group, tableFd);
    else yield* host.setAttr(device, ATTR.SET_SPAPR_TCE_LIOBN, 24, group, LIOBN, 0, 0, 0);
  }
  *bindContainer(fd: number, liobn = LIOBN): Task {
    yield* this.host.ioctlStruct(this.vm, ioctls.KVM_SPAPR_TCE_BIND_VFIO, { liobn, fd });
  }
  *unbindContainer(fd: number, liobn = LIOBN): Task {
    yield* this.host.ioctlStruct(this.vm, ioctls.KVM_SPAPR_TCE_UNBIND_VFIO, { liobn, fd });
  }

  /** The hardware table of a container's window. */
  table(container = 0, window = 0): IommuTable {
    const { object } = this.host.kernel.files.file(this.containers[container].fd);
    const { iommu } = object as { iommu: { tceTables: readonly IommuTable[] } };
    return iommu.tceTables[window];
  }
  get guestTable() {
    const [table] = [...(this.host.kvm.vm?.tables ?? [])];
    return table;
  }
  put(tier: 'real' | 'wasm' | 'virtual', entry: number, tce: number): number {
    return this.host[tier](HCALL.H_PUT_TCE, LIOBN, entry * 2 ** this.guestTable.pageShift, tce);
  }
  /** The guest's view of an entry. */
  view(entry: number): bigint {
    return this.host.memory.dv.getBigUint64(this.guestTable.view + 8 * entry, true);
  }
  frame(page: number): number {
    return this.host.kernel.mm.space.lookup(this.ram + page * PAGE_SIZE, false);
  }
  /** Page of RAM that a PE's device reaches at a bus address; undefined when it does not, and the PE is thawed again. */
  dma(pe: number, entry: number, write = false): number | undefined {
    const { host } = this;
    const hpa = dmaTranslate(host.memory, host.phbBase, pe, BigInt(entry * PAGE_SIZE), 8, write)?.[0].hpa;
    host.bridge.eehUnfreeze(pe);
    if (hpa === undefined) return undefined;
    return Array.from({ length: PAGES }, (_, page) => page).find((page) => this.frame(page) === hpa) ?? -1;
  }
  kills(): number[] {
    return this.host.bridge.pes().map((pe) => this.host.bridge.inspect(pe).kills);
  }
  mapped(): number[] {
    const { regions } = this.host.powernv;
    return regions.list().map((region) => regions.mapped(region) - 1);
  }
  /** A list of TCEs on guest page `page`; its address. */
  list(page: number, tces: readonly number[]): number {
    for (const [i, tce] of tces.entries())
      this.host.memory.dv.setBigUint64(this.frame(page) + 8 * i, BigInt(tce), false);
    return page * PAGE_SIZE;
  }
  /** Another thread holds an entry locked while `body` runs. */
  locked<T>(container: number, entry: number, body: () => T): T {
    const cell = this.host.memory.load(this.table(container).slot + 16) + entry * 4;
    this.host.memory.or(cell, -0x8000_0000);
    try {
      return body();
    } finally {
      this.host.memory.and(cell, 0x7fff_ffff);
    }
  }

  /** Closes what is open, in an order that user space would choose. */
  close(): void {
    const { host } = this;
    host.run(
      function* (this: World) {
        const groups = this.containers.flatMap((container) => [...container.groups, container.fd]);
        for (const fd of [this.tableFd, this.device, this.vcpu, this.vm, ...groups]) yield* host.close(fd);
      }.bind(this),
    );
  }
}

/** All orders of a list. */
export function* orders<T>(list: readonly T[]): Iterable<readonly T[]> {
  if (list.length === 0) yield [];
  for (const [i, first] of list.entries())
    for (const rest of orders([...list.slice(0, i), ...list.slice(i + 1)])) yield [first, ...rest];
}
