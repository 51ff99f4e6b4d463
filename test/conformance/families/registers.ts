/** Instructions whose operands are registers and immediates. */
import type { Family } from '../cases.ts';
import { names, patched } from '../cases.ts';
import { ones, type Random } from '../values.ts';

/** Register numbers of the two-operand forms with the cases each gets. */
const TWO: [number, number, number][] = [
  [2, 3, 13],
  [9, 14, 7],
  [6, 6, 5],
  [0, 15, 5],
];

/** `m R1,R2`; w1, w2 are the bits of each operand that matter. */
function rr(w1: number, w2: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      for (const [r1, r2, count] of TWO) {
        for (let i = 0; i < count; i++) {
          const [a, b] = random.pair(k++, w1, w2);
          add(`${m.toLowerCase()} ${r1},${r2}`, { r: { [r1]: a, [r2]: b }, cc: k % 4 });
        }
      }
    },
  };
}

/** `m R1,R2,R3`: R1 = R2 op R3. */
function rrr(width: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      for (const [r1, r2, r3] of [
        [1, 2, 3],
        [4, 4, 5],
        [7, 6, 7],
        [8, 9, 9],
        [0, 15, 11],
      ]) {
        for (let i = 0; i < 6; i++) {
          const [a, b] = random.pair(k++, width, width);
          add(`${m.toLowerCase()} ${r1},${r2},${r3}`, { r: { [r2!]: a, [r3!]: b } });
        }
      }
    },
  };
}

/** Both halves of a register filled from 32-bit corners: for the high-word instructions. */
function halves(random: Random, k: number): [bigint, bigint] {
  const [a, b] = random.pair(k, 32, 32);
  const [c, d] = k % 2 ? random.pair(k, 32, 32) : random.pair(20 + k, 32, 32);
  return [((a & ones(32)) << 32n) | (c & ones(32)), ((b & ones(32)) << 32n) | (d & ones(32))];
}

/** High-word two- and three-operand instructions. */
function high(operands: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      let k = 0;
      const forms = operands === 2 ? [[2, 3], [9, 9], [0, 14]] : [[1, 2, 3], [4, 4, 5], [7, 6, 7], [0, 9, 9]]; // biome-ignore format: a table
      for (const regs of forms) {
        for (let i = 0; i < 8; i++) {
          const [a, b] = halves(random, k++);
          add(`${m.toLowerCase()} ${regs.join(',')}`, { r: { [regs.at(-2)!]: a, [regs.at(-1)!]: b } });
        }
      }
    },
  };
}

const SIGNED16 = [0, 1, -1, 32767, -32768, 255, -256, 100];
const UNSIGNED16 = [0, 1, 0xffff, 0x8000, 0x7fff, 0x00ff, 0x1234];
const SIGNED32 = [0, 1, -1, 0x7fffffff, -0x80000000, 65536, -32769];
const UNSIGNED32 = [0, 1, 0xffffffff, 0x80000000, 0x7fffffff, 0x12345678];

/** `m R1,immediate`. */
function immediate(width: number, values: number[], list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      values.forEach((value, n) => {
        const r1 = [2, 15, 0, 9][n % 4]!;
        for (let i = 0; i < 5; i++) {
          let a = random.bits(width);
          if (i === 0) a = BigInt(value);
          if (i === 1) a = -BigInt(value);
          if (i === 2) a = n % 2 ? ones(width - 1) : 1n << BigInt(width - 1);
          add(`${m.toLowerCase()} ${r1},${value}`, { r: { [r1]: random.widen(BigInt.asUintN(width, a), width) } });
        }
      });
    },
  };
}

/** `m R1,immediate` on the high word. */
function highImmediate(values: number[], list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      values.forEach((value, n) => {
        for (let i = 0; i < 4; i++) {
          const [a] = halves(random, n + i * values.length);
          add(`${m.toLowerCase()} ${n + 3},${value}`, {
            r: { [n + 3]: i ? a : BigInt.asUintN(64, BigInt(value) << 32n) },
          });
        }
      });
    },
  };
}

