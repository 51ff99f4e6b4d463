/** Instructions with one storage operand and registers or immediates. */
import type { Family } from '../cases.ts';
import { names, patched } from '../cases.ts';
import { hexOf, ones } from '../values.ts';
import { based, indexed } from './operands.ts';

/** `m R1,D2(X2,B2)`, loads, stores and arithmetic alike: w1 bits of the register, w2 of the operand. `long`: RXY. */
function rx(w1: number, w2: number, long: boolean, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      indexed(random, long).forEach((operand, n) => {
        const r1 = [2, 15, 0, 3, 4, 13, 2, 14][n]!;
        for (let i = 0; i < 5; i++) {
          const [a, b] = random.pair(k++, w1, w2);
          const r = { ...operand.r, [r1]: a };
          add(`${m.toLowerCase()} ${r1},${operand.text}`, {
            r,
            cc: k % 4,
            mem: { [operand.address]: hexOf(b, w2 / 8) + random.hex(4) },
          });
        }
      });
      // The register is also the base.
      add(`${m.toLowerCase()} 8,0(8)`, { r: { 8: 0x20f88n }, mem: { [0x20f88]: random.hex(16) } });
    },
  };
}

/** Storage operand in the high word's instructions. */
function rxHigh(w2: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      for (const operand of indexed(random, true)) {
        for (let i = 0; i < 3; i++) {
          const [a, b] = random.pair(k++, 32, w2);
          const r = { ...operand.r, 2: ((a & ones(32)) << 32n) | (random.u64() & ones(32)) };
          add(`${m.toLowerCase()} 2,${operand.text}`, {
            r,
            mem: { [operand.address]: hexOf(b, w2 / 8) + random.hex(4) },
          });
        }
      }
    },
  };
}

/** Relative-long storage operand; aligned as the architecture demands. */
function relative(w1: number, w2: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      for (const address of [0x20f80, 0x20ff8, 0x23fa8]) {
        for (let i = 0; i < 7; i++) {
          const [a, b] = random.pair(k++, w1, w2);
          add(`${m.toLowerCase()} 2,.-(0x30800-${address})`, {
            r: { 2: a },
            mem: { [address]: hexOf(b, w2 / 8) + random.hex(4) },
          });
        }
      }
    },
  };
}

const BYTES = [0, 1, 0x80, 0xff, 0x7f, 0x55];

/** `m D1(B1),I2` on one byte. */
function si(long: boolean, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      BYTES.forEach((mask, n) => {
        const operand = based(long)[n % based(long).length]!;
        for (const byte of [mask, 0, 0xff, 0x80, random.below(256)]) {
          add(`${m.toLowerCase()} ${operand.text},${mask}`, {
            r: operand.r,
            mem: { [operand.address]: hexOf(BigInt(byte), 1) + random.hex(3) },
          });
        }
      });
    },
  };
}

/** `m D1(B1),I2`: immediate 16 or 8 bits, operand of `width` bits. */
function sil(width: number, immediates: number[], long: boolean, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      immediates.forEach((value, n) => {
        const operand = based(long)[n % based(long).length]!;
        for (let i = 0; i < 5; i++) {
          let b = random.bits(width);
          if (i === 0) b = BigInt(value);
          if (i === 1) b = -BigInt(value);
          if (i === 2) b = n % 2 ? ones(width - 1) : 1n << BigInt(width - 1);
          add(`${m.toLowerCase()} ${operand.text},${value}`, {
            r: operand.r,
            mem: { [operand.address]: hexOf(b, width / 8) + random.hex(2) },
          });
        }
      });
    },
  };
}

/** Characters under mask. Mask 0 is left to COMPARE and INSERT only where QEMU sets the condition code. */
const underMask: Family = {
  mnemonics: names('ICM ICMY ICMH STCM STCMY STCMH CLM CLMY CLMH'),
  make(add, m, random) {
    const operands = based(!/^(ICM|STCM|CLM)$/.test(m));
    [0, 1, 2, 4, 8, 3, 6, 9, 5, 12, 7, 14, 11, 13, 15].forEach((mask, n) => {
      const operand = operands[n % operands.length]!;
      const shift = m.endsWith('H') ? 32n : 0n;
      const count = mask.toString(2).replaceAll('0', '').length;
      for (let i = 0; i < 4; i++) {
        const a = random.u64();
        let bytes = i === 0 ? '00000000' : i === 1 ? `80${random.hex(3)}` : random.hex(4);
        if (i === 2) {
          const word = hexOf(a >> shift, 4);
          const selected = [0, 1, 2, 3].filter((b) => mask & (8 >> b)).map((b) => word.slice(2 * b, 2 * b + 2));
          bytes = selected.join('') + random.hex(4 - count);
        }
        add(`${m.toLowerCase()} 2,${mask},${operand.text}`, {
          r: { ...operand.r, 2: a },
          mem: { [operand.address]: bytes },
        });
      }
    });
  },
};

