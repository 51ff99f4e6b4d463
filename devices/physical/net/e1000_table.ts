/**
 * The registers of the 82540EM as one table: where each lies, what it is after a reset, what software may change, and
 * what more happens when it is read or written (manual, table 13-2 and the sections of each register). The register
 * side runs on the thread that does the MMIO, with the PE's mmioLock held. Not in the table: reads zero, ignores writes.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { clearInterrupts, setPin } from '../phb/interrupts.ts';
import { drainDma } from '../phb/pe.ts';
import { CAUSE, CAUSES, CTRL, FLUSH_PARTIAL, RAH, REG, STAT, STATUS } from './e1000_regs.ts';
import { EECD_RESET, eecd, eepromWord, eerd } from './eeprom.ts';
import { lockNic, NIC_PART, REGISTERS_SIZE, STATE_AT, unlockNic } from './nic_area.ts';
import { mdic, mdicInterrupt, resetPhy } from './phy.ts';

/** Whose register it is. */
interface Nic {
  readonly memory: HostMemory;
  /** HPA of the PE's block. */
  readonly block: number;
  /** HPA of the NIC's area: the register at BAR offset `o` is the word at `area + o`. */
  readonly area: number;
}

/** A register, or an array of them. */
interface Row {
  readonly name: string;
  readonly at: number;
  /** How many 32-bit registers follow each other; 1 when omitted. */
  readonly count?: number;
  /** After a reset; 0 when omitted. */
  readonly reset?: number;
  /** Bits that a write changes; none when omitted. */
  readonly mask?: number;
  /** True: the engine looks after a write. */
  readonly engine?: boolean;
  /** Instead of a plain load. */
  readonly read?: (nic: Nic, at: number) => number;
  /** Instead of a plain store of the masked bits; returns true when the engine has something to look at. */
  readonly write?: (nic: Nic, value: number, at: number) => boolean;
}

const load = ({ memory, area }: Nic, at: number) => memory.load(area + at) >>> 0;
const store = ({ memory, area }: Nic, at: number, value: number) => memory.store(area + at, value);

/** Runs `change` with the lock held. */
function locked<T>(nic: Nic, change: () => T): T {
  lockNic(nic.memory, nic.area);
  try {
    return change();
  } finally {
    unlockNic(nic.memory, nic.area);
  }
}

// Interrupts: the engine asserts, this side takes back (the rules stand in nic_area.ts)

/** Takes the interrupt back when no enabled cause is left. The caller holds the lock. */
function settle(nic: Nic): void {
  if ((load(nic, REG.ICR) & load(nic, REG.IMS)) !== 0) return;
  store(nic, STATE_AT.asserted, 0);
  setPin(nic.memory, nic.block, false);
}

/** Changes a register of interrupts; the engine looks whether there is one to assert. */
function change(at: number, next: (old: number, value: number) => number): NonNullable<Row['write']> {
  return (nic, value) =>
    locked(nic, () => {
      store(nic, at, next(load(nic, at), value & CAUSES));
      settle(nic);
      return (load(nic, REG.ICR) & load(nic, REG.IMS)) !== 0;
    });
}

/** Reading the causes clears them (manual 13.4.17). */
function readCauses(nic: Nic): number {
  return locked(nic, () => {
    const causes = load(nic, REG.ICR);
    store(nic, REG.ICR, 0);
    settle(nic);
    return causes;
  });
}

function raise(nic: Nic, causes: number): boolean {
  return change(REG.ICR, (old, value) => old | value)(nic, causes, REG.ICR);
}

// Statistics

/** Reading clears (manual 13.7). */
function readClear(nic: Nic, at: number): number {
  return locked(nic, () => {
    const value = load(nic, at);
    store(nic, at, 0);
    return value;
  });
}

/** The low word of an octet counter stays until the high word is read, which clears both (manual 13.7.19). */
function readHigh(nic: Nic, at: number): number {
  return locked(nic, () => {
    const value = load(nic, at);
    store(nic, at, 0);
    store(nic, at - 4, 0);
    return value;
  });
}

const OCTETS: readonly number[] = [STAT.GORCL, STAT.GOTCL, STAT.TORL, STAT.TOTL];
const STATISTICS: readonly Row[] = Array.from({ length: 0x100 / 4 }, (_, i) => REG.STATISTICS + i * 4).map((at) => {
  const name = `statistics ${at.toString(16)}`;
  if (OCTETS.includes(at)) return { name, at };
  return { name, at, read: OCTETS.includes(at - 4) ? readHigh : readClear };
});

// Rings

/** What the engine knows of the ring becomes void; then the register changes. */
function ringRegister(epoch: 'rxEpoch' | 'txEpoch', mask: number): Pick<Row, 'mask' | 'write'> {
  return {
    mask,
    write: (nic, value, at) =>
      locked(nic, () => {
        nic.memory.add(nic.area + STATE_AT[epoch], 1);
        store(nic, at, value & mask);
        return true;
      }),
  };
}

