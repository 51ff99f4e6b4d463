/** Refusals of vfio-pci. */

import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { VFIO_PCI_IRQ, vfio_pci_hot_reset } from '../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { TestPci } from '../../kernel/vfio/test_pci.ts';
import { type Row, SET } from './surroundings.ts';

const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER } = SET;
const { INTX, MSI, MSIX, ERR, REQ } = VFIO_PCI_IRQ;
const INFO = ioctls.VFIO_DEVICE_GET_REGION_INFO;
const IRQ = ioctls.VFIO_DEVICE_GET_IRQ_INFO;
const SET_IRQS = ioctls.VFIO_DEVICE_SET_IRQS;
const HOT_INFO = ioctls.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
const HOT = ioctls.VFIO_DEVICE_PCI_HOT_RESET;

/** An open device: INTx, and MSI-X of two vectors; two more devices are on its bus. */
const pci = (body: (t: TestPci) => Task<unknown>) => () => {
  const t = new TestPci();
  return t.host.errno(() => body(t));
};
/** INTx (or another index) is in use. */
const used =
  (body: (t: TestPci, eventfd: number) => Task<unknown>, index: number = INTX) =>
  () => {
    const t = new TestPci();
    const { fd } = t.eventfd();
    t.host.run(() => t.setIrqs({ index, flags: DATA_EVENTFD | ACTION_TRIGGER }, [fd]));
    return t.host.errno(() => body(t, fd));
  };
const irqs = (values: Parameters<TestPci['setIrqs']>[0], data: readonly number[] = []) =>
  pci((t) => t.setIrqs(values, data));
const usedIrqs = (values: Parameters<TestPci['setIrqs']>[0], data: readonly number[] = [], index?: number) =>
  used((t) => t.setIrqs(values, data), index);
const groups = (fds: (t: TestPci) => readonly number[], values: object = {}) =>
  pci((t) => {
    const list = fds(t);
    return t.host.ioctlStruct(
      t.device,
      HOT,
      { count: list.length, ...values },
      new Uint8Array(Int32Array.from(list).buffer),
    );
  });

