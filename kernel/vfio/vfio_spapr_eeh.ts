/**
 * VFIO_EEH_PE_OP: user space recovers the PEs of its container (drivers/vfio/vfio_spapr_eeh.c, before v6.3
 * vfio_spapr_iommu_eeh_ioctl). One row per operation.
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_EEH_PE, vfio_eeh_pe_op } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { EehPe } from '../ppc/eeh.ts';

type EehOp = View<typeof vfio_eeh_pe_op.fields>;
/** What an operation does to one PE; what it returns is the ioctl's, 0 for nothing. */
type EehHandler = (pe: EehPe, op: EehOp) => number;
/** An operation that returns nothing. */
const silent =
  (act: (pe: EehPe, op: EehOp) => void): EehHandler =>
  (pe, op) => {
    act(pe, op);
    return 0;
  };

const OPERATIONS: Readonly<Record<number, EehHandler>> = {
  // The switch of PAPR is the host's, and stays on.
  [VFIO_EEH_PE.DISABLE]: silent(() => {}),
  [VFIO_EEH_PE.ENABLE]: silent((pe) => pe.enable()),
  [VFIO_EEH_PE.UNFREEZE_IO]: silent((pe) => pe.thawMmio()),
  [VFIO_EEH_PE.UNFREEZE_DMA]: silent((pe) => pe.thawDma()),
  [VFIO_EEH_PE.GET_STATE]: (pe) => pe.state(),
  [VFIO_EEH_PE.RESET_DEACTIVATE]: silent((pe) => pe.deactivateReset()),
  [VFIO_EEH_PE.RESET_HOT]: silent((pe) => pe.assertReset()),
  [VFIO_EEH_PE.RESET_FUNDAMENTAL]: silent((pe) => pe.assertReset()),
  // Bridges would be set up here; a PE of this host has one device and none.
  [VFIO_EEH_PE.CONFIGURE]: silent(() => {}),
  [VFIO_EEH_PE.INJECT_ERR]: silent((pe, op) => pe.injectError(op.err_type, op.err_func, op.err_addr, op.err_mask)),
};

/**
 * Performs an operation on every PE until one gives something else than 0: GET_STATE of several PEs is that of the first
 * one that is not normal. @param arg where the rest of the structure stands, of which `op` has the mandatory part.
 * @throws Errno EINVAL for an operation that there is not, or without what it needs, EFAULT
 */
export function* eehPeOp(kernel: Kernel, pes: Iterable<EehPe>, arg: number, op: EehOp): Task<number> {
  const handler = OPERATIONS[op.op];
  if (handler === undefined) throw new Errno('EINVAL', `VFIO_EEH_PE_OP ${op.op}`);
  let whole = op;
  if (op.op === VFIO_EEH_PE.INJECT_ERR) {
    if (op.argsz < vfio_eeh_pe_op.size) throw new Errno('EINVAL', `VFIO_EEH_PE_OP: argsz ${op.argsz}`);
    const bytes = yield* kernel.mm.space.copyIn(arg, vfio_eeh_pe_op.size);
    whole = vfio_eeh_pe_op.at(new DataView(bytes.buffer, bytes.byteOffset));
  }
  for (const pe of pes) {
    const result = handler(pe, whole);
    if (result !== 0) return result;
  }
  return 0;
}
