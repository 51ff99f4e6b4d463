/**
 * The kvm-vfio device: what tells KVM which VFIO groups belong to a virtual machine, and under which guest TCE tables
 * their windows hang (virt/kvm/vfio.c; Documentation/virt/kvm/devices/vfio.rst).
 */
import { Errno } from '../include/uapi/errno.ts';
import { KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR, KVM_SET_DEVICE_ATTR } from '../include/uapi/ioctl.ts';
import {
  KVM_DEV_VFIO_GROUP,
  KVM_DEV_VFIO_GROUP_ADD,
  KVM_DEV_VFIO_GROUP_DEL,
  KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
  KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN,
  type kvm_device_attr,
  kvm_vfio_spapr_tce,
  kvm_vfio_spapr_tce_liobn,
} from '../include/uapi/kvm.ts';
import { fd_argument } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import type { Fields, Struct, View } from '../lib/struct.ts';
import { Mutex, type Task } from '../lib/task.ts';
import { TableGroup } from '../ppc/table_group.ts';
import { File } from '../syscall/file.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu } from '../vfio/vfio.ts';
import { SpaprTceTable } from './spapr_tce_table.ts';

/** What KVM needs of the VFIO core (`VfioCore` has it). */
export interface VfioGroups {
  /** The group behind a group descriptor's file; undefined for another kind of file, and when its devices are gone. */
  groupOfFile(file: File): { readonly iommuGroup: IommuGroup } | undefined;
  /** The container behind a container descriptor's file, with the backend it has. */
  containerOfFile(file: File): { readonly iommu: VfioIommu | undefined } | undefined;
}

/** What the device needs of its virtual machine. */
export interface KvmVfioOwner {
  readonly kernel: Kernel;
  readonly vfioGroups: VfioGroups;
  /** Guest TCE tables of this virtual machine that are open. */
  readonly tables: ReadonlySet<SpaprTceTable>;
}

/** A group that was added. */
interface AddedGroup {
  readonly file: File;
  readonly group: IommuGroup;
}

type AttributeHandler = (addr: number) => Task;

