/**
 * Storage keys. Every case sets the key it looks at first, for keys stay from case to case. Key-controlled protection
 * itself is not asked of the oracle: QEMU's TCG does not enforce it.
 */
import type { Family } from '../cases.ts';
import { names } from '../cases.ts';

/** Access-control bits, fetch protection, reference and change; the last bit of the byte is none. */
const KEYS = [0x00, 0x30, 0xf8, 0x54, 0x92, 0xfe, 0xff, 0x06];
/** Real addresses of blocks nothing else of a case reaches, at their beginning and inside. */
const BLOCKS = [0x4f000n, 0x4ffffn];

/** Setting and inserting. */
const setting: Family = {
  mnemonics: names('SSKE ISKE'),
  make(add, m, random) {
    for (const key of KEYS)
      for (const block of BLOCKS) {
        const r = { 2: (random.u64() & ~0xffn) | BigInt(key), 8: block, 4: random.u64() };
        add(m === 'SSKE' ? 'sske 2,8;iske 2,8' : 'sske 2,8;iske 4,8', { r });
      }
  },
};

/** The condition code, and the reference bit afterwards. */
const resetting: Family = {
  mnemonics: names('RRBE'),
  make(add, _, random) {
    for (const key of KEYS)
      add('sske 2,8;rrbe 3,8;iske 4,8', {
        r: { 2: (random.u64() & ~0xffn) | BigInt(key), 8: BLOCKS[0], 4: random.u64() },
      });
  },
};

/** Storage keys. */
export const KEY_FAMILIES: Family[] = [setting, resetting];
