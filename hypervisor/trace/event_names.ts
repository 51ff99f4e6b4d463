/** What slices of a timeline are called: instructions, hypercalls, system calls and commands by their names. */
import { IO_INSTRUCTIONS } from '../../devices/virtual/s390x/ioinst.ts';
import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import type { Ioctl } from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/ioctl.ts';
import { KVM_EXIT } from '../../kernel/include/uapi/kvm_run.ts';
import { NR } from '../../kernel/include/uapi/syscall.ts';

const byNumber = (table: Readonly<Record<string, number>>) =>
  new Map(Object.entries(table).map(([name, number]) => [number, name]));

const HCALLS = byNumber(HCALL);
const SYSCALLS = byNumber(NR);
const EXITS = byNumber(KVM_EXIT);
const IOCTLS = new Map(Object.values<Ioctl>(uapi).map(({ number, name }) => [number, name]));
/** Intercepted instructions outside the channel subsystem, by their first two bytes, or by the first alone. */
const INSTRUCTIONS: Readonly<Record<number, string>> = { 131: 'DIAG', 174: 'SIGP', 45600: 'SERVC', 45693: 'STSI' };

const hex = (value: number) => `0x${value.toString(16)}`;

/** `H_PUT_TCE` */
export function hcallName(token: number): string {
  return HCALLS.get(token) ?? `hypercall ${hex(token)}`;
}
/** `SSCH`, from the first two bytes of an instruction. */
export function instructionName(text: number): string {
  const name = IO_INSTRUCTIONS[text]?.name ?? INSTRUCTIONS[text] ?? INSTRUCTIONS[text >>> 8];
  return name?.toUpperCase() ?? `instruction ${hex(text)}`;
}
/** Why a CPU left the guest: the instruction, if it was one. */
export function exitName(reason: number, text: number): string {
  return text !== 0 ? instructionName(text) : (EXITS.get(reason) ?? `exit ${reason}`);
}
/** `ioctl VFIO_IOMMU_MAP_DMA`, `pwrite64`. @param argument the second one */
export function syscallName(nr: number, argument: number): string {
  const name = SYSCALLS.get(nr) ?? `system call ${nr}`;
  return nr === NR.ioctl ? `ioctl ${IOCTLS.get(argument) ?? hex(argument)}` : name;
}
/** `0.0.0190` */
export function subchannelName(schid: number): string {
  return `0.0.${schid.toString(16).padStart(4, '0')}`;
}
