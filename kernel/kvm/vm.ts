/** A virtual machine's descriptor: memory, CPUs, interrupts, TCE tables and the kvm-vfio device (virt/kvm/kvm_main.c). */

import { Errno } from '../include/uapi/errno.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import {
  KVM_CAP,
  KVM_DEV_TYPE_FLIC,
  KVM_DEV_TYPE_VFIO,
  type kvm_create_device,
  type kvm_enable_cap,
  type kvm_spapr_tce_bind_vfio,
} from '../include/uapi/kvm.ts';
import { KVM_REQ } from '../include/uapi/kvm_run.ts';
import type { Kernel } from '../kernel.ts';
import { FloatingInterrupts } from '../lib/floating_interrupts.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import type { View } from '../lib/struct.ts';
import { type Task, until } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import { File } from '../syscall/file.ts';
import { type IoctlRow, ioctlOperation, row } from '../syscall/ioctl.ts';
import { hcallTask, type VirtualMode } from './book3s_64_vio.ts';
import { checkExtension } from './extensions.ts';
import { flicFile } from './flic.ts';
import { injectFloating, type S390Interrupt } from './interrupt.ts';
import { HCALL_ENABLED_DEFAULT, hcallSwitch, KVM_HEADER } from './kvm_area.ts';
import { vmMemOp } from './mem_op.ts';
import { MemoryRegions } from './memory_regions.ts';
import { registerMmuNotifier } from './mmu_notifier.ts';
import { type SpaprTceArguments, SpaprTceTable, spaprTceFile } from './spapr_tce_table.ts';
import { vcpuFile } from './vcpu.ts';
import type { VcpuRequests } from './vcpu_requests.ts';
import { KvmVfio, type KvmVfioOwner, tableOfLiobn, type VfioGroups } from './vfio.ts';

/** IOMMU page shift of tables made by KVM_CREATE_SPAPR_TCE. */
const TCE_4K = 12;

/** KVM_CREATE_DEVICE flag: say whether the type exists, make nothing (include/uapi/linux/kvm.h). */
const KVM_CREATE_DEVICE_TEST = 1;

/** What a virtual machine is made from. */
export interface VmHost {
  /** Of the process whose machine it is. */
  readonly context: TceContext;
  readonly virtual: VirtualMode;
  readonly vfioGroups: VfioGroups;
}

export class Vm implements KvmVfioOwner {
  readonly kernel: Kernel;
  readonly vfioGroups: VfioGroups;
  readonly tables = new Set<SpaprTceTable>();
  readonly file: File;
  readonly #host: VmHost;
  readonly #requests: VcpuRequests;
  /** Its process's part of the shared map. */
  readonly #map: SharedMap;
  readonly #regions: MemoryRegions;
  readonly #floating: FloatingInterrupts;
  readonly #vcpus = new Set<number>();
  readonly #unregister: () => void;
  /** The kvm-vfio device; there is one at most, and none again after it was closed. */
  #device: KvmVfio | undefined;
  /** The floating interrupt controller, as long as it is open. */
  #flic: File | undefined;
  #gone = false;
  /** Tasks that serve hypercalls of its CPUs. */
  #serving = 0;

