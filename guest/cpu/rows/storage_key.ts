/**
 * Instructions on storage keys. A key that is changed, or whose reference or change bit is turned off, is withdrawn
 * from the translations of every CPU: see `guest/cpu/storage.ts` for when that is needed.
 */
import { FACILITY } from '../../../kernel/include/arch/s390/facilities.ts';
import { keyPermits, STORAGE_KEY } from '../../../kernel/lib/storage_keys.ts';
import type { Cpu } from '../cpu.ts';
import type { FormatName } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import { PSW } from '../psw.ts';
import type { Instruction, Row } from '../row.ts';
import { requireExtractionAuthority } from './authority.ts';
import { type KeySetting, setKey, storeKeys } from './key_setting.ts';

const SPEC = 'SA22-7832 chapter 10 "Control Instructions"';
const row = (
  mnemonic: string,
  opcode: string,
  format: FormatName,
  exec: NonNullable<Row['exec']>,
  more: Partial<Row> = {},
): Row => ({ mnemonic, opcode, format, class: 'control', privileged: true, spec: SPEC, exec, ...more });

/** M3 of SSKE: nonquiescing (no difference here: nobody can tell), leave R alone, leave C alone, multiple block. */
const SSKE = { MR: 4, MC: 2, MB: 1 } as const;
const has = (cpu: Cpu, facility: number) => cpu.config.model.facilities.includes(facility);
const MEGABYTE = 0x10_0000;

/** HPA of the frame of the real block that R2 names. */
function realBlock(cpu: Cpu, i: Instruction): number {
  const page = cpu.storage.absolutePage(cpu.storage.wrap(cpu.gpr(i.r2)) & ~0xfffn);
  return cpu.storage.frame(page, false);
}
/** The key bits of R1's low byte. */
const keyOf = (cpu: Cpu, i: Instruction) => cpu.gprLow(i.r1) & 0xfe;

/** SET STORAGE KEY EXTENDED: one block, or all from the one given to the end of its megabyte. */
function setStorageKey(cpu: Cpu, i: Instruction): number | undefined {
  const conditional = has(cpu, FACILITY.CONDITIONAL_SSKE);
  const setting: KeySetting = {
    key: keyOf(cpu, i),
    keepReference: conditional && (i.m3 & SSKE.MR) !== 0,
    keepChange: conditional && (i.m3 & SSKE.MC) !== 0,
  };
  if ((i.m3 & SSKE.MB) !== 0 && has(cpu, FACILITY.EDAT_1)) {
    // The address is absolute here; with a condition, the condition code says that R1 was not used for the old key.
    if (setting.keepReference || setting.keepChange) cpu.setCc(3);
    return storeKeys(cpu, i, { start: cpu.storage.wrap(cpu.gpr(i.r2)) & ~0xfffn, unit: MEGABYTE, setting });
  }
  const { old, stored, withdrawn } = setKey(cpu, realBlock(cpu, i), setting);
  if (setting.keepReference || setting.keepChange) {
    cpu.setGprLow(i.r1, (cpu.gprLow(i.r1) & 0xffff_00ff) | (old << 8));
    cpu.setCc(stored ? 1 : 0);
  }
  return withdrawn ? cpu.withdrawn(i) : undefined;
}

/** RESET REFERENCE BIT EXTENDED: the condition code is the reference and change bits as they were. */
function resetReference(cpu: Cpu, i: Instruction): number | undefined {
  const old = cpu.storage.keys.update(realBlock(cpu, i), STORAGE_KEY.REFERENCE, 0);
  cpu.setCc((old >> 1) & 3);
  return (old & STORAGE_KEY.REFERENCE) !== 0 ? cpu.withdrawn(i) : undefined;
}

/** Blocks of RESET REFERENCE BITS MULTIPLE, a bit of the result each, the first leftmost. */
const MULTIPLE = 64;
function resetReferenceMultiple(cpu: Cpu, i: Instruction): number | undefined {
  const { storage } = cpu;
  const first = storage.absolutePage(storage.wrap(cpu.gpr(i.r2)) & ~BigInt(MULTIPLE * 4096 - 1));
  // All of them are there and stay where they are, before the first is changed.
  const frames = Array.from({ length: MULTIPLE }, (_, n) => storage.frame(first + n * 4096, false));
  let bits = 0n;
  for (const frame of frames)
    bits = (bits << 1n) | BigInt((storage.keys.update(frame, STORAGE_KEY.REFERENCE, 0) >> 2) & 1);
  cpu.setGpr(i.r1, bits);
  return bits !== 0n ? cpu.withdrawn(i) : undefined;
}

function insertVirtualKey(cpu: Cpu, i: Instruction): void {
  requireExtractionAuthority(cpu);
  if ((cpu.psw().mask & PSW.DAT) === 0n) throw new ProgramInterruption(PGM.SPECIAL_OPERATION);
  const { storage } = cpu;
  const { page } = storage.realPage(storage.wrap(cpu.gpr(i.r2)), false);
  const key = storage.keys.get(storage.frame(storage.absolutePage(page), false));
  const bits = STORAGE_KEY.ACC | STORAGE_KEY.FETCH;
  cpu.setGprLow(i.r1, (cpu.gprLow(i.r1) & 0xffff_ff00) | (key & bits));
}

