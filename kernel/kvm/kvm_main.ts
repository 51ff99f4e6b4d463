/** /dev/kvm (virt/kvm/kvm_main.c). One virtual machine at a time: the shared memory map has the areas of one. */
import { Errno } from '../include/uapi/errno.ts';
import { KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION } from '../include/uapi/ioctl.ts';
import { KVM_API_VERSION } from '../include/uapi/kvm.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../lib/task.ts';
import type { Powernv } from '../ppc/powernv.ts';
import { File } from '../syscall/file.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import { VirtualMode } from './book3s_64_vio.ts';
import { checkExtension } from './extensions.ts';
import type { VfioGroups } from './vfio.ts';
import { Vm, type VmHost } from './vm.ts';

export class Kvm {
  readonly #host: VmHost;
  #vm: Vm | undefined;

  /** Registers /dev/kvm. @param host the DMA hardware. @param vfioGroups the VFIO core. */
  constructor(kernel: Kernel, host: Powernv, vfioGroups: VfioGroups) {
    const virtual = new VirtualMode(kernel, host.ops);
    this.#host = { kernel, requests: host.requests, virtual, vfioGroups };
    const ioctl = ioctlOperation(kernel, [
      row(KVM_GET_API_VERSION, function* (arg) {
        if (arg !== 0) throw new Errno('EINVAL', 'KVM_GET_API_VERSION takes no argument');
        return KVM_API_VERSION;
      }),
      row(KVM_CHECK_EXTENSION, function* (extension) {
        return checkExtension(extension, host.requests.count);
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

  /** The virtual machine there is. */
  get vm(): Vm | undefined {
    return this.#vm;
  }

  /** @throws Errno EINVAL for a machine type, EBUSY while there is a machine, EMFILE, and then there is none */
  *#createVm(type: number): Task<number> {
    if (type !== 0) throw new Errno('EINVAL', `virtual machine type ${type}`);
    if (this.#vm !== undefined) throw new Errno('EBUSY', 'this host runs one virtual machine at a time');
    const vm = new Vm(this.#host, () => {
      this.#vm = undefined;
    });
    this.#vm = vm;
    try {
      return this.#host.kernel.files.install(vm.file);
    } catch (error) {
      yield* vm.file.put();
      throw error;
    }
  }
}
