/**
 * Transactions of devices: through the PAMU to memory or to registers. The caller holds the area's lock around each,
 * so that look-up and data movement are one step for whoever changes the tables.
 */
import { CCSR_BASE, CCSR_SIZE } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { iommu4kEnabled, pass4k, remapMessage } from '../iommu/translate.ts';
import { deviceReadRegisters, deviceWriteRegisters } from '../mpic/device_access.ts';
import { lookup, type PamuAccess, type PamuGranted } from './lookup.ts';
import type { SocPort } from './soc_port.ts';
import { captureViolation } from './violation.ts';

/** Bytes that no transaction crosses a multiple of: smallest window, so that one transaction has one entry. */
export const TRANSACTION_BOUNDARY = 4096;

/** In the trace's attributes: the stash id in the low byte, the operation above it. */
const OPERATION_SHIFT = 8;

/** A device on the interconnect. */
export interface BusMaster {
  /** The PAMU it is behind. */
  readonly pamu: number;
  readonly liodn: number;
}

/**
 * Reads `into.length` bytes. @param operation of IOE_IDX; a plain read when omitted. @returns undefined when refused: `into`
 * is all ones then.
 */
export function busRead(
  port: SocPort,
  master: BusMaster,
  address: number,
  into: Uint8Array,
  operation?: number,
): PamuGranted | undefined {
  const granted = pass(port, master, { address, length: into.length, write: false, operation });
  const source = granted && memoryAt(port, granted.physical, into.length);
  if (source !== undefined) into.set(source);
  else into.fill(0xff);
  if (granted === undefined || source !== undefined) return granted;
  const offset = registersAt(granted.physical, into.length);
  if (offset !== undefined) deviceReadRegisters(port, master.liodn, offset);
  return undefined;
}

/** Writes bytes. @param operation as in {@link busRead}. @returns undefined when refused: nothing has changed then. */
export function busWrite(
  port: SocPort,
  master: BusMaster,
  address: number,
  data: Uint8Array,
  operation?: number,
): PamuGranted | undefined {
  if (iommu4kEnabled(port.area)) {
    const message = remapMessage(port, { liodn: master.liodn, address, length: data.length, write: true });
    if (message !== 'memory') return message;
  }
  const granted = pass(port, master, { address, length: data.length, write: true, operation });
  if (granted === undefined) return undefined;
  const target = memoryAt(port, granted.physical, data.length);
  if (target !== undefined) {
    target.set(data);
    return granted;
  }
  const offset = registersAt(granted.physical, data.length);
  if (offset === undefined) return undefined;
  deviceWriteRegisters(port, master.liodn, offset, data);
  return granted;
}

/** Asks the PAMU, which captures a violation. */
function pass(
  port: SocPort,
  { pamu, liodn }: BusMaster,
  transaction: Omit<PamuAccess, 'liodn'>,
): PamuGranted | undefined {
  const { address } = transaction;
  const access = { liodn, ...transaction };
  if (iommu4kEnabled(port.area)) return pass4k(port, access);
  const answer = lookup(port.area, pamu, access);
  if ('physical' in answer) {
    const { physical, stash = 0, operation: mapped = 0 } = answer;
    port.tracer?.point(EVENT.pamu_access, liodn, address, physical, (mapped << OPERATION_SHIFT) | stash);
    return answer;
  }
  captureViolation(port, pamu, access, answer);
  return undefined;
}

/** The bytes of memory at a physical address; undefined where memory is not, or is the machine's own. */
function memoryAt({ area }: SocPort, physical: number, length: number): Uint8Array | undefined {
  if (physical < area.get('firstFrame') || physical + length > area.memory.size) return undefined;
  return area.memory.bytes(physical, length);
}

/** The offset in CCSR of a physical address. */
function registersAt(physical: number, length: number): number | undefined {
  const offset = physical - CCSR_BASE;
  return offset >= 0 && offset + length <= CCSR_SIZE ? offset : undefined;
}
