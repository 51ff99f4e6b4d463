/** Multiplication, division, decimal conversion and shifts. */
import type { Family } from '../cases.ts';
import { names, patched } from '../cases.ts';
import { hexOf, ones } from '../values.ts';
import { indexed } from './operands.ts';

/** The instruction with an odd R1, which must be even. R1 is in byte 1, in byte 3 in RRE. */
function oddFirst(m: string, form: 'rr' | 'rx' | 'rxy'): string {
  return patched(
    form === 'rr' ? `${m.toLowerCase()} 4,9` : `${m.toLowerCase()} 2,0(8)`,
    form === 'rr' && m.length > 2 ? 3 : 1,
    0x10,
  );
}

/** Product into an even-odd pair: the odd register times the operand. */
function product(width: number, form: 'rr' | 'rx' | 'rxy', list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      const operands = form === 'rr' ? [] : indexed(random, form === 'rxy');
      for (let k = 0; k < 30; k++) {
        const [a, b] = random.pair(k, width, width);
        if (form === 'rr') add(`${m.toLowerCase()} 4,${k % 5 === 4 ? 5 : 9}`, { r: { 4: random.u64(), 5: a, 9: b } });
        else {
          const operand = operands[k % operands.length]!;
          add(`${m.toLowerCase()} 2,${operand.text}`, {
            r: { ...operand.r, 2: random.u64(), 3: a },
            mem: { [operand.address]: hexOf(b, width / 8) },
          });
        }
      }
      add(oddFirst(m, form), { r: { 8: 0x20f80n } });
    },
  };
}

/** R1 pair = R2 times R3. */
const threeOperandProduct: Family = {
  mnemonics: ['MGRK'],
  make(add, _m, random) {
    for (let k = 0; k < 26; k++) {
      const [a, b] = random.pair(k, 64, 64);
      add(k % 5 === 4 ? 'mgrk 4,5,4' : 'mgrk 4,9,10', { r: k % 5 === 4 ? { 5: a, 4: b } : { 9: a, 10: b } });
    }
    add(patched('mgrk 4,9,10', 3, 0x10), {});
  },
};

/** Kinds of division: dividend in the pair (`double`) or in the odd register (`single`); widths of quotient and divisor. */
function quotient(
  dividend: 'double' | 'single',
  width: number,
  divisor: number,
  signed: boolean,
  form: 'rr' | 'rx' | 'rxy',
  list: string,
): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      const operands = form === 'rr' ? [] : indexed(random, form === 'rxy');
      for (let k = 0; k < 34; k++) {
        let [a, b] = random.pair(k, width, divisor);
        let highPart = random.u64();
        if (k >= 20 && dividend === 'double') {
          // A quotient that fits, or nearly: dividend = quotient times divisor plus a remainder.
          const d = signed ? BigInt.asIntN(divisor, b) : BigInt.asUintN(divisor, b);
          const q = signed ? BigInt.asIntN(width, random.bits(width)) : random.bits(width);
          const magnitude = d < 0n ? -d : d;
          const rest = magnitude ? random.u64() % magnitude : 0n;
          const n = q * d + (signed && q * d < 0n ? -rest : rest);
          a = random.widen(n & ones(width), width);
          highPart = random.widen((n >> BigInt(width)) & ones(width), width);
        } else if (dividend === 'double') {
          highPart = random.widen(
            k % 3 === 0
              ? 0n
              : signed && k % 3 === 1 && (a >> BigInt(width - 1)) & 1n
                ? ones(width)
                : random.bits(width),
            width,
          );
        }
        if (k === 19) b = 0n;
        if (form === 'rr') add(`${m.toLowerCase()} 4,${k % 7 === 6 ? 5 : 9}`, { r: { 4: highPart, 5: a, 9: b } });
        else {
          const operand = operands[k % operands.length]!;
          add(`${m.toLowerCase()} 2,${operand.text}`, {
            r: { ...operand.r, 2: highPart, 3: a },
            mem: { [operand.address]: hexOf(b, divisor / 8) },
          });
        }
      }
      add(oddFirst(m, form), { r: { 8: 0x20f80n } });
    },
  };
}

const AMOUNTS = ['0', '1', '7', '31', '32', '33', '63', '0(8)', '60(8)'];