/** TEST PROTECTION: the access key is in bits 56-59 of the second operand address, DAT as in the PSW. */
function testProtection(cpu: Cpu): void {
  const { storage } = cpu;
  const address = cpu.operand1;
  const accessKey = Number((cpu.operand2 >> 4n) & 15n);
  try {
    const { page, isPrivate } = storage.realPage(address, false);
    const key = storage.keys.get(storage.frame(storage.absolutePage(page), false));
    const overrides = storage.overrides(address, 1, isPrivate);
    const fetch = keyPermits(key, accessKey, false, overrides);
    const store = keyPermits(key, accessKey, true, overrides) && !storeProtected(cpu, address);
    cpu.setCc(store ? 0 : fetch ? 1 : 2);
  } catch (thrown) {
    if (!(thrown instanceof ProgramInterruption) || !NOT_TRANSLATED.has(thrown.code)) throw thrown;
    cpu.setCc(3);
  }
}
/** Exceptions that only say that there is no translation. */
const NOT_TRANSLATED: ReadonlySet<number> = new Set([
  PGM.SEGMENT,
  PGM.PAGE,
  PGM.ASCE_TYPE,
  PGM.REGION_FIRST,
  PGM.REGION_SECOND,
  PGM.REGION_THIRD,
]);
/** DAT or low-address protection is in the way of a store. */
function storeProtected(cpu: Cpu, address: bigint): boolean {
  try {
    cpu.storage.realPage(address, true);
    return false;
  } catch (thrown) {
    if (thrown instanceof ProgramInterruption && thrown.code === PGM.PROTECTION) return true;
    throw thrown;
  }
}

/** R1 of PERFORM FRAME MANAGEMENT FUNCTION; the usage indication and nonquiescing make no difference here. */
const PFMF = { RESERVED: 0xfffc_0101, SET_KEY: 0x2_0000, CLEAR: 0x1_0000, NQ: 0x800, MR: 0x400, MC: 0x200 } as const;
/** Frame sizes by code. */
const FRAME_SIZES = [4096, MEGABYTE, 0x8000_0000] as const;

function frameManagement(cpu: Cpu, i: Instruction): number | undefined {
  if (!has(cpu, FACILITY.EDAT_1)) throw new ProgramInterruption(PGM.OPERATION);
  const function_ = cpu.gprLow(i.r1);
  const code = (function_ >>> 12) & 7;
  const large = has(cpu, FACILITY.EDAT_2) && (cpu.mode & 3) !== 0;
  const quiescing = (function_ & PFMF.NQ) === 0 || has(cpu, FACILITY.NONQUIESCING_KEY_SETTING);
  if ((function_ & PFMF.RESERVED) !== 0 || code > 2 || (code === 2 && !large) || !quiescing)
    throw new ProgramInterruption(PGM.SPECIFICATION);
  const conditional = has(cpu, FACILITY.CONDITIONAL_SSKE);
  const setting: KeySetting = {
    key: function_ & 0xfe,
    keepReference: conditional && (function_ & PFMF.MR) !== 0,
    keepChange: conditional && (function_ & PFMF.MC) !== 0,
  };
  const operand = cpu.storage.wrap(cpu.gpr(i.r2)) & ~0xfffn;
  const clear = (function_ & PFMF.CLEAR) !== 0;
  if (clear) cpu.storage.refuseLowAddress(operand);
  // One frame is named by its real address, more by absolute ones.
  const start = code === 0 ? BigInt(cpu.storage.absolutePage(operand)) : operand;
  return storeKeys(cpu, i, {
    start,
    unit: FRAME_SIZES[code],
    setting: (function_ & PFMF.SET_KEY) !== 0 ? setting : undefined,
    clear,
    single: code === 0,
  });
}

/** Storage-key rows. */
export const STORAGE_KEYS: readonly Row[] = [
  row('SSKE', 'B22B', 'RRF-c', setStorageKey, { flow: 'leave' }),
  row('ISKE', 'B229', 'RRE', (cpu, i) => {
    const key = cpu.storage.keys.get(realBlock(cpu, i));
    cpu.setGprLow(i.r1, (cpu.gprLow(i.r1) & 0xffff_ff00) | key);
  }),
  row('RRBE', 'B22A', 'RRE', resetReference, { flow: 'leave' }),
  row('RRBM', 'B9AE', 'RRE', resetReferenceMultiple, {
    flow: 'leave',
    facility: FACILITY.RESET_REFERENCE_BITS_MULTIPLE,
  }),
  row('IVSK', 'B223', 'RRE', insertVirtualKey, { privileged: false }),
  row('TPROT', 'E501', 'SSE', testProtection, { registerFree: true }),
  row('PFMF', 'B9AF', 'RRE', frameManagement, { flow: 'leave', facility: FACILITY.EDAT_1 }),
];
