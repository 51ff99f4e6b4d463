/**
 * What the host kernel can ask of the physical channel subsystem: the I/O instructions, as the Principles of Operation
 * (chapter 14) defines them, on a real subchannel. `devices/physical/css` answers them.
 *
 * `schid` is the subchannel number in css 0, subchannel set 0. An operand exception is thrown as an Error of that name.
 */
import type { Irb } from '../../include/arch/s390/irb.ts';
import type { Orb } from '../../include/arch/s390/orb.ts';
import type { Schib } from '../../include/arch/s390/schib.ts';

/** An I/O-interruption code, as TEST PENDING INTERRUPTION stores it. */
export interface IoInterruptionCode {
  readonly schid: number;
  readonly intparm: number;
  readonly isc: number;
}

/** The instructions; each returns its condition code. */
export interface CioBus {
  /** STORE SUBCHANNEL: 3 behind the last subchannel; V = 0 for a hole. */
  stsch(schid: number, schib: Schib): number;
  /** MODIFY SUBCHANNEL. */
  msch(schid: number, schib: Schib): number;
  /** START SUBCHANNEL; the program's addresses are host-physical. */
  ssch(schid: number, orb: Orb): number;
  /** HALT SUBCHANNEL. */
  hsch(schid: number): number;
  /** CLEAR SUBCHANNEL. */
  csch(schid: number): number;
  /** RESUME SUBCHANNEL. */
  rsch(schid: number): number;
  /** CANCEL SUBCHANNEL. */
  xsch(schid: number): number;
  /** TEST SUBCHANNEL: 0 when status was pending. */
  tsch(schid: number, irb: Irb): number;
  /** TEST PENDING INTERRUPTION: takes one pending interruption, if any. */
  tpi(): IoInterruptionCode | undefined;
  /** Whether {@link tpi} would find one; cheap. */
  interruptionPending(): boolean;
  /** SET ADDRESS LIMIT: what the data addresses of programs started later are compared with. */
  sal(limit: number): void;
  /** RESET CHANNEL PATH: 0 started, a solicited channel report will tell of its end; 2 another is being reset; 3 no such path. */
  rchp(chpid: number): number;
  /** STORE CHANNEL REPORT WORD: the oldest report, if any. */
  stcrw(): number | undefined;
  /** Whether {@link stcrw} would find one; cheap. */
  crwPending(): boolean;
}

/** Whether an instruction ended with an operand exception: a reserved bit in an ORB, say. */
export function isOperandException(error: unknown): boolean {
  return error instanceof Error && error.name === 'OperandException';
}

/** Bit 15 of a subsystem-identification word is one (PoP "Subsystem-Identification Word"; vfio-ccw facts 1.1). */
export const SUBSYSTEM_ID_ONE = 0x00010000;
