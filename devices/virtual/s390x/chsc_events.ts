/**
 * Event information for CHSC's "store event information" (vfio-ccw facts 1.8; layout as Linux drivers/s390/cio/chsc.c
 * reads it, struct chsc_sei_nt0_area). A guest learns that there is some by a channel report of the channel subsystem.
 */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';

/** Content codes of notification type 0. */
export const SEI_CC = { LINK_INCIDENT: 1, RESOURCE_ACCESSIBILITY: 2, CHP_CONFIGURATION: 8 } as const;
/** Reporting source: a channel path. */
export const SEI_RS_CHP = 4;
/** Validity flags: nothing beyond the reporting source itself. */
const VALID_NONE = 0;
/** Flags of the response. */
const FLAG = { PENDING: 0x80, OVERFLOW: 0x40 } as const;

/** One event. */
export interface ChscEvent {
  readonly contentCode: number;
  readonly reportingSource: number;
  /** Reporting-source identification: a CHPID. */
  readonly rsid: number;
}

/** Notification-type-0 response, without content-code-dependent data. */
const NT0 = struct(
  'chsc_sei_nt0',
  'be',
  { flags: u8, vf: u8, rs: u8, cc: u8, fla: u16, rsid: u16, reserved: bytes(8), ccdf: u32 },
  { size: 20 },
);
/** Events kept for a guest that does not fetch them. */
const CAPACITY = 32;

export class EventQueue {
  #events: ChscEvent[] = [];
  #lost = false;

  add(event: ChscEvent): void {
    if (this.#events.length === CAPACITY) this.#lost = true;
    else this.#events.push(event);
  }
  /** The response area of the oldest event, which says whether there are more and whether some were lost; undefined: no event. */
  take(): Uint8Array | undefined {
    const event = this.#events.shift();
    if (event === undefined) return undefined;
    const flags = (this.#events.length > 0 ? FLAG.PENDING : 0) | (this.#lost ? FLAG.OVERFLOW : 0);
    this.#lost = false;
    const { contentCode: cc, reportingSource: rs, rsid } = event;
    return NT0.bytes(NT0.make({ flags, vf: VALID_NONE, rs, cc, rsid }));
  }
  clear(): void {
    this.#events = [];
    this.#lost = false;
  }
}