/** `m R1,R3,immediate`. */
function rie(width: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      SIGNED16.forEach((value, n) => {
        const [r1, r3] = n % 3 ? [2, 3] : [5, 5];
        for (let i = 0; i < 4; i++) {
          const a =
            i === 0
              ? n % 2
                ? ones(width - 1)
                : 1n << BigInt(width - 1)
              : i === 1
                ? -BigInt(value)
                : random.bits(width);
          add(`${m.toLowerCase()} ${r1},${r3},${value}`, {
            r: { [r3]: random.widen(BigInt.asUintN(width, a), width) },
          });
        }
      });
    },
  };
}

/** TMLL and its three brothers: every kind of selected bits. */
const testUnderMask: Family = {
  mnemonics: names('TMLL TMLH TMHL TMHH'),
  make(add, m, random) {
    const shift = { TMLL: 0n, TMLH: 16n, TMHL: 32n, TMHH: 48n }[m]!;
    for (const mask of [0, 1, 0x8000, 0xffff, 0x0180, 0x8001, 0x7ffe]) {
      const top = mask ? 1 << (31 - Math.clz32(mask)) : 0;
      for (const bits of [0, mask, top, mask & ~top, random.below(65536)]) {
        const other = random.u64() & ~(0xffffn << shift);
        add(`${m.toLowerCase()} 4,${mask}`, { r: { 4: other | (BigInt(bits) << shift) } });
      }
    }
  },
};

/** Rotate-then-combine: start, end (X'80' zeroes the rest, or tests only), rotate amount. */
const rotateThen: Family = {
  mnemonics: names('RISBG RISBGN RNSBG ROSBG RXSBG RISBHG RISBLG'),
  make(add, m, random) {
    const half = m === 'RISBHG' || m === 'RISBLG';
    const forms: [number, number, number][] = [
      [0, 63, 0],
      [0, 63 | 128, 1],
      [32, 63 | 128, 0],
      [48, 63 | 128, 56],
      [56, 7, 13],
      [60, 3 | 128, 63],
      [5, 5, 5],
      [31, 32 | 128, 32],
      [0, 31 | 128, 33],
      [33, 32, 17],
      [40, 47, 8],
      [63, 0 | 128, 44],
    ];
    for (const [i3, i4, i5] of forms) {
      for (let i = 0; i < 4; i++) {
        const [a, b] = random.pair(i < 2 ? 20 + i : i === 2 ? 2 : 9, 64, 64);
        const [r1, r2] = i === 3 ? [6, 6] : [2, 3];
        add(`${m.toLowerCase()} ${r1},${r2},${half ? i3 & 31 : i3},${half ? (i4 & 31) | (i4 & 128) : i4},${i5}`, {
          r: { [r1]: a, [r2]: b },
        });
      }
      // The test-only forms (X'80' in I3) of RNSBG, ROSBG and RXSBG are left out: QEMU 7.2 aborts on them.
    }
  },
};

/** LOCR, LOCGR and the zEC12/z13 immediates: every condition code against a set of masks. */
const onCondition: Family = {
  mnemonics: names('LOCR LOCGR LOCFHR LOCHI LOCGHI LOCHHI'),
  make(add, m, random) {
    for (const mask of [0, 1, 2, 4, 8, 7, 10, 15]) {
      for (let cc = 0; cc < 4; cc++) {
        const [a, b] = random.pair(20 + cc, 64, 64);
        if (m.endsWith('HI')) add(`${m.toLowerCase()} 2,${mask % 2 ? -7 : 30000},${mask}`, { r: { 2: a }, cc });
        else add(`${m.toLowerCase()} 2,13,${mask}`, { r: { 2: a, 13: b }, cc });
      }
    }
  },
};

/** SELECT: every condition code. */
const select: Family = {
  mnemonics: names('SELR SELGR SELFHR'),
  make(add, m, random) {
    for (const mask of [0, 1, 2, 4, 8, 7, 10, 15]) {
      for (let cc = 0; cc < 4; cc++)
        add(`${m.toLowerCase()} 2,3,13,${mask}`, { r: { 2: random.u64(), 3: random.u64(), 13: random.u64() }, cc });
    }
  },
};

/** Hints: nothing changes. */
const hints: Family = {
  mnemonics: names('NIAI PPA'),
  make(add, m, random) {
    for (let i = 0; i < 3; i++) add(m === 'NIAI' ? `niai ${i},${i + 1}` : 'ppa 2,3,1', { r: { 2: random.u64() } });
  },
};