/** A tail: rings only when the engine sleeps because of it. */
function tail(sleeping: 'txIdle' | 'rxStalled'): Pick<Row, 'mask' | 'write'> {
  return {
    mask: 0xffff,
    write: (nic, value, at) => {
      store(nic, at, value & 0xffff);
      return load(nic, STATE_AT[sleeping]) !== 0;
    },
  };
}

/** RDTR and TIDV: a delay in units of 1.024 us; FPD ends it now, and clears itself (manual 13.4.30, 13.4.44). */
function delay(cause: number): Pick<Row, 'mask' | 'write'> {
  return {
    mask: 0xffff,
    write: (nic, value, at) => {
      store(nic, at, value & 0xffff);
      return (value & FLUSH_PARTIAL) !== 0 && raise(nic, cause);
    },
  };
}

// Control

const CTRL_MASK = 0x5bfc_1be9;

function writeCtrl(nic: Nic, value: number): boolean {
  if ((value & CTRL.PHY_RST) !== 0) resetPhy(nic.memory, nic.area);
  if ((value & CTRL.RST) !== 0) resetNic(nic.memory, nic.block, nic.area);
  else store(nic, REG.CTRL, value & CTRL_MASK);
  return true;
}

function writeMdic(nic: Nic, value: number): boolean {
  store(nic, REG.MDIC, mdic(nic.memory, nic.area, value));
  if (mdicInterrupt(value)) raise(nic, CAUSE.MDAC);
  return true;
}

const EVERY = 0xffff_ffff;
const RCTL_MASK = 0x06df_b3fe;
const TCTL_MASK = 0x037f_fffa;

/** The table. */
export const E1000_REGISTERS: readonly Row[] = [
  { name: 'CTRL', at: REG.CTRL, reset: CTRL.FD | CTRL.SPEED_1000, mask: CTRL_MASK, write: writeCtrl },
  { name: 'STATUS', at: REG.STATUS, reset: STATUS.FD | STATUS.SPEED_1000 | STATUS.ASDV_1000 },
  {
    name: 'EECD',
    at: REG.EECD,
    reset: EECD_RESET,
    write: (nic, value) => {
      store(nic, REG.EECD, eecd(nic.memory, nic.area, load(nic, REG.EECD), value));
      return false;
    },
  },
  {
    name: 'EERD',
    at: REG.EERD,
    write: (nic, value) => {
      store(nic, REG.EERD, eerd(nic.memory, nic.area, value));
      return false;
    },
  },
  { name: 'CTRL_EXT', at: REG.CTRL_EXT, mask: 0x1fff_ffff },
  { name: 'MDIC', at: REG.MDIC, reset: 1 << 28, write: writeMdic },
  { name: 'FCAL', at: 0x0028, mask: EVERY },
  { name: 'FCAH', at: 0x002c, mask: 0xffff },
  { name: 'FCT', at: 0x0030, mask: 0xffff },
  { name: 'VET', at: REG.VET, mask: 0xffff },
  { name: 'ICR', at: REG.ICR, read: readCauses, write: change(REG.ICR, (old, value) => old & ~value) },
  { name: 'ITR', at: REG.ITR, mask: 0xffff, engine: true },
  { name: 'ICS', at: REG.ICS, write: raise, read: () => 0 },
  { name: 'IMS', at: REG.IMS, write: change(REG.IMS, (old, value) => old | value) },
  { name: 'IMC', at: REG.IMC, write: change(REG.IMS, (old, value) => old & ~value), read: () => 0 },
  { name: 'RCTL', at: REG.RCTL, mask: RCTL_MASK, engine: true },
  { name: 'FCTTV', at: 0x0170, mask: 0xffff },
  { name: 'TCTL', at: REG.TCTL, mask: TCTL_MASK, engine: true },
  { name: 'TIPG', at: REG.TIPG, mask: 0x3fff_ffff },
  { name: 'AIFS', at: 0x0458, mask: 0xffff },
  { name: 'LEDCTL', at: 0x0e00, reset: 0x0706_8302, mask: EVERY },
  // 48 KB of the packet buffer receive, the other 16 KB send; software sets the former (manual 13.4.48).
  {
    name: 'PBA',
    at: REG.PBA,
    reset: 0x0010_0030,
    write: (nic, value) => {
      const receive = value & 0x3f;
      store(nic, REG.PBA, ((64 - receive) << 16) | receive);
      return false;
    },
  },
  { name: 'FCRTL', at: 0x2160, mask: 0x8000_fff8 },
  { name: 'FCRTH', at: 0x2168, mask: 0x8000_fff8 },
  { name: 'RDBAL', at: REG.RDBAL, ...ringRegister('rxEpoch', 0xffff_fff0) },
  { name: 'RDBAH', at: REG.RDBAH, ...ringRegister('rxEpoch', EVERY) },
  { name: 'RDLEN', at: REG.RDLEN, ...ringRegister('rxEpoch', 0x000f_ff80) },
  { name: 'RDH', at: REG.RDH, ...ringRegister('rxEpoch', 0xffff) },
  { name: 'RDT', at: REG.RDT, ...tail('rxStalled') },
  { name: 'RDTR', at: REG.RDTR, ...delay(CAUSE.RXT0) },
  { name: 'RXDCTL', at: 0x2828, reset: 0x0001_0000, mask: 0x013f_3f3f },
  { name: 'RADV', at: REG.RADV, mask: 0xffff },
  { name: 'RSRPD', at: 0x2c00, mask: 0x0fff },
  { name: 'TXDMAC', at: 0x3000, mask: 1 },
  { name: 'TDBAL', at: REG.TDBAL, ...ringRegister('txEpoch', 0xffff_fff0) },
  { name: 'TDBAH', at: REG.TDBAH, ...ringRegister('txEpoch', EVERY) },
  { name: 'TDLEN', at: REG.TDLEN, ...ringRegister('txEpoch', 0x000f_ff80) },
  { name: 'TDH', at: REG.TDH, ...ringRegister('txEpoch', 0xffff) },
  { name: 'TDT', at: REG.TDT, ...tail('txIdle') },
  { name: 'TIDV', at: REG.TIDV, ...delay(CAUSE.TXDW) },
  { name: 'TXDCTL', at: REG.TXDCTL, mask: 0xff3f_3f3f },
  { name: 'TADV', at: REG.TADV, mask: 0xffff },
  { name: 'TSPMT', at: 0x3830, mask: EVERY },
  ...STATISTICS,
  { name: 'RXCSUM', at: 0x5000, mask: 0x07ff },
  { name: 'MTA', at: REG.MTA, count: 128, mask: EVERY },
  // Address and its upper half with the valid bit, 16 times.
  ...Array.from({ length: 16 }, (_, i): Row[] => [
    { name: `RAL${i}`, at: REG.RAL + i * 8, mask: EVERY },
    { name: `RAH${i}`, at: REG.RAH + i * 8, mask: 0x8003_ffff },
  ]).flat(),
  { name: 'VFTA', at: REG.VFTA, count: 128, mask: EVERY },
  { name: 'WUC', at: 0x5800, mask: 0x0f },
  { name: 'WUFC', at: 0x5808, mask: 0x000f_00ff },
  { name: 'WUS', at: 0x5810 },
];

