/** Floating-point registers as containers: moves, loads, stores, the control register. No arithmetic. */
import type { Family } from '../cases.ts';
import { names } from '../cases.ts';
import { indexed } from './operands.ts';

const loadStore: Family = {
  mnemonics: names('LD STD LE STE LDY STDY LEY STEY'),
  make(add, m, random) {
    for (const operand of indexed(random, m.endsWith('Y'))) {
      for (const f of [0, 5, 15])
        add(`${m.toLowerCase()} ${f},${operand.text}`, {
          r: operand.r,
          f: { [f]: random.u64() },
          mem: { [operand.address]: random.hex(12) },
        });
    }
  },
};

const moves: Family = {
  mnemonics: names('LDR LER LXR LDGR LGDR LZDR LZER LZXR LPDFR LNDFR LCDFR CPSDR'),
  make(add, m, random) {
    for (let i = 0; i < 10; i++) {
      const f = { 1: random.u64(), 4: random.u64(), 13: random.u64(), 6: random.u64() };
      const r = { 3: random.u64(), 0: random.u64() };
      const text =
        {
          LXR: '4,1',
          LDGR: i % 2 ? '13,3' : '4,0',
          LGDR: i % 2 ? '3,13' : '0,4',
          LZDR: '13',
          LZER: '6',
          LZXR: '4',
          CPSDR: '1,13,4',
        }[m] ?? (i % 3 ? '13,4' : '6,6');
      add(`${m.toLowerCase()} ${text}`, { f, r });
    }
  },
};

const control: Family = {
  mnemonics: names('SFPC EFPC LFPC STFPC SRNM'),
  make(add, m, random) {
    for (let i = 0; i < 8; i++) {
      // Only bits every model defines; rounding mode 0-3.
      const fpc = random.u64() & 0xf8f8ff03n;
      const r = { 3: (random.u64() & ~0xffffffffn) | fpc, 5: random.u64(), 8: 0x20f80n };
      const mem = { [0x20f80]: fpc.toString(16).padStart(8, '0') + random.hex(8) };
      if (m === 'LFPC' || m === 'STFPC') add('lfpc 0(8);stfpc 8(8);efpc 5', { r, mem });
      else if (m === 'SRNM') add(`sfpc 3;srnm ${i % 4};efpc 5`, { r });
      else add('sfpc 3;efpc 5', { r });
    }
  },
};

export const FP_FAMILIES: Family[] = [loadStore, moves, control];
