/**
 * The functions of a subchannel (QEMU's css_do_ssch and its family): condition codes and state transitions of
 * SA22-7832 chapter 14 on the virtual subchannel; the device does the rest. All are called with `sch.lock` held.
 *
 * One difference to QEMU, on purpose: HSCH keeps the start bit of function control, as the architecture says.
 */
import { ORB, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS, type Schib } from '../../../kernel/include/arch/s390/schib.ts';
import {
  SCSW_ACTL_CLEAR_PEND,
  SCSW_ACTL_DEVICE_ACTIVE,
  SCSW_ACTL_HALT_PEND,
  SCSW_ACTL_RESUME_PEND,
  SCSW_ACTL_START_PEND,
  SCSW_ACTL_SUBCH_ACTIVE,
  SCSW_ACTL_SUSP,
  SCSW_CTRL_MASK_ACTL,
  SCSW_CTRL_MASK_FCTL,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FCTL_CLEAR_FUNC,
  SCSW_FCTL_HALT_FUNC,
  SCSW_FCTL_START_FUNC,
  SCSW_FLAGS,
  SCSW_STCTL_INTERMEDIATE,
  SCSW_STCTL_STATUS_PEND,
} from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ChannelSubsystem } from './css.ts';
import { CC, type Subchannel } from './subchannel.ts';

const INTERMEDIATE_ONLY = SCSW_STCTL_INTERMEDIATE | SCSW_STCTL_STATUS_PEND;
const ACTIVE = SCSW_ACTL_SUBCH_ACTIVE | SCSW_ACTL_DEVICE_ACTIVE;
/** Fields of the path-management-control word that MSCH changes. */
const MSCH_FLAGS =
  PMCW_FLAGS.mask.ISC | PMCW_FLAGS.mask.E | PMCW_FLAGS.mask.LM | PMCW_FLAGS.mask.MM | PMCW_FLAGS.mask.D;
const MSCH_CHARS = PMCW_CHARS.mask.MBFC | PMCW_CHARS.mask.CSENSE;

/** Runs the device's part; on any condition code but 0 the subchannel is as it was before. */
function* attempt(sch: Subchannel, change: () => void, work: (sch: Subchannel) => Task<number>): Task<number> {
  const { scsw, pmcw } = sch.schib;
  const { ctrl, flags } = scsw;
  const { intparm, lpum, pom } = pmcw;
  change();
  const cc = yield* work(sch);
  if (cc !== CC.EXPECTED) {
    Object.assign(scsw, { ctrl, flags });
    Object.assign(pmcw, { intparm, lpum, pom });
  }
  return cc;
}

/** SSCH of a request that is valid. */
export function* ssch(css: ChannelSubsystem, sch: Subchannel, orb: Orb): Task<number> {
  const { scsw, pmcw } = sch.schib;
  if (!sch.operational) return CC.NOT_OPERATIONAL;
  if ((scsw.ctrl & SCSW_STCTL_STATUS_PEND) !== 0) return CC.STATUS_PRESENT;
  if ((scsw.ctrl & SCSW_CTRL_MASK_FCTL) !== 0) return CC.BUSY;
  const cc = yield* attempt(
    sch,
    () => {
      scsw.ctrl |= SCSW_FCTL_START_FUNC | SCSW_ACTL_START_PEND;
      scsw.flags &= ~SCSW_FLAGS.mask.N;
      pmcw.intparm = orb.intparm;
    },
    (s) => start(s, orb),
  );
  if (cc === CC.EXPECTED) yield* css.functionStarted(sch);
  return cc;
}

/** Gives the request to the device; one that is refused leaves the old one, which RSCH may still need. */
function* start(sch: Subchannel, orb: Orb): Task<number> {
  ORB.copy(sch.replacedOrb, sch.orb);
  ORB.copy(sch.orb, orb);
  const cc = yield* sch.operations.start(sch);
  if (cc !== CC.EXPECTED) ORB.copy(sch.orb, sch.replacedOrb);
  return cc;
}

/**
 * An attempt that takes pending status away: its interruption is withdrawn before the device may make the next one
 * pending, and comes back with the status when the device refuses.
 */
function* attemptWithoutStatus(
  css: ChannelSubsystem,
  sch: Subchannel,
  change: () => void,
  work: (sch: Subchannel) => Task<number>,
): Task<number> {
  yield* css.withdrawInterruption(sch);
  const cc = yield* attempt(sch, change, work);
  if (cc !== CC.EXPECTED && (sch.schib.scsw.ctrl & SCSW_STCTL_STATUS_PEND) !== 0) yield* css.injectIoInterrupt(sch);
  return cc;
}