/** The row of each register, by offset / 4. */
const ROW_AT: readonly (Row | undefined)[] = (() => {
  const rows = new Array<Row | undefined>(REGISTERS_SIZE / 4).fill(undefined);
  for (const row of E1000_REGISTERS)
    for (let i = 0; i < (row.count ?? 1); i++) {
      if (rows[row.at / 4 + i] !== undefined) throw new Error(`two registers at ${(row.at + i * 4).toString(16)}`);
      rows[row.at / 4 + i] = row;
    }
  return rows;
})();

/** Reads the register at an aligned offset. */
export function readRegister(nic: Nic, at: number): number {
  const row = ROW_AT[at >>> 2];
  if (row === undefined) return 0;
  return row.read === undefined ? load(nic, at) : row.read(nic, at);
}

/** Writes it; true when the engine has something to look at. */
export function writeRegister(nic: Nic, at: number, value: number): boolean {
  const row = ROW_AT[at >>> 2];
  if (row === undefined) return false;
  if (row.write !== undefined) return row.write(nic, value >>> 0, at);
  const { mask = 0 } = row;
  if (mask === 0) return false;
  store(nic, at, value & mask);
  return row.engine === true;
}

/**
 * Back to the state after power-on, which includes the first receive address out of the EEPROM. The PHY and the EEPROM
 * are not concerned. When it returns, no DMA of the time before is under way, and none of its results will appear.
 */
export function resetNic(memory: HostMemory, block: number, area: number): void {
  const nic = { memory, block, area };
  locked(nic, () => {
    memory.add(area + STATE_AT.rxEpoch, 1);
    memory.add(area + STATE_AT.txEpoch, 1);
    for (const row of E1000_REGISTERS)
      for (let i = 0; i < (row.count ?? 1); i++)
        memory.store(area + NIC_PART.registers + row.at + i * 4, row.reset ?? 0);
    for (const field of ['asserted', 'halted', 'eeIn', 'eeCount', 'eeLeft'] as const) store(nic, STATE_AT[field], 0);
    const word = (n: number) => eepromWord(memory, area, n);
    store(nic, REG.RAL, word(0) | (word(1) << 16));
    store(nic, REG.RAH, word(2) | RAH.AV);
    clearInterrupts(memory, block);
  });
  drainDma(memory, block);
}
