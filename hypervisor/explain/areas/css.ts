/** The host's channel subsystem: its subchannels, as hardware and kernel share them. */
import { CssArea } from '../../../devices/physical/css/css_area.ts';
import { Subchannel } from '../../../devices/physical/css/subchannel.ts';
import { ORB } from '../../../kernel/include/arch/s390/orb.ts';
import { SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import type { MachineMemory, Placed } from '../peek.ts';

/** A subchannel of the host: what STSCH would store, and the last ORB. */
export function hostSubchannel(
  { memory, map }: MachineMemory,
  schid: number,
): { readonly schib: Placed; readonly orb: Placed } {
  const { schib, orb } = new Subchannel(new CssArea(memory, map.css), schid);
  return {
    schib: { bytes: SCHIB.bytes(schib).slice(), hpa: schib.address },
    orb: { bytes: ORB.bytes(orb).slice(), hpa: orb.address },
  };
}