/** R1 names an even-odd pair. */
const findLeftmostOne: Family = {
  mnemonics: ['FLOGR'],
  make(add, _m, random) {
    for (let i = 0; i < 24; i++)
      add('flogr 4,9', {
        r: { 9: i < 4 ? [0n, 1n, 1n << 63n, ones(64)][i]! : random.u64() >> BigInt(random.below(64)) },
      });
    add('flogr 6,7', { r: { 7: 0x00f0n } });
    add(patched('flogr 4,7', 3, 0x10), { r: { 7: 0x00f0n } });
  },
};

/** Population count of every byte (M3 = 0), or of the doubleword (z15). */
const populationCount: Family = {
  mnemonics: ['POPCNT'],
  make(add, _m, random) {
    for (let i = 0; i < 16; i++)
      add(i < 12 ? 'popcnt 4,9' : 'popcnt 4,9,8', { r: { 9: i === 13 ? 0n : random.bits(64) } });
  },
};

const insertProgramMask: Family = {
  mnemonics: names('IPM SPM EPSW'),
  make(add, m, random) {
    for (let i = 0; i < 16; i++) {
      const input = { r: { 5: random.u64(), 6: random.u64() }, cc: i % 4, pm: (i * 5) % 8 };
      if (m === 'IPM') add('ipm 5', input);
      // Bit 20 stays zero: a later fixed-point overflow would interrupt.
      else if (m === 'SPM') add('spm 5', { ...input, r: { 5: input.r[5] & ~0x08000000n } });
      else add(i % 3 ? 'epsw 5,6' : 'epsw 5,0', input);
    }
  },
};

export const REGISTER_FAMILIES: Family[] = [
  rr(32, 32, 'LR LTR LCR LPR LNR AR SR ALR SLR CR CLR NR OR XR MSR LRVR ALCR SLBR'),
  rr(32, 8, 'LBR LLCR'),
  rr(32, 16, 'LHR LLHR'),
  rr(64, 64, 'LGR LTGR LCGR LPGR LNGR AGR SGR ALGR SLGR CGR CLGR NGR OGR XGR MSGR LRVGR ALCGR SLBGR'),
  rr(64, 32, 'LGFR LLGFR LLGTR LTGFR LPGFR LNGFR LCGFR AGFR SGFR ALGFR SLGFR MSGFR CGFR CLGFR'),
  rr(64, 16, 'LGHR LLGHR'),
  rr(64, 8, 'LGBR LLGCR'),
  rrr(32, 'ARK SRK ALRK SLRK NRK ORK XRK NCRK NNRK NORK NXRK OCRK MSRKC'),
  rrr(64, 'AGRK SGRK ALGRK SLGRK NGRK OGRK XGRK NCGRK NNGRK NOGRK NXGRK OCGRK MSGRKC'),
  high(2, 'CHHR CLHHR CHLR CLHLR'),
  high(3, 'AHHHR SHHHR ALHHHR SLHHHR AHHLR SHHLR ALHHLR SLHHLR'),
  immediate(32, SIGNED16, 'LHI AHI MHI CHI'),
  immediate(64, SIGNED16, 'LGHI AGHI MGHI CGHI'),
  immediate(64, UNSIGNED16, 'IIHH IIHL IILH IILL NIHH NIHL NILH NILL OIHH OIHL OILH OILL LLIHH LLIHL LLILH LLILL'),
  immediate(64, UNSIGNED32, 'IIHF IILF NIHF NILF OIHF OILF XIHF XILF LLIHF LLILF ALGFI SLGFI CLGFI'),
  immediate(32, UNSIGNED32, 'ALFI SLFI CLFI'),
  immediate(64, SIGNED32, 'LGFI AGFI CGFI MSGFI'),
  immediate(32, SIGNED32, 'AFI CFI MSFI'),
  highImmediate(SIGNED32, 'AIH ALSIH ALSIHN CIH'),
  highImmediate(UNSIGNED32, 'CLIH'),
  rie(32, 'AHIK ALHSIK'),
  rie(64, 'AGHIK ALGHSIK'),
  testUnderMask,
  rotateThen,
  onCondition,
  findLeftmostOne,
  populationCount,
  select,
  hints,
  insertProgramMask,
];