/** LOAD and STORE MULTIPLE: one register, a few, wrapping past 15, over a page boundary, over the base. */
const multiple: Family = {
  mnemonics: names('LM LMY LMG LMH STM STMY STMG'),
  make(add, m, random) {
    for (const [r1, r3] of [
      [2, 2],
      [2, 6],
      [6, 15],
      [14, 3],
      [0, 15],
      [7, 9],
      [9, 8],
    ]) {
      for (const operand of based(m !== 'LM' && m !== 'STM')) {
        const r = Object.fromEntries([...Array(16).keys()].map((n) => [n, random.u64()]));
        add(`${m.toLowerCase()} ${r1},${r3},${operand.text}`, {
          r: { ...r, ...operand.r },
          mem: { [operand.address]: random.hex(16 * (m.startsWith('L') ? 8 : 1)) },
        });
      }
    }
  },
};

/** COMPARE AND SWAP: equal, different in the last and in the first bit, the register being the base, alignment. */
const compareAndSwap: Family = {
  mnemonics: names('CS CSY CSG CDS CDSY CDSG'),
  make(add, m, random) {
    const bytes = { CS: 4, CSY: 4, CSG: 8, CDS: 8, CDSY: 8, CDSG: 16 }[m]!;
    const pair = m.startsWith('CD');
    for (const operand of [
      ...based(m.endsWith('Y') || m.endsWith('G'), true),
      { text: `${bytes / 2}(8)`, r: { 8: 0x20f80n }, address: 0x20f80 },
    ]) {
      for (let i = 0; i < 6; i++) {
        const [a, b, c, d] = [random.u64(), random.u64(), random.u64(), random.u64()];
        const each = pair ? bytes / 2 : bytes;
        let expected = hexOf(a, each) + (pair ? hexOf(b, each) : '');
        if (i === 1) expected = expected.slice(0, -1) + (Number(`0x${expected.at(-1)}`) ^ 1).toString(16);
        if (i === 2) expected = (Number(`0x${expected[0]}`) ^ 8).toString(16) + expected.slice(1);
        if (i === 3) expected = random.hex(bytes);
        if (i === 4 && pair) expected = hexOf(a, each) + random.hex(each);
        add(`${m.toLowerCase()} 2,4,${operand.text}`, {
          r: { ...operand.r, 2: a, 3: b, 4: c, 5: d },
          mem: { [operand.address]: expected + random.hex(8) },
        });
      }
    }
    // CDSG has to refuse odd registers, too; QEMU 7.2 does not.
    if (pair && m !== 'CDSG') {
      add(patched(`${m.toLowerCase()} 2,4,0(8)`, 1, 0x10), { r: { 8: 0x20f80n } });
      add(patched(`${m.toLowerCase()} 2,4,0(8)`, 1, 0x01), { r: { 8: 0x20f80n } });
    }
  },
};

/** LOAD AND ADD and its relatives. */
function loadAnd(width: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      for (const operand of based(true, true)) {
        for (let i = 0; i < 8; i++) {
          const [a, b] = random.pair(k++, width, width);
          const [r1, r3] = i === 7 ? [3, 3] : [2, 3];
          add(`${m.toLowerCase()} ${r1},${r3},${operand.text}`, {
            r: { ...operand.r, 3: a },
            mem: { [operand.address]: hexOf(b, width / 8) + random.hex(4) },
          });
        }
      }
      add(`${m.toLowerCase()} 2,3,${width / 16}(8)`, { r: { 8: 0x20f80n } });
    },
  };
}

/** LOAD and STORE ON CONDITION: every condition code. */
const onCondition: Family = {
  mnemonics: names('LOC LOCG STOC STOCG LOCFH STOCFH'),
  make(add, m, random) {
    for (const mask of [0, 1, 2, 4, 8, 7, 10, 15]) {
      const operand = based(true)[mask % 4]!;
      for (let cc = 0; cc < 4; cc++)
        add(`${m.toLowerCase()} 2,${operand.text},${mask}`, {
          r: { ...operand.r, 2: random.u64() },
          cc,
          mem: { [operand.address]: random.hex(16) },
        });
    }
  },
};

