/**
 * How an I/O processor tells a subchannel what happened: the only writer of status control, device and subchannel
 * status (SA22-7832 chapter 16). Every function here is called with the subchannel's lock held and leaves the
 * interruption condition pending where the architecture says so.
 */
import { ERW, ERW_SENSE_COUNT_SHIFT } from '../../../kernel/include/arch/s390/irb.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import type { Subchannel } from './subchannel.ts';

const { CSTAT, DSTAT, SCSW_FLAGS } = scsw;
const STCTL = scsw.SCSW_CTRL_MASK_STCTL;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
const PRIMARY_SECONDARY = scsw.SCSW_STCTL_PRIMARY | scsw.SCSW_STCTL_SECONDARY;
/** Device status that is news to nobody at the end of a program. */
const USUAL_DSTAT = DSTAT.CHANNEL_END | DSTAT.DEVICE_END | DSTAT.STAT_MOD;
/** Subchannel status that makes the extended-status word one of format 0 (SCSW.L). */
const LOGGED_CSTAT = CSTAT.DATA_CHECK | CSTAT.CHN_CTRL_CHK | CSTAT.INTF_CTRL_CHK;
/** In word 0 of a format-0 extended-status word: the LPUM is valid (field-validity flags, bit 17). */
const ESW0_LPUM_VALID = 0x4000;
/** Shift of the LPUM in word 0 of the extended-status word. */
const ESW_LPUM_SHIFT = 16;

/** What a program leaves behind. */
export interface ProgramStatus {
  readonly dstat: number;
  readonly cstat: number;
  /** 8 past the last CCW used. */
  readonly cpa: number;
  /** Residual count. */
  readonly count: number;
  /** Concurrent sense information. */
  readonly sense?: Uint8Array;
  /** Deferred condition code. */
  readonly cc?: 1 | 3;
}

/**
 * A program has ended: primary status, secondary status with it unless the device goes on after channel end, and alert
 * status unless all went well.
 * @param deviceGoesOn channel end only: the device stays active until {@link presentDeviceEnd}.
 */
export function presentEnding(subchannel: Subchannel, status: ProgramStatus, deviceGoesOn = false): void {
  const { scsw: word, irb, pmcw } = subchannel;
  const unusual = status.cc !== undefined || (status.dstat & ~USUAL_DSTAT) !== 0 || (status.cstat & ~CSTAT.PCI) !== 0;
  // A PCI condition that was not yet tested is presented together with the ending.
  const pci = subchannel.statusPending() ? word.cstat & CSTAT.PCI : 0;
  word.ctrl &= ~(ACTIVE | scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_RESUME_PEND | scsw.SCSW_ACTL_HALT_PEND);
  word.ctrl &= ~scsw.SCSW_ACTL_SUSP;
  word.ctrl |= deviceGoesOn ? scsw.SCSW_STCTL_PRIMARY | scsw.SCSW_ACTL_DEVICE_ACTIVE : PRIMARY_SECONDARY;
  word.ctrl |= scsw.SCSW_STCTL_STATUS_PEND | (unusual ? scsw.SCSW_STCTL_ALERT : 0);
  word.cpa = status.cpa;
  word.dstat = status.dstat;
  word.cstat = status.cstat | pci;
  word.count = status.count;
  word.flags = SCSW_FLAGS.set(word.flags, 'CC', status.cc ?? 0);
  if (status.cc === 3) {
    word.flags |= SCSW_FLAGS.mask.N;
    pmcw.pnom |= subchannel.orb.lpm & pmcw.pim;
  }
  const logged = (status.cstat & LOGGED_CSTAT) !== 0;
  word.flags = SCSW_FLAGS.set(word.flags, 'L', logged ? 1 : 0);
  irb.esw0 = status.cc === 3 ? 0 : (pmcw.lpum << ESW_LPUM_SHIFT) | (logged ? ESW0_LPUM_VALID : 0);
  if (status.sense !== undefined) presentSense(subchannel, status.sense);
  subchannel.setInterruption();
}

