/**
 * A channel subsystem for the tests of the kernel's drivers: subchannels that obey the condition-code rules
 * (vfio-ccw facts 1.8) and run no program; the test says when and how one ends.
 */
import { IRB, type Irb } from '../../kernel/include/arch/s390/irb.ts';
import { ORB, type Orb } from '../../kernel/include/arch/s390/orb.ts';
import { PMCW_FLAGS, SCHIB, type Schib } from '../../kernel/include/arch/s390/schib.ts';
import * as scsw from '../../kernel/include/arch/s390/scsw.ts';
import type { CioBus, IoInterruptionCode } from '../../kernel/s390/cio/cio_bus.ts';

const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
const PENDINGS =
  scsw.SCSW_ACTL_START_PEND | scsw.SCSW_ACTL_HALT_PEND | scsw.SCSW_ACTL_CLEAR_PEND | scsw.SCSW_ACTL_RESUME_PEND;
/** Status control of a program that ended in one go, of a PCI, of a clear, of an attention. */
export const STCTL = { END: 0x07, PCI: 0x09, CLEAR: 0x01, UNSOLICITED: 0x11, CHANNEL_END: 0x05, DEVICE_END: 0x03 };

/** Status a test presents. */
export interface Status {
  readonly stctl?: number;
  readonly dstat?: number;
  readonly cstat?: number;
  readonly count?: number;
  /** Defaults to one CCW past the start of the program. */
  readonly cpa?: number;
  /** Activity that stays on. */
  readonly actl?: number;
  readonly ecw?: Uint8Array;
}

export class FakeSubchannel {
  readonly schib: Schib = SCHIB.make();
  readonly irb: Irb = IRB.make();
  readonly orb: Orb = ORB.make();
  interruption = false;
  /** Vanished. */
  gone = false;
  /** HSCH and CSCH never complete. */
  hung = false;

  get scsw() {
    return this.schib.scsw;
  }
  get enabled(): boolean {
    return PMCW_FLAGS.get(this.schib.pmcw.flags, 'E') === 1;
  }
}

export class FakeCss implements CioBus {
  readonly subchannels: FakeSubchannel[];
  /** Instructions executed, oldest first: `ssch 0 cc0`. */
  readonly executed: string[] = [];
  readonly crws: number[] = [];
  /** Called at every SSCH with condition code 0. */
  onStart: (schid: number, subchannel: FakeSubchannel) => void = () => {};

  constructor(devnos: readonly number[]) {
    this.subchannels = devnos.map((devno) => {
      const subchannel = new FakeSubchannel();
      const { pmcw } = subchannel.schib;
      pmcw.flags = PMCW_FLAGS.mask.V;
      pmcw.devno = devno;
      pmcw.lpm = 0x80;
      pmcw.pim = 0x80;
      pmcw.pam = 0x80;
      pmcw.pom = 0xff;
      pmcw.chpid[0] = 0x80;
      return subchannel;
    });
  }

