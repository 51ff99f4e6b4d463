/** Instructions on strings of bytes: storage-to-storage, and the interruptible ones (`jo .-4` repeats while cc is 3). */
import type { Family } from '../cases.ts';
import { names, patched } from '../cases.ts';
import type { Random } from '../values.ts';

/** Lengths and places of two operands: [length, address 1, address 2]. B may overlap A. */
const PLACES: [number, number, number][] = [
  [1, 0x20f80, 0x23f80],
  [2, 0x20fff, 0x23f81],
  [7, 0x20ffc, 0x23fff],
  [8, 0x20f88, 0x23f90],
  [16, 0x20f90, 0x20f98],
  [17, 0x20f91, 0x20f90],
  [33, 0x20ff0, 0x23ff1],
  [64, 0x20f81, 0x20f80],
  [64, 0x20f80, 0x20f81],
  [200, 0x20fa0, 0x20fa0],
  [256, 0x20f00, 0x23f00],
  [256, 0x20f83, 0x23f85],
];

/** Background of both areas. */
function background(random: Random): Record<number, string> {
  return { [0x20f00]: random.hex(512), [0x23f00]: random.hex(512) };
}

/** MOVE RIGHT TO LEFT: the length less one is in R0. */
const rightToLeft: Family = {
  mnemonics: ['MVCRL'],
  make(add, _m, random) {
    for (const [length, a, b] of PLACES)
      add('mvcrl 0(8),0(9)', { r: { 0: BigInt(length - 1), 8: BigInt(a), 9: BigInt(b) }, mem: background(random) });
  },
};

/** `m D1(L,B1),D2(B2)`. */
const characters: Family = {
  mnemonics: names('MVC MVN MVZ NC OC XC CLC MVCIN'),
  make(add, m, random) {
    for (const [length, a, b] of PLACES) {
      for (let i = 0; i < 2; i++) {
        const mem: Record<number, string> =
          i && length < 100 ? { [a]: random.hex(length), [b]: random.hex(length) } : background(random);
        if (m === 'CLC' && i) {
          // Equal up to the last byte.
          const text = random.hex(length);
          mem[a] = text;
          mem[b] = random.below(2) ? text : text.slice(0, -2) + random.hex(1);
        }
        if (m === 'MVCIN' && Math.abs(a - b) < length) continue;
        const disp = m === 'MVCIN' ? length - 1 : 0;
        add(`${m.toLowerCase()} ${i}(${length},8),${disp}(9)`, { r: { 8: BigInt(a - i), 9: BigInt(b) }, mem });
      }
    }
  },
};

/** TRANSLATE with a table in area B, and TRANSLATE AND TEST with few function bytes. */
const translate: Family = {
  mnemonics: names('TR TRT TRTR'),
  make(add, m, random) {
    for (const [length, a] of [
      [1, 0x20f80],
      [8, 0x20ffc],
      [33, 0x20f91],
      [64, 0x20fe0],
      [128, 0x20f80],
      [256, 0x20f40],
    ]) {
      // biome-ignore format: pairs
      for (let i = 0; i < 4; i++) {
        let table = random.hex(256);
        if (m !== 'TR') {
          const bytes = Array(256).fill('00');
          for (let n = 0; n < [0, 1, 3, 40][i]!; n++) bytes[random.below(256)] = random.hex(1);
          table = bytes.join('');
        }
        const operand = i === 1 && m !== 'TR' ? `${'11'.repeat(length! - 1)}22` : random.hex(length!);
        if (i === 1 && m !== 'TR') table = `${'00'.repeat(34)}77${'00'.repeat(221)}`;
        const start = m === 'TRTR' ? a! + length! - 1 : a!;
        add(`${m.toLowerCase()} 0(${length},8),0(9)`, { r: { 1: random.u64(), 2: random.u64(), 8: BigInt(start), 9: 0x23f80n }, mem: { [a!]: operand, [0x23f80]: table } });
      }
    }
  },
};

/** PACK, UNPK, MVO with two lengths; PKA PKU UNPKA UNPKU. */
const pack: Family = {
  mnemonics: names('PACK UNPK MVO PKA PKU UNPKA UNPKU'),
  make(add, m, random) {
    if (/^(PACK|UNPK|MVO)$/.test(m)) {
      for (const [l1, l2] of [[1, 1], [8, 16], [16, 8], [5, 9], [9, 5], [16, 16], [1, 16], [16, 1], [4, 7]]) // biome-ignore format: pairs
        for (const b of [0x23f80, 0x20ff8]) {
          // QEMU 7.2 loses the first byte of UNPK's second operand, and fetches again what it has overwritten.
          if (m === 'UNPK' && (l1 === 2 * l2 || l1 === 2 * l2 - 1 || (b === 0x20ff8 && l1! > 1)) && l2! > 1) continue;
          add(`${m.toLowerCase()} 0(${l1},8),0(${l2},9)`, {
            r: { 8: 0x20ff8n, 9: BigInt(b) },
            mem: { [0x20ff0]: random.hex(32), [0x23f80]: random.hex(16) },
          });
        }
      return;
    }
    for (const length of [1, 2, 8, 15, 16, 31, 32, 62, 64]) {
      if (m === 'PKA' && length > 32) continue;
      const even = m.endsWith('U') ? length + (length % 2) : length;
      if (m === 'UNPKA' && length > 32) continue;
      const operand = m.startsWith('P') ? `0(8),0(${even},9)` : `0(${even},8),0(9)`;
      for (const sign of ['c', 'd', 'f'])
        add(`${m.toLowerCase()} ${operand}`, {
          r: { 8: 0x20ff8n, 9: 0x23ff8n },
          mem: { [0x20ff0]: random.hex(80), [0x23ff8]: random.hex(15) + random.hex(1)[0] + sign + random.hex(48) },
        });
    }
  },
};