  /** @param released called when the last descriptor that needs the machine is closed. */
  constructor(host: VmHost, released: () => void) {
    const { context } = host;
    const { kernel, requests, map, mm } = context;
    this.#host = host;
    this.#requests = requests;
    this.#map = map;
    this.kernel = kernel;
    this.vfioGroups = host.vfioGroups;
    this.#regions = new MemoryRegions(context);
    this.#floating = new FloatingInterrupts(kernel.memory, map.floating);
    this.#unregister = registerMmuNotifier(mm, requests);
    kernel.memory.store(map.kvm + KVM_HEADER.offset.enabled, HCALL_ENABLED_DEFAULT);
    kernel.memory.store(map.kvm + KVM_HEADER.offset.radix, 0);
    const vm = this;
    this.file = new File(
      'anon_inode:kvm-vm',
      {
        ioctl: ioctlOperation(kernel, this.#rows()),
        *release() {
          yield* vm.#release();
          released();
        },
      },
      this,
    );
  }

  #rows(): IoctlRow[] {
    const vm = this;
    const rows: IoctlRow[] = [
      row(ioctls.KVM_CHECK_EXTENSION, function* (extension) {
        return checkExtension(extension, vm.#requests.count);
      }),
      row(ioctls.KVM_SET_USER_MEMORY_REGION, (_, region) => vm.#regions.set(region)),
      row(ioctls.KVM_CREATE_VCPU, (address) => vm.#createVcpu(address)),
      row(ioctls.KVM_S390_INTERRUPT, (_, interrupt) => vm.#interrupt(interrupt)),
      row(ioctls.KVM_S390_MEM_OP, (_, op) => vmMemOp(vm.kernel, op)),
      row(ioctls.KVM_ENABLE_CAP, (_, cap) => vm.#enableCap(cap)),
      row(ioctls.KVM_CREATE_DEVICE, (_, device) => vm.#createDevice(device)),
      row(ioctls.KVM_CREATE_SPAPR_TCE, (_, { liobn, window_size }) =>
        vm.#createTable({ liobn, pageShift: TCE_4K, offset: 0, size: Math.floor(window_size / 2 ** TCE_4K) }),
      ),
      row(ioctls.KVM_CREATE_SPAPR_TCE_64, (_, { liobn, page_shift: pageShift, flags, offset, size }) => {
        if (flags !== 0) throw new Errno('EINVAL', `KVM_CREATE_SPAPR_TCE_64: flags 0x${flags.toString(16)}`);
        return vm.#createTable({ liobn, pageShift, offset, size });
      }),
      row(ioctls.KVM_SPAPR_TCE_BIND_VFIO, (_, bind) => vm.#bindVfio(bind)),
      row(ioctls.KVM_SPAPR_TCE_UNBIND_VFIO, (_, bind) => vm.#unbindVfio(bind)),
    ];
    return rows;
  }

  /** A descriptor for a new file, which is released when there is none left. @throws Errno EMFILE */
  *#install(file: File): Task<number> {
    try {
      return this.kernel.files.install(file);
    } catch (error) {
      yield* file.put();
      throw error;
    }
  }

  *#createVcpu(address: number): Task<number> {
    const { kernel } = this;
    const { context, virtual } = this.#host;
    const requests = this.#requests;
    if (!Number.isInteger(address) || address < 0 || address >= requests.count)
      throw new Errno('EINVAL', `CPU address ${address}: this machine has ${requests.count}`);
    if (this.#vcpus.has(address)) throw new Errno('EEXIST', `CPU ${address}`);
    const file = vcpuFile(context, address, () => this.file.put());
    this.file.get();
    const fd = yield* this.#install(file);
    this.#vcpus.add(address);
    this.#serving++;
    // It runs for the guest, so for the guest's process.
    kernel.spawn(
      context.process,
      `hcall of vcpu${address}`,
      this.#serve(hcallTask(context, virtual, address, () => this.#gone)),
    );
    return fd;
  }

  *#serve(hypercalls: Task): Task {
    yield* hypercalls;
    this.#serving--;
  }

  *#interrupt(interrupt: S390Interrupt): Task<number> {
    this.#inject(interrupt);
    return 0;
  }
  /** @throws Errno EINVAL, EBUSY */
  #inject(interrupt: S390Interrupt): void {
    const { type, parm, parm64 } = interrupt;
    // Before a CPU can take it.
    this.kernel.tracer.point(EVENT.kvm_s390_inject_vm, type, parm, Number(parm64));
    injectFloating(this.#floating, interrupt);
    this.#requests.requestAll(KVM_REQ.INTERRUPT);
  }

  *#enableCap({ cap, flags, arg0, arg1 }: View<typeof kvm_enable_cap.fields>): Task<number> {
    if (flags !== 0) throw new Errno('EINVAL', `KVM_ENABLE_CAP: flags 0x${flags.toString(16)}`);
    const { memory } = this.kernel;
    const map = this.#map;
    if (cap === KVM_CAP.PPC_ENABLE_HCALL) {
      const bit = hcallSwitch(arg0);
      if (bit === 0) throw new Errno('EINVAL', `hypercall 0x${arg0.toString(16)} has no in-kernel handler`);
      const enabled = map.kvm + KVM_HEADER.offset.enabled;
      if (arg1 !== 0) memory.or(enabled, bit);
      else memory.and(enabled, ~bit);
      return 0;
    }
    if (cap === KVM_CAP.PPC_MMU_RADIX && arg0 <= 1) {
      memory.store(map.kvm + KVM_HEADER.offset.radix, arg0);
      return 0;
    }
    throw new Errno('EINVAL', `KVM_ENABLE_CAP ${cap}, argument ${arg0}`);
  }

  *#createDevice(device: View<typeof kvm_create_device.fields>): Task<number> {
    const { type } = device;
    if (type !== KVM_DEV_TYPE_VFIO && type !== KVM_DEV_TYPE_FLIC) throw new Errno('ENODEV', `KVM device type ${type}`);
    // Other flags are not looked at (kvm_ioctl_create_device).
    if ((device.flags & KVM_CREATE_DEVICE_TEST) !== 0) return 0;
    device.fd = type === KVM_DEV_TYPE_FLIC ? yield* this.#createFlic() : yield* this.#createVfio();
    return 0;
  }

  *#createFlic(): Task<number> {
    if (this.#flic !== undefined) throw new Errno('EINVAL', 'the virtual machine has its interrupt controller');
    const vm = this;
    const host = {
      kernel: this.kernel,
      floating: this.#floating,
      inject: (interrupt: S390Interrupt) => vm.#inject(interrupt),
    };
    this.file.get();
    this.#flic = flicFile(host, function* () {
      vm.#flic = undefined;
      yield* vm.file.put();
    });
    return yield* this.#install(this.#flic);
  }

  *#createVfio(): Task<number> {
    if (this.#device !== undefined) throw new Errno('EBUSY', 'the virtual machine has its kvm-vfio device');
    const created = new KvmVfio(this);
    // The machine's reference comes before the descriptor can be used, or closed, by anyone.
    this.file.get();
    this.#device = created;
    return yield* this.#install(created.file(() => this.#deviceClosed()));
  }
  *#deviceClosed(): Task {
    this.#device = undefined;
    yield* this.file.put();
  }

