/**
 * The channel subsystem as the kernel's processor sees it: the I/O instructions (SA22-7832 chapter 14), each returning
 * its condition code. The functions themselves are performed by the I/O processors.
 */

import { CRW_FLAGS } from '../../../kernel/include/arch/s390/crw.ts';
import { IRB, type Irb } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0, ORB_CTRL1, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS, SCHIB, type Schib } from '../../../kernel/include/arch/s390/schib.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { CssArea } from './css_area.ts';
import { pathsOf } from './path.ts';
import { SIGNAL, Subchannel } from './subchannel.ts';

const { SCSW_CTRL_MASK_FCTL: FCTL, SCSW_CTRL_MASK_STCTL: STCTL } = scsw;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
const PENDINGS =
  scsw.SCSW_ACTL_RESUME_PEND | scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_HALT_PEND | scsw.SCSW_ACTL_CLEAR_PEND;
const INTERMEDIATE_ONLY = scsw.SCSW_STCTL_INTERMEDIATE | scsw.SCSW_STCTL_STATUS_PEND;

/** The instruction's operand is not valid: the operand exception (program interruption 0015) of the kernel's processor. */
export class OperandException extends Error {
  constructor(instruction: string, reason: string) {
    super(`${instruction}: operand exception: ${reason}`);
    this.name = 'OperandException';
  }
}

/** Condition code. */
export type Cc = 0 | 1 | 2 | 3;

/** What TPI stores. */
export interface IoInterruption {
  /** Subchannel number in subchannel set 0. */
  readonly schid: number;
  readonly intparm: number;
  readonly isc: number;
}

export interface ChannelSubsystemOptions {
  /** Doorbells of the I/O processors, by their numbers. */
  readonly iopDoorbells: readonly Doorbell[];
  readonly trace?: Tracer;
  /** Accepted for symmetry with the I/O processors, which alone check addresses. */
  readonly firstFrame?: number;
}

/** PMCW.flags bits that MSCH may change (SA22-7832 chapter 14, "MODIFY SUBCHANNEL"). */
const MSCH_FLAGS =
  PMCW_FLAGS.mask.ISC | PMCW_FLAGS.mask.E | PMCW_FLAGS.mask.LM | PMCW_FLAGS.mask.MM | PMCW_FLAGS.mask.D;
/** PMCW.chars bits that MSCH may change. */
const MSCH_CHARS = PMCW_CHARS.mask.MBFC | PMCW_CHARS.mask.CSENSE;
/** PMCW.chars bits that must be zero; the subchannel type is ignored. */
const CHARS_ZERO = ~(PMCW_CHARS.mask.type | MSCH_CHARS | PMCW_CHARS.mask.XMWME) >>> 0;
/** Bits that must be zero in the operand of SAL (SA22-7832 chapter 14, "SET ADDRESS LIMIT"). */
const ADDRESS_LIMIT_ZERO = 0x8000ffff;
/** Alignment of an extended measurement block. */
const MBA_ALIGN = 64;

/** Operand checks of MSCH: reason and the test that finds it. */
const MSCH_CHECKS: readonly (readonly [reason: string, bad: (schib: Schib) => boolean])[] = [
  ['PMCW bits 5-7 of word 1 are not zero', ({ pmcw }) => (pmcw.flags & PMCW_FLAGS.mask.zero) !== 0],
  ['limit mode 3', ({ pmcw }) => PMCW_FLAGS.get(pmcw.flags, 'LM') === 3],
  ['reserved bits of PMCW word 6 are not zero', ({ pmcw }) => (pmcw.chars & CHARS_ZERO) !== 0],
  ['extended measurement words are not installed', ({ pmcw }) => (pmcw.chars & PMCW_CHARS.mask.XMWME) !== 0],
  [
    'measurement-block address is not on a 64-byte boundary',
    (schib) => (schib.pmcw.chars & PMCW_CHARS.mask.MBFC) !== 0 && schib.mba % MBA_ALIGN !== 0,
  ],
];

/** An interruption response of zeros. */
const NO_STATUS = IRB.make();

/** Operand checks of SSCH. */
const SSCH_CHECKS: readonly (readonly [reason: string, bad: (orb: Orb) => boolean])[] = [
  ['transport mode is not installed', (orb) => (orb.ctrl0 & ORB_CTRL0.mask.B) !== 0],
  [
    'modified indirect addressing needs format-1 CCWs',
    (orb) => (orb.ctrl1 & ORB_CTRL1.mask.D) !== 0 && (orb.ctrl0 & ORB_CTRL0.mask.F) === 0,
  ],
  ['reserved ORB bits are not zero', (orb) => (orb.ctrl1 & ORB_CTRL1.mask.zero) !== 0],
  ['ORB extension is not installed', (orb) => (orb.ctrl1 & ORB_CTRL1.mask.X) !== 0],
  ['bit 0 of the channel-program address is not zero', (orb) => (orb.cpa & 0x80000000) !== 0],
];

