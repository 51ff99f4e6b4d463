/** EXECUTE and EXECUTE RELATIVE LONG. */
import type { Cpu } from '../cpu.ts';
import { instructionLength } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import type { Instruction, Row } from '../row.ts';
import { GENERAL } from './operands.ts';

/** Fetches the target, ORs the length byte in and executes it. SA22-7832 chapter 7 "EXECUTE". */
function execute(cpu: Cpu, i: Instruction, address: bigint): number {
  if (address & 1n) throw new ProgramInterruption(PGM.SPECIFICATION);
  const { storage } = cpu;
  const head = storage.read(address, 2);
  const text = new Uint8Array(instructionLength(head[0]));
  text.set(head);
  if (text.length > 2) text.set(storage.read(storage.wrap(address + 2n), text.length - 2), 2);
  // An EXECUTE that executes an EXECUTE.
  if (text[0] === 0x44 || (text[0] === 0xc6 && (text[1] & 15) === 0)) throw new ProgramInterruption(PGM.EXECUTE);
  if (i.r1 !== 0) text[1] |= cpu.gprLow(i.r1) & 0xff;
  return cpu.executeTarget(text, address, i);
}

/** EXECUTE rows. */
export const EXECUTES: readonly Row[] = [
  {
    mnemonic: 'EX',
    opcode: '44',
    format: 'RX-a',
    class: 'general',
    spec: GENERAL,
    exec: (cpu, i) => execute(cpu, i, cpu.operand2),
  },
  {
    mnemonic: 'EXRL',
    opcode: 'C60',
    format: 'RIL-b',
    facility: 35,
    class: 'general',
    spec: GENERAL,
    exec: (cpu, i) => execute(cpu, i, cpu.storage.wrap(i.address + 2n * BigInt(i.ri2))),
  },
];
