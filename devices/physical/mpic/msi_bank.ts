/** Message signalled interrupts: doorbell, MSIR, MPIC source (Linux arch/powerpc/sysdev/fsl_msi.c). */
import {
  MSI_ALIAS_BASE,
  MSI_ALIAS_SIZE,
  MSI_BANK_BASE,
  MSI_BANK_SIZE,
  MSI_MODELS,
  MSIR_STRIDE,
  type MsiModel,
  msir,
  msirSource,
  msiVector,
} from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import type { SocArea } from '../pamu/soc_area.ts';
import type { SocPort } from '../pamu/soc_port.ts';

/** The generations by the number in the area's header. */
const MODELS: readonly MsiModel[] = Object.values(MSI_MODELS);

/** The banks that the machine was installed with. */
export function msiModel(area: SocArea): MsiModel {
  return MODELS[area.get('msiModel')];
}

/** The bank whose doorbell an offset in CCSR is, in its own registers or in its alias page. */
export function doorbellAt(model: MsiModel, offset: number): number | undefined {
  const alias = aliasAt(model, offset);
  if (alias !== undefined) return offset % MSI_ALIAS_SIZE === model.doorbell ? alias : undefined;
  const bank = Math.floor((offset - MSI_BANK_BASE) / MSI_BANK_SIZE);
  const inBank = (offset - MSI_BANK_BASE) % MSI_BANK_SIZE;
  return bank >= 0 && bank < model.banks && inBank === model.doorbell ? bank : undefined;
}

/** The bank whose alias page an offset is in. */
export function aliasAt(model: MsiModel, offset: number): number | undefined {
  const bank = Math.floor((offset - MSI_ALIAS_BASE) / MSI_ALIAS_SIZE);
  return model.alias && bank >= 0 && bank < model.banks ? bank : undefined;
}

/** The MSIR at an offset in CCSR. */
export function msirAt(model: MsiModel, offset: number): { readonly bank: number; readonly srs: number } | undefined {
  const bank = Math.floor((offset - MSI_BANK_BASE) / MSI_BANK_SIZE);
  const srs = ((offset - MSI_BANK_BASE) % MSI_BANK_SIZE) / MSIR_STRIDE;
  return bank >= 0 && bank < model.banks && Number.isInteger(srs) && srs < model.msirs ? { bank, srs } : undefined;
}

/**
 * A doorbell was written: sets the vector's bit and raises its MSIR's source.
 * @param data the message as the device wrote it, little-endian. @param liodn for the trace; -1 the host itself.
 */
export function postMessage(port: SocPort, bank: number, data: number, liodn: number): void {
  const { area } = port;
  const { srs, ibs } = msiVector(msiModel(area), data);
  area.memory.or(area.at(msir(bank, srs)), 1 << ibs);
  port.tracer?.point(EVENT.fsl_msi, bank, srs, ibs, liodn);
  port.interrupt(msirSource(bank, srs));
}

/** Reads an MSIR: its vectors, which are cleared. */
export function takeMsir(area: SocArea, bank: number, srs: number): number {
  return area.memory.exchange(area.at(msir(bank, srs)), 0) >>> 0;
}
