/** What the guest gets for the errors of the vfio-ccw regions: the tables of vfio-ccw facts 2.3 and 2.4. */

import {
  CSTAT,
  SCSW_STCTL_ALERT,
  SCSW_STCTL_PRIMARY,
  SCSW_STCTL_SECONDARY,
  SCSW_STCTL_STATUS_PEND,
} from '../../../kernel/include/arch/s390/scsw.ts';
import type { ErrnoName } from '../../../kernel/include/uapi/errno.ts';

/** The instruction ends with condition code 0 and the guest then gets a unit exception: the program is not to blame. */
export const UNIT_EXCEPTION = 'unit exception';
export type Outcome = 0 | 2 | 3 | typeof UNIT_EXCEPTION;

/** The functions of a subchannel that reach the kernel. */
export type CcwFunction = 'ssch' | 'hsch' | 'csch';

/** Errors with an outcome of their own; every other is a unit exception. EAGAIN never gets here: the write is repeated. */
export const FUNCTION_ERRNO: Readonly<Partial<Record<ErrnoName, Readonly<Record<CcwFunction, Outcome>>>>> = {
  // The hardware's condition codes 1 and 2 are one error of the kernel. CSCH cannot be refused as busy.
  EBUSY: { ssch: 2, hsch: 2, csch: UNIT_EXCEPTION },
  ENODEV: { ssch: 3, hsch: 3, csch: 3 },
  EACCES: { ssch: 3, hsch: 3, csch: 3 },
};

/** Outcome of a function that the kernel refused. */
export function functionOutcome(ccwFunction: CcwFunction, errno: ErrnoName): Outcome {
  return FUNCTION_ERRNO[errno]?.[ccwFunction] ?? UNIT_EXCEPTION;
}

/** Status that stands for an IRB that could not be read. */
export interface SyntheticStatus {
  /** SCSW.ctrl: status control. */
  readonly stctl: number;
  /** Subchannel status. */
  readonly cstat: number;
  /** Deferred condition code. */
  readonly cc: number;
}

/** Alert, primary, secondary and pending: the program is over, badly. */
export const STCTL_ALERT_END = SCSW_STCTL_ALERT | SCSW_STCTL_PRIMARY | SCSW_STCTL_SECONDARY | SCSW_STCTL_STATUS_PEND;

const DEFAULT = 'default';
const SHORT = 'short';

/** By error of the read; `default` for the others, `short` for a read that gave less than the region. */
export const RESULT_ERRNO: Readonly<
  Partial<Record<ErrnoName, SyntheticStatus>> & Record<typeof DEFAULT | typeof SHORT, SyntheticStatus>
> = {
  ENODEV: { stctl: SCSW_STCTL_ALERT | SCSW_STCTL_STATUS_PEND, cstat: 0, cc: 3 },
  EFAULT: { stctl: STCTL_ALERT_END, cstat: CSTAT.DATA_CHECK, cc: 0 },
  [DEFAULT]: { stctl: STCTL_ALERT_END, cstat: CSTAT.PROG_CHECK, cc: 0 },
  [SHORT]: { stctl: STCTL_ALERT_END, cstat: CSTAT.CHN_CTRL_CHK, cc: 0 },
};

/** Status for a failed read of the I/O region. */
export function resultStatus(errno: ErrnoName | typeof SHORT): SyntheticStatus {
  return RESULT_ERRNO[errno] ?? RESULT_ERRNO[DEFAULT];
}
