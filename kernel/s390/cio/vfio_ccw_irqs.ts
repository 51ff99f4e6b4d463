/** VFIO_DEVICE_SET_IRQS of a vfio-ccw device (vfio-ccw facts 3.5): three interrupts, one eventfd each. */
import { EventFd } from '../../fs/eventfd.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { VFIO_CCW_IRQ, VFIO_IRQ_SET, vfio_irq_set } from '../../include/uapi/vfio.ts';
import { s32, u8, type View } from '../../lib/struct.ts';
import type { Task } from '../../lib/task.ts';
import { validateSetIrqs } from '../../vfio/set_irqs.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';

/** The eventfd of each index. */
const TRIGGERS = {
  [VFIO_CCW_IRQ.IO]: 'ioTrigger',
  [VFIO_CCW_IRQ.CRW]: 'crwTrigger',
  [VFIO_CCW_IRQ.REQ]: 'reqTrigger',
} as const;
/** One interrupt per index. */
const COUNTS = [1, 1, 1];

/** @param arg user address of the header; the data follows it. @throws Errno EINVAL, EFAULT, EBADF */
export function* setIrqs(device: VfioCcwPrivate, arg: number, header: View<typeof vfio_irq_set.fields>): Task<number> {
  validateSetIrqs(header, COUNTS);
  const { flags, index } = header;
  if ((flags & VFIO_IRQ_SET.ACTION_TRIGGER) === 0)
    throw new Errno('EINVAL', 'VFIO_DEVICE_SET_IRQS: only ACTION_TRIGGER');
  const { kernel } = device.host;
  const trigger = TRIGGERS[index as keyof typeof TRIGGERS];
  const data = arg + vfio_irq_set.size;
  if ((flags & VFIO_IRQ_SET.DATA_NONE) !== 0) {
    device[trigger]?.signal();
  } else if ((flags & VFIO_IRQ_SET.DATA_BOOL) !== 0) {
    const bytes = yield* kernel.mm.space.copyIn(data, u8.size);
    if (bytes[0] !== 0) device[trigger]?.signal();
  } else {
    const bytes = yield* kernel.mm.space.copyIn(data, s32.size);
    const fd = s32.get(new DataView(bytes.buffer), 0, true);
    if (fd < -1) throw new Errno('EINVAL', `VFIO_DEVICE_SET_IRQS: descriptor ${fd}`);
    device[trigger] = fd === -1 ? undefined : EventFd.of(kernel.files.file(fd));
  }
  return 0;
}