/** Quadword access and its alignment; TEST AND SET; access registers; address computation. */
const single: Family[] = [
  {
    mnemonics: names('LPD LPDG'),
    make(add, m, random) {
      for (let i = 0; i < 4; i++) {
        add(`${m.toLowerCase()} 4,${8 * i}(8),16(9)`, {
          r: { 4: random.u64(), 5: random.u64(), 8: 0x20f80n, 9: 0x23f80n - BigInt(8 * i) },
          mem: { [0x20f80]: random.hex(40), [0x23f70]: random.hex(40) },
        });
      }
      add(patched(`${m.toLowerCase()} 4,0(8),16(9)`, 1, 0x10), { r: { 8: 0x20f80n, 9: 0x23f80n } });
    },
  },
  {
    mnemonics: names('LPQ STPQ'),
    make(add, m, random) {
      for (const operand of based(true, true)) {
        for (let i = 0; i < 4; i++)
          add(`${m.toLowerCase()} 2,${operand.text}`, {
            r: { ...operand.r, 2: random.u64(), 3: random.u64() },
            mem: { [operand.address]: random.hex(24) },
          });
      }
      add(`${m.toLowerCase()} 2,8(8)`, { r: { 8: 0x20f80n } });
      add(patched(`${m.toLowerCase()} 2,0(8)`, 1, 0x10), { r: { 8: 0x20f80n } });
    },
  },
  {
    mnemonics: ['TS'],
    make(add, _m, random) {
      for (const operand of based(false))
        for (const byte of ['00', '80', 'ff', '7f'])
          add(`ts ${operand.text}`, { r: operand.r, mem: { [operand.address]: byte + random.hex(2) } });
    },
  },
  {
    mnemonics: names('LA LAY LAE LAEY'),
    make(add, m, random) {
      const operands = [
        '0(7,8)',
        '4095(7,8)',
        '100(0,8)',
        '100(7,0)',
        '4095',
        ...(m.endsWith('Y') ? ['-524288(7,8)', '524287(8)', '-1'] : []),
      ];
      for (const text of operands) {
        // 64-bit mode only: in the others QEMU 7.2 clears bits 0-31, which must stay (SA22-7832 "LOAD ADDRESS").
        for (let i = 0; i < 3; i++) {
          const r = { 7: random.bits(64), 8: random.bits(64), 2: random.u64(), 15: random.u64() };
          // LAE changes an access register, too: EAR shows it.
          add(`${m.toLowerCase()} 2,${text}${m.startsWith('LAE') ? ';ear 15,2' : ''}`, { r });
        }
      }
      if (!m.startsWith('LAE')) add(`${m.toLowerCase()} 8,1(8)`, { r: { 8: random.u64() } });
    },
  },
  {
    mnemonics: ['LARL'],
    make(add, _m, random) {
      for (const text of ['.', '.+2', '.-2', '.+0x100', '.-0x30800', '.+0x7ffffffe', '.-0x80000000'])
        add(`larl 2,${text}`, { r: { 2: random.u64() } });
    },
  },
  {
    mnemonics: names('SAR EAR CPYA LAM LAMY STAM STAMY'),
    make(add, _m, random) {
      for (let i = 0; i < 6; i++) {
        const r = { 1: random.u64(), 2: random.u64(), 3: random.u64(), 8: 0x20f80n, 9: 0x23f90n };
        const mem = { [0x20f80]: random.hex(32) };
        if (_m === 'SAR' || _m === 'EAR') add('sar 4,1;sar 11,2;ear 3,4;ear 2,11', { r });
        else if (_m === 'CPYA') add('sar 4,1;cpya 12,4;ear 3,12', { r });
        else {
          const y = _m.endsWith('Y');
          const [first, last] = [[2, 5], [14, 1], [7, 7]][i % 3]!; // biome-ignore format: pairs
          add(
            `${y ? 'lamy' : 'lam'} ${first},${last},${y ? -16 : 4}(8);${y ? 'stamy' : 'stam'} ${first},${last},${y ? -20 : 8}(9);ear 3,${first}`,
            { r: { ...r, 8: y ? 0x20f94n : 0x20f80n }, mem },
          );
        }
      }
      if (_m.includes('AM')) add(`${_m.toLowerCase()} 2,3,2(8)`, { r: { 8: 0x20f80n } });
    },
  },
];

/** Addresses beyond any storage: addressing exceptions of one instruction of each kind; nothing may change. */
const beyond: Family = {
  mnemonics: names('L LG ST STG A AGSI MVI NI CLI LMG STMG CS MVC XC CLC IC STC LAA MVGHI'),
  make(add, m) {
    const operand = {
      LMG: '2,5,0(8)',
      STMG: '2,5,0(8)',
      CS: '2,3,0(8)',
      LAA: '2,3,0(8)',
      MVC: '0(8,8),0(9)',
      XC: '0(8,8),0(9)',
      CLC: '0(8,8),0(9)',
    }[m];
    const immediate = names('AGSI MVI NI CLI MVGHI').includes(m);
    const text = operand ?? (immediate ? '0(8),1' : '2,0(8)');
    for (const address of [0x7ffffffff000n, 0xfffffffffffff008n, 0x8000000000000ff0n])
      add(`${m.toLowerCase()} ${text}`, { r: { 8: address, 9: 0x20f80n } });
  },
};

