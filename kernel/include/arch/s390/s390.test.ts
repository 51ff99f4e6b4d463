import { expect, test } from 'vitest';
import { CCW0, CCW1 } from './ccw.ts';
import { CRW, CRW_ERC, CRW_FLAGS, CRW_RSC } from './crw.ts';
import { IRB } from './irb.ts';
import { ORB, ORB_CTRL0, ORB_CTRL1 } from './orb.ts';
import { PMCW, PMCW_FLAGS, SCHIB } from './schib.ts';
import * as scsw from './scsw.ts';
import { CSTAT, DSTAT, SCSW, SCSW_CTRL, SCSW_FLAGS } from './scsw.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('sizes are the architected ones', () => {
  const sizes = [CCW0, CCW1, CRW, IRB, ORB, PMCW, SCHIB, SCSW].map((s) => [s.name, s.size]);
  expect(Object.fromEntries(sizes)).toEqual({
    ccw0: 8,
    ccw1: 8,
    crw: 4,
    irb: 64,
    orb: 12,
    pmcw: 28,
    schib: 52,
    scsw: 12,
  });
});

test('a structure’s bytes are big-endian and stand where the manual puts them', () => {
  const orb = ORB.make({ intparm: 0x11223344, ctrl0: 0x00c0, lpm: 0x80, ctrl1: 0, cpa: 0x00123456 });
  expect(hex(ORB.bytes(orb))).toBe('1122334400c0800000123456');
  expect(ORB_CTRL0.print(orb.ctrl0)).toBe('F P');
  expect(hex(CCW1.bytes(CCW1.make({ cmd: 2, flags: 0x60, count: 0x1000, cda: 0x7fff0000 })))).toBe('026010007fff0000');
  expect(hex(CCW0.bytes(CCW0.make({ cmd: 2, cdaHigh: 0x12, cda: 0x3456, flags: 0x40, count: 8 })))).toBe(
    '0212345640000008',
  );
  const irb = IRB.make();
  irb.scsw.cpa = 0xaabbccdd;
  irb.fsa = 0x1_0000_0001;
  expect(hex(IRB.bytes(irb)).slice(0, 64)).toBe(`00000000aabbccdd${'00'.repeat(12)}000000010000000100000000`);
  const schib = SCHIB.make();
  schib.pmcw.devno = 0x0190;
  schib.scsw.count = 0x1234;
  schib.mda = 5;
  expect([schib.dv.getUint16(6), schib.dv.getUint16(38), schib.dv.getUint32(48)]).toEqual([0x0190, 0x1234, 5]);
});

test('the constants of the SCSW lie inside the fields that hold them', () => {
  const names = { FCTL: 'fctl', ACTL: 'actl', STCTL: 'stctl' } as const;
  for (const [part, field] of Object.entries(names)) {
    const bits = Object.entries(scsw).filter(([name]) => name.startsWith(`SCSW_${part}_`));
    const union = bits.reduce((all, [, bit]) => all | (bit as number), 0);
    expect(union, part).toBe(SCSW_CTRL.mask[field]);
    expect((scsw as Record<string, unknown>)[`SCSW_CTRL_MASK_${part}`]).toBe(union);
  }
  for (const byte of [DSTAT, CSTAT]) {
    const bits: number[] = Object.values(byte);
    expect(bits.reduce((all, bit) => all + bit)).toBe(0xff);
  }
});

test('flags are found at the manual’s bit numbers', () => {
  expect(SCSW_FLAGS.mask).toMatchObject({ key: 0xf000, CC: 0x0300, N: 1 });
  expect(PMCW_FLAGS.mask).toMatchObject({ ISC: 0x3800, E: 0x80, T: 2, V: 1 });
  expect(ORB_CTRL1.mask).toMatchObject({ L: 0x80, X: 1 });
  const crw = CRW_FLAGS.set(CRW_FLAGS.set(0, 'RSC', CRW_RSC.SUBCH), 'ERC', CRW_ERC.IPI);
  expect(crw).toBe(0x0304);
});