export class ChannelSubsystem {
  readonly #area: CssArea;
  readonly #doorbells: readonly Doorbell[];
  readonly #trace: Tracer | undefined;
  readonly #subchannels: readonly Subchannel[];

  /** @param cssBase HPA of the channel subsystem's area, filled by `installDevices`. */
  constructor(memory: HostMemory, cssBase: number, options: ChannelSubsystemOptions) {
    this.#area = new CssArea(memory, cssBase);
    this.#doorbells = options.iopDoorbells;
    this.#trace = options.trace;
    this.#subchannels = Array.from({ length: this.#area.installed }, (_, n) => new Subchannel(this.#area, n));
  }

  /** STORE SUBCHANNEL: cc0 stored (zeros where no device is), cc3 beyond the last subchannel. */
  stsch(schid: number, schib: Schib): Cc {
    const subchannel = this.#subchannels[schid];
    if (subchannel === undefined) return 3;
    subchannel.locked(() => SCHIB.copy(schib, subchannel.schib));
    return 0;
  }

  /** MODIFY SUBCHANNEL: cc1 status pending, cc2 function in progress, cc3 none. @throws OperandException */
  msch(schid: number, schib: Schib): Cc {
    for (const [reason, bad] of MSCH_CHECKS) if (bad(schib)) throw new OperandException('MSCH', reason);
    const subchannel = this.#subchannels[schid];
    if (subchannel === undefined) return 3;
    return subchannel.locked(() => {
      if (!subchannel.valid()) return 0;
      if (subchannel.statusPending()) return 1;
      if ((subchannel.scsw.ctrl & FCTL) !== 0) return 2;
      const { pmcw } = subchannel;
      pmcw.intparm = schib.pmcw.intparm;
      pmcw.flags = (pmcw.flags & ~MSCH_FLAGS) | (schib.pmcw.flags & MSCH_FLAGS);
      pmcw.lpm = schib.pmcw.lpm;
      pmcw.mbi = schib.pmcw.mbi;
      pmcw.pom = schib.pmcw.pom;
      pmcw.chars = (pmcw.chars & ~MSCH_CHARS) | (schib.pmcw.chars & MSCH_CHARS);
      subchannel.schib.mba = schib.mba;
      return 0;
    });
  }

