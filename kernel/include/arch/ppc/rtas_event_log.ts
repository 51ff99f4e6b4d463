/**
 * RTAS event logs, version 6 (PAPR; QEMU hw/ppc/spapr_events.c, whose names and values these are): what check-exception
 * gives a guest. A fixed part of eight bytes, then sections; here of a hot-plug event, the sections PH, UH and HP.
 * Big-endian.
 */
import { bytes, nested, struct, u8, u16, u32 } from '../../../lib/struct.ts';

/** Classes of events, as bits of a mask that check-exception and event-scan are given (QEMU EVENT_MASK_*). */
export const RTAS_EVENT = { EPOW: 0x4000_0000, HOT_PLUG: 0x1000_0000 } as const;

/** The word `summary` (QEMU RTAS_LOG_*). */
export const RTAS_LOG = {
  VERSION_6: 0x0600_0000,
  SEVERITY_EVENT: 0x0020_0000,
  DISPOSITION_NOT_RECOVERED: 0x0010_0000,
  OPTIONAL_PART_PRESENT: 0x0004_0000,
  INITIATOR_HOTPLUG: 0x0000_6000,
  TYPE_HOTPLUG: 0xe5,
} as const;

/** The fixed part. */
export const rtas_error_log = struct('rtas_error_log', 'be', { summary: u32, extended_length: u32 }, { size: 8 });

/** What begins the extended part (QEMU RTAS_LOG_V6_*). */
export const RTAS_LOG_V6 = {
  B0_VALID: 0x80,
  B0_NEW_LOG: 0x04,
  B0_BIGENDIAN: 0x02,
  B2_POWERPC_FORMAT: 0x80,
  B2_PLATFORM_EVENT: 0x0e,
  /** `IBM`, and a zero. */
  COMPANY_IBM: 0x4942_4d00,
} as const;
const rtas_event_log_v6 = struct(
  'rtas_event_log_v6',
  'be',
  { b0: u8, resv1: u8, b2: u8, resv2: bytes(9), company: u32 },
  { size: 16 },
);

/** Names of sections: two letters. */
export const RTAS_SECTION = { MAIN_A: 0x5048, MAIN_B: 0x5548, HOT_PLUG: 0x4850 } as const;
const section_header = struct(
  'rtas_event_log_v6_section_header',
  'be',
  { section_id: u16, section_length: u16, section_version: u8, section_subtype: u8, creator_component_id: u16 },
  { size: 8 },
);

/** Main-A, the private header: when, by whom, and how many sections there are. Date and time are BCD. */
export const rtas_event_log_v6_maina = struct(
  'rtas_event_log_v6_maina',
  'be',
  {
    hdr: nested(section_header),
    /** YYYYMMDD */
    creation_date: u32,
    /** HHMMSS00 */
    creation_time: u32,
    platform1: bytes(8),
    /** A letter: H for the hypervisor. */
    creator_id: u8,
    resv1: bytes(2),
    section_count: u8,
    resv2: bytes(4),
    platform2: bytes(8),
    /** Number of the log. */
    plid: u32,
    platform3: bytes(4),
  },
  { size: 48 },
);

/** Main-B, the user header. */
export const rtas_event_log_v6_mainb = struct(
  'rtas_event_log_v6_mainb',
  'be',
  {
    hdr: nested(section_header),
    subsystem_id: u8,
    platform1: u8,
    event_severity: u8,
    event_subtype: u8,
    platform2: bytes(4),
    resv1: bytes(2),
    action_flags: u16,
    resv2: bytes(4),
  },
  { size: 24 },
);
/** Main-B's `subsystem_id` of a hot-plug event (QEMU). */
export const RTAS_SUBSYSTEM_HOT_PLUG = 0x80;

/** The hot-plug section (QEMU RTAS_LOG_V6_HP_*). */
export const RTAS_HP = {
  TYPE_PCI: 5,
  ACTION_ADD: 1,
  ACTION_REMOVE: 2,
  /** `drc` is an index. */
  ID_DRC_INDEX: 2,
} as const;
export const rtas_event_log_v6_hp = struct(
  'rtas_event_log_v6_hp',
  'be',
  {
    hdr: nested(section_header),
    hotplug_type: u8,
    hotplug_action: u8,
    hotplug_identifier: u8,
    reserved: u8,
    drc: u32,
    /** The second word of an identifier that has two: a count and an index. */
    drc_index: u32,
  },
  { size: 20 },
);

/** A whole log of a hot-plug event. */
export const hp_log_full = struct(
  'hp_log_full',
  'be',
  {
    hdr: nested(rtas_error_log),
    v6hdr: nested(rtas_event_log_v6),
    maina: nested(rtas_event_log_v6_maina),
    mainb: nested(rtas_event_log_v6_mainb),
    hp: nested(rtas_event_log_v6_hp),
  },
  { size: 116 },
);
