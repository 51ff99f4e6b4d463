/**
 * Events that the platform tells a guest of (QEMU hw/ppc/spapr_events.c; PAPR): here hot plug. An event is a log
 * in a queue; an interrupt says that there is one, and RTAS check-exception gives it.
 */
import { type Machine, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import {
  hp_log_full,
  RTAS_EVENT,
  RTAS_HP,
  RTAS_LOG,
  RTAS_LOG_V6,
  RTAS_SECTION,
  RTAS_SUBSYSTEM_HOT_PLUG,
  rtas_error_log,
  rtas_event_log_v6_hp,
  rtas_event_log_v6_maina,
  rtas_event_log_v6_mainb,
} from '../../../kernel/include/arch/ppc/rtas_event_log.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { SpaprIrq } from './spapr_irq.ts';
import { SPAPR_IRQ_HOTPLUG } from './spapr_irq_numbers.ts';
import { RTAS, type RtasRow } from './spapr_rtas.ts';
import { calendar } from './spapr_rtas_platform.ts';
import { PRIORITY_LEAST } from './xics.ts';

/** Arguments of check-exception and event-scan that are looked at, by position. */
const CHECK_EXCEPTION = { MASK: 2, BUFFER: 4, LENGTH: 5 } as const;
const EVENT_SCAN = { MASK: 0 } as const;

/** Who makes the logs: the hypervisor. */
const CREATOR = 'H'.charCodeAt(0);
/** Sections of a hot-plug log: Main-A, Main-B, HP. */
const SECTIONS = 3;

const { SUCCESS, NO_ERRORS_FOUND, PARAM_ERROR } = RTAS;

/** Decimal digits, four bits each. */
const bcd = (value: number) => Number.parseInt(`${value}`, 16);

export class SpaprEvents {
  readonly #machine: Machine;
  readonly #irq: SpaprIrq;
  readonly #tod: () => bigint;
  /** Logs that the guest has not fetched, the oldest first. */
  readonly #logs: Uint8Array[] = [];
  /** The guest has asked for hot-plug events. */
  #asked = false;
  #plid = 0;

  /** @param tod the TOD clock: units of 2^-12 microseconds since 1900 */
  constructor(machine: Machine, irq: SpaprIrq, tod: () => bigint) {
    this.#machine = machine;
    this.#irq = irq;
    this.#tod = tod;
    irq.xics.claim(SPAPR_IRQ_HOTPLUG, false);
  }

  /**
   * The guest takes part in hot plug: it has unmasked the source, or has asked for such events. Others find devices in
   * configuration space, and lose them without a word.
   */
  get hotplugHeard(): boolean {
    return this.#asked || this.#irq.xics.xive(SPAPR_IRQ_HOTPLUG)?.priority !== PRIORITY_LEAST;
  }
  /** Logs that wait. */
  get waiting(): number {
    return this.#logs.length;
  }

  /** A device has been plugged, or is to go: the guest is told. @param action RTAS_HP.ACTION_ADD or ACTION_REMOVE */
  *hotplug(action: number, drcIndex: number): Task {
    this.#logs.push(hp_log_full.bytes(this.#log(action, drcIndex)).slice());
    yield* this.#irq.pulse(SPAPR_IRQ_HOTPLUG);
  }

  #log(action: number, drcIndex: number) {
    const [year, month, day, hour, minute, second] = calendar(this.#tod());
    const log = hp_log_full.make({});
    const { hdr, v6hdr, maina, mainb, hp } = log;
    hdr.summary =
      RTAS_LOG.VERSION_6 |
      RTAS_LOG.SEVERITY_EVENT |
      RTAS_LOG.DISPOSITION_NOT_RECOVERED |
      RTAS_LOG.OPTIONAL_PART_PRESENT |
      RTAS_LOG.INITIATOR_HOTPLUG |
      RTAS_LOG.TYPE_HOTPLUG;
    hdr.extended_length = hp_log_full.size - rtas_error_log.size;
    v6hdr.b0 = RTAS_LOG_V6.B0_VALID | RTAS_LOG_V6.B0_NEW_LOG | RTAS_LOG_V6.B0_BIGENDIAN;
    v6hdr.b2 = RTAS_LOG_V6.B2_POWERPC_FORMAT | RTAS_LOG_V6.B2_PLATFORM_EVENT;
    v6hdr.company = RTAS_LOG_V6.COMPANY_IBM;
    Object.assign(maina.hdr, { section_id: RTAS_SECTION.MAIN_A, section_length: rtas_event_log_v6_maina.size });
    maina.creation_date = bcd(year * 10000 + month * 100 + day);
    maina.creation_time = bcd(hour * 1_000_000 + minute * 10000 + second * 100);
    maina.creator_id = CREATOR;
    maina.section_count = SECTIONS;
    maina.plid = this.#plid++;
    Object.assign(mainb.hdr, { section_id: RTAS_SECTION.MAIN_B, section_length: rtas_event_log_v6_mainb.size });
    mainb.subsystem_id = RTAS_SUBSYSTEM_HOT_PLUG;
    Object.assign(hp.hdr, {
      section_id: RTAS_SECTION.HOT_PLUG,
      section_length: rtas_event_log_v6_hp.size,
      section_version: 1,
    });
    hp.hotplug_type = RTAS_HP.TYPE_PCI;
    hp.hotplug_action = action;
    hp.hotplug_identifier = RTAS_HP.ID_DRC_INDEX;
    hp.drc = drcIndex;
    return log;
  }

  /** The calls, as rows of the RTAS table. */
  rtasRows(): RtasRow[] {
    const events = this;
    const heard = (mask: number) => {
      if ((mask & RTAS_EVENT.HOT_PLUG) !== 0) events.#asked = true;
    };
    return [
      {
        token: 0x200e,
        name: 'check-exception',
        nargs: [6, 7],
        nret: [1],
        *handler(args) {
          const mask = args[CHECK_EXCEPTION.MASK];
          heard(mask);
          return [yield* events.#fetch(mask, args[CHECK_EXCEPTION.BUFFER], args[CHECK_EXCEPTION.LENGTH])];
        },
      },
      {
        token: 0x200f,
        name: 'event-scan',
        nargs: [4],
        nret: [1],
        // Logs are had by check-exception only; whoever scans gets the interrupt again.
        *handler(args) {
          const mask = args[EVENT_SCAN.MASK];
          heard(mask);
          if ((mask & RTAS_EVENT.HOT_PLUG) !== 0 && events.#logs.length > 0)
            yield* events.#irq.pulse(SPAPR_IRQ_HOTPLUG);
          return [NO_ERRORS_FOUND];
        },
      },
    ];
  }

  /** Gives the oldest log, cut to `length` bytes. One that cannot be written stays in the queue. */
  *#fetch(mask: number, buffer: number, length: number): Task<number> {
    const [log] = this.#logs;
    if ((mask & RTAS_EVENT.HOT_PLUG) === 0 || log === undefined) return NO_ERRORS_FOUND;
    // Without its fixed part a log says nothing.
    if (length < rtas_error_log.size) return PARAM_ERROR;
    try {
      yield* this.#machine.memory.write(buffer, log.subarray(0, length));
    } catch (error) {
      if (error instanceof ProgramInterruption) return PARAM_ERROR;
      throw error;
    }
    this.#logs.shift();
    // The source is an edge: it comes again for those that are left.
    if (this.#logs.length > 0) yield* this.#irq.pulse(SPAPR_IRQ_HOTPLUG);
    return SUCCESS;
  }

  /** Machine reset: no events, and nobody who hears of them. */
  reset(): void {
    this.#logs.length = 0;
    this.#asked = false;
  }
}
