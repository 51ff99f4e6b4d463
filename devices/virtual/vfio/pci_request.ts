/**
 * The request notifier of a passed-through PCI device (QEMU hw/vfio/pci.c, vfio_register_req_notifier): the host's kernel
 * signals it when its driver is to leave the device, and again every ten seconds until the device is closed.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_PCI_IRQ } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { irqCount } from './device.ts';
import { EventNotifier } from './event_notifier.ts';

/**
 * Registers the notifier. A kernel without one is no error: the host waits until the device goes for another reason.
 * @param handler called for each request, without the machine's lock
 * @returns undefined when there is none; a kernel that offers it and refuses it is told
 */
export function* registerRequest(
  machine: Machine,
  fd: number,
  name: string,
  handler: () => Task,
): Task<EventNotifier | undefined> {
  if (!(yield* offered(machine, fd))) return undefined;
  try {
    return yield* EventNotifier.register(machine, fd, VFIO_PCI_IRQ.REQ, `${name} request`, handler);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    machine.log(`${name}: request notifier: ${error.message}`);
    return undefined;
  }
}

function* offered(machine: Machine, fd: number): Task<boolean> {
  try {
    return (yield* irqCount(machine, fd, VFIO_PCI_IRQ.REQ)) > 0;
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    return false;
  }
}
