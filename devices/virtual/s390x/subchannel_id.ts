/** The subsystem-identification word: what GR1 says about the subchannel (SA22-7832 chapter 14; vfio-ccw facts 1.1). */
import { PGM, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import { bitfield } from '../../../kernel/lib/bits.ts';
import { low32 } from '../../../kernel/lib/words64.ts';

/** Bits 32-63 of GR1. */
const SSID_WORD = bitfield('ssid', 32, {
  cssid: [0, 8],
  zero: [8, 4],
  m: [12, 1],
  ssid: [13, 2],
  one: [15, 1],
  schid: [16, 16],
});

/** Where a subchannel is. */
export interface SubchannelId {
  /** The word named a channel subsystem itself (MCSS-E form). */
  readonly m: boolean;
  readonly cssid: number;
  /** Subchannel set, 0..3. */
  readonly ssid: number;
  readonly schid: number;
}

/** Decodes GR1. @throws ProgramInterruption operand: bit 15 not one, bits 8-11 not zero, or a CSSID without m. */
export function subchannelId(gr1: bigint): SubchannelId {
  const word = low32(gr1);
  const m = SSID_WORD.get(word, 'm') === 1;
  const cssid = SSID_WORD.get(word, 'cssid');
  if (SSID_WORD.get(word, 'one') === 0 || SSID_WORD.get(word, 'zero') !== 0 || (!m && cssid !== 0))
    throw new ProgramInterruption(PGM.OPERAND);
  return { m, cssid, ssid: SSID_WORD.get(word, 'ssid'), schid: SSID_WORD.get(word, 'schid') };
}
