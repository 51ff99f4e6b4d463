import type { Cpu } from './cpu.ts';
import { LOWCORE } from './interruption.ts';

/** Stores registers into the save areas of the lowcore at the prefix. SA22-7832 chapter 4 "Store Status". */
export function storeStatus(cpu: Cpu): void {
  const host = cpu.storage.hostOfReal(4096, true) - 4096;
  const { dv } = cpu.memory;
  const psw = cpu.psw();
  for (let n = 0; n < 16; n++) {
    dv.setBigUint64(host + LOWCORE.SAVE_FPR + n * 8, cpu.state.fpr[n]);
    dv.setBigUint64(host + LOWCORE.SAVE_GPR + n * 8, cpu.gpr(n));
    dv.setBigUint64(host + LOWCORE.SAVE_CR + n * 8, cpu.cr(n));
    dv.setUint32(host + LOWCORE.SAVE_AR + n * 4, cpu.state.ar[n]);
  }
  dv.setBigUint64(host + LOWCORE.SAVE_PSW, psw.mask);
  dv.setBigUint64(host + LOWCORE.SAVE_PSW + 8, psw.address);
  dv.setUint32(host + LOWCORE.SAVE_PREFIX, cpu.prefix);
  dv.setUint32(host + LOWCORE.SAVE_FPC, cpu.state.fpc);
  dv.setUint32(host + LOWCORE.SAVE_TOD_PROGRAMMABLE, cpu.state.todProgrammable);
  dv.setBigInt64(host + LOWCORE.SAVE_CPU_TIMER, cpu.cpuTimer());
  dv.setBigUint64(host + LOWCORE.SAVE_CLOCK_COMPARATOR - 1, cpu.state.clockComparator >> 8n);
}