/** Shifts and rotates. `form` 1: `m R1,D(B)`; 2: with R3; 3: even-odd pair. */
function shift(width: number, form: 1 | 2 | 3, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      AMOUNTS.forEach((amount, n) => {
        for (let i = 0; i < 4; i++) {
          let a = random.bits(width);
          if (i === 0) a = n % 2 ? ones(width) : 1n << BigInt(width - 1);
          // Sign and a run of copies of it: the edge of overflow of the signed left shifts.
          if (i === 1)
            a = BigInt.asUintN(width, (n % 2 ? -1n : 1n) * (random.u64() >> BigInt(64 - width + (n % 20) + 1)));
          const r = { 8: random.widen(BigInt(random.below(64)), 6) };
          if (form === 1) add(`${m.toLowerCase()} 2,${amount}`, { r: { ...r, 2: random.widen(a, width) } });
          else if (form === 2) {
            const [r1, r3] = i === 3 ? [5, 5] : [2, 3];
            add(`${m.toLowerCase()} ${r1},${r3},${amount}`, { r: { ...r, [r3]: random.widen(a, width) } });
          } else
            add(`${m.toLowerCase()} 4,${amount}`, {
              r: {
                ...r,
                4: random.widen(i < 2 ? a : a >> BigInt(random.below(32)), 32),
                5: random.widen(random.bits(32), 32),
              },
            });
        }
      });
      if (form === 3) add(patched(`${m.toLowerCase()} 4,1`, 1, 0x10), {});
    },
  };
}

/** CONVERT TO DECIMAL. */
function toDecimal(width: number, long: boolean, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      indexed(random, long).forEach((operand) => {
        for (let i = 0; i < 4; i++)
          add(`${m.toLowerCase()} 2,${operand.text}`, {
            r: { ...operand.r, 2: random.widen(random.bits(width), width) },
          });
      });
    },
  };
}

/** CONVERT TO BINARY: decimal numbers in range, both signs, all sign codes. */
function toBinary(bytes: number, limit: bigint, long: boolean, list: string): Family {
  return {
    mnemonics: names(list),
    make(add, m, random) {
      indexed(random, long).forEach((operand) => {
        for (let i = 0; i < 4; i++) {
          const n = [0n, limit, limit + 1n][i] ?? random.u64() % limit;
          const digits = `${n}${i === 2 ? 'd' : random.pick(['c', 'd', 'f', 'a', 'b', 'e'])}`.padStart(2 * bytes, '0');
          add(`${m.toLowerCase()} 2,${operand.text}`, {
            r: { ...operand.r, 2: random.u64() },
            mem: { [operand.address]: digits },
          });
        }
      });
    },
  };
}

export const MULTIPLY_FAMILIES: Family[] = [
  product(32, 'rr', 'MR MLR'),
  product(64, 'rr', 'MLGR'),
  product(32, 'rx', 'M'),
  product(32, 'rxy', 'MFY ML'),
  product(64, 'rxy', 'MLG MG'),
  threeOperandProduct,
  quotient('double', 32, 32, true, 'rr', 'DR'),
  quotient('double', 32, 32, true, 'rx', 'D'),
  quotient('double', 32, 32, false, 'rr', 'DLR'),
  quotient('double', 32, 32, false, 'rxy', 'DL'),
  quotient('double', 64, 64, false, 'rr', 'DLGR'),
  quotient('double', 64, 64, false, 'rxy', 'DLG'),
  quotient('single', 64, 64, true, 'rr', 'DSGR'),
  quotient('single', 64, 64, true, 'rxy', 'DSG'),
  quotient('single', 64, 32, true, 'rr', 'DSGFR'),
  quotient('single', 64, 32, true, 'rxy', 'DSGF'),
  shift(32, 1, 'SLL SRL SLA SRA'),
  shift(64, 2, 'SLLG SRLG SLAG SRAG RLLG'),
  shift(32, 2, 'SLLK SRLK SLAK SRAK RLL'),
  shift(32, 3, 'SLDL SRDL SLDA SRDA'),
  toDecimal(32, false, 'CVD'),
  toDecimal(32, true, 'CVDY'),
  toDecimal(64, true, 'CVDG'),
  toBinary(8, 0x7fffffffn, false, 'CVB'),
  toBinary(8, 0x7fffffffn, true, 'CVBY'),
  toBinary(16, 0x7fffffffffffffffn, true, 'CVBG'),
];
