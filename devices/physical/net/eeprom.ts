/**
 * The EEPROM: 64 words of 16 bits (93C46), read through EERD or bit by bit through EECD, as drivers of this chip do
 * (manual, chapter 5, and 13.4.4). Software cannot write it here: the write commands are shifted in and do nothing.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { EEPROM_WORDS, NIC_PART, STATE_AT } from './nic_area.ts';

/** EECD: clock, chip select, data to the EEPROM, data from it, request, grant, present (manual, table 13-6). */
const EECD = { SK: 1, CS: 2, DI: 4, DO: 8, FWE: 0x30, REQ: 0x40, GNT: 0x80, PRES: 0x100 } as const;
/** EERD: start and done; the address is in bits 8 to 15, the data in 16 to 31 (manual, table 13-7). */
const EERD = { START: 1, DONE: 0x10 } as const;
/** EECD after power-on: the EEPROM is there, writes are disabled. */
export const EECD_RESET = EECD.PRES | 0x10;

/** Sum of all words, so that software can check them (manual 5.6.35). */
const CHECKSUM = 0xbaba;
/** Word numbers (manual, table 5-2). */
const WORD = { SUBSYSTEM: 0x0b, SUBSYSTEM_VENDOR: 0x0c, DEVICE: 0x0d, VENDOR: 0x0e, CHECKSUM: 0x3f } as const;

const wordAt = (area: number, word: number) => area + NIC_PART.eeprom + word * 4;

/** Fills the EEPROM at power-on. @param mac six bytes. @param ids what configuration space shows. */
export function burnEeprom(
  memory: HostMemory,
  area: number,
  mac: readonly number[],
  ids: { readonly vendor: number; readonly device: number },
): void {
  const words = new Array<number>(EEPROM_WORDS).fill(0);
  for (let i = 0; i < 3; i++) words[i] = mac[i * 2] | (mac[i * 2 + 1] << 8);
  words[WORD.SUBSYSTEM] = words[WORD.DEVICE] = ids.device;
  words[WORD.SUBSYSTEM_VENDOR] = words[WORD.VENDOR] = ids.vendor;
  words[WORD.CHECKSUM] = (CHECKSUM - words.reduce((sum, word) => sum + word, 0)) & 0xffff;
  words.forEach((word, i) => {
    memory.store(wordAt(area, i), word);
  });
}

/** A word; those beyond the chip's size wrap, for it sees six address bits. */
export function eepromWord(memory: HostMemory, area: number, word: number): number {
  return memory.load(wordAt(area, word & (EEPROM_WORDS - 1)));
}

/** What EERD holds after it was written: the read is done at once. */
export function eerd(memory: HostMemory, area: number, value: number): number {
  if ((value & EERD.START) === 0) return value & 0xff00;
  const word = (value >>> 8) & 0xff;
  return ((eepromWord(memory, area, word) << 16) | (word << 8) | EERD.DONE) >>> 0;
}

/** Bits of a command: start bit, two of operation code, six of address (93C46 data sheet). */
const COMMAND_BITS = 9;
const READ = 0b110;

/** What EECD holds after `value` was written to it, which may clock the EEPROM. */
export function eecd(memory: HostMemory, area: number, old: number, value: number): number {
  const at = (field: 'eeIn' | 'eeCount' | 'eeLeft' | 'eeWord') => area + STATE_AT[field];
  const selected = (value & EECD.CS) !== 0;
  if (!selected || (old & EECD.CS) === 0)
    for (const field of ['eeIn', 'eeCount', 'eeLeft'] as const) memory.store(at(field), 0);
  let out = old & EECD.DO;
  if (selected && (value & EECD.SK) !== 0 && (old & EECD.SK) === 0) {
    const left = memory.load(at('eeLeft'));
    if (left > 0) {
      out = ((memory.load(at('eeWord')) >>> (left - 1)) & 1) !== 0 ? EECD.DO : 0;
      memory.store(at('eeLeft'), left - 1);
    } else out = shiftIn(memory, area, (value & EECD.DI) !== 0 ? 1 : 0) ? 0 : EECD.DO;
  }
  const grant = (value & EECD.REQ) !== 0 ? EECD.GNT : 0;
  return (value & (EECD.SK | EECD.CS | EECD.DI | EECD.FWE | EECD.REQ)) | out | grant | EECD.PRES;
}

/** Takes a command bit; true when a read begins, whose output starts with a zero. */
function shiftIn(memory: HostMemory, area: number, bit: number): boolean {
  const count = memory.load(area + STATE_AT.eeCount);
  // Zeros before the start bit count for nothing.
  if (count === 0 && bit === 0) return false;
  if (count >= COMMAND_BITS) return false;
  const command = (memory.load(area + STATE_AT.eeIn) << 1) | bit;
  memory.store(area + STATE_AT.eeIn, command);
  memory.store(area + STATE_AT.eeCount, count + 1);
  if (count + 1 < COMMAND_BITS || command >>> 6 !== READ) return false;
  memory.store(area + STATE_AT.eeWord, eepromWord(memory, area, command & 0x3f));
  memory.store(area + STATE_AT.eeLeft, 16);
  return true;
}
