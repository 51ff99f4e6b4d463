/** What the files on interrupts of a vfio-pci device share: a checked request, and which interrupt is in use. */
import { VFIO_PCI } from '../include/uapi/vfio.ts';

/** What a call of SET_IRQS asks, checked as far as every index has it. */
export interface IrqRequest {
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** One bit of VFIO_IRQ_SET's DATA. */
  readonly kind: number;
  readonly data: Uint8Array;
}

/** The interrupt that is in use: one index, or none. */
export interface IrqUse {
  index: number;
}
/** No index is in use. */
export const IRQ_NONE = VFIO_PCI.NUM_IRQS;