  *#createTable(args: SpaprTceArguments): Task<number> {
    const taken = [...this.tables].some((table) => table.liobn === args.liobn);
    const table = new SpaprTceTable(this.#host.context, args, taken);
    this.file.get();
    this.tables.add(table);
    return yield* this.#install(spaprTceFile(table, () => this.#tableClosed(table)));
  }
  // Nothing waits between the look-up of the descriptor and the end of a binding's making: see KvmVfio.
  *#bindVfio(bind: View<typeof kvm_spapr_tce_bind_vfio.fields>): Task<number> {
    const { file, iommu } = this.#container(bind);
    tableOfLiobn(this.tables, bind.liobn).bind(file, iommu?.tceTables);
    return 0;
  }
  *#unbindVfio(bind: View<typeof kvm_spapr_tce_bind_vfio.fields>): Task<number> {
    const { file } = this.#container(bind);
    yield* tableOfLiobn(this.tables, bind.liobn).unbind(file);
    return 0;
  }
  /** @throws Errno EBADF, EINVAL for flags and for a descriptor of another kind */
  #container({ fd, flags }: View<typeof kvm_spapr_tce_bind_vfio.fields>) {
    if (flags !== 0) throw new Errno('EINVAL', `KVM_SPAPR_TCE_BIND_VFIO: flags 0x${flags.toString(16)}`);
    const file = this.kernel.files.file(fd);
    const container = this.vfioGroups.containerOfFile(file);
    if (container === undefined) throw new Errno('EINVAL', `${file.name} is no VFIO container`);
    return { file, iommu: container.iommu };
  }

  *#tableClosed(table: SpaprTceTable): Task {
    this.tables.delete(table);
    yield* table.release();
    yield* this.file.put();
  }

  *#release(): Task {
    this.#gone = true;
    // From here on no CPU posts a call.
    this.kernel.memory.store(this.#map.kvm + KVM_HEADER.offset.enabled, 0);
    yield* this.#regions.clear();
    // The process's next machine has the same words: a call under way is not for its tasks to answer too.
    yield* until('hypercalls to end', () => this.#serving === 0);
    this.#unregister();
  }
}
