/**
 * Vectors made by hand from the Principles of Operation (SA22-7832), for what QEMU 7.2 does not do or does wrongly.
 * Same form as vectors.json; what is wrong in QEMU is said at each group.
 */
import type { Form } from './vectors.ts';

const R8 = { r8: '20f80' };
/** Program mask with fixed-point overflow on, and what it leads to. */
const OVERFLOW = { pm: 8 };
const OVERFLOWED = { cc: 3, pgm: '8' };

export const PRINCIPLES: Record<string, Form[]> = {
  // QEMU stores zeros.
  STMH: [
    {
      asm: 'stmh 2,4,0(8)',
      code: 'eb2480000026',
      cases: [
        [
          { ...R8, r2: '1122334455667788', r3: '99aabbccddeeff00', r4: '123456789abcdef' },
          { m20f80: '1122334499aabbcc01234567' },
        ],
        [
          { r8: '20ffa', r2: '1122334455667788', r3: '99aabbccddeeff00', cc: 2 },
          { m20ffa: '1122334499aabbcc44444444' },
        ],
      ],
    },
    { asm: 'stmh 15,0,0(8)', code: 'ebf080000026', cases: [[R8, { m20f80: 'ffffffff' }]] },
  ],
  // QEMU takes odd registers.
  CDSG: [
    { asm: 'cdsg 3,4,0(8)', code: 'eb348000003e', cases: [[R8, { pgm: '6', ilc: 6 }]] },
    { asm: 'cdsg 2,5,0(8)', code: 'eb258000003e', cases: [[R8, { pgm: '6', ilc: 6 }]] },
  ],
  // Bit 0 of I3: test only. QEMU aborts.
  RNSBG: [
    {
      asm: 'rnsbg 4,5,128,63,0',
      code: 'ec45803f0054',
      cases: [
        [{ r4: 'ff00000000000000', r5: 'ff000000000000', cc: 3 }, { cc: 0 }],
        [{ r4: 'ff00000000000000', r5: '8000000000000000', cc: 3 }, { cc: 1 }],
      ],
    },
  ],
  ROSBG: [
    {
      asm: 'rosbg 4,5,135,15,4',
      code: 'ec45870f0456',
      cases: [
        [{ r4: 'fe00ffffffffffff', r5: 'f', cc: 1 }, { cc: 0 }],
        [{ r4: '0', r5: '1000000000000' }, { cc: 1 }],
      ],
    },
  ],
  RXSBG: [
    {
      asm: 'rxsbg 4,5,160,63,8',
      code: 'ec45a03f0857',
      cases: [
        [{ r4: 'aaaaaaaa56780000', r5: '1234567800', cc: 1 }, { cc: 0 }],
        [{ r4: 'aaaaaaaa56780001', r5: '1234567800' }, { cc: 1 }],
      ],
    },
  ],
  // Not in QEMU. Bit 63 of R1 and R2: 64-bit mode; bit 32: 31-bit mode.
  BSM: [
    {
      asm: 'bsm 14,8',
      code: '0be8',
      cases: [
        [
          { r14: '1000', r8: '30891' },
          { r14: '1001', next: '30890' },
        ],
        [
          { r8: '80030890', cc: 2 },
          { r14: 'eeeeeeeeeeeeeeef', next: '30890', amode: 31 },
        ],
        [{ r8: '30890' }, { r14: 'eeeeeeeeeeeeeeef', next: '30890', amode: 24 }],
        [
          { r14: '123456789', r8: '30891', amode: 31 },
          { r14: '1a3456789', next: '30890', amode: 64 },
        ],
        [
          { r14: 'ffffffffffffffff', r8: '80030890', amode: 24 },
          { r14: 'ffffffff7fffffff', next: '30890', amode: 31 },
        ],
        [
          { r14: 'ffffffff7fffffff', r8: '30890', amode: 31, cc: 1, pm: 5 },
          { r14: 'ffffffffffffffff', next: '30890', amode: 24 },
        ],
      ],
    },
    {
      asm: 'bsm 0,8',
      code: '0b08',
      cases: [
        [
          { r0: '4', r8: '80030890' },
          { next: '30890', amode: 31 },
        ],
      ],
    },
    { asm: 'bsm 14,0', code: '0be0', cases: [[{ r0: '30890', r14: '10' }, { r14: '11' }]] },
  ],
  BASSM: [
    {
      asm: 'bassm 14,8',
      code: '0ce8',
      cases: [
        [{ r8: '30891' }, { r14: '30803', next: '30890' }],
        [
          { r8: '80030890', cc: 3 },
          { r14: '30803', next: '30890', amode: 31 },
        ],
        [
          { r8: '30891', amode: 31 },
          { r14: 'eeeeeeee80030802', next: '30890', amode: 64 },
        ],
        [
          { r8: '80030890', amode: 24 },
          { r14: 'eeeeeeee00030802', next: '30890', amode: 31 },
        ],
        [
          { r8: '30890', amode: 31 },
          { r14: 'eeeeeeee80030802', next: '30890', amode: 24 },
        ],
      ],
    },
    { asm: 'bassm 14,0', code: '0ce0', cases: [[{ r0: '30890' }, { r14: '30803' }]] },
  ],
  // Not in QEMU 7.2.
  CPYA: [
    {
      asm: 'sar 4,1;cpya 12,4;ear 3,12',
      code: 'b24e0041b24d00c4b24f003c',
      cases: [
        [
          { r1: 'c17d2abfc0df8a69', cc: 1 },
          { r3: '33333333c0df8a69', next: '3080c' },
        ],
      ],
    },
  ],
  // Not in QEMU 7.2. Out-of-range numbers are left out.
  CVB: [
    {
      asm: 'cvb 2,0(8)',
      code: '4f208000',
      cases: [
        [{ ...R8, m20f80: '000000000012345c', cc: 1 }, { r2: '2222222200003039' }],
        [{ ...R8, m20f80: '000000000012345d', cc: 2 }, { r2: '22222222ffffcfc7' }],
        [{ ...R8, m20f80: '000002147483647f' }, { r2: '222222227fffffff' }],
        [{ ...R8, m20f80: '000002147483648b' }, { r2: '2222222280000000' }],
        [{ ...R8, m20f80: '000000000000000d' }, { r2: '2222222200000000' }],
        [{ r8: '20ffd', m20ffd: '000000000000007a' }, { r2: '2222222200000007' }],
        [
          { ...R8, m20f80: '00000000000a000c' },
          { pgm: '7', ilc: 4 },
        ],
        [
          { ...R8, m20f80: '0000000000000001' },
          { pgm: '7', ilc: 4 },
        ],
      ],
    },
  ],
  CVBY: [
    {
      asm: 'cvby 2,-8(8)',
      code: 'e3208ff8ff06',
      cases: [
        [{ r8: '20f88', m20f80: '000000000012345c' }, { r2: '2222222200003039' }],
        [{ r8: '20f88', m20f80: '000002147483648d' }, { r2: '2222222280000000' }],
      ],
    },
  ],
  CVBG: [
    {
      asm: 'cvbg 2,0(8)',
      code: 'e3208000000e',
      cases: [
        [{ ...R8, m20f80: '0000000000009223372036854775807c' }, { r2: '7fffffffffffffff' }],
        [{ ...R8, m20f80: '0000000000009223372036854775808d' }, { r2: '8000000000000000' }],
        [{ ...R8, m20f80: '0000000000000000000000000000001d' }, { r2: 'ffffffffffffffff' }],
        [
          { ...R8, m20f80: '00000000000000000000000000000b1c' },
          { pgm: '7', ilc: 6 },
        ],
      ],
    },
  ],
  CVDG: [
    {
      asm: 'cvdg 2,0(8)',
      code: 'e3208000002e',
      cases: [
        [{ ...R8, r2: '7fffffffffffffff' }, { m20f80: '0000000000009223372036854775807c' }],
        [{ ...R8, r2: '8000000000000000' }, { m20f80: '0000000000009223372036854775808d' }],
        [{ ...R8, r2: '0' }, { m20f80: '0000000000000000000000000000000c' }],
        [{ ...R8, r2: 'ffffffffffffffff' }, { m20f80: '0000000000000000000000000000001d' }],
      ],
    },
  ],
  // QEMU 7.2 cuts large offsets, and in 24- and 31-bit mode clears bits 0-31.
  LARL: [
    { asm: 'larl 2,.+0xfffffffe', code: 'c0207fffffff', cases: [[{}, { r2: '1000307fe' }]] },
    { asm: 'larl 2,.-0x100000000', code: 'c02080000000', cases: [[{}, { r2: 'ffffffff00030800' }]] },
    { asm: 'larl 2,.+0x100', code: 'c02000000080', cases: [[{ amode: 31 }, { r2: '2222222200030900' }]] },
  ],
  LA: [
    {
      asm: 'la 2,1(8)',
      code: '41208001',
      cases: [
        [{ r8: 'ffffffffffffffff', amode: 31 }, { r2: '2222222200000000' }],
        [{ r8: '12345678ffabcdef', amode: 31 }, { r2: '222222227fabcdf0' }],
        [{ r8: '12345678ffabcdef', amode: 24 }, { r2: '2222222200abcdf0' }],
      ],
    },
  ],
  // QEMU 7.2 gives an operation exception.
  EX: [{ asm: 'ex 1,1(15)', code: '4410f001', cases: [[{ r15: '30840' }, { pgm: '6', ilc: 4 }]] }],
  EXRL: [
    { asm: 'exrl 1,.+8;.skip 2;exrl 1,.+8', code: 'c610000000040000c61000000004', cases: [[{}, { pgm: '3', ilc: 6 }]] },
    { asm: 'exrl 1,.+8;.skip 2;ex 1,0(15)', code: 'c6100000000400004410f000', cases: [[{}, { pgm: '3', ilc: 6 }]] },
  ],
  // QEMU does not look at bits 32-55 of R0.
  CLST: [
    {
      asm: 'clst 2,4',
      code: 'b25d0024',
      cases: [
        [
          { r0: '100', r2: '20f80', r4: '23f80' },
          { pgm: '6', ilc: 4 },
        ],
      ],
    },
  ],
  // QEMU does not use the first byte of the second operand, and fetches bytes again that it has overwritten.
  UNPK: [
    {
      asm: 'unpk 0(16,8),0(8,9)',
      code: 'f3f780009000',
      cases: [
        [{ r8: '20ff8', r9: '23f80', m23f80: '5b7ea00075ae94cb' }, { m20ff8: 'f0f5fbf7fefaf0f0f0f7f5fafef9f4bc' }],
      ],
    },
    {
      asm: 'unpk 0(5,8),0(3,9)',
      code: 'f34280009000',
      cases: [[{ ...R8, r9: '20f82', m20f80: '000012345c' }, { m20f80: 'fff3f3f4c5' }]],
    },
    {
      asm: 'unpk 0(4,8),0(4,9)',
      code: 'f33380009000',
      cases: [[{ ...R8, r9: '20f80', m20f80: '1234567c' }, { m20f80: 'f5f5f6c7' }]],
    },
  ],
  // No class is enabled (CR8); classes above 15 do not exist.
  MC: [
    { asm: 'mc 0,1', code: 'af010000', cases: [[{ cc: 2 }, {}]] },
    { asm: 'mc 0,16', code: 'af100000', cases: [[{ cc: 2 }, { pgm: '6', ilc: 4 }]] },
  ],
  // QEMU has no fixed-point-overflow interruption. The operation is completed.
  AR: [
    {
      asm: 'ar 2,3',
      code: '1a23',
      cases: [
        [
          { ...OVERFLOW, r2: '7fffffff', r3: '1' },
          { ...OVERFLOWED, ilc: 2, r2: '80000000' },
        ],
        [
          { ...OVERFLOW, r2: '7ffffffe', r3: '1' },
          { cc: 2, r2: '7fffffff' },
        ],
      ],
    },
  ],
  AGR: [
    {
      asm: 'agr 2,3',
      code: 'b9080023',
      cases: [
        [
          { ...OVERFLOW, r2: '8000000000000000', r3: 'ffffffffffffffff' },
          { ...OVERFLOWED, ilc: 4, r2: '7fffffffffffffff' },
        ],
      ],
    },
  ],
  ALR: [
    {
      asm: 'alr 2,3',
      code: '1e23',
      cases: [
        [
          { ...OVERFLOW, r2: '7fffffff', r3: '1' },
          { cc: 1, r2: '80000000' },
        ],
      ],
    },
  ],
  AHI: [
    {
      asm: 'ahi 2,1',
      code: 'a72a0001',
      cases: [
        [
          { ...OVERFLOW, r2: '7fffffff' },
          { ...OVERFLOWED, ilc: 4, r2: '80000000' },
        ],
      ],
    },
  ],
  LCR: [
    {
      asm: 'lcr 2,3',
      code: '1323',
      cases: [
        [
          { ...OVERFLOW, r2: '0', r3: '80000000' },
          { ...OVERFLOWED, ilc: 2, r2: '80000000' },
        ],
      ],
    },
  ],
  LPGR: [
    {
      asm: 'lpgr 2,3',
      code: 'b9000023',
      cases: [
        [
          { ...OVERFLOW, r3: '8000000000000000' },
          { ...OVERFLOWED, ilc: 4, r2: '8000000000000000' },
        ],
      ],
    },
  ],
  SLA: [
    {
      asm: 'sla 2,1',
      code: '8b200001',
      cases: [
        [
          { ...OVERFLOW, r2: '40000000' },
          { ...OVERFLOWED, ilc: 4, r2: '0' },
        ],
      ],
    },
  ],
};