/** MOVE and COMPARE LONG: pairs 2-3 and 4-5; the pad is in R5 (bits 32-39), or in the second operand of the E forms. */
const long: Family = {
  mnemonics: names('MVCL CLCL MVCLE CLCLE'),
  make(add, m, random) {
    const forms: [number, number][] = [[0, 0], [8, 8], [16, 5], [5, 16], [0, 9], [9, 0], [200, 200], [256, 17], [64, 64]]; // biome-ignore format: pairs
    for (const [l1, l2] of forms) {
      for (let i = 0; i < 4; i++) {
        const pad = random.below(256);
        const high = (random.u64() >> 32n) << 32n;
        const short = m.length === 4;
        const r = {
          2: 0x20f40n,
          3: short ? high | BigInt(l1) | 0xab000000n : BigInt(l1),
          4: 0x23f43n,
          5: short ? high | BigInt(l2) | (BigInt(pad) << 24n) : BigInt(l2),
          6: BigInt(pad) | (random.u64() & ~0xffn),
        };
        const a = random.hex(Math.max(l1, 1));
        let b = random.hex(Math.max(l2, 1));
        if (m.startsWith('C') && i)
          b = (a + pad.toString(16).padStart(2, '0').repeat(256)).slice(0, 2 * Math.max(l2, 1));
        const mem: Record<number, string> = {
          [0x20f40]:
            m.startsWith('C') && i === 2 && l1 > l2
              ? b.slice(0, 2 * l2) +
                pad
                  .toString(16)
                  .padStart(2, '0')
                  .repeat(l1 - l2)
              : a,
          [0x23f43]: b,
        };
        if (i === 3 && m.startsWith('C') && l2 > 3) mem[0x23f43 + l2 - 2] = random.hex(1);
        if (short) add(`${m.toLowerCase()} 2,4`, { r, mem });
        else add(`${m.toLowerCase()} 2,4,${i === 1 ? pad : '0(6)'};jo .-4`, { r, mem });
      }
    }
    if (m === 'MVCL')
      add('mvcl 2,4', { r: { 2: 0x20f84n, 3: 32n, 4: 0x20f80n, 5: 32n }, mem: { [0x20f80]: random.hex(64) } });
    if (m.length === 4) {
      add(patched(`${m.toLowerCase()} 2,4`, 1, 0x10), {});
      add(patched(`${m.toLowerCase()} 2,4`, 1, 0x01), {});
    }
  },
};

/** Strings ended by the byte in R0, and the search for it. */
const ended: Family = {
  mnemonics: names('SRST MVST CLST'),
  make(add, m, random) {
    for (const length of [0, 1, 5, 16, 31, 100, 130]) {
      for (let i = 0; i < 4; i++) {
        const end = random.below(256);
        const e = end.toString(16).padStart(2, '0');
        const clean = (n: number) =>
          Array.from({ length: n }, () => ((end + 1 + random.below(255)) & 255).toString(16).padStart(2, '0')).join('');
        const text = clean(length);
        const r: Record<number, bigint> = { 0: BigInt(end), 2: 0x20f90n, 4: 0x23f92n };
        if (m === 'SRST') {
          // R1 = 3: end address; R2 = 2: start; found, or the end comes first.
          add('srst 3,2;jo .-4', {
            r: { ...r, 3: 0x20f90n + BigInt(i === 2 ? length : length + i * 2 + 1) },
            mem: { [0x20f90]: text + e },
          });
        } else if (m === 'MVST')
          add('mvst 2,4;jo .-4', { r, mem: { [0x23f92]: text + e + random.hex(8), [0x20f90]: random.hex(8) } });
        else {
          let other = text + e;
          if (i === 1) other = clean(length) + e;
          if (i === 2) other = text.slice(0, 2 * (length >> 1)) + e;
          if (i === 3) other = text + clean(3) + e;
          add('clst 2,4;jo .-4', { r, mem: { [0x20f90]: text + e, [0x23f92]: other } });
        }
      }
    }
    // CLST must refuse this as well; QEMU 7.2 does not look.
    if (m !== 'CLST') add(`${m.toLowerCase()} 2,4`, { r: { 0: 0x100n } });
  },
};

/** TRANSLATE EXTENDED: ends at the test byte in R0, or with the operand. */
const translateExtended: Family = {
  mnemonics: ['TRE'],
  make(add, _m, random) {
    for (const length of [0, 1, 9, 40, 100]) {
      for (let i = 0; i < 3; i++) {
        const text = random.hex(Math.max(length, 1));
        const at = 2 * random.below(Math.max(length, 1));
        // The test byte: one of the operand's, or one it may not have.
        const stop = i ? BigInt(`0x${text.slice(at, at + 2)}`) : BigInt(random.below(256));
        add('tre 2,4;jo .-4', {
          r: { 0: stop, 2: 0x20f91n, 3: BigInt(length), 4: 0x23f80n },
          mem: { [0x20f91]: text, [0x23f80]: random.hex(256) },
        });
      }
    }
    add(patched('tre 2,4', 3, 0x10), {});
  },
};

/** CHECKSUM: lengths with every remainder, carries. */
const checksum: Family = {
  mnemonics: ['CKSM'],
  make(add, _m, random) {
    for (const length of [0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 255, 256]) {
      for (const bytes of ['ff'.repeat(256), random.hex(256)])
        add('cksm 2,4;jo .-4', { r: { 2: random.u64(), 4: 0x20f41n, 5: BigInt(length) }, mem: { [0x20f41]: bytes } });
    }
  },
};

export const STRING_FAMILIES: Family[] = [
  characters,
  rightToLeft,
  translate,
  pack,
  long,
  ended,
  translateExtended,
  checksum,
];
