/**
 * Reset of a whole bus for user space (vfio_pci_ioctl_get_pci_hot_reset_info, vfio_pci_ioctl_pci_hot_reset, Linux v6.2;
 * vfio-tce facts 1.4): it has to own every group with a device on the bus, and shows that by their descriptors.
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET } from '../include/uapi/ioctl.ts';
import {
  fd_argument,
  vfio_pci_dependent_device,
  vfio_pci_hot_reset,
  vfio_pci_hot_reset_info,
} from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import { type IoctlRow, row } from '../syscall/ioctl.ts';
import type { VfioCore } from './vfio_main.ts';
import type { VfioPciDevice } from './vfio_pci.ts';

/** The commands of one device. @param devices every vfio-pci device of the host */
export function hotResetRows(
  kernel: Kernel,
  vfio: VfioCore,
  device: VfioPciDevice,
  devices: readonly VfioPciDevice[],
): IoctlRow[] {
  const affected = () => devices.filter(({ bus }) => bus === device.bus);
  return [
    row(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, (arg, info) => dependentDevices(kernel, affected(), arg, info)),
    row(VFIO_DEVICE_PCI_HOT_RESET, (arg, header) => hotReset(kernel, vfio, affected(), arg, header)),
  ];
}

/** @throws Errno ENOSPC when there is no room for all of them; how many there are is told all the same */
function* dependentDevices(
  kernel: Kernel,
  affected: readonly VfioPciDevice[],
  arg: number,
  info: View<typeof vfio_pci_hot_reset_info.fields>,
): Task<number> {
  const { space } = kernel.mm;
  const { size } = vfio_pci_dependent_device;
  const room = info.argsz >= vfio_pci_hot_reset_info.size + affected.length * size;
  info.flags = 0;
  info.count = affected.length;
  yield* space.copy(arg, vfio_pci_hot_reset_info.bytes(info), true);
  if (!room) throw new Errno('ENOSPC', `${affected.length} devices share the bus`);
  for (const [i, { group, bus, devfn }] of affected.entries()) {
    const entry = vfio_pci_dependent_device.make({ group_id: group.id, segment: 0, bus, devfn });
    yield* space.copy(arg + vfio_pci_hot_reset_info.size + i * size, vfio_pci_dependent_device.bytes(entry), true);
  }
  return 0;
}

/** @throws Errno EINVAL for a number of groups there cannot be, a descriptor of none, and a device of another group */
function* hotReset(
  kernel: Kernel,
  vfio: VfioCore,
  affected: readonly VfioPciDevice[],
  arg: number,
  { count }: View<typeof vfio_pci_hot_reset.fields>,
): Task<number> {
  if (count === 0 || count > affected.length)
    throw new Errno('EINVAL', `hot reset with ${count} groups: ${affected.length} devices share the bus`);
  const fds = yield* kernel.mm.space.copyIn(arg + vfio_pci_hot_reset.size, count * fd_argument.size);
  const dv = new DataView(fds.buffer);
  const groups = Array.from({ length: count }, (_, i) => {
    const file = kernel.files.file(dv.getInt32(i * fd_argument.size, true));
    const group = vfio.groupOfFile(file)?.iommuGroup;
    if (group === undefined) throw new Errno('EINVAL', `${file.name} is no group`);
    return group;
  });
  const foreign = affected.find(({ group }) => !groups.includes(group));
  if (foreign !== undefined) throw new Errno('EINVAL', `${foreign.name} is on the bus, and its group was not given`);
  for (const device of affected) yield* device.zap();
  for (const device of affected) device.resetFunction();
  return 0;
}