export function* hsch(css: ChannelSubsystem, sch: Subchannel): Task<number> {
  const { scsw } = sch.schib;
  if (!sch.operational) return CC.NOT_OPERATIONAL;
  const status = scsw.ctrl & SCSW_CTRL_MASK_STCTL;
  if (status !== 0 && status !== INTERMEDIATE_ONLY) return CC.STATUS_PRESENT;
  if ((scsw.ctrl & (SCSW_FCTL_HALT_FUNC | SCSW_FCTL_CLEAR_FUNC)) !== 0) return CC.BUSY;
  const halt = (s: Subchannel) => s.operations.halt(s);
  const pend = () => {
    scsw.ctrl |= SCSW_FCTL_HALT_FUNC | SCSW_ACTL_HALT_PEND;
  };
  if (status !== INTERMEDIATE_ONLY || (scsw.ctrl & ACTIVE) !== ACTIVE) return yield* attempt(sch, pend, halt);
  const withdraw = () => {
    scsw.ctrl &= ~SCSW_STCTL_STATUS_PEND;
    pend();
  };
  return yield* attemptWithoutStatus(css, sch, withdraw, halt);
}

export function* csch(css: ChannelSubsystem, sch: Subchannel): Task<number> {
  const { scsw, pmcw } = sch.schib;
  if (!sch.operational) return CC.NOT_OPERATIONAL;
  return yield* attemptWithoutStatus(
    css,
    sch,
    () => {
      scsw.ctrl &= ~(SCSW_CTRL_MASK_FCTL | SCSW_CTRL_MASK_ACTL | SCSW_CTRL_MASK_STCTL);
      scsw.ctrl |= SCSW_FCTL_CLEAR_FUNC | SCSW_ACTL_CLEAR_PEND;
      scsw.flags &= ~SCSW_FLAGS.mask.N;
      pmcw.lpum = 0;
      pmcw.pom = 0xff;
    },
    (s) => s.operations.clear(s),
  );
}

export function* rsch(css: ChannelSubsystem, sch: Subchannel): Task<number> {
  const { scsw } = sch.schib;
  if (!sch.operational) return CC.NOT_OPERATIONAL;
  if ((scsw.ctrl & SCSW_STCTL_STATUS_PEND) !== 0) return CC.STATUS_PRESENT;
  if (
    (scsw.ctrl & SCSW_CTRL_MASK_FCTL) !== SCSW_FCTL_START_FUNC ||
    (scsw.ctrl & SCSW_ACTL_RESUME_PEND) !== 0 ||
    (scsw.ctrl & SCSW_ACTL_SUSP) === 0
  )
    return CC.BUSY;
  const cc = yield* attempt(
    sch,
    () => {
      scsw.ctrl |= SCSW_ACTL_RESUME_PEND;
    },
    (s) => s.operations.resume(s),
  );
  if (cc === CC.EXPECTED) yield* css.functionStarted(sch);
  return cc;
}

/** Edits the virtual subchannel only: a program that runs on the host's device runs on, and its interruption arrives. */
export function xsch(sch: Subchannel): number {
  const { scsw } = sch.schib;
  const { ctrl } = scsw;
  if (!sch.operational) return CC.NOT_OPERATIONAL;
  if ((ctrl & SCSW_CTRL_MASK_STCTL) !== 0) return CC.STATUS_PRESENT;
  const waiting = SCSW_ACTL_RESUME_PEND | SCSW_ACTL_START_PEND | SCSW_ACTL_SUSP;
  if (
    (ctrl & SCSW_CTRL_MASK_FCTL) !== SCSW_FCTL_START_FUNC ||
    (ctrl & waiting) === 0 ||
    (ctrl & SCSW_ACTL_SUBCH_ACTIVE) !== 0
  )
    return CC.BUSY;
  scsw.ctrl &= ~(SCSW_FCTL_START_FUNC | waiting);
  return CC.EXPECTED;
}

/** MSCH: takes over what may be changed. The host's subchannel is not touched. */
export function msch(sch: Subchannel, schib: Schib): number {
  const { pmcw, scsw } = sch.schib;
  if ((pmcw.flags & PMCW_FLAGS.mask.V) === 0) return CC.EXPECTED;
  if ((scsw.ctrl & SCSW_STCTL_STATUS_PEND) !== 0) return CC.STATUS_PRESENT;
  if ((scsw.ctrl & SCSW_CTRL_MASK_FCTL) !== 0) return CC.BUSY;
  pmcw.intparm = schib.pmcw.intparm;
  pmcw.flags = (pmcw.flags & ~MSCH_FLAGS) | (schib.pmcw.flags & MSCH_FLAGS);
  pmcw.lpm = schib.pmcw.lpm;
  pmcw.mbi = schib.pmcw.mbi;
  pmcw.pom = schib.pmcw.pom;
  pmcw.chars = ((pmcw.chars & ~MSCH_CHARS) | (schib.pmcw.chars & MSCH_CHARS)) >>> 0;
  sch.schib.mba = schib.mba;
  return CC.EXPECTED;
}
