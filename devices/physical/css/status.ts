/**
 * How an I/O processor tells a subchannel what happened: the only writer of status control, device and subchannel
 * status (SA22-7832 chapter 16). Every function here is called with the subchannel's lock held and leaves the
 * interruption condition pending where the architecture says so.
 */
import { ERW, ERW_SENSE_COUNT_SHIFT } from '../../../kernel/include/arch/s390/irb.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import { PATH_MASK } from './install_devices.ts';
import type { Subchannel } from './subchannel.ts';

const { CSTAT, DSTAT, SCSW_FLAGS } = scsw;
const STCTL = scsw.SCSW_CTRL_MASK_STCTL;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
const PRIMARY_SECONDARY = scsw.SCSW_STCTL_PRIMARY | scsw.SCSW_STCTL_SECONDARY;
/** Device status that is news to nobody at the end of a program. */
const USUAL_DSTAT = DSTAT.CHANNEL_END | DSTAT.DEVICE_END | DSTAT.STAT_MOD;
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

/** A program has ended: primary and secondary status, and alert status unless all went well. */
export function presentEnding(subchannel: Subchannel, status: ProgramStatus): void {
  const { scsw: word, irb, pmcw } = subchannel;
  const unusual = status.cc !== undefined || (status.dstat & ~USUAL_DSTAT) !== 0 || (status.cstat & ~CSTAT.PCI) !== 0;
  // A PCI condition that was not yet tested is presented together with the ending.
  const pci = subchannel.statusPending() ? word.cstat & CSTAT.PCI : 0;
  word.ctrl &= ~(ACTIVE | scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_RESUME_PEND | scsw.SCSW_ACTL_HALT_PEND);
  word.ctrl &= ~scsw.SCSW_ACTL_SUSP;
  word.ctrl |= PRIMARY_SECONDARY | scsw.SCSW_STCTL_STATUS_PEND | (unusual ? scsw.SCSW_STCTL_ALERT : 0);
  word.cpa = status.cpa;
  word.dstat = status.dstat;
  word.cstat = status.cstat | pci;
  word.count = status.count;
  word.flags = SCSW_FLAGS.set(word.flags, 'CC', status.cc ?? 0);
  if (status.cc === 3) {
    word.flags |= SCSW_FLAGS.mask.N;
    pmcw.pnom |= subchannel.orb.lpm;
  }
  irb.esw0 = status.cc === 3 ? 0 : pmcw.lpum << ESW_LPUM_SHIFT;
  if (status.sense !== undefined) {
    irb.erw = ERW.CONCURRENT_SENSE | (status.sense.length << ERW_SENSE_COUNT_SHIFT);
    irb.ecw = status.sense;
    word.flags |= SCSW_FLAGS.mask.E;
  }
  subchannel.setInterruption();
}

/** The first command was accepted, or the program goes on: subchannel and device are active. */
export function presentActive(subchannel: Subchannel): void {
  const { scsw: word, pmcw } = subchannel;
  word.ctrl &= ~(scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_RESUME_PEND | scsw.SCSW_ACTL_SUSP);
  word.ctrl |= ACTIVE;
  pmcw.lpum = PATH_MASK;
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

/** The program suspended itself at the CCW before `cpa`; tells the program unless ORB.U forbids. */
export function presentSuspended(subchannel: Subchannel, cpa: number): void {
  const { scsw: word, irb, pmcw } = subchannel;
  word.ctrl &= ~(ACTIVE | scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_RESUME_PEND);
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
 * status; otherwise status is pending alone.
 */
export function presentHalted(subchannel: Subchannel, halted: Halted | undefined): void {
  const { scsw: word } = subchannel;
  if (halted !== undefined) {
    presentEnding(subchannel, { ...halted, dstat: DSTAT.CHANNEL_END | DSTAT.DEVICE_END, cstat: 0 });
  } else {
    word.ctrl &= ~(ACTIVE | scsw.SCSW_CTRL_MASK_ACTL | STCTL);
    word.ctrl |= scsw.SCSW_STCTL_STATUS_PEND;
    word.dstat = 0;
    word.cstat = 0;
    subchannel.setInterruption();
  }
  subchannel.lower();
}

/** The clear function is complete: status pending alone, all paths taken for operational again. */
export function presentCleared(subchannel: Subchannel): void {
  const { scsw: word, pmcw, irb } = subchannel;
  word.ctrl = scsw.SCSW_FCTL_CLEAR_FUNC | scsw.SCSW_STCTL_STATUS_PEND;
  word.flags &= ~(SCSW_FLAGS.mask.N | SCSW_FLAGS.mask.E | SCSW_FLAGS.mask.CC | SCSW_FLAGS.mask.Z);
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

/** Unsolicited status, at an idle subchannel: alert status. */
export function presentUnsolicited(subchannel: Subchannel, dstat: number): void {
  const { scsw: word, irb } = subchannel;
  word.ctrl |= scsw.SCSW_STCTL_ALERT | scsw.SCSW_STCTL_STATUS_PEND;
  word.flags &= SCSW_FLAGS.mask.key;
  word.dstat = dstat;
  word.cstat = 0;
  word.count = 0;
  irb.esw0 = PATH_MASK << ESW_LPUM_SHIFT;
  subchannel.setInterruption();
}
