/** Branches. Targets lie in the zero zone: where execution was caught tells whether, and where to, it branched. */
import type { Family } from '../cases.ts';
import { names } from '../cases.ts';
import { SLOT } from '../layout.ts';
import { hexOf, ones } from '../values.ts';

const HERE = BigInt(SLOT);

/** BRANCH ON CONDITION: every mask with every condition code. */
const onCondition: Family = {
  mnemonics: names('BC BCR BRC BRCL'),
  make(add, m) {
    for (let mask = 0; mask < 16; mask++) {
      for (let cc = 0; cc < 4; cc++) {
        if (m === 'BC') add(`bc ${mask},0x80(7,8)`, { r: { 7: HERE, 8: 0x40n }, cc });
        if (m === 'BCR') add(`bcr ${mask},9`, { r: { 9: HERE + 0x200n }, cc });
        if (m === 'BRC') add(`brc ${mask},.${mask % 2 ? '+0x7fe' : '-0x100'}`, { cc });
        if (m === 'BRCL') add(`brcl ${mask},.${mask % 2 ? '+0x12340' : '-0x700'}`, { cc });
      }
    }
    // In 31-bit mode the bits to the left are ignored; not in 24-bit mode by QEMU 7.2, so that is left out.
    if (m === 'BCR') add('bcr 15,9', { r: { 9: 0xdeadbeef80000200n + HERE }, amode: 31 });
    if (m === 'BCR') for (const mask of [15, 14, 8]) add(`bcr ${mask},0`, { r: { 0: HERE + 0x200n } });
  },
};

/** BRANCH ON COUNT. */
const onCount: Family = {
  mnemonics: names('BCT BCTR BCTG BCTGR BRCT BRCTG BRCTH'),
  make(add, m, random) {
    const text = {
      BCT: 'bct 2,16(8)',
      BCTR: 'bctr 2,8',
      BCTG: 'bctg 2,-16(8)',
      BCTGR: 'bctgr 2,8',
      BRCT: 'brct 2,.-0x20',
      BRCTG: 'brctg 2,.+0x40',
      BRCTH: 'brcth 2,.+0x40',
    }[m]!;
    for (let i = 0; i < 16; i++) {
      const wide = [0n, 1n, 2n, 1n << 63n, 1n << 31n, 1n << 32n, (1n << 32n) + 1n, ones(64)][i] ?? random.bits(64);
      add(text, { r: { 2: m === 'BRCTH' ? random.widen(wide, 32) : wide, 8: HERE + 0x100n } });
      if (m === 'BRCTH') add(text, { r: { 2: BigInt.asUintN(64, wide << 32n) | (random.u64() & ones(32)) } });
    }
    if (m.endsWith('R')) for (const v of [0n, 1n, 5n]) add(`${m.toLowerCase()} 2,0`, { r: { 2: v, 0: HERE + 0x100n } });
    if (m === 'BCTR') add('bctr 8,8', { r: { 8: HERE + 0x102n } });
  },
};

/** BRANCH ON INDEX: R3 even (pair), R3 odd (increment and comparand alike), R1 equal to the comparand. */
function onIndex(width: number, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      const target = m.startsWith('BR') ? '.+0x60' : '0x20(10)';
      for (const [r1, r3] of [
        [2, 4],
        [2, 5],
        [5, 4],
        [4, 4],
      ]) {
        for (let i = 0; i < 8; i++) {
          const [a, b] = random.pair(i * 3, width, width);
          const near = BigInt.asUintN(64, (i % 2 ? a + b : a) + BigInt(random.below(3) - 1));
          const r = {
            2: a,
            4: b,
            5: i < 6 ? random.widen(near, width) : random.widen(random.bits(width), width),
            10: HERE + 0x40n,
          };
          add(`${m.toLowerCase()} ${r1},${r3},${target}`, { r });
        }
      }
    },
  };
}

/** Linkage: the address after the instruction, in the form of the addressing mode. */
const linkage: Family = {
  mnemonics: names('BAS BASR BAL BALR BRAS BRASL BSM BASSM SAM24 SAM31 SAM64 TAM'),
  make(add, m, random) {
    const target = HERE + 0x90n;
    for (const amode of [undefined, 31, 24] as const) {
      for (let i = 0; i < 4; i++) {
        const r = { 8: target, 14: random.u64(), 3: random.u64() };
        const input = { amode, cc: i, pm: i, r };
        if (m === 'BAS' || m === 'BAL') add(`${m.toLowerCase()} 14,${16 * i}(8)`, input);
        else if (m === 'BASR' || m === 'BALR') add(`${m.toLowerCase()} ${['14,8', '14,0', '8,8', '3,8'][i]}`, input);
        else if (m === 'BRAS') add(`bras 14,.${i % 2 ? '+0x100' : '-0x100'}`, input);
        else if (m === 'BRASL') add(`brasl 14,.${i % 2 ? '+0x10000' : '-0x100'}`, input);
        else if (m === 'BSM' || m === 'BASSM') {
          // Bit 63 asks for 64-bit mode, bit 32 for 31-bit.
          add(`${m.toLowerCase()} 14,8`, {
            ...input,
            r: { ...r, 8: [target, target | 1n, target | 0x80000000n, target][i]! },
          });
          add(`${m.toLowerCase()} 14,0`, input);
          if (m === 'BSM') add('bsm 0,8', input);
        } else if (m === 'TAM') add('tam', input);
        else if (i < 2) add(m.toLowerCase(), input);
      }
    }
  },
};