function presentSense({ irb, scsw: word }: Subchannel, sense: Uint8Array): void {
  irb.erw = ERW.CONCURRENT_SENSE | (sense.length << ERW_SENSE_COUNT_SHIFT);
  irb.ecw = sense;
  word.flags |= SCSW_FLAGS.mask.E;
}

/**
 * The device is no longer active after channel end was presented: secondary status, together with primary status if
 * that was not yet tested. @param status of which device status, subchannel status and sense count.
 */
export function presentDeviceEnd(
  subchannel: Subchannel,
  status: Pick<ProgramStatus, 'dstat' | 'cstat' | 'sense'>,
): void {
  const { scsw: word, irb, pmcw } = subchannel;
  const unusual = (status.dstat & ~USUAL_DSTAT) !== 0 || status.cstat !== 0;
  const tested = !subchannel.statusPending();
  word.ctrl &= ~ACTIVE;
  word.ctrl |= scsw.SCSW_STCTL_SECONDARY | scsw.SCSW_STCTL_STATUS_PEND | (unusual ? scsw.SCSW_STCTL_ALERT : 0);
  word.dstat = tested ? status.dstat : word.dstat | status.dstat;
  word.cstat = tested ? status.cstat : word.cstat | status.cstat;
  if (tested) {
    word.count = 0;
    irb.esw0 = pmcw.lpum << ESW_LPUM_SHIFT;
  }
  if ((status.cstat & LOGGED_CSTAT) !== 0) {
    word.flags |= SCSW_FLAGS.mask.L;
    irb.esw0 |= ESW0_LPUM_VALID;
  }
  if (status.sense !== undefined) presentSense(subchannel, status.sense);
  subchannel.setInterruption();
}

/**
 * The first command goes to the device on `path`: subchannel and device are active.
 * @param pending the activity that this ends: start pending or resume pending.
 */
export function presentActive(subchannel: Subchannel, path: number, pending: number): void {
  const { scsw: word, pmcw } = subchannel;
  word.ctrl &= ~(pending | scsw.SCSW_ACTL_SUSP);
  word.ctrl |= ACTIVE;
  pmcw.lpum = path;
  pmcw.pom |= path;
  pmcw.pnom &= ~path;
}

/** The device did not take the first command for being busy: the start, or the resumption, is pending again. */
export function presentBusy({ scsw: word }: Subchannel, resumed: boolean): void {
  word.ctrl &= ~ACTIVE;
  word.ctrl |= resumed ? scsw.SCSW_ACTL_RESUME_PEND | scsw.SCSW_ACTL_SUSP : scsw.SCSW_ACTL_START_PEND;
}

/**
 * Selection failed on a path: it is taken for not operational. N shows that this is news, that is, that the path was
 * operational before (SA22-7832 chapter 16, "Path Not Operational").
 */
export function presentPathFailure({ scsw: word, pmcw }: Subchannel, path: number): void {
  if ((pmcw.pom & path) !== 0) word.flags |= SCSW_FLAGS.mask.N;
  pmcw.pom &= ~path;
  pmcw.pnom |= path;
}

/** Intermediate status while the program runs: a PCI flag, or (zero) the first command's acceptance. */
export function presentIntermediate(subchannel: Subchannel, cpa: number, kind: 'pci' | 'initial'): void {
  const { scsw: word, irb, pmcw } = subchannel;
  const earlier = subchannel.statusPending() ? word.cstat & CSTAT.PCI : 0;
  word.ctrl |= scsw.SCSW_STCTL_INTERMEDIATE | scsw.SCSW_STCTL_STATUS_PEND;
  word.cpa = cpa;
  word.dstat = 0;
  word.cstat = kind === 'pci' ? CSTAT.PCI : earlier;
  if (kind === 'initial') word.flags |= SCSW_FLAGS.mask.Z;
  irb.esw0 = pmcw.lpum << ESW_LPUM_SHIFT;
  subchannel.setInterruption();
}

