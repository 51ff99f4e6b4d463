/** VFIO_DEVICE_SET_IRQS: the checks every driver makes (vfio_set_irqs_validate_and_prepare; vfio-tce facts 1.4). */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_IRQ_SET, type vfio_irq_set } from '../include/uapi/vfio.ts';
import type { View } from '../lib/struct.ts';

const U32_MAX = 0xffffffff;
const DATA = VFIO_IRQ_SET.DATA_NONE | VFIO_IRQ_SET.DATA_BOOL | VFIO_IRQ_SET.DATA_EVENTFD;
const ACTION = VFIO_IRQ_SET.ACTION_MASK | VFIO_IRQ_SET.ACTION_UNMASK | VFIO_IRQ_SET.ACTION_TRIGGER;
/** Bytes of data per interrupt: u8 for BOOL, s32 for EVENTFD. */
const ELEMENT = new Map<number, number>([
  [VFIO_IRQ_SET.DATA_NONE, 0],
  [VFIO_IRQ_SET.DATA_BOOL, 1],
  [VFIO_IRQ_SET.DATA_EVENTFD, 4],
]);

/**
 * @param counts interrupts per index.
 * @param header the copied header; `argsz` is known to cover it.
 * @returns bytes of data behind the header. @throws Errno EINVAL
 */
export function validateSetIrqs(header: View<typeof vfio_irq_set.fields>, counts: readonly number[]): number {
  const { argsz, flags, index, start, count } = header;
  const refuse = (what: string) => new Errno('EINVAL', `VFIO_DEVICE_SET_IRQS: ${what}`);
  if (index >= counts.length) throw refuse(`index ${index} of ${counts.length}`);
  if (count >= U32_MAX - start) throw refuse(`start ${start} + count ${count} wraps`);
  if ((flags & ~(DATA | ACTION)) !== 0) throw refuse(`flags 0x${flags.toString(16)}`);
  if (start >= counts[index] || start + count > counts[index])
    throw refuse(`interrupts ${start}..${start + count} of ${counts[index]}`);
  const element = ELEMENT.get(flags & DATA);
  if (element === undefined) throw refuse(`flags 0x${flags.toString(16)}: not exactly one kind of data`);
  if (element !== 0 && Math.floor((argsz - HEADER) / element) < count) throw refuse(`argsz ${argsz} too small`);
  return element * count;
}

/** Bytes of struct vfio_irq_set without data (include/uapi/linux/vfio.h). */
const HEADER = 20;
