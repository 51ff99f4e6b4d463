/**
 * Capture of access violations: the first one is kept until software clears AVS1, later ones are blocked and forgotten.
 */
import { MPIC_SOURCE } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  PAMU,
  PAMU_AVS1,
  PAMU_AVS1_LIODN_SHIFT,
  PAMU_AVS2,
  PAMU_PICS,
  PAMU_POES1_FETCH,
  PAMU_VIOLATION,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { type PamuAccess, type PamuRefused, pamuRegister } from './lookup.ts';
import type { SocPort } from './soc_port.ts';

/** Registers a refused access; the caller holds the area's lock. */
export function captureViolation(port: SocPort, pamu: number, access: PamuAccess, refused: PamuRefused): void {
  const { area, tracer } = port;
  const { liodn, address, write } = access;
  const code = PAMU_VIOLATION[refused.violation];
  tracer?.point(EVENT.pamu_violation, liodn, address, code, write ? PAMU_AVS2.WRITE : PAMU_AVS2.READ);
  const at = (register: number) => pamuRegister(pamu, register);
  if (refused.fetchFailed) area.store(at(PAMU.POES1), area.load(at(PAMU.POES1)) | PAMU_POES1_FETCH);
  if ((area.load(at(PAMU.AVS1)) & PAMU_AVS1.AV) !== 0) return;
  area.store(at(PAMU.AVS1), (liodn << PAMU_AVS1_LIODN_SHIFT) | code | PAMU_AVS1.AV);
  area.store(at(PAMU.AVS2), write ? PAMU_AVS2.WRITE : PAMU_AVS2.READ);
  area.store(at(PAMU.AVAH), Math.floor(address / 0x1_0000_0000));
  area.store(at(PAMU.AVAL), address % 0x1_0000_0000);
  area.store(at(PAMU.POEAH), 0);
  area.store(at(PAMU.POEAL), refused.entry);
  const control = area.load(at(PAMU.PICS));
  area.store(at(PAMU.PICS), control | PAMU_PICS.STAT);
  if ((control & PAMU_PICS.ENABLE) !== 0) port.interrupt(MPIC_SOURCE.PAMU);
}