  #done(name: string, schid: number, cc: number): number {
    this.executed.push(`${name} ${schid} cc${cc}`);
    return cc;
  }
  /** The subchannel when functions can be performed on it. */
  #operational(schid: number): FakeSubchannel | undefined {
    const subchannel = this.subchannels[schid];
    return subchannel?.enabled && !subchannel.gone ? subchannel : undefined;
  }

  stsch(schid: number, schib: Schib): number {
    const subchannel = this.subchannels[schid];
    if (subchannel === undefined) return 3;
    const bytes = SCHIB.bytes(schib);
    if (subchannel.gone) bytes.fill(0);
    else bytes.set(SCHIB.bytes(subchannel.schib));
    return 0;
  }
  msch(schid: number, schib: Schib): number {
    const subchannel = this.subchannels[schid];
    if (subchannel === undefined || subchannel.gone) return 3;
    if ((subchannel.scsw.ctrl & scsw.SCSW_STCTL_STATUS_PEND) !== 0) return this.#done('msch', schid, 1);
    if ((subchannel.scsw.ctrl & scsw.SCSW_CTRL_MASK_FCTL) !== 0) return this.#done('msch', schid, 2);
    const { pmcw } = subchannel.schib;
    pmcw.intparm = schib.pmcw.intparm;
    pmcw.flags = schib.pmcw.flags;
    pmcw.chars = schib.pmcw.chars;
    return this.#done('msch', schid, 0);
  }
  ssch(schid: number, orb: Orb): number {
    const subchannel = this.#operational(schid);
    if (subchannel === undefined || (orb.lpm & subchannel.schib.pmcw.pam) === 0) return this.#done('ssch', schid, 3);
    const word = subchannel.scsw;
    if ((orb.ctrl1 & 0x3e) !== 0) throw Object.assign(new Error('reserved bits'), { name: 'OperandException' });
    if ((word.ctrl & scsw.SCSW_STCTL_STATUS_PEND) !== 0) return this.#done('ssch', schid, 1);
    if ((word.ctrl & scsw.SCSW_CTRL_MASK_FCTL) !== 0) return this.#done('ssch', schid, 2);
    ORB.bytes(subchannel.orb).set(ORB.bytes(orb));
    word.ctrl = scsw.SCSW_FCTL_START_FUNC | scsw.SCSW_ACTL_START_PEND;
    this.#done('ssch', schid, 0);
    this.onStart(schid, subchannel);
    return 0;
  }
  hsch(schid: number): number {
    const subchannel = this.#operational(schid);
    if (subchannel === undefined) return this.#done('hsch', schid, 3);
    const word = subchannel.scsw;
    if ((word.ctrl & scsw.SCSW_STCTL_STATUS_PEND) !== 0) return this.#done('hsch', schid, 1);
    if ((word.ctrl & (scsw.SCSW_FCTL_HALT_FUNC | scsw.SCSW_FCTL_CLEAR_FUNC)) !== 0) return this.#done('hsch', schid, 2);
    word.ctrl |= scsw.SCSW_FCTL_HALT_FUNC | scsw.SCSW_ACTL_HALT_PEND;
    if (!subchannel.hung) this.present(schid, { stctl: STCTL.END, dstat: 0x0c });
    return this.#done('hsch', schid, 0);
  }
  csch(schid: number): number {
    const subchannel = this.#operational(schid);
    if (subchannel === undefined) return this.#done('csch', schid, 3);
    subchannel.interruption = false;
    subchannel.scsw.ctrl = scsw.SCSW_FCTL_CLEAR_FUNC | scsw.SCSW_ACTL_CLEAR_PEND;
    if (!subchannel.hung) this.present(schid, { stctl: STCTL.CLEAR, dstat: 0, cpa: 0 });
    return this.#done('csch', schid, 0);
  }
  rsch(schid: number): number {
    return this.#done('rsch', schid, 2);
  }
  xsch(schid: number): number {
    const subchannel = this.#operational(schid);
    if (subchannel === undefined) return this.#done('xsch', schid, 3);
    const word = subchannel.scsw;
    if ((word.ctrl & scsw.SCSW_STCTL_STATUS_PEND) !== 0) return this.#done('xsch', schid, 1);
    const startOnly = (word.ctrl & scsw.SCSW_CTRL_MASK_FCTL) === scsw.SCSW_FCTL_START_FUNC;
    if (!startOnly || (word.ctrl & ACTIVE) !== 0) return this.#done('xsch', schid, 2);
    word.ctrl = 0;
    return this.#done('xsch', schid, 0);
  }
  tsch(schid: number, irb: Irb): number {
    const subchannel = this.#operational(schid);
    if (subchannel === undefined) return this.#done('tsch', schid, 3);
    const word = subchannel.scsw;
    IRB.bytes(irb).set(IRB.bytes(subchannel.irb));
    irb.scsw = word;
    const stctl = word.ctrl & scsw.SCSW_CTRL_MASK_STCTL;
    if ((stctl & scsw.SCSW_STCTL_STATUS_PEND) === 0) return this.#done('tsch', schid, 1);
    word.ctrl &= ~stctl;
    if (stctl !== STCTL.PCI) word.ctrl &= ~(scsw.SCSW_CTRL_MASK_FCTL | PENDINGS | scsw.SCSW_ACTL_SUSP);
    subchannel.interruption = false;
    return this.#done('tsch', schid, 0);
  }
  interruptionPending(): boolean {
    return this.subchannels.some((subchannel) => subchannel.interruption);
  }
  tpi(): IoInterruptionCode | undefined {
    const schid = this.subchannels.findIndex((subchannel) => subchannel.interruption);
    if (schid < 0) return undefined;
    const { pmcw } = this.subchannels[schid].schib;
    this.subchannels[schid].interruption = false;
    return { schid, intparm: pmcw.intparm, isc: PMCW_FLAGS.get(pmcw.flags, 'ISC') };
  }
  sal(limit: number): void {
    this.executed.push(`sal ${limit.toString(16)}`);
  }
  rchp(chpid: number): number {
    const known = this.subchannels.some(({ schib }) => schib.pmcw.chpid[0] === chpid);
    return this.#done('rchp', chpid, known ? 0 : 3);
  }
  crwPending(): boolean {
    return this.crws.length > 0;
  }
  stcrw(): number | undefined {
    return this.crws.shift();
  }

  /** The device took the first command: subchannel and device active. */
  accept(schid: number): void {
    const word = this.subchannels[schid].scsw;
    word.ctrl = (word.ctrl & ~scsw.SCSW_ACTL_START_PEND) | ACTIVE;
  }

  /** Status becomes pending, with an interruption. */
  present(schid: number, status: Status = {}): void {
    const { stctl = STCTL.END, dstat = 0x0c, cstat = 0, count = 0, actl = 0, ecw } = status;
    const subchannel = this.subchannels[schid];
    const word = subchannel.scsw;
    word.ctrl = (word.ctrl & scsw.SCSW_CTRL_MASK_FCTL) | actl | stctl;
    word.cpa = status.cpa ?? subchannel.orb.cpa + 8;
    word.dstat = dstat;
    word.cstat = cstat;
    word.count = count;
    if (ecw !== undefined) subchannel.irb.ecw = ecw;
    subchannel.interruption = true;
  }
}