/** Operand addresses in 31- and 24-bit mode: the bits to the left are ignored, in base, index and sum. */
const modes: Family = {
  mnemonics: names('L LG ST STG A IC LMG STMG CS MVC XC CLC NI LAAG'),
  make(add, m, random) {
    const operand = {
      LMG: '2,5,4(8)',
      STMG: '2,5,4(8)',
      CS: '2,3,4(8)',
      LAAG: '2,3,8(8)',
      MVC: '4(9,8),2(9)',
      XC: '4(9,8),2(9)',
      CLC: '4(9,8),2(9)',
      NI: '4(8),63',
    }[m];
    for (const amode of [31, 24] as const) {
      for (let i = 0; i < 3; i++) {
        const garbage = amode === 31 ? random.u64() & ~0x7fffffffn : random.u64() & ~0xffffffn;
        const more = amode === 31 ? 0x80000000n : 0x7f000000n;
        const r = {
          7: 0x10n - (i ? 0x20n : 0n),
          8: (0x20fa0n + (i === 2 ? more : 0n)) | (i < 2 ? garbage : 0n),
          9: 0x23fa8n | garbage,
          2: random.u64(),
          3: random.u64(),
        };
        add(`${m.toLowerCase()} ${operand ?? '2,4(7,8)'}`, {
          r,
          amode,
          mem: { [0x20f90]: random.hex(48), [0x23fa0]: random.hex(24) },
        });
      }
    }
  },
};

/** Prefetching changes nothing. */
const prefetch: Family = {
  mnemonics: names('PFD PFDRL'),
  make(add, m) {
    for (const code of [0, 1, 2, 6, 15])
      add(m === 'PFD' ? `pfd ${code},16(7,8)` : `pfdrl ${code},.+0x100`, { r: { 7: 0x7ffffffff000n, 8: 0x20f80n } });
  },
};

const SIGNED16 = [0, 1, -1, 32767, -32768, 255, -256];
const UNSIGNED16 = [0, 1, 65535, 32768, 32767, 255];
const SIGNED8 = [0, 1, -1, 127, -128, 10];

export const STORAGE_FAMILIES: Family[] = [
  rx(32, 32, false, 'L ST A S AL SL C CL N O X MS'),
  rx(32, 16, false, 'LH STH AH SH CH MH'),
  rx(32, 8, false, 'IC STC'),
  rx(32, 32, true, 'LY STY AY SY ALY SLY CY CLY NY OY XY MSY LT LRV STRV ALC SLB MSC LZRF LAT'),
  rx(32, 16, true, 'LHY STHY AHY SHY CHY MHY LLH LRVH STRVH'),
  rx(32, 8, true, 'ICY STCY LB LLC'),
  rx(64, 64, true, 'LG STG AG SG ALG SLG CG CLG NG OG XG MSG LTG LRVG STRVG ALCG SLBG MSGC LZRG LGAT'),
  rx(64, 32, true, 'LGF LLGF LLGT LTGF AGF SGF ALGF SLGF CGF CLGF MSGF LLZRGF LLGFAT LLGTAT'),
  rx(64, 16, true, 'LGH LLGH CGH AGH SGH MGH'),
  rx(64, 8, true, 'LGB LLGC'),
  rxHigh(32, 'LFH STFH CHF CLHF LFHAT'),
  rxHigh(16, 'LHH LLHH STHH'),
  rxHigh(8, 'LBH LLCH STCH'),
  relative(32, 32, 'LRL STRL CRL CLRL'),
  relative(32, 16, 'LHRL LLHRL STHRL CHRL CLHRL'),
  relative(64, 64, 'LGRL STGRL CGRL CLGRL'),
  relative(64, 32, 'LGFRL LLGFRL CGFRL CLGFRL'),
  relative(64, 16, 'LGHRL LLGHRL CGHRL CLGHRL'),
  si(false, 'TM MVI NI OI XI CLI'),
  si(true, 'TMY MVIY NIY OIY XIY CLIY'),
  sil(16, SIGNED16, false, 'MVHHI CHHSI'),
  sil(32, SIGNED16, false, 'MVHI CHSI'),
  sil(64, SIGNED16, false, 'MVGHI CGHSI'),
  sil(16, UNSIGNED16, false, 'CLHHSI'),
  sil(32, UNSIGNED16, false, 'CLFHSI'),
  sil(64, UNSIGNED16, false, 'CLGHSI'),
  sil(32, SIGNED8, true, 'ASI ALSI'),
  sil(64, SIGNED8, true, 'AGSI ALGSI'),
  underMask,
  multiple,
  compareAndSwap,
  loadAnd(32, 'LAA LAAL LAN LAO LAX'),
  loadAnd(64, 'LAAG LAALG LANG LAOG LAXG'),
  onCondition,
  ...single,
  beyond,
  modes,
  prefetch,
];