export const PCI_ROWS: readonly Row[] = [
  [INFO, 'vfio-pci: VGA', pci((t) => t.host.ioctlStruct(t.device, INFO, { index: 8 })), 'EINVAL'],
  [INFO, 'vfio-pci: no such region', pci((t) => t.host.ioctlStruct(t.device, INFO, { index: 9 })), 'EINVAL'],
  [IRQ, 'vfio-pci: ERR', pci((t) => t.host.ioctlStruct(t.device, IRQ, { index: ERR })), 'EINVAL'],
  [IRQ, 'vfio-pci: no such index', pci((t) => t.host.ioctlStruct(t.device, IRQ, { index: 5 })), 'EINVAL'],

  [SET_IRQS, 'vfio-pci: no such index', irqs({ index: 5, flags: DATA_NONE | ACTION_TRIGGER }), 'EINVAL'],
  [
    SET_IRQS,
    'vfio-pci: start + count wraps',
    irqs({ start: 1, count: 0xffff_ffff, flags: DATA_NONE | ACTION_TRIGGER }),
    'EINVAL',
  ],
  [SET_IRQS, 'vfio-pci: unknown flags', irqs({ count: 1, flags: 0x80 | DATA_NONE | ACTION_TRIGGER }), 'EINVAL'],
  [SET_IRQS, 'vfio-pci: MSI, which it has not', irqs({ index: MSI, flags: DATA_NONE | ACTION_TRIGGER }), 'EINVAL'],
  [SET_IRQS, 'vfio-pci: ERR', irqs({ index: ERR, flags: DATA_NONE | ACTION_TRIGGER }), 'EINVAL'],
  [SET_IRQS, 'vfio-pci: INTx 1', irqs({ start: 1, count: 1, flags: DATA_NONE | ACTION_TRIGGER }), 'EINVAL'],
  [
    SET_IRQS,
    'vfio-pci: vectors 1 to 3 of 2',
    irqs({ index: MSIX, start: 1, flags: DATA_EVENTFD | ACTION_TRIGGER }, [-1, -1]),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci: two kinds of data',
    irqs({ count: 1, flags: DATA_NONE | DATA_BOOL | ACTION_TRIGGER }),
    'EINVAL',
  ],
  [SET_IRQS, 'vfio-pci: no kind of data', irqs({ count: 1, flags: ACTION_TRIGGER }), 'EINVAL'],
  [
    SET_IRQS,
    'vfio-pci: count * 4 beyond argsz',
    irqs({ index: MSIX, count: 2, flags: DATA_EVENTFD | ACTION_TRIGGER }, [-1]),
    'EINVAL',
  ],
  [SET_IRQS, 'vfio-pci: no action', irqs({ count: 1, flags: DATA_NONE }), 'ENOTTY'],
  [SET_IRQS, 'vfio-pci: two actions', irqs({ count: 1, flags: DATA_NONE | ACTION_MASK | ACTION_TRIGGER }), 'ENOTTY'],

  [
    SET_IRQS,
    'vfio-pci INTx: mask while it is not in use',
    irqs({ count: 1, flags: DATA_NONE | ACTION_MASK }),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: unmask while it is not in use',
    irqs({ count: 1, flags: DATA_NONE | ACTION_UNMASK }),
    'EINVAL',
  ],
  [SET_IRQS, 'vfio-pci INTx: mask of none', usedIrqs({ count: 0, flags: DATA_NONE | ACTION_MASK }), 'EINVAL'],
  [SET_IRQS, 'vfio-pci INTx: mask by eventfd', usedIrqs({ flags: DATA_EVENTFD | ACTION_MASK }, [-1]), 'ENOTTY'],
  [
    SET_IRQS,
    'vfio-pci INTx: unmask by a descriptor that is not open',
    usedIrqs({ flags: DATA_EVENTFD | ACTION_UNMASK }, [99]),
    'EBADF',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: unmask by what is no eventfd',
    used((t) => t.setIrqs({ flags: DATA_EVENTFD | ACTION_UNMASK }, [t.device])),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: unmask by a second eventfd',
    used(function* (t, fd) {
      yield* t.setIrqs({ flags: DATA_EVENTFD | ACTION_UNMASK }, [fd]);
      yield* t.setIrqs({ flags: DATA_EVENTFD | ACTION_UNMASK }, [fd]);
    }),
    'EBUSY',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: a signal while it is not in use',
    irqs({ count: 1, flags: DATA_NONE | ACTION_TRIGGER }),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: off while it is not in use',
    irqs({ count: 0, flags: DATA_NONE | ACTION_TRIGGER }),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: a descriptor that is not open',
    irqs({ flags: DATA_EVENTFD | ACTION_TRIGGER }, [99]),
    'EBADF',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: no eventfd',
    pci((t) => t.setIrqs({ flags: DATA_EVENTFD | ACTION_TRIGGER }, [t.device])),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci INTx: while MSI-X is in use',
    usedIrqs({ flags: DATA_EVENTFD | ACTION_TRIGGER }, [-1], MSIX),
    'EINVAL',
  ],

  [SET_IRQS, 'vfio-pci MSI-X: mask', irqs({ index: MSIX, count: 1, flags: DATA_NONE | ACTION_MASK }), 'ENOTTY'],
  [SET_IRQS, 'vfio-pci MSI-X: unmask', irqs({ index: MSIX, count: 1, flags: DATA_NONE | ACTION_UNMASK }), 'ENOTTY'],
  [
    SET_IRQS,
    'vfio-pci MSI-X: a signal while it is not in use',
    irqs({ index: MSIX, count: 1, flags: DATA_NONE | ACTION_TRIGGER }),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci MSI-X: while INTx is in use',
    usedIrqs({ index: MSIX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [-1]),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci MSI-X: no vectors',
    irqs({ index: MSIX, count: 0, flags: DATA_EVENTFD | ACTION_TRIGGER }),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci MSI-X: more vectors than were enabled',
    usedIrqs({ index: MSIX, start: 1, flags: DATA_EVENTFD | ACTION_TRIGGER }, [-1], MSIX),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci MSI-X: a signal on a vector that was not enabled',
    usedIrqs({ index: MSIX, start: 1, count: 1, flags: DATA_NONE | ACTION_TRIGGER }, [], MSIX),
    'EINVAL',
  ],
  [
    SET_IRQS,
    'vfio-pci MSI-X: a descriptor that is not open',
    irqs({ index: MSIX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [99]),
    'EBADF',
  ],
  [SET_IRQS, 'vfio-pci REQ: mask', irqs({ index: REQ, count: 1, flags: DATA_NONE | ACTION_MASK }), 'ENOTTY'],

  [
    HOT_INFO,
    'no room for three devices',
    pci((t) => t.host.ioctlStruct(t.device, HOT_INFO, {}, new Uint8Array(23))),
    'ENOSPC',
  ],
  [
    HOT_INFO,
    'memory ends before the devices',
    pci((t) => {
      const { start, size } = t.host.kernel.mm.mmapAnonymous('user', 4096, false);
      const at = start + size - vfio_pci_hot_reset.size;
      const header = vfio_pci_hot_reset.make({ argsz: vfio_pci_hot_reset.size + 24 });
      return (function* () {
        yield* t.host.kernel.mm.space.copy(at, vfio_pci_hot_reset.bytes(header), true);
        return yield* t.host.ioctl(t.device, HOT_INFO, at);
      })();
    }),
    'EFAULT',
  ],
  [HOT, 'flags', groups((t) => [t.group], { flags: 1 }), 'EINVAL'],
  [HOT, 'no groups', groups(() => []), 'EINVAL'],
  [HOT, 'more groups than devices', groups((t) => Array(4).fill(t.group)), 'EINVAL'],
  [HOT, 'count wraps', groups((t) => [t.group], { count: 0xffff_ffff }), 'EINVAL'],
  [HOT, 'a descriptor that is not open', groups(() => [99]), 'EBADF'],
  [HOT, 'a descriptor of no group', groups((t) => [t.device]), 'EINVAL'],
  [HOT, 'a container', groups((t) => [t.container]), 'EINVAL'],
  [HOT, 'a device on the bus is in another group', groups((t) => [t.group]), 'EINVAL'],
  [
    HOT,
    'memory ends before the groups',
    pci((t) => {
      const { start, size } = t.host.kernel.mm.mmapAnonymous('user', 4096, false);
      const at = start + size - vfio_pci_hot_reset.size;
      const header = vfio_pci_hot_reset.make({ argsz: vfio_pci_hot_reset.size, count: 1 });
      return (function* () {
        yield* t.host.kernel.mm.space.copy(at, vfio_pci_hot_reset.bytes(header), true);
        return yield* t.host.ioctl(t.device, HOT, at);
      })();
    }),
    'EFAULT',
  ],
];