  /**
   * START SUBCHANNEL: cc1 status pending, cc2 a function is in progress, cc3 not operational or no path of the ORB's
   * mask is available. The ORB's path mask becomes the PMCW's.
   *
   * The start function ends for this instruction when its primary status is tested (chapter 16, "Function Control"),
   * so a device that is still active after channel end can be given a start; that stays pending until device end, and
   * ends with it by deferred condition code 1. @throws OperandException
   */
  ssch(schid: number, orb: Orb): Cc {
    for (const [reason, bad] of SSCH_CHECKS) if (bad(orb)) throw new OperandException('SSCH', reason);
    return this.#function(schid, (subchannel) => {
      const { scsw: word, pmcw } = subchannel;
      if (subchannel.statusPending()) return 1;
      if ((word.ctrl & FCTL) !== 0) return 2;
      if ((orb.lpm & pmcw.pam) === 0) return 3;
      ORB.copy(subchannel.orb, orb);
      pmcw.intparm = orb.intparm;
      pmcw.lpm = orb.lpm;
      pmcw.pnom = 0;
      // Key, S, F, P, I, A and U stand at the same bits in both words; L, deferred cc, Z, E and N start as zero.
      word.flags = orb.ctrl0 & SCSW_FROM_ORB;
      const deviceActive = word.ctrl & scsw.SCSW_ACTL_DEVICE_ACTIVE;
      word.ctrl = scsw.SCSW_FCTL_START_FUNC | scsw.SCSW_ACTL_START_PEND | deviceActive;
      word.cpa = orb.cpa;
      word.dstat = 0;
      word.cstat = 0;
      word.count = 0;
      subchannel.sequence++;
      subchannel.enqueue();
      return 0;
    });
  }

  /** HALT SUBCHANNEL: cc1 status pending (not merely intermediate), cc2 halt or clear in progress. */
  hsch(schid: number): Cc {
    return this.#function(schid, (subchannel) => {
      const { scsw: word } = subchannel;
      const stctl = word.ctrl & STCTL;
      if (subchannel.statusPending() && (stctl & ~INTERMEDIATE_ONLY) !== 0) return 1;
      if (stctl === scsw.SCSW_STCTL_STATUS_PEND) return 1;
      if ((word.ctrl & (scsw.SCSW_FCTL_HALT_FUNC | scsw.SCSW_FCTL_CLEAR_FUNC)) !== 0) return 2;
      if (stctl === INTERMEDIATE_ONLY && (word.ctrl & ACTIVE) === ACTIVE) {
        word.ctrl &= ~scsw.SCSW_STCTL_STATUS_PEND;
        subchannel.withdrawInterruption();
      }
      // The start function stays indicated (PoP); QEMU's virtual subchannels drop it.
      word.ctrl |= scsw.SCSW_FCTL_HALT_FUNC | scsw.SCSW_ACTL_HALT_PEND;
      subchannel.raise(SIGNAL.HALT);
      subchannel.enqueue();
      return 0;
    });
  }

  /** CLEAR SUBCHANNEL: always starts; takes away whatever status and function there was. */
  csch(schid: number): Cc {
    return this.#function(schid, (subchannel) => {
      subchannel.withdrawInterruption();
      subchannel.scsw.ctrl = scsw.SCSW_FCTL_CLEAR_FUNC | scsw.SCSW_ACTL_CLEAR_PEND;
      subchannel.raise(SIGNAL.CLEAR);
      subchannel.enqueue();
      return 0;
    });
  }

  /**
   * RESUME SUBCHANNEL: cc1 status pending, cc2 not applicable: another function than start, or none, or resume pending
   * already, or a start without suspend control. A program that has not yet suspended itself stays resume pending and
   * will not do so at the next CCW that asks for it.
   */
  rsch(schid: number): Cc {
    return this.#function(schid, (subchannel) => {
      const { scsw: word, pmcw } = subchannel;
      if (subchannel.statusPending()) return 1;
      const alone = (word.ctrl & (FCTL | scsw.SCSW_ACTL_RESUME_PEND)) === scsw.SCSW_FCTL_START_FUNC;
      if (!alone || (word.flags & scsw.SCSW_FLAGS.mask.S) === 0) return 2;
      word.ctrl |= scsw.SCSW_ACTL_RESUME_PEND;
      if ((word.ctrl & scsw.SCSW_ACTL_SUSP) === 0) return 0;
      pmcw.pnom = 0;
      subchannel.enqueue();
      return 0;
    });
  }

  /** CANCEL SUBCHANNEL: cc1 status pending, cc2 not applicable. Raises no interruption. */
  xsch(schid: number): Cc {
    return this.#function(schid, (subchannel) => {
      const { scsw: word } = subchannel;
      if (subchannel.statusPending()) return 1;
      const cancels = scsw.SCSW_ACTL_RESUME_PEND | scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_SUSP;
      const applicable =
        (word.ctrl & FCTL) === scsw.SCSW_FCTL_START_FUNC &&
        (word.ctrl & cancels) !== 0 &&
        (word.ctrl & (scsw.SCSW_ACTL_SUBCH_ACTIVE | STCTL)) === 0;
      if (!applicable) return 2;
      word.ctrl &= ~(scsw.SCSW_FCTL_START_FUNC | cancels);
      return 0;
    });
  }

  /** TEST SUBCHANNEL: cc0 status was pending, cc1 it was not (the IRB is stored all the same). */
  tsch(schid: number, irb: Irb): Cc {
    let concernsIop = false;
    const cc = this.#perform(schid, (subchannel) => {
      const { scsw: word } = subchannel;
      IRB.copy(irb, subchannel.irb);
      irb.scsw = word;
      if (!subchannel.statusPending()) return 1;
      // After most programs the I/O processor waits for nothing: waking it would cost the kernel its CPU for a while.
      concernsIop = subchannel.heldStatus !== 0 || (word.ctrl & (PENDINGS | ACTIVE | scsw.SCSW_ACTL_SUSP)) !== 0;
      const intermediate = (word.ctrl & STCTL) === INTERMEDIATE_ONLY;
      word.ctrl &= ~STCTL;
      if (!intermediate) {
        word.ctrl &= ~(FCTL | PENDINGS | scsw.SCSW_ACTL_SUSP);
        word.flags &= ~scsw.SCSW_FLAGS.mask.N;
      } else if ((word.ctrl & scsw.SCSW_ACTL_SUSP) !== 0) {
        this.#testSuspended(subchannel);
      }
      word.flags &= ~(scsw.SCSW_FLAGS.mask.E | scsw.SCSW_FLAGS.mask.Z | scsw.SCSW_FLAGS.mask.L);
      IRB.copy(subchannel.irb, NO_STATUS);
      subchannel.withdrawInterruption();
      // Device status that had to wait for an idle subchannel can be accepted now.
      if (subchannel.heldStatus !== 0) subchannel.enqueue();
      return 0;
    });
    if (concernsIop) this.#doorbells[this.#subchannels[schid].iop]?.ring();
    return cc;
  }

  /** TEST PENDING INTERRUPTION: takes one condition, most important subclass first. @param iscMask bit 0x80 is subclass 0. */
  tpi(iscMask = 0xff): IoInterruption | undefined {
    for (let isc = 0; isc < 8; isc++) {
      if ((iscMask & (0x80 >>> isc)) === 0) continue;
      for (let schid = this.#area.firstPending(isc); schid >= 0; schid = this.#area.firstPending(isc)) {
        const subchannel = this.#subchannels[schid];
        const taken = subchannel.locked(() =>
          subchannel.withdrawInterruption() ? { schid, intparm: subchannel.pmcw.intparm, isc } : undefined,
        );
        if (taken === undefined) continue;
        this.#trace?.point(EVENT.s390_cio_interrupt, schid, taken.intparm, isc);
        return taken;
      }
    }
    return undefined;
  }

  /** Whether {@link tpi} would find something: cheap, for the kernel's wait. */
  interruptionPending(iscMask = 0xff): boolean {
    for (let isc = 0; isc < 8; isc++)
      if ((iscMask & (0x80 >>> isc)) !== 0 && this.#area.firstPending(isc) >= 0) return true;
    return false;
  }

  /** STORE CHANNEL REPORT WORD: the oldest report (cc0), or undefined (cc1). */
  stcrw(): number | undefined {
    const crw = this.#area.crws.pop();
    if (crw === undefined) return undefined;
    const stored = (this.#area.takeOverflow() ? crw | (CRW_FLAGS.mask.R << 16) : crw) >>> 0;
    const flags = stored >>> 16;
    this.#trace?.point(EVENT.s390_cio_stcrw, CRW_FLAGS.get(flags, 'RSC'), CRW_FLAGS.get(flags, 'ERC'), stored & 0xffff);
    return stored;
  }

  /** Whether a channel report waits: what makes the channel-report machine check pending. */
  crwPending(): boolean {
    return !this.#area.crws.empty();
  }

  /** SET ADDRESS LIMIT, for programs started later. @param limit bits 32-63 of general register 1. @throws OperandException */
  sal(limit: number): void {
    if ((limit & ADDRESS_LIMIT_ZERO) !== 0) throw new OperandException('SAL', 'bits 32 and 48-63 are not all zero');
    this.#area.addressLimit = limit;
  }

  /**
   * RESET CHANNEL PATH: cc2 a path is being reset already, cc3 no device has the path, or it is not available. What
   * runs on the path ends with interface-control check, devices are reset, and a solicited channel report tells when
   * all that is done. @param chpid 0 to FF @throws OperandException
   */
  rchp(chpid: number): Cc {
    if ((chpid & ~0xff) !== 0) throw new OperandException('RCHP', 'not a CHPID of channel-subsystem image 0');
    let iops = 0;
    for (const subchannel of this.#subchannels) {
      const { pmcw } = subchannel;
      const has = () => subchannel.valid() && (pathsOf(pmcw, chpid) & pmcw.pam) !== 0;
      if (subchannel.locked(has)) iops |= 1 << subchannel.iop;
    }
    if (iops === 0) return 3;
    if (!this.#area.requestChpReset(chpid, iops)) return 2;
    for (const [iop, doorbell] of this.#doorbells.entries()) if ((iops & (1 << iop)) !== 0) doorbell.ring();
    return 0;
  }

  /** Runs a function instruction on an operational subchannel and wakes its I/O processor. */
  #function(schid: number, perform: (subchannel: Subchannel) => Cc): Cc {
    const cc = this.#perform(schid, perform);
    if (cc === 0) this.#doorbells[this.#subchannels[schid].iop]?.ring();
    return cc;
  }
  #perform(schid: number, perform: (subchannel: Subchannel) => Cc): Cc {
    const subchannel = this.#subchannels[schid];
    if (subchannel === undefined) return 3;
    return subchannel.locked(() => (subchannel.operational() ? perform(subchannel) : 3));
  }

  /** TSCH of intermediate status while suspended (vfio-ccw facts 1.8). */
  #testSuspended({ scsw: word }: Subchannel): void {
    if ((word.ctrl & scsw.SCSW_FCTL_HALT_FUNC) !== 0) {
      word.ctrl &= ~(FCTL | PENDINGS | scsw.SCSW_ACTL_SUSP);
    } else {
      word.ctrl &= ~scsw.SCSW_ACTL_RESUME_PEND;
    }
    word.flags &= ~scsw.SCSW_FLAGS.mask.N;
  }
}

const { mask: FLAG } = scsw.SCSW_FLAGS;
/** SCSW flags that SSCH copies from the ORB. */
const SCSW_FROM_ORB = FLAG.key | FLAG.S | FLAG.F | FLAG.P | FLAG.I | FLAG.A | FLAG.U;
