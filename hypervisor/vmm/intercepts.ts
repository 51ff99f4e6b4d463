/**
 * The intercept layer: which handler an exit goes to, by opcode, and how its outcome becomes the vCPU's answer
 * (QEMU target/s390x/kvm). A handler returns a condition code or -1; a ProgramInterruption is taken by the guest.
 */
import type { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { diag, type Ipl } from '../../devices/virtual/s390x/diag.ts';
import { IO_INSTRUCTIONS, ioinst } from '../../devices/virtual/s390x/ioinst.ts';
import type { Sclp } from '../../devices/virtual/s390x/sclp.ts';
import { type Cpus, sigp } from '../../devices/virtual/s390x/sigp.ts';
import { type SystemInformation, stsi } from '../../devices/virtual/s390x/stsi.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { type Machine, PGM, ProgramInterruption } from '../machine_api.ts';
import type { VcpuHandle } from './vcpu_handle.ts';

/** What the handlers work on. */
export interface Board {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  readonly sclp: Sclp;
  readonly cpus: Cpus;
  readonly information: SystemInformation;
  readonly ipl: Ipl;
}

type Handler = (board: Board, vcpu: VcpuHandle) => Task<number>;

/** Opcodes (first byte, or both for B2xx) outside the channel subsystem. */
const HANDLERS: Readonly<Record<number, Handler>> = {
  131: (board, vcpu) => diag(vcpu, board.ipl), // 83 DIAGNOSE
  174: (board, vcpu) => sigp(board.machine, board.cpus, vcpu), // AE SIGNAL PROCESSOR
  45600: (board, vcpu) => board.sclp.servc(vcpu), // B220 SERVICE CALL
  45693: (board, vcpu) => stsi(board.machine, board.information, vcpu), // B27D STORE SYSTEM INFORMATION
};

/** Handles one intercepted instruction; returns the condition code, or -1. @throws ProgramInterruption */
export function intercept(board: Board, vcpu: VcpuHandle): Task<number> {
  const first = vcpu.text[0];
  const opcode = (first << 8) | vcpu.text[1];
  if (opcode in IO_INSTRUCTIONS) return ioinst(board.css, vcpu, vcpu.dequeued);
  const handler = HANDLERS[first] ?? HANDLERS[opcode];
  if (handler !== undefined) return handler(board, vcpu);
  return operationException();
}

function* operationException(): Task<number> {
  throw new ProgramInterruption(PGM.OPERATION);
}
