/** TSCH: what the guest gets of a subchannel's status, and what is cleared by looking (vfio-ccw facts 1.8, 2.4). */
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import {
  SCSW,
  SCSW_ACTL_CLEAR_PEND,
  SCSW_ACTL_HALT_PEND,
  SCSW_ACTL_RESUME_PEND,
  SCSW_ACTL_START_PEND,
  SCSW_ACTL_SUSP,
  SCSW_CTRL_MASK_FCTL,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FCTL_HALT_FUNC,
  SCSW_FCTL_START_FUNC,
  SCSW_FLAGS,
  SCSW_STCTL_INTERMEDIATE,
  SCSW_STCTL_STATUS_PEND,
} from '../../../kernel/include/arch/s390/scsw.ts';
import { CC, type Subchannel } from './subchannel.ts';

const INTERMEDIATE_ONLY = SCSW_STCTL_INTERMEDIATE | SCSW_STCTL_STATUS_PEND;
/** Activity that any status but an intermediate one ends; the two active bits are the device's affair. */
const PENDING =
  SCSW_ACTL_RESUME_PEND | SCSW_ACTL_START_PEND | SCSW_ACTL_HALT_PEND | SCSW_ACTL_CLEAR_PEND | SCSW_ACTL_SUSP;

/** Condition code of TSCH; the IRB is stored with 0 and with 1. */
export function tschConditionCode(sch: Subchannel): number {
  if (!sch.operational) return CC.NOT_OPERATIONAL;
  return (sch.schib.scsw.ctrl & SCSW_STCTL_STATUS_PEND) !== 0 ? CC.EXPECTED : CC.STATUS_PRESENT;
}

/**
 * The 64 bytes TSCH stores: status, extended status, and the sense data that E announces (see `irb.ts`). They are the
 * subchannel's own, until it is asked again.
 */
export function interruptionResponse(sch: Subchannel): Uint8Array {
  const { scsw } = sch.schib;
  const { response, esw, senseData } = sch;
  const sense = (scsw.flags & SCSW_FLAGS.mask.E) !== 0;
  SCSW.copy(sch.irb.scsw, scsw);
  for (let i = 0; i < esw.length; i++) response[IRB.offset.esw0 + i] = esw[i];
  for (let i = 0; i < senseData.length; i++) response[IRB.offset.ecw + i] = sense ? senseData[i] : 0;
  return response;
}

/** What TSCH clears of a pending status: bits of SCSW.ctrl, and whether N goes. Pure, so that the rules can be tested as a table. */
export function tschClears(ctrl: number): { readonly ctrl: number; readonly n: boolean } {
  const status = ctrl & SCSW_CTRL_MASK_STCTL;
  if ((status & SCSW_STCTL_STATUS_PEND) === 0) return { ctrl: 0, n: false };
  if (status !== INTERMEDIATE_ONLY) return { ctrl: SCSW_CTRL_MASK_STCTL | SCSW_CTRL_MASK_FCTL | PENDING, n: true };
  const suspended = (ctrl & SCSW_ACTL_SUSP) !== 0;
  const halt = (ctrl & SCSW_FCTL_HALT_FUNC) !== 0;
  const start = (ctrl & SCSW_FCTL_START_FUNC) !== 0;
  let clears = SCSW_CTRL_MASK_STCTL;
  if (suspended && halt) clears |= SCSW_CTRL_MASK_FCTL;
  if (suspended && start) clears |= halt ? PENDING : SCSW_ACTL_RESUME_PEND;
  return { ctrl: clears, n: suspended && start };
}

/** Ends TSCH once the IRB is stored. */
export function tschUpdate(sch: Subchannel): void {
  const { scsw, pmcw } = sch.schib;
  if ((scsw.ctrl & SCSW_STCTL_STATUS_PEND) === 0) return;
  const clears = tschClears(scsw.ctrl);
  scsw.ctrl &= ~clears.ctrl;
  if (clears.n) scsw.flags &= ~SCSW_FLAGS.mask.N;
  if ((pmcw.chars & PMCW_CHARS.mask.CSENSE) !== 0) sch.senseData.fill(0);
}
