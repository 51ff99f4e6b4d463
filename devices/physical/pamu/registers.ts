/** The register side of the PAMUs. The caller holds the area's lock: a load returns behind the transactions under way. */
import { MPIC_SOURCE } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  PAMU,
  PAMU_AV_MASK,
  PAMU_AVS1,
  PAMU_MAX_WCE,
  PAMU_PC,
  PAMU_PC2,
  PAMU_PC3,
  PAMU_PICS,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { pamuRegister } from './lookup.ts';
import type { SocPort } from './soc_port.ts';

/** What a store makes of a register: the new value, from the old one and what is stored. */
type Store = (old: number, value: number) => number;

const plain =
  (bits: number): Store =>
  (_, value) =>
    value & bits;
const writeOneToClear =
  (bits: number): Store =>
  (old, value) =>
    old & ~(value & bits);

const HIGH = plain(0xf);
const LOW = plain(0xffff_ffff);
const { PGC, PE, OCE, SPCC, PPCC } = PAMU_PC;

/** Registers that software can change; the others keep their power-on value, or are the hardware's to write. */
const STORES = new Map<number, Store>([
  [PAMU.PPBAH, HIGH],
  [PAMU.PPBAL, LOW],
  [PAMU.PPLAH, HIGH],
  [PAMU.PPLAL, LOW],
  [PAMU.SPBAH, HIGH],
  [PAMU.SPBAL, LOW],
  [PAMU.SPLAH, HIGH],
  [PAMU.SPLAL, LOW],
  [PAMU.OBAH, HIGH],
  [PAMU.OBAL, LOW],
  [PAMU.OLAH, HIGH],
  [PAMU.OLAL, LOW],
  [PAMU.POES1, writeOneToClear(0xffff_ffff)],
  [PAMU.POES2, writeOneToClear(0xffff_ffff)],
  [PAMU.AVS1, writeOneToClear(PAMU_AV_MASK)],
  [PAMU.EECTL, LOW],
  [PAMU.EEDIS, LOW],
  [PAMU.EEINTEN, LOW],
  [PAMU.PC, plain(PGC | PE | OCE | SPCC | PPCC)],
  [PAMU.PICS, (old, value) => (old & PAMU_PICS.STAT) | (value & PAMU_PICS.ENABLE)],
]);

/** Version 1.0 of the unit, this machine's own: nothing depends on it. */
const REVISION = 0x0100;
/** LIODNs have 12 bits (p4080si-post.dtsi, fsl,liodn-bits). */
const MAX_LIODN = 0xfff;

/** Power-on values that are not zero. */
export const PAMU_POWER_ON: readonly (readonly [register: number, value: number])[] = [
  [PAMU.PR1, REVISION],
  [PAMU.PC2, PAMU_PC2.set(0, 'MLIODN', MAX_LIODN)],
  [PAMU.PC3, PAMU_PC3.set(0, 'MWCE', PAMU_MAX_WCE)],
];

const DEFINED = new Set<number>(Object.values(PAMU));

/** Loads a register; zero where none is. */
export function readPamu({ area }: SocPort, pamu: number, register: number): number {
  return DEFINED.has(register) ? area.load(pamuRegister(pamu, register)) : 0;
}

/** Stores to a register; enabling the interrupt of a violation that is pending raises it. */
export function writePamu(port: SocPort, pamu: number, register: number, value: number): void {
  const store = STORES.get(register);
  if (store === undefined) return;
  const { area } = port;
  const at = pamuRegister(pamu, register);
  const old = area.load(at);
  area.store(at, store(old, value));
  const control = pamuRegister(pamu, PAMU.PICS);
  if (register === PAMU.AVS1 && (area.load(at) & PAMU_AVS1.AV) === 0)
    area.store(control, area.load(control) & ~PAMU_PICS.STAT);
  const raised = register === PAMU.PICS && (old & PAMU_PICS.ENABLE) === 0 && (value & PAMU_PICS.ENABLE) !== 0;
  if (raised && (area.load(at) & PAMU_PICS.STAT) !== 0) port.interrupt(MPIC_SOURCE.PAMU);
}