export class KvmVfio {
  readonly #owner: KvmVfioOwner;
  readonly #added: AddedGroup[] = [];
  readonly #mutex = new Mutex('kvm_vfio');
  /** Attributes of KVM_DEV_VFIO_GROUP; a further one is a further row. */
  readonly #attributes: Readonly<Record<number, AttributeHandler>> = {
    [KVM_DEV_VFIO_GROUP_ADD]: (addr) => this.#add(addr),
    [KVM_DEV_VFIO_GROUP_DEL]: (addr) => this.#del(addr),
    [KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE]: (addr) => this.#setSpaprTce(addr),
    [KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN]: (addr) => this.#setSpaprTceLiobn(addr),
  };

  constructor(owner: KvmVfioOwner) {
    this.#owner = owner;
  }

  /** Groups that were added and not deleted. */
  get groups(): readonly IommuGroup[] {
    return this.#added.map(({ group }) => group);
  }

  /** The device's descriptor. @param release what the virtual machine does after it is closed. */
  file(release: () => Task): File {
    const device = this;
    const ioctl = ioctlOperation(this.#owner.kernel, [
      row(KVM_SET_DEVICE_ATTR, (_, attr) => this.#set(attr)),
      row(KVM_HAS_DEVICE_ATTR, (_, attr) => this.#has(attr)),
      row(KVM_GET_DEVICE_ATTR, (_, attr) => this.#get(attr)),
    ]);
    return new File(
      'anon_inode:kvm-vfio',
      {
        ioctl,
        *release() {
          yield* device.#releaseAll();
          yield* release();
        },
      },
      this,
    );
  }

  #handler({ flags, group, attr }: View<typeof kvm_device_attr.fields>): AttributeHandler | undefined {
    return flags === 0 && group === KVM_DEV_VFIO_GROUP ? this.#attributes[attr] : undefined;
  }

  *#has(attr: View<typeof kvm_device_attr.fields>): Task<number> {
    if (this.#handler(attr) === undefined) throw unknownAttribute(attr);
    return 0;
  }
  // No attribute of this device can be read (kvm_device_ioctl_attr without get_attr).
  *#get(attr: View<typeof kvm_device_attr.fields>): Task<number> {
    throw new Errno('EPERM', `reading kvm-vfio attribute ${attr.group}.${attr.attr}`);
  }

  *#set(attr: View<typeof kvm_device_attr.fields>): Task<number> {
    const handler = this.#handler(attr);
    if (handler === undefined) throw unknownAttribute(attr);
    yield* this.#mutex.lock();
    try {
      yield* handler(attr.addr);
    } finally {
      this.#mutex.unlock();
    }
    return 0;
  }

  *#add(addr: number): Task {
    const { kernel, vfioGroups } = this.#owner;
    const { fd } = yield* this.#read(addr, fd_argument);
    const file = kernel.files.file(fd);
    const group = vfioGroups.groupOfFile(file)?.iommuGroup;
    if (group === undefined) throw new Errno('EINVAL', `${file.name} is no VFIO group`);
    if (this.#added.some((one) => one.group === group)) throw new Errno('EEXIST', `VFIO group ${group.id}`);
    this.#added.push({ file: file.get(), group });
  }

  *#del(addr: number): Task {
    const { fd } = yield* this.#read(addr, fd_argument);
    const added = this.#find(this.#owner.kernel.files.file(fd));
    this.#added.splice(this.#added.indexOf(added), 1);
    yield* this.#release(added);
  }

  *#setSpaprTce(addr: number): Task {
    const { kernel, tables } = this.#owner;
    const { groupfd, tablefd } = yield* this.#read(addr, kvm_vfio_spapr_tce);
    // From the look-up of the descriptors on nothing waits: a close of the table comes before or after all of this.
    const tableGroup = this.#tableGroup(groupfd);
    const table = kernel.files.file(tablefd).object;
    if (!(table instanceof SpaprTceTable) || !tables.has(table))
      throw new Errno('EINVAL', `descriptor ${tablefd} is no TCE table of this virtual machine`);
    table.attach(tableGroup.tables, tableGroup);
  }

  /** The RFC's way: the window is named by its bus address, the guest's table by its LIOBN. It too must fit. */
  *#setSpaprTceLiobn(addr: number): Task {
    const { argsz, fd, liobn, start_addr: start } = yield* this.#read(addr, kvm_vfio_spapr_tce_liobn);
    if (argsz < kvm_vfio_spapr_tce_liobn.size) throw new Errno('EINVAL', `SET_SPAPR_TCE_LIOBN: argsz ${argsz}`);
    const tableGroup = this.#tableGroup(fd);
    tableOfLiobn(this.#owner.tables, liobn).attach(tableGroup.tables, tableGroup, start);
  }

  /** @throws Errno EBADF, ENOENT, EIO when the group of a descriptor is not there, was not added, is gone, has no TCE tables */
  #tableGroup(fd: number): TableGroup {
    const { kernel, vfioGroups } = this.#owner;
    const { file, group } = this.#find(kernel.files.file(fd));
    // What it was of may be another process's by now, with windows of its own (kvm_vfio_file_iommu_group: NULL).
    if (vfioGroups.groupOfFile(file) === undefined) throw new Errno('EIO', `${file.name}: its devices are gone`);
    if (!(group.tableGroup instanceof TableGroup)) throw new Errno('EIO', `VFIO group ${group.id} has no TCE tables`);
    return group.tableGroup;
  }

  *#read<F extends Fields>(addr: number, type: Struct<F>): Task<View<F>> {
    const bytes = yield* this.#owner.kernel.mm.space.copyIn(addr, type.size);
    return type.at(new DataView(bytes.buffer, bytes.byteOffset));
  }

  /** @throws Errno ENOENT when the file's group was not added */
  #find(file: File): AddedGroup {
    const added = this.#added.find((one) => one.file === file);
    if (added === undefined) throw new Errno('ENOENT', `${file.name} was not added`);
    return added;
  }

  *#release({ file, group }: AddedGroup): Task {
    const { tableGroup } = group;
    if (tableGroup instanceof TableGroup) for (const table of [...this.#owner.tables]) yield* table.detach(tableGroup);
    yield* file.put();
  }

  *#releaseAll(): Task {
    yield* this.#mutex.lock();
    for (const added of this.#added.splice(0)) yield* this.#release(added);
    this.#mutex.unlock();
  }
}

/** The open table of a LIOBN. @throws Errno ENODEV */
export function tableOfLiobn(tables: ReadonlySet<SpaprTceTable>, liobn: number): SpaprTceTable {
  for (const table of tables) if (table.liobn === liobn) return table;
  throw new Errno('ENODEV', `LIOBN 0x${liobn.toString(16)} has no table`);
}

function unknownAttribute({ flags, group, attr }: View<typeof kvm_device_attr.fields>): Errno {
  return new Errno('ENXIO', `kvm-vfio attribute ${group}.${attr}, flags ${flags}`);
}
