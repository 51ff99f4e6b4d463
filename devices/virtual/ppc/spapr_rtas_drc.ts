/**
 * RTAS calls on dynamic-reconfiguration connectors (QEMU hw/ppc/spapr_drc.c, spapr_rtas.c; PAPR 2.7, 13.5.3): how a guest
 * takes over a device that was plugged, and gives back one that is to go.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { CC_WORK_AREA, DR_ENTITY_SENSE, DR_INDICATOR } from '../../../kernel/include/arch/ppc/dr_connector.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ConfigureStep } from './spapr_drc.ts';
import type { PciDrc } from './spapr_pci.ts';
import { RTAS, type RtasRow } from './spapr_rtas.ts';
import type { SpaprPhbs } from './spapr_rtas_pci.ts';

const { SUCCESS, PARAM_ERROR, NOT_SUPPORTED, NO_SUCH_INDICATOR } = RTAS;

/** The power domain of every slot: live insertion, which is always on, per cent (QEMU rtas_set_power_level). */
const LIVE_INSERTION = 0xffff_ffff;
const FULL_POWER = 100;

/** What set-indicator does, by indicator. */
const INDICATORS: Readonly<Record<number, (drc: PciDrc, state: number) => Task<number>>> = {
  [DR_INDICATOR.ISOLATION_STATE]: (drc, state) => drc.setIsolation(state),
  *[DR_INDICATOR.DR_INDICATOR](drc, state) {
    return drc.setIndicator(state);
  },
  // Slots are physical connectors: nothing is allocated to them.
  *[DR_INDICATOR.ALLOCATION_STATE]() {
    return NO_SUCH_INDICATOR;
  },
};

export function drcRows(machine: Machine, phbs: SpaprPhbs): RtasRow[] {
  const { memory } = machine;
  /** The work area in memory; undefined when not all of it is there. */
  function* workArea(at: number): Task<DataView | undefined> {
    if (at + CC_WORK_AREA.SIZE > memory.size) return undefined;
    const bytes = yield* memory.read(at, CC_WORK_AREA.SIZE);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  return [
    {
      token: 0x201a,
      name: 'set-indicator',
      nargs: [3],
      nret: [1],
      *handler([indicator, index, state]) {
        const set = INDICATORS[indicator];
        if (set === undefined) return [NOT_SUPPORTED];
        const drc = phbs.drc(index);
        return [drc === undefined ? NO_SUCH_INDICATOR : yield* set(drc, state)];
      },
    },
    {
      token: 0x201b,
      name: 'set-power-level',
      nargs: [2],
      nret: [2],
      handler: powerLevel,
    },
    {
      token: 0x201c,
      name: 'get-power-level',
      nargs: [1],
      nret: [2],
      handler: powerLevel,
    },
    {
      token: 0x201d,
      name: 'get-sensor-state',
      nargs: [2],
      nret: [2],
      *handler([sensor, index]) {
        if (sensor !== DR_ENTITY_SENSE) return [NOT_SUPPORTED];
        const drc = phbs.drc(index);
        return drc === undefined ? [PARAM_ERROR] : [SUCCESS, drc.entitySense];
      },
    },
    {
      token: 0x201e,
      name: 'ibm,configure-connector',
      nargs: [2],
      nret: [1],
      // The second argument is memory that firmware may have when the work area is too small for it: it never is.
      *handler([address]) {
        const area = yield* workArea(address);
        const drc = area && phbs.drc(area.getUint32(CC_WORK_AREA.DRC_INDEX));
        if (area === undefined || drc === undefined) return [PARAM_ERROR];
        const step = drc.configure();
        fill(area, step);
        yield* memory.write(address, new Uint8Array(area.buffer, area.byteOffset, area.byteLength));
        return [step.response];
      },
    },
  ];
}

/** What either call answers, whatever level is asked for. */
function* powerLevel([domain]: readonly number[]): Task<number[]> {
  return domain === LIVE_INSERTION ? [SUCCESS, FULL_POWER] : [NOT_SUPPORTED];
}

/** Puts a node's name, or a property, into the work area. */
function fill(area: DataView, { name, value }: ConfigureStep): void {
  if (name === undefined) return;
  const bytes = new Uint8Array(area.buffer, area.byteOffset, area.byteLength);
  const string = new TextEncoder().encode(`${name}\0`);
  area.setUint32(CC_WORK_AREA.NAME_OFFSET, CC_WORK_AREA.DATA);
  bytes.set(string, CC_WORK_AREA.DATA);
  if (value === undefined) return;
  const at = CC_WORK_AREA.DATA + string.length;
  area.setUint32(CC_WORK_AREA.PROPERTY_LENGTH, value.length);
  area.setUint32(CC_WORK_AREA.PROPERTY_OFFSET, at);
  bytes.set(value, at);
}