/**
 * The program suspended itself at the CCW before `cpa`; tells the program unless ORB.U forbids.
 * @param pending the activity that this ends: none, start pending, or resume pending when it was being resumed.
 */
export function presentSuspended(subchannel: Subchannel, cpa: number, pending: number): void {
  const { scsw: word, irb, pmcw } = subchannel;
  word.ctrl &= ~(ACTIVE | pending);
  word.ctrl |= scsw.SCSW_ACTL_SUSP;
  if ((word.flags & SCSW_FLAGS.mask.U) !== 0) return;
  const pci = subchannel.statusPending() ? word.cstat & CSTAT.PCI : 0;
  word.ctrl |= scsw.SCSW_STCTL_INTERMEDIATE | scsw.SCSW_STCTL_STATUS_PEND;
  word.cpa = cpa;
  word.dstat = 0;
  word.cstat = pci;
  irb.esw0 = pmcw.lpum << ESW_LPUM_SHIFT;
  subchannel.setInterruption();
}

/** Where halt stopped a program whose device was active. */
export interface Halted {
  readonly cpa: number;
  readonly count: number;
}

/**
 * The halt function is complete. A device that was active ends its operation, which gives primary and secondary
 * status, or secondary status alone when channel end was presented before; otherwise status is pending alone.
 */
export function presentHalted(subchannel: Subchannel, halted: Halted | undefined): void {
  const { scsw: word } = subchannel;
  if (halted !== undefined) {
    presentEnding(subchannel, { ...halted, dstat: DSTAT.CHANNEL_END | DSTAT.DEVICE_END, cstat: 0 });
  } else {
    const deviceActive = (word.ctrl & scsw.SCSW_ACTL_DEVICE_ACTIVE) !== 0;
    word.ctrl &= ~(scsw.SCSW_CTRL_MASK_ACTL | STCTL);
    word.ctrl |= scsw.SCSW_STCTL_STATUS_PEND | (deviceActive ? scsw.SCSW_STCTL_SECONDARY : 0);
    word.dstat = deviceActive ? DSTAT.DEVICE_END : 0;
    word.cstat = 0;
    subchannel.setInterruption();
  }
  subchannel.lower();
}

/** The clear function is complete: status pending alone, all paths taken for operational again. */
export function presentCleared(subchannel: Subchannel): void {
  const { scsw: word, pmcw, irb } = subchannel;
  word.ctrl = scsw.SCSW_FCTL_CLEAR_FUNC | scsw.SCSW_STCTL_STATUS_PEND;
  word.flags &= ~(SCSW_FLAGS.mask.N | SCSW_FLAGS.mask.E | SCSW_FLAGS.mask.CC | SCSW_FLAGS.mask.Z | SCSW_FLAGS.mask.L);
  word.dstat = 0;
  word.cstat = 0;
  word.count = 0;
  pmcw.lpum = 0;
  pmcw.pnom = 0;
  pmcw.pom = 0xff;
  irb.esw0 = 0;
  irb.erw = 0;
  subchannel.lower();
  subchannel.setInterruption();
}

/** Unsolicited status, at an idle subchannel, over `path`: alert status. */
export function presentUnsolicited(subchannel: Subchannel, dstat: number, path: number): void {
  const { scsw: word, irb, pmcw } = subchannel;
  word.ctrl |= scsw.SCSW_STCTL_ALERT | scsw.SCSW_STCTL_STATUS_PEND;
  word.flags &= SCSW_FLAGS.mask.key;
  word.dstat = dstat;
  word.cstat = 0;
  word.count = 0;
  pmcw.lpum = path;
  irb.esw0 = path << ESW_LPUM_SHIFT;
  subchannel.setInterruption();
}
