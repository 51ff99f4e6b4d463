/** Clocks and timers. */
import type { Cpu } from '../cpu.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import type { Row } from '../row.ts';
import { GENERAL } from './operands.ts';

const CONTROL = 'SA22-7832 chapter 10 "Control Instructions"';
const privileged = (mnemonic: string, opcode: string, exec: NonNullable<Row['exec']>): Row => ({
  mnemonic,
  opcode,
  format: 'S',
  class: 'control',
  privileged: true,
  spec: CONTROL,
  registerFree: true,
  exec,
});
const store = (mnemonic: string, opcode: string, facility: number, exec: (cpu: Cpu) => void): Row => ({
  mnemonic,
  opcode,
  format: 'S',
  class: 'general',
  facility,
  spec: GENERAL,
  registerFree: true,
  exec: (cpu) => {
    exec(cpu);
    cpu.setCc(0);
  },
});
/** Operand on a doubleword boundary. */
function doubleword(cpu: Cpu): bigint {
  if (cpu.operand2 & 7n) throw new ProgramInterruption(PGM.SPECIFICATION);
  return cpu.operand2;
}

/** Clock and timer rows. */
export const TIMING: readonly Row[] = [
  store('STCK', 'B205', 0, (cpu) => cpu.storage.write64(cpu.operand2, cpu.uniqueTod())),
  store('STCKF', 'B27C', 25, (cpu) => cpu.storage.write64(cpu.operand2, cpu.tod())),
  store('STCKE', 'B278', 0, (cpu) => {
    const bytes = new Uint8Array(16);
    const dv = new DataView(bytes.buffer);
    dv.setBigUint64(1, cpu.uniqueTod());
    // The low extension is never zero when the clock runs. SA22-7832 "STORE CLOCK EXTENDED".
    dv.setUint8(13, 1);
    dv.setUint16(14, cpu.state.todProgrammable);
    cpu.storage.write(cpu.operand2, bytes);
  }),
  privileged('SCK', 'B204', (cpu) => {
    const step = cpu.storage.read64(doubleword(cpu)) - cpu.tod();
    cpu.state.todOffset += step;
    // The CPU timer is kept as the TOD value at which it is zero: setting the clock does not change it.
    cpu.state.cpuTimerEnd += step;
    cpu.setCc(0);
  }),
  privileged('SCKC', 'B206', (cpu) => cpu.setClockComparator(cpu.storage.read64(doubleword(cpu)))),
  privileged('STCKC', 'B207', (cpu) => cpu.storage.write64(doubleword(cpu), cpu.state.clockComparator)),
  privileged('SPT', 'B208', (cpu) => cpu.setCpuTimer(BigInt.asIntN(64, cpu.storage.read64(doubleword(cpu))))),
  privileged('STPT', 'B209', (cpu) => cpu.storage.write64(doubleword(cpu), cpu.cpuTimer())),
  {
    mnemonic: 'SCKPF',
    opcode: '0107',
    format: 'E',
    class: 'control',
    privileged: true,
    spec: CONTROL,
    exec: (cpu) => {
      if (cpu.gprLow(0) & 0xffff_0000) throw new ProgramInterruption(PGM.SPECIFICATION);
      cpu.state.todProgrammable = cpu.gprLow(0) & 0xffff;
    },
  },
];
