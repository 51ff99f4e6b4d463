/**
 * Dynamic reconfiguration as a guest sees it (PAPR 2.7, chapter 13; QEMU include/hw/ppc/spapr_drc.h): connectors, what is
 * plugged into them, and how it is handed over. A connector has a number, the DRC index; a slot of a PCI host bridge is a
 * physical one.
 */

/** Indicators that set-indicator sets, and the sensor with the number of the last (PAPR 2.7, 13.5.3.3, 13.5.3.4). */
export const DR_INDICATOR = {
  /** ISOLATED or UNISOLATED. */
  ISOLATION_STATE: 9001,
  /** The light beside the slot. */
  DR_INDICATOR: 9002,
  /** USABLE or UNUSABLE; of logical connectors only, which PCI slots are not. */
  ALLOCATION_STATE: 9003,
} as const;
/** The sensor dr-entity-sense, for get-sensor-state. */
export const DR_ENTITY_SENSE = 9003;

/** States of the indicator isolation-state. */
export const DR_ISOLATION_STATE = { ISOLATED: 0, UNISOLATED: 1 } as const;
/** States of the indicator dr-indicator. */
export const DR_INDICATOR_STATE = { INACTIVE: 0, ACTIVE: 1, IDENTIFY: 2, ACTION: 3 } as const;
/** What dr-entity-sense tells of a physical connector. */
export const DR_ENTITY = { EMPTY: 0, PRESENT: 1 } as const;

/** What ibm,configure-connector returns (PAPR 2.7, 13.5.3.5). */
export const CONFIGURE_CONNECTOR = {
  /** The last node is finished: the resource is configured. */
  SUCCESS: 0,
  NEXT_SIBLING: 1,
  /** A node begins inside the one before; its name is in the work area. */
  NEXT_CHILD: 2,
  /** A property; its name and value are in the work area. */
  NEXT_PROPERTY: 3,
  PREVIOUS_PARENT: 4,
  /** The connector is isolated. */
  NOT_CONFIGURABLE: -9003,
} as const;

/** The work area of ibm,configure-connector: bytes, and offsets of its words. Offsets in it count from its beginning. */
export const CC_WORK_AREA = {
  SIZE: 4096,
  DRC_INDEX: 0,
  /** Offset of a node's or property's name, a C string. */
  NAME_OFFSET: 8,
  PROPERTY_LENGTH: 12,
  /** Offset of a property's value. */
  PROPERTY_OFFSET: 16,
  /** Where names and values may be. */
  DATA: 20,
} as const;

/** Kind of a connector, the four highest bits of its index (QEMU SPAPR_DR_CONNECTOR_TYPE_SHIFT_PCI). */
const DRC_TYPE_PCI = 4;
const DRC_TYPE_SHIFT = 28;

/** Index of a slot's connector (QEMU drc_id_from_devfn): kind, bridge, bus 0, device number << 3 | function. */
export function pciDrcIndex(phb: number, devfn: number): number {
  return DRC_TYPE_PCI * 2 ** DRC_TYPE_SHIFT + pciDrcId(phb, devfn);
}
/** The same without its kind: what the connector's name, C and this number, is made of. */
export function pciDrcId(phb: number, devfn: number): number {
  return phb * 2 ** 16 + devfn;
}
