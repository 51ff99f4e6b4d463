/** The VMM's tier over a test host: its own code, with system calls made on the host's files. */

import type { HcallResult } from '../../devices/virtual/ppc/hcall_result.ts';
import { SpaprTceTable } from '../../devices/virtual/ppc/spapr_iommu.ts';
import { SpaprTceHcalls } from '../../devices/virtual/ppc/spapr_tce_hcalls.ts';
import type { VFIOContainer } from '../../devices/virtual/vfio/container.ts';
import type { VFIOGroup } from '../../devices/virtual/vfio/group.ts';
import { type AttachedTable, attachTable, type TceBind } from '../../devices/virtual/vfio/spapr.ts';
import type { GuestMemory, Machine } from '../../hypervisor/machine_api.ts';
import { HCALL, HCALL_RETURN } from '../../kernel/include/arch/ppc/hcall.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { VFIO_SPAPR_TCE_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU } from '../../kernel/include/uapi/vfio.ts';
import { TestHost } from '../../kernel/kvm/test_host.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import type { Fields, View } from '../../kernel/lib/struct.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { LIOBN, PAGES } from './world.ts';

const { H_TOO_HARD, H_SUCCESS } = HCALL_RETURN;

/** The tiers in the order in which they are asked. */
export const TIERS = ['real', 'virtual', 'vmm'] as const;
export type Tier = (typeof TIERS)[number];

/** Where the process keeps arguments that go by address beside its structures. */
const HEAP = 0x2000;

/** What the VMM's code needs of a machine; the rest is not there. */
function machineOn(
  host: TestHost,
  memory: GuestMemory,
  vm: number,
  device: number,
  log: (line: string) => void,
): Machine {
  const sys = {
    memory: host.memory,
    ioctl: (fd: number, ioctl: ioctls.Ioctl, value = 0) => host.ioctl(fd, ioctl, value),
    *ioctlStruct<F extends Fields>(fd: number, ioctl: ioctls.Ioctl<F>, view: View<F>): Task<number> {
      const bytes = (ioctl.struct as NonNullable<typeof ioctl.struct>).bytes(view);
      host.poke(0, bytes);
      const result = yield* host.ioctl(fd, ioctl as unknown as ioctls.Ioctl, host.user);
      bytes.set(host.peek(0, bytes.length));
      return result;
    },
    *mmap(fd: number, length: number): Task<number> {
      return yield* host.kernel.files.file(fd).operations.mmap?.(length, 0) as Task<number>;
    },
    heap: {
      alloc: () => host.user + HEAP,
      bytes: (at: number, length: number) =>
        host.memory.bytes(host.kernel.mm.space.lookup(host.user + HEAP, true) + ((at - host.user) % PAGE_SIZE), length),
      free: () => {},
    },
  };
  const machine = { sys, memory, vmFd: vm, kvmVfioFd: device, tracer: { on: () => false, point() {} }, log };
  return machine as unknown as Machine;
}

export interface VmmWorldOptions {
  /** The first tier that is asked. */
  readonly first: Tier;
  readonly bind?: TceBind;
  /** Pages of RAM that are registered, from the first on; none for a v1 container, which pins. */
  readonly registered?: number;
  readonly v1?: boolean;
}

/** A guest whose hypercalls go from tier to tier, until one answers. */
export class VmmWorld {
  readonly host = new TestHost({ lockLimit: 2 ** 24 });
  readonly ram = this.host.ram(PAGES);
  readonly log: string[] = [];
  readonly #options: VmmWorldOptions;
  readonly #hcalls: SpaprTceHcalls;
  readonly container: number;
  readonly attached: AttachedTable;
  /** Calls that each tier answered. */
  readonly answered: Record<Tier, number> = { real: 0, virtual: 0, vmm: 0 };

