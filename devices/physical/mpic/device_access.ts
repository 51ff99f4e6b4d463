/**
 * What becomes of a device's access to registers. Only doorbells are meant for devices. In an alias page there is
 * nothing else, and other writes are ignored; anywhere else a device hits what is the host's: the machine lets it
 * (it sets the timers that share a page with the doorbells) or drops it, and counts it.
 */
import { MPIC_TIMERS } from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { swap32 } from '../pamu/paact.ts';
import type { SocPort } from '../pamu/soc_port.ts';
import { aliasAt, doorbellAt, msiModel, postMessage } from './msi_bank.ts';

/** A device writes registers; the caller holds the area's lock. @param offset of the first byte in CCSR. */
export function deviceWriteRegisters(port: SocPort, liodn: number, offset: number, data: Uint8Array): void {
  const model = msiModel(port.area);
  const dv = new DataView(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at < data.length; ) {
    const register = offset + at;
    // Registers take whole words; a narrower write reaches no doorbell.
    const whole = register % 4 === 0 && at + 4 <= data.length;
    const bank = whole ? doorbellAt(model, register) : undefined;
    if (bank !== undefined) postMessage(port, bank, dv.getUint32(at, true), liodn);
    else if (aliasAt(model, register) !== undefined) port.area.set('ignored', port.area.get('ignored') + 1);
    else hostRegister(port, liodn, register, whole ? dv.getUint32(at, true) : undefined);
    at += whole ? 4 : Math.min(4 - (register % 4), data.length - at);
  }
}

/** A device reads registers, which are not for it: the read fails. */
export function deviceReadRegisters(port: SocPort, liodn: number, offset: number): void {
  const model = msiModel(port.area);
  if (aliasAt(model, offset) !== undefined) port.area.set('ignored', port.area.get('ignored') + 1);
  else hostRegister(port, liodn, offset, undefined);
}

/** @param message the word a device wrote, as the device sees it; the register is big-endian. */
function hostRegister({ area, tracer }: SocPort, liodn: number, offset: number, message: number | undefined): void {
  area.set('integrityCount', area.get('integrityCount') + 1);
  area.set('integrityOffset', offset);
  area.set('integrityLiodn', liodn);
  tracer?.point(EVENT.ccsr_foreign_access, liodn, offset, message ?? -1);
  const timer = offset >= MPIC_TIMERS.start && offset < MPIC_TIMERS.end;
  if (timer && message !== undefined) area.store(offset, swap32(message));
}