/** COMPARE AND BRANCH (relative), (to a base and displacement), AND TRAP. */
const compareAnd: Family = {
  mnemonics: names(
    'CRJ CGRJ CLRJ CLGRJ CIJ CGIJ CLIJ CLGIJ CRB CGRB CLRB CLGRB CIB CGIB CLIB CLGIB CRT CGRT CLRT CLGRT CIT CGIT CLFIT CLGIT',
  ),
  make(add, m, random) {
    const width = m.includes('G') ? 64 : 32;
    const logical = m.startsWith('CL');
    const tail = m.endsWith('J') ? ',.-0x40' : m.endsWith('B') ? ',0x70(10)' : '';
    let k = 0;
    for (const mask of [0, 2, 4, 6, 8, 10, 12, 14]) {
      for (let i = 0; i < 5; i++) {
        const r10 = { 10: HERE };
        if (/R.$/.test(m)) {
          const [a, b] = random.pair(k++ % 24, width, width);
          add(`${m.toLowerCase()} 2,3,${mask}${tail}`, {
            r: { ...r10, 2: a, 3: i === 4 ? random.widen(a, width) : b },
          });
        } else {
          const wide = m.endsWith('T');
          const value = logical
            ? [0, 1, wide ? 65535 : 255, 128][mask % 3]!
            : [0, -1, wide ? 32767 : 127, -128][(mask / 2) % 4]!;
          const a =
            i === 0 ? BigInt(value) : i === 1 ? BigInt(value) + 1n : i === 2 ? BigInt(value) - 1n : random.bits(width);
          add(`${m.toLowerCase()} 2,${value},${mask}${tail}`, {
            r: { ...r10, 2: random.widen(BigInt.asUintN(width, a), width) },
          });
        }
      }
    }
  },
};

/** COMPARE LOGICAL AND TRAP with storage; BRANCH INDIRECT ON CONDITION. */
const withStorage: Family = {
  mnemonics: names('CLT CLGT BIC'),
  make(add, m, random) {
    for (const mask of m === 'BIC' ? [0, 1, 2, 4, 8, 7, 10, 15] : [0, 2, 4, 6, 8, 10, 12, 14]) {
      for (let i = 0; i < 4; i++) {
        const width = m === 'CLT' ? 32 : 64;
        const [a, b] = random.pair([2, 3, 0, 11][i]!, width, width);
        if (m === 'BIC')
          add(`bic ${mask},8(7,8)`, { r: { 7: 3n, 8: 0x20f80n }, cc: i, mem: { [0x20f8b]: hexOf(HERE + 0x100n, 8) } });
        else
          add(`${m.toLowerCase()} 2,${mask},-8(8)`, {
            r: { 2: a, 8: 0x20f88n },
            mem: { [0x20f80]: hexOf(b, width / 8) + random.hex(4) },
          });
      }
    }
  },
};

/** EXECUTE: the modified text, no modification for R1 = 0, and the link, address and exceptions of an executed instruction. */
const execute: Family = {
  mnemonics: names('EX EXRL'),
  make(add, m, random) {
    const targets: [string, number[]][] = [
      ['mvc 0(1,8),0(9)', [0, 7, 255]],
      ['mvc 3(8,8),1(9)', [0x10, 0xf0]],
      ['xc 0(1,8),0(8)', [0, 15, 255]],
      ['clc 0(1,8),0(9)', [0, 3]],
      ['oc 0(4,8),0(9)', [0x20]],
      ['tr 0(1,8),0(9)', [7]],
      ['lr 0,0', [0x34, 0x5f]],
      ['lr 2,3', [0x40]],
      ['lgr 2,3', [0x04]],
      ['ar 0,0', [0x34]],
      ['tm 0(8),0', [0x80, 0xff]],
      ['cli 0(8),0', [0x55]],
      ['mvi 0(8),1', [0x55]],
      ['stm 0,0,0(8)', [0x25]],
      ['l 0,0(8)', [0x70]],
      ['lg 0,0(8)', [0x70]],
      ['sll 0,4', [0x30]],
      ['bcr 0,11', [0xf0, 0x80]],
      ['basr 0,11', [0xe0]],
      ['mr 0,3', [0x50]],
    ];
    for (const [target, values] of targets) {
      for (const value of values) {
        for (const r1 of [1, 0]) {
          const r: Record<number, bigint> = {
            8: 0x20f88n,
            9: 0x23f90n,
            11: HERE + 0x200n,
            3: random.u64(),
            4: random.u64(),
            5: random.u64(),
            2: random.u64(),
          };
          if (r1) r[1] = (random.u64() & ~0xffn) | BigInt(value);
          const input = {
            r,
            mem: { [0x20f80]: random.hex(value > 64 ? 272 : 40), [0x23f90]: random.hex(value > 64 ? 272 : 40) },
          };
          // An unmodified 0 register field of bcr or basr is no branch; lr 0,0 and so on do nothing.
          if (m === 'EX') add(`ex ${r1},0(15);.skip 60;${target}`, { ...input, r: { ...r, 15: HERE + 64n } });
          else add(`exrl ${r1},.+64;.skip 58;${target}`, input);
        }
      }
    }
    // QEMU 7.2 has no execute exception for EXRL, and no specification exception for an odd target.
    if (m === 'EX') add('ex 1,0(15);.skip 60;ex 1,0(15)', { r: { 15: HERE + 64n } });
  },
};

export const BRANCH_FAMILIES: Family[] = [
  onCondition,
  onCount,
  onIndex(32, 'BXH BXLE BRXH BRXLE'),
  onIndex(64, 'BXHG BXLEG BRXHG BRXLG'),
  linkage,
  compareAnd,
  withStorage,
  execute,
];
