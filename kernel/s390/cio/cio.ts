/**
 * Operations on a subchannel that take more than one instruction (drivers/s390/cio/cio.c; vfio-ccw facts 3.7).
 * Each answers 0 or the name of the error.
 */
import { IRB } from '../../include/arch/s390/irb.ts';
import { PMCW_CHARS, PMCW_FLAGS, SCHIB } from '../../include/arch/s390/schib.ts';
import { SCSW_ACTL_CLEAR_PEND, SCSW_ACTL_HALT_PEND } from '../../include/arch/s390/scsw.ts';
import type { ErrnoName } from '../../include/uapi/errno.ts';
import { type Actor, sleep, type Task } from '../../lib/task.ts';
import type { Subchannel } from './subchannel.ts';

export type CioResult = 0 | ErrnoName;

/** MSCH attempts of one commit, and the pause after condition code 2. */
const COMMIT_TRIES = 5;
const COMMIT_PAUSE_NS = 100_000;
/** Commits of one enable. */
const ENABLE_TRIES = 3;
/** HSCH and CSCH attempts of {@link QuiesceRetries}. */
const HALT_TRIES = 3;
const CLEAR_TRIES = 255;

/** cio_update_schib: stores the SCHIB anew. ENODEV when there is no valid subchannel any more. */
export function cioUpdateSchib(sch: Subchannel): CioResult {
  const schib = SCHIB.make();
  if (sch.bus.stsch(sch.schid, schib) !== 0 || PMCW_FLAGS.get(schib.pmcw.flags, 'V') === 0) return 'ENODEV';
  SCHIB.copy(sch.schib, schib);
  return 0;
}

/** Whether the SCHIB as last stored says enabled. */
export function cioIsEnabled(sch: Subchannel): boolean {
  return PMCW_FLAGS.get(sch.schib.pmcw.flags, 'E') === 1;
}

/** cio_commit_config: makes the subchannel as `sch.config` says. */
function* commitConfig(actor: Actor, sch: Subchannel): Task<CioResult> {
  let result: CioResult = 'EBUSY';
  for (let tries = 0; tries < COMMIT_TRIES; tries++) {
    const schib = SCHIB.make();
    if (sch.bus.stsch(sch.schid, schib) !== 0 || PMCW_FLAGS.get(schib.pmcw.flags, 'V') === 0) return 'ENODEV';
    const { config } = sch;
    const { pmcw } = schib;
    pmcw.intparm = config.intparm;
    pmcw.flags = PMCW_FLAGS.set(PMCW_FLAGS.set(pmcw.flags, 'ISC', config.isc), 'E', config.enabled ? 1 : 0);
    pmcw.chars = PMCW_CHARS.set(pmcw.chars, 'CSENSE', config.csense ? 1 : 0);
    const cc = sch.bus.msch(sch.schid, schib);
    if (cc === 3) return 'ENODEV';
    if (cc === 1) return 'EBUSY'; // Status pending: whoever waits for it must take it first.
    if (cc === 0) {
      const update = cioUpdateSchib(sch);
      if (update !== 0) return update;
      if (cioIsEnabled(sch) === config.enabled && PMCW_FLAGS.get(sch.schib.pmcw.flags, 'ISC') === config.isc) return 0;
      result = 'EAGAIN';
      continue;
    }
    result = 'EBUSY';
    yield* sleep(actor, COMMIT_PAUSE_NS);
  }
  return result;
}

/** cio_enable_subchannel with `sch.config.isc` and this interruption parameter. */
export function* cioEnableSubchannel(actor: Actor, sch: Subchannel, intparm: number): Task<CioResult> {
  const irb = IRB.make();
  sch.config.enabled = true;
  sch.config.intparm = intparm;
  let result: CioResult = 'EBUSY';
  for (let tries = 0; tries < ENABLE_TRIES; tries++) {
    result = yield* commitConfig(actor, sch);
    // Status left over from before is discarded.
    if (result !== 'EBUSY' || sch.bus.tsch(sch.schid, irb) !== 0) break;
  }
  return result;
}

/** cio_disable_subchannel. EBUSY while a function is in progress or status pending. */
export function* cioDisableSubchannel(actor: Actor, sch: Subchannel): Task<CioResult> {
  sch.config.enabled = false;
  const update = cioUpdateSchib(sch);
  if (update !== 0) return update;
  return yield* commitConfig(actor, sch);
}

/** How many tries one cancel-halt-clear sequence has left. */
export interface QuiesceRetries {
  left: number;
}

/**
 * cio_cancel_halt_clear: the next step to stop whatever runs: XSCH, at most 3 HSCH, at most 255 CSCH.
 * 0: nothing runs. EBUSY: wait for the interruption, then come again. EIO: all tries used up. ENODEV: gone.
 */
export function cioCancelHaltClear(sch: Subchannel, retries: QuiesceRetries): CioResult {
  const update = cioUpdateSchib(sch);
  if (update !== 0) return update;
  if (!cioIsEnabled(sch)) return 0;
  const pending = sch.schib.scsw.ctrl & (SCSW_ACTL_HALT_PEND | SCSW_ACTL_CLEAR_PEND);
  if (pending === 0) {
    const cc = sch.bus.xsch(sch.schid);
    if (cc === 0) return 0;
    if (cc === 1) return 'EBUSY';
    if (cc === 3) return 'ENODEV';
    retries.left = HALT_TRIES;
  }
  if ((pending & SCSW_ACTL_CLEAR_PEND) === 0) {
    if (retries.left > 0) {
      retries.left--;
      const cc = sch.bus.hsch(sch.schid);
      if (cc === 3) return 'ENODEV';
      if (cc === 0) return 'EBUSY';
    }
    retries.left = CLEAR_TRIES;
  }
  if (retries.left > 0) {
    retries.left--;
    return sch.bus.csch(sch.schid) === 3 ? 'ENODEV' : 'EBUSY';
  }
  return 'EIO';
}