  constructor(options: VmmWorldOptions) {
    const { registered = PAGES, bind, v1 = false } = options;
    const { host, ram } = this;
    this.#options = options;
    const fds = host.run(function* () {
      const { vm } = yield* host.machine(ram, PAGES);
      const device = yield* host.kvmVfio(vm);
      for (const token of [HCALL.H_STUFF_TCE, HCALL.H_PUT_TCE_INDIRECT]) yield* host.enableHcall(vm, token);
      const container = yield* host.container([0], v1 ? VFIO_SPAPR_TCE_IOMMU : VFIO_SPAPR_TCE_v2_IOMMU);
      if (v1) yield* host.ioctl(container.fd, ioctls.VFIO_IOMMU_ENABLE);
      else {
        if (registered > 0) yield* host.register(container.fd, ram, registered);
        yield* host.ioctlStruct(container.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
      }
      yield* host.setAttr(device, 1, container.groups[0]);
      return { vm, device, container };
    });
    this.container = fds.container.fd;
    const memory: GuestMemory = {
      size: PAGES * PAGE_SIZE,
      hva: (gpa) => (gpa >= 0 && gpa < PAGES * PAGE_SIZE ? ram + gpa : -1),
      read: (gpa, length) => host.kernel.mm.space.copyIn(ram + gpa, length),
      write: (gpa, bytes) => host.kernel.mm.space.copy(ram + gpa, bytes, true),
    };
    const machine = machineOn(host, memory, fds.vm, fds.device, (line) => this.log.push(line));
    this.#hcalls = new SpaprTceHcalls(machine);
    const container = { fd: fds.container.fd, iommuType: v1 ? VFIO_SPAPR_TCE_IOMMU : VFIO_SPAPR_TCE_v2_IOMMU };
    const groups = [{ fd: fds.container.groups[0] }] as unknown as VFIOGroup[];
    const hcalls = this.#hcalls;
    this.attached = host.run(function* () {
      const table = yield* SpaprTceTable.create(machine, {
        liobn: LIOBN,
        busOffset: 0,
        pageShift: 12,
        nbTable: PAGES,
        needVfio: true,
        mapped: (va) => host.kernel.mm.space.lookup(va, true),
      });
      hcalls.add(table);
      return yield* attachTable(machine, container as unknown as VFIOContainer, groups, table, bind);
    });
  }

  /** A hypercall of the guest: status, and what H_GET_TCE gives. @throws Error when the VMM says H_TOO_HARD */
  hcall(nr: number, ...args: bigint[]): { ret: number; out?: bigint } {
    for (const tier of TIERS.slice(TIERS.indexOf(this.#options.first))) {
      const { ret, out } = tier === 'vmm' ? this.#vmm(nr, args) : this.#kernel(tier, nr, args);
      if (ret === H_TOO_HARD) continue;
      this.answered[tier]++;
      return nr === HCALL.H_GET_TCE && ret === H_SUCCESS ? { ret, out } : { ret };
    }
    throw new Error('a guest was told H_TOO_HARD');
  }
  #kernel(tier: 'real' | 'virtual', nr: number, args: readonly bigint[]): { ret: number; out: bigint } {
    const ret = this.host[tier](nr, ...args);
    return { ret, out: this.host[`${tier}Out`] };
  }
  #vmm(nr: number, args: readonly bigint[]): { ret: number; out?: bigint } {
    const all = [...args, 0n, 0n, 0n, 0n].slice(0, 4).map((value) => BigInt.asUintN(64, value));
    const handlers: Record<number, (args: readonly bigint[]) => Task<HcallResult>> = {
      [HCALL.H_GET_TCE]: (a) => this.#hcalls.getTce(a),
      [HCALL.H_PUT_TCE]: (a) => this.#hcalls.putTce(a),
      [HCALL.H_STUFF_TCE]: (a) => this.#hcalls.stuffTce(a),
      [HCALL.H_PUT_TCE_INDIRECT]: (a) => this.#hcalls.putTceIndirect(a),
    };
    const result = this.host.run(() => handlers[nr](all));
    return { ret: Number(result.ret), out: result.out[0] };
  }

  /** A list of TCEs on a page of RAM; its address. */
  list(page: number, tces: readonly bigint[]): bigint {
    const at = this.host.kernel.mm.space.lookup(this.ram + page * PAGE_SIZE, true);
    for (const [i, tce] of tces.entries()) this.host.memory.dv.setBigUint64(at + 8 * i, tce, false);
    return BigInt(page * PAGE_SIZE);
  }

  /** What a guest, its device, and the host's accounts can see, without addresses of this host. */
  state() {
    const { host, ram } = this;
    const table = host.powernv.groups[0]?.tables[0];
    const { view } = [...(host.kvm.vm?.tables ?? [])][0];
    const pages = new Map(
      Array.from({ length: PAGES }, (_, page) => [host.kernel.mm.space.lookup(ram + page * PAGE_SIZE, false), page]),
    );
    return {
      view: Array.from({ length: PAGES }, (_, i) => host.memory.dv.getBigUint64(view + 8 * i, true)),
      hardware: Array.from({ length: PAGES }, (_, i) => {
        const tce = table?.entry(i) ?? 0;
        return (tce & 3) === 0 ? undefined : [pages.get(tce - (tce % PAGE_SIZE)), tce & 3];
      }),
      mapped: host.powernv.regions.list().map((region) => host.powernv.regions.mapped(region) - 1),
      pins: [...pages.keys()].map((hpa) => host.kernel.mm.space.frames.pins(hpa)),
      locked: host.kernel.mm.lockedVm,
    };
  }
}
