/**
 * Kinds of trouble that a channel device can be given on purpose, one row each: what the command line, the trace and
 * the devices know of them. What a kind does stands in `devices/physical/faults`.
 */

/** When a fault draws its lot: at every command it applies to, or once for every channel program. */
export type FaultMoment = 'command' | 'program';

/** One row. */
export interface FaultKindRow {
  readonly moment: FaultMoment;
  /** Nanoseconds when none are given; absent when the kind takes no time. `Infinity`: for good. */
  readonly ns?: number;
  /** For `--drive help`. */
  readonly meaning: string;
}

/** The table; a row's position is the kind's number in the trace event `ccw_fault`. */
export const FAULT_KIND_TABLE = {
  'equipment-check': { moment: 'command', meaning: 'unit check instead of the command; sense says equipment check' },
  'no-record-found': {
    moment: 'command',
    meaning: 'unit check instead of a read or write; sense says no record found',
  },
  'path-lost': {
    moment: 'program',
    ns: Number.POSITIVE_INFINITY,
    meaning: 'selection fails on one channel path, for the time given or for good',
  },
  busy: { moment: 'program', ns: 1e6, meaning: 'initial status busy; device end after the time given (1 ms)' },
  slow: { moment: 'command', ns: 1e7, meaning: 'the command takes that much longer (10 ms)' },
  'lost-interrupt': { moment: 'program', meaning: 'the ending status is never presented' },
  'short-transfer': { moment: 'command', meaning: 'a read or write moves half of its first block and then no more' },
} as const satisfies Readonly<Record<string, FaultKindRow>>;

/** Name of a kind, as `--drive fault=` takes it. */
export type FaultKind = keyof typeof FAULT_KIND_TABLE;
/** The names, in the order of their numbers. */
export const FAULT_KINDS = Object.keys(FAULT_KIND_TABLE) as readonly FaultKind[];

/** One fault of one device: plain data, from the command line to the thread that runs the device. */
export interface FaultConfig {
  readonly kind: FaultKind;
  /** Probability that a draw strikes, 0 to 1. */
  readonly rate: number;
  /** Draws left alone at first; 0 when omitted. */
  readonly after?: number;
  /** Strikes before it rests for good; no limit when omitted. */
  readonly times?: number;
  /** Nanoseconds, for the kinds that take time; the row's own when omitted. */
  readonly ns?: number;
}
