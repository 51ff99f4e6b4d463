/** /dev/kvm (virt/kvm/kvm_main.c). A process has one virtual machine at a time: its part of the shared map has the areas of one. */
import { Errno } from '../include/uapi/errno.ts';
import { KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION } from '../include/uapi/ioctl.ts';
import { KVM_API_VERSION } from '../include/uapi/kvm.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../lib/task.ts';
import type { Powernv } from '../ppc/powernv.ts';
import type { Process } from '../process.ts';
import { File } from '../syscall/file.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import { VirtualMode } from './book3s_64_vio.ts';
import { checkExtension } from './extensions.ts';
import type { VfioGroups } from './vfio.ts';
import { Vm } from './vm.ts';

export class Kvm {
  readonly #kernel: Kernel;
  readonly #host: Powernv;
  readonly #vfioGroups: VfioGroups;
  readonly #vms = new Map<Process, Vm>();

  /** Registers /dev/kvm. @param host the DMA hardware. @param vfioGroups the VFIO core. */
  constructor(kernel: Kernel, host: Powernv, vfioGroups: VfioGroups) {
    this.#kernel = kernel;
    this.#host = host;
    this.#vfioGroups = vfioGroups;
    const ioctl = ioctlOperation(kernel, [
      row(KVM_GET_API_VERSION, function* (arg) {
        if (arg !== 0) throw new Errno('EINVAL', 'KVM_GET_API_VERSION takes no argument');
        return KVM_API_VERSION;
      }),
      row(KVM_CHECK_EXTENSION, function* (extension) {
        return checkExtension(extension, host.context.requests.count);
      }),
      row(KVM_CREATE_VM, (type) => this.#createVm(type)),
    ]);
    kernel.vfs.add('/dev/kvm', {
      kind: 'device',
      *open() {
        return new File('/dev/kvm', { ioctl });
      },
    });
  }

  /** The caller's virtual machine. */
  get vm(): Vm | undefined {
    return this.#vms.get(this.#kernel.process);
  }

  /** @throws Errno EINVAL for a machine type, EBUSY while the process has a machine, EMFILE, and then it has none */
  *#createVm(type: number): Task<number> {
    if (type !== 0) throw new Errno('EINVAL', `virtual machine type ${type}`);
    if (this.vm !== undefined) throw new Errno('EBUSY', 'a process has one virtual machine at a time');
    const { context } = this.#host;
    const { process } = context;
    const host = { context, virtual: new VirtualMode(context), vfioGroups: this.#vfioGroups };
    const vm = new Vm(host, () => {
      this.#vms.delete(process);
    });
    this.#vms.set(process, vm);
    try {
      return process.files.install(vm.file);
    } catch (error) {
      yield* vm.file.put();
      throw error;
    }
  }
}
