/** STORE SYSTEM INFORMATION (SA22-7832 chapter 10; block layouts there, "System-Information Block"). */
import { type Machine, PGM, ProgramInterruption, type Vcpu } from '../../../hypervisor/machine_api.ts';
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { ebcdic } from './ebcdic.ts';

/** What the blocks tell. Texts are ASCII here and EBCDIC in the block. */
export interface SystemInformation {
  readonly cpuCount: number;
  /** Four characters, "2817". */
  readonly machineType: string;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly sequence?: string;
  /** Name of the virtual machine, at most 8 characters. */
  readonly vmName?: string;
  readonly uuid?: Uint8Array;
}

/** The current level: a virtual machine under a control program. */
const LEVEL = 3;
/** GR0: function code in bits 32-35, selector 1 in 56-63; the rest of the word is zero. GR1: selector 2 in bits 48-63. */
const R0_FUNCTION = 0xf000_0000n;
const R0_RESERVED = 0x0fff_ff00n;
const R1_RESERVED = 0xffff_0000n;
const BLOCK = 4096;

const SYSIB_1_1_1 = struct(
  'sysib_111',
  'be',
  {
    reserved0: bytes(32),
    manufacturer: bytes(16),
    type: bytes(4),
    reserved52: bytes(12),
    model: bytes(16),
    sequence: bytes(16),
    plant: bytes(4),
  },
  { size: 100, offsets: { manufacturer: 32, type: 48, model: 64, sequence: 80, plant: 96 } },
);
const SYSIB_1_2_1 = struct(
  'sysib_121',
  'be',
  { reserved0: bytes(80), sequence: bytes(16), plant: bytes(4), cpuId: u16, cpuAddress: u16 },
  { size: 104, offsets: { sequence: 80, plant: 96, cpuAddress: 102 } },
);
const SYSIB_1_2_2 = struct(
  'sysib_122',
  'be',
  { reserved0: bytes(32), capability: u32, total: u16, configured: u16, standby: u16, reserved: u16 },
  { size: 44, offsets: { capability: 32, total: 36 } },
);
const SYSIB_2_2_2 = struct(
  'sysib_222',
  'be',
  {
    reserved0: bytes(32),
    partition: u16,
    reserved34: u8,
    characteristics: u8,
    total: u16,
    configured: u16,
    standby: u16,
    reserved: u16,
    name: bytes(8),
    capability: u32,
    reserved56: bytes(16),
    dedicated: u16,
    shared: u16,
  },
  { size: 76, offsets: { total: 36, name: 44, capability: 52, dedicated: 72 } },
);
/** One description block of the virtual machine; blocks begin at 32, their count is the low half of byte 31. */
const SYSIB_3_2_2 = struct(
  'sysib_322',
  'be',
  {
    reserved0: bytes(31),
    count: u8,
    reserved32: bytes(4),
    total: u16,
    configured: u16,
    standby: u16,
    reserved: u16,
    name: bytes(8),
    capability: u32,
    controlProgram: bytes(16),
    reserved72: bytes(8),
    uuid: bytes(16),
  },
  { size: 96, offsets: { count: 31, total: 36, name: 44, controlProgram: 56, uuid: 80 } },
);

/** Capability is relative and has no unit: every CPU is like the others. */
const CAPABILITY = 1;

/** The blocks, by function code, selector 1 and selector 2. */
export const STSI_BLOCKS: Readonly<
  Record<string, (info: SystemInformation, vcpu: Pick<Vcpu, 'address'>) => Uint8Array>
> = {
  '1.1.1': (info) =>
    SYSIB_1_1_1.bytes(
      SYSIB_1_1_1.make({
        manufacturer: ebcdic(info.manufacturer ?? 'minivisor', 16),
        type: ebcdic(info.machineType, 4),
        model: ebcdic(info.model ?? '', 16),
        sequence: ebcdic(info.sequence ?? '', 16),
        plant: ebcdic('', 4),
      }),
    ),
  '1.2.1': (info, vcpu) =>
    SYSIB_1_2_1.bytes(
      SYSIB_1_2_1.make({
        sequence: ebcdic(info.sequence ?? '', 16),
        plant: ebcdic('', 4),
        cpuId: vcpu.address,
        cpuAddress: vcpu.address,
      }),
    ),
  '1.2.2': ({ cpuCount }) =>
    SYSIB_1_2_2.bytes(SYSIB_1_2_2.make({ capability: CAPABILITY, total: cpuCount, configured: cpuCount })),
  '2.2.2': ({ cpuCount }) =>
    SYSIB_2_2_2.bytes(
      SYSIB_2_2_2.make({
        total: cpuCount,
        configured: cpuCount,
        name: ebcdic('', 8),
        capability: CAPABILITY,
        shared: cpuCount,
      }),
    ),
  '3.2.2': ({ cpuCount, vmName, uuid }) =>
    SYSIB_3_2_2.bytes(
      SYSIB_3_2_2.make({
        count: 1,
        total: cpuCount,
        configured: cpuCount,
        name: ebcdic(vmName ?? 'guest', 8),
        capability: CAPABILITY,
        // Linux looks for the first three characters to know under whom it runs.
        controlProgram: ebcdic('KVM/Linux', 16),
        uuid: uuid ?? new Uint8Array(16),
      }),
    ),
};

/** STSI. @returns condition code: 0, or 3 for a block that is not there. @throws ProgramInterruption */
export function* stsi(_machine: Machine, info: SystemInformation, vcpu: Vcpu): Task<number> {
  if (vcpu.problemState) throw new ProgramInterruption(PGM.PRIVILEGED);
  const r0 = vcpu.gpr(0);
  const r1 = vcpu.gpr(1);
  const level = Number((r0 & R0_FUNCTION) >> 28n);
  if (level > LEVEL) return 3;
  if ((r0 & R0_RESERVED) !== 0n || (r1 & R1_RESERVED) !== 0n) throw new ProgramInterruption(PGM.SPECIFICATION);
  if (level === 0) {
    vcpu.setGpr(0, (r0 & ~0xffff_ffffn) | (BigInt(LEVEL) << 28n));
    return 0;
  }
  if (vcpu.operand % BigInt(BLOCK) !== 0n) throw new ProgramInterruption(PGM.SPECIFICATION);
  const block = STSI_BLOCKS[`${level}.${r0 & 0xffn}.${r1 & 0xffffn}`];
  if (block === undefined) return 3;
  const page = new Uint8Array(BLOCK);
  page.set(block(info, vcpu));
  yield* vcpu.write(vcpu.operand, page);
  return 0;
}
