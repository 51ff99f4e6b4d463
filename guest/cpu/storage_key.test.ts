/** Storage keys: the instructions on them, and key-controlled protection of everything the CPU does. */
import { expect, test } from 'vitest';
import { STORAGE_KEY } from '../../kernel/lib/storage_keys.ts';
import { SimpleMachine } from './simple_machine.ts';

const EA_BA = 0x1_8000_0000n;
const DAT = 1n << 58n;
const PROBLEM = 1n << 48n;
const key = (n: number) => BigInt(n) << 52n;
const WAIT = '0002000180000000';
/** lpswe 0(%r12): the end of a program, which needs storage with R12 pointing to a wait PSW. */
const END = 'b2b2c000';
const CODE = 0x1000;
const DATA = 0x5000;
const RAM = 0x40000;
const PROTECTION = 4;

/** Code at 1000, program new PSW a wait at bad, general register n is what `registers` says. */
function machine(code: string, registers: Record<number, bigint> = {}, mask = EA_BA, ram = RAM): SimpleMachine {
  const m = new SimpleMachine(ram);
  m.load(0x1d0, `${WAIT} 0000000000000bad`);
  m.load(0x2000, `${WAIT} 0000000000000000`);
  m.load(CODE, `${code} ${END}`);
  m.cpu.setPsw(mask, BigInt(CODE));
  m.cpu.setGpr(12, 0x2000n);
  for (const [n, value] of Object.entries(registers)) m.cpu.setGpr(Number(n), value);
  return m;
}
/** Runs to a wait; the program-interruption code, or 0 when the program reached its end. */
function run(m: SimpleMachine): number {
  let reason = m.cpu.run(10_000);
  while (reason === 'attention') reason = m.cpu.run(10_000);
  expect(reason).toBe('disabled_wait');
  return m.cpu.psw().address === 0n ? 0 : m.memory.dv.getUint16(0x8e);
}
const teid = (m: SimpleMachine) => m.memory.dv.getBigUint64(0xa8);
const word = (m: SimpleMachine, address: number) => m.memory.dv.getUint32(address);

test('SSKE sets all seven bits of the real block, ISKE gives them back, and registers keep the rest', () => {
  // sske 2,4; iske 6,4
  const m = machine('b22b0024 b2290064', { 2: 0xffff_ffffn, 4: BigInt(DATA + 0x123), 6: 0x1234_5678_9abc_def0n });
  expect(run(m)).toBe(0);
  expect(m.keys.get(DATA)).toBe(0xfe);
  expect(m.cpu.gpr(6)).toBe(0x1234_5678_9abc_defen);
});

test('key instructions name real storage: prefixing applies', () => {
  const m = machine('b22b0024 b2290065', { 2: 0x30n, 4: 0n, 5: 0x8000n });
  m.memory.u8.copyWithin(0x8000, 0, 0x2000);
  m.cpu.setPrefix(0x8000);
  m.cpu.setPsw(EA_BA, 0x9000n);
  m.cpu.invalidateAll();
  m.load(0x1000, `b22b0024 b2290065 ${END}`);
  expect(run(m)).toBe(0);
  // Interruptions and the code itself leave reference bits behind.
  expect([m.keys.get(0x8000) & 0xf8, m.keys.get(0) & 0xf8]).toEqual([0x30, 0]);
});

test.each([
  ['sske 2,4', 'b22b0024'],
  ['iske 2,4', 'b2290024'],
  ['rrbe 2,4', 'b22a0024'],
  ['pfmf 2,4', 'b9af0024'],
  ['rrbm 2,4', 'b9ae0024'],
])('%s: privileged; addressing exception outside storage', (_, text) => {
  expect(run(machine(text, { 2: 0x2_0030n, 4: BigInt(RAM) }))).toBe(5);
  expect(run(machine(text, { 2: 0n, 4: BigInt(DATA) }, EA_BA | PROBLEM))).toBe(2);
});

test('RRBE tells reference and change, and turns reference off', () => {
  for (const [before, cc] of [
    [0x30, 0],
    [0x32, 1],
    [0x34, 2],
    [0x36, 3],
  ] as const) {
    // rrbe 0,4; ipm 6
    const m = machine('b22a0004 b2220060', { 4: BigInt(DATA) });
    m.keys.set(DATA, before);
    expect(run(m)).toBe(0);
    expect([m.cpu.gprLow(6) >>> 28, m.keys.get(DATA)]).toEqual([cc, before & ~STORAGE_KEY.REFERENCE]);
  }
});

test('RRBM: 64 blocks, one bit each, the first leftmost', () => {
  const m = machine('b9ae0024', { 4: 0x4_1234n }, EA_BA, 0x80000);
  m.keys.set(0x40000, 4);
  m.keys.set(0x41000, 2);
  m.keys.set(0x7f000, 6);
  expect(run(m)).toBe(0);
  expect(m.cpu.gpr(2)).toBe(0x8000_0000_0000_0001n);
  expect([0x40000, 0x41000, 0x7f000].map((at) => m.keys.get(at))).toEqual([0, 2, 2]);
});

// Old key, new key, M3 (4 reference, 2 change do not count): condition code, key afterwards.
test.each([
  [0x30, 0x30, 4, 0, 0x30],
  [0x34, 0x30, 4, 0, 0x34],
  [0x36, 0x30, 4, 1, 0x30],
  [0x36, 0x30, 6, 0, 0x36],
  [0x34, 0x30, 2, 1, 0x30],
  [0x32, 0x30, 2, 0, 0x32],
  [0x38, 0x30, 6, 1, 0x30],
  [0x40, 0x36, 6, 1, 0x36],
])('conditional SSKE: key %i to %i with M3 %i gives cc %i', (before, wanted, m3, cc, expected) => {
  const m = machine(`b22b${m3.toString(16)}024 b2220060`, { 2: 0xffff_ff00n | BigInt(wanted), 4: BigInt(DATA) });
  m.keys.set(DATA, before);
  expect(run(m)).toBe(0);
  expect([m.cpu.gprLow(6) >>> 28, m.keys.get(DATA)]).toEqual([cc, expected]);
  // The old key goes into bits 48-55.
  expect(m.cpu.gprLow(2)).toBe((0xffff_0000 | (before << 8) | wanted) >>> 0);
});

test('SSKE of multiple blocks goes to the end of the mebibyte, and R2 with it', () => {
  const m = machine('b22b1024', { 2: 0x50n, 4: 0xff123n }, EA_BA, 0x120000);
  m.keys.set(0x100000, 0x30);
  expect(run(m)).toBe(0);
  expect([0xfe000, 0xff000, 0x100000].map((at) => m.keys.get(at))).toEqual([0, 0x50, 0x30]);
  expect(m.cpu.gpr(4)).toBe(0x100000n);
});

test('SSKE of multiple blocks stops where storage ends, with R2 there', () => {
  const m = machine('b22b1024', { 2: 0x50n, 4: BigInt(RAM - 0x2000) });
  expect(run(m)).toBe(5);
  expect([m.cpu.gpr(4), m.keys.get(RAM - 0x2000), m.keys.get(RAM - 0x1000)]).toEqual([BigInt(RAM), 0x50, 0x50]);
});

test('SSKE of multiple blocks waits for a page that is being moved, and goes on with it', () => {
  const m = machine('b22b1024', { 2: 0x50n, 4: 0xfd000n }, EA_BA, 0x120000);
  m.moving.add(0xfe000);
  expect(m.cpu.run(1000)).toBe('retry');
  expect([m.cpu.gpr(4), m.keys.get(0xfd000), m.keys.get(0xfe000)]).toEqual([0xfe000n, 0x50, 0]);
  m.moving.clear();
  expect(run(m)).toBe(0);
  expect([m.cpu.gpr(4), m.keys.get(0xfe000), m.keys.get(0xff000)]).toEqual([0x100000n, 0x50, 0x50]);
});

test('PFMF sets keys and clears, by 4 KiB and by larger frames; reserved bits are a specification exception', () => {
  const one = machine('b9af0024', { 2: 0x3_0038n, 4: BigInt(DATA + 5) });
  one.memory.u8.fill(0xff, DATA - 1, DATA + 4097);
  expect(run(one)).toBe(0);
  expect([one.keys.get(DATA) & 0xf8, one.cpu.gpr(4)]).toEqual([0x38, BigInt(DATA + 5)]);
  expect(one.memory.u8.subarray(DATA, DATA + 4096).every((byte) => byte === 0)).toBe(true);
  expect([one.memory.u8[DATA - 1], one.memory.u8[DATA + 4096]]).toEqual([0xff, 0xff]);
  const many = machine('b9af0024', { 2: 0x2_1038n, 4: 0xff000n }, EA_BA, 0x120000);
  expect(run(many)).toBe(0);
  expect([many.keys.get(0xff000), many.keys.get(0x100000), many.cpu.gpr(4)]).toEqual([0x38, 0, 0x100000n]);
  for (const bad of [0x100n, 1n, 0x4_0000n, 0x3000n, 0x7000n])
    expect(run(machine('b9af0024', { 2: bad, 4: BigInt(DATA) }))).toBe(6);
});

test('PFMF does not clear what low-address protection guards', () => {
  const m = machine('b9af0024', { 2: 0x1_0000n, 4: 0n });
  m.cpu.setCr(0, 0x1000_00e0n);
  expect(run(m)).toBe(PROTECTION);
});

test('SPKA changes the access key; problem state needs it in the PSW-key mask', () => {
  // spka 0x30; ipk; an operation exception
  const m = machine('b20a0030 b20b0000 0000', { 2: 0xffn });
  expect(run(m)).toBe(1);
  expect([m.memory.dv.getBigUint64(0x150) & key(15), m.cpu.gpr(2)]).toEqual([key(3), 0x30n]);
  const problem = machine('b20a0030', {}, EA_BA | PROBLEM | key(5));
  expect(run(problem)).toBe(2);
  const allowed = machine('b20a0030 b2040000', {}, EA_BA | PROBLEM | key(5));
  allowed.cpu.setCr(3, 0x1000_0000n);
  run(allowed);
  expect(allowed.memory.dv.getBigUint64(0x150) & key(15)).toBe(key(3));
});

// Storage key, access key: a store (st 2,0(4)) and a fetch (l 2,0(4)) end with this interruption code.
test.each([
  [0x40, 3, PROTECTION, 0],
  [0x48, 3, PROTECTION, PROTECTION],
  [0x38, 3, 0, 0],
  [0x48, 0, 0, 0],
])('storage key %i with access key %i: store %i, fetch %i', (storageKey, accessKey, store, fetch) => {
  for (const [text, expected] of [
    ['50204000', store],
    ['58204000', fetch],
  ] as const) {
    // spka 0(5); the access; spka 0
    const m = machine(`b20a5000 ${text} b20a0000`, { 4: BigInt(DATA + 8), 5: BigInt(accessKey << 4), 2: 7n });
    m.keys.set(DATA, storageKey);
    expect(run(m)).toBe(expected);
    if (expected === 0) continue;
    // Suppressed: behind the instruction, its length in the ILC; DAT is not the cause.
    expect([m.memory.dv.getBigUint64(0x158), m.memory.u8[0x8d]]).toEqual([BigInt(CODE + 8), 4]);
    expect(teid(m)).toBe(BigInt(DATA) | (text === '50204000' ? 0x400n : 0x800n));
    expect(word(m, DATA + 8)).toBe(0);
    expect(m.keys.get(DATA)).toBe(storageKey);
  }
});

test('what was reached with key 0 is closed again when the key changes, and the other way round it stays open', () => {
  // l 2,0(4); st 2,0(4); spka 0x30; l 2,0(4); st 2,0(4)
  const m = machine('58204000 50204000 b20a0030 58204000 50204000', { 4: BigInt(DATA) });
  m.keys.set(DATA, 0x40);
  expect(run(m)).toBe(PROTECTION);
  expect(m.memory.dv.getBigUint64(0x158)).toBe(BigInt(CODE + 20));
});

test('a program may protect a page from itself: SSKE takes effect at once', () => {
  // spka 0x30; st 2,0(4); sske 6,4 (key 0x40); st 2,0(4)
  const m = machine('b20a0030 50204000 b22b0064 50204000', { 4: BigInt(DATA), 6: 0x40n, 2: 9n });
  m.keys.set(DATA, 0x30);
  expect(run(m)).toBe(PROTECTION);
  expect(m.memory.dv.getBigUint64(0x158)).toBe(BigInt(CODE + 16));
});

test('the next instruction is fetched with the new key and from the new storage key', () => {
  // spka 0x30 in a fetch-protected page of another key
  const spka = machine('b20a0030 1822');
  spka.keys.set(CODE, 0x48);
  expect(run(spka)).toBe(PROTECTION);
  expect(teid(spka) & ~0xfffn).toBe(BigInt(CODE));
  // sske 6,4 on the page of the code, with access key 3
  const sske = machine('b20a0030 b22b0064 1822', { 4: BigInt(CODE), 6: 0x48n });
  expect(run(sske)).toBe(PROTECTION);
  // Of an instruction that cannot be fetched, the length is taken to be 2.
  expect(sske.memory.dv.getBigUint64(0x158)).toBe(BigInt(CODE + 8 + 2));
});

test('a store over a page end into a protected page changes neither page', () => {
  // spka 0x30; stg 2,0(4)
  const m = machine('b20a0030 e32040000024', { 4: BigInt(DATA + 0xffc), 2: 0xffff_ffff_ffff_ffffn });
  m.keys.set(DATA, 0x30);
  m.keys.set(DATA + 0x1000, 0x40);
  expect(run(m)).toBe(PROTECTION);
  expect([word(m, DATA + 0xffc), word(m, DATA + 0x1000)]).toEqual([0, 0]);
});

test('interruptions reach the lowcore whatever its key', () => {
  const m = machine('b20a0030 0a05');
  m.load(0x1c0, `${WAIT} 0000000000005bad`);
  m.keys.set(0, 0x48);
  m.cpu.run(100);
  expect(m.cpu.psw().address).toBe(0x5badn);
  expect(m.keys.get(0)).toBe(0x48 | STORAGE_KEY.REFERENCE | STORAGE_KEY.CHANGE);
});

test('reference and change bits: fetches, stores, and again after they were reset', () => {
  // l 2,0(4); iske 6,4; st 2,0(4); iske 7,4; rrbe 0,4; iske 8,4; l 2,0(4); iske 9,4
  const m = machine('58204000 b2290064 50204000 b2290074 b22a0004 b2290084 58204000 b2290094', { 4: BigInt(DATA) });
  expect(run(m)).toBe(0);
  expect([6, 7, 8, 9].map((n) => m.cpu.gpr(n) & 0xfen)).toEqual([4n, 6n, 2n, 6n]);
  // sske 5,4 turns both off: st 2,0(4) sets them anew.
  const again = machine('50204000 b22b0054 b2290064 50204000 b2290074', { 4: BigInt(DATA) });
  expect(run(again)).toBe(0);
  expect([6, 7].map((n) => again.cpu.gpr(n) & 0xfen)).toEqual([0n, 6n]);
});

test('fetch-protection override opens addresses below 2048, storage-protection override key 9', () => {
  // spka 0x30; l 2,0(4)
  const fetch = (at: number, cr0: bigint, storageKey: number) => {
    const m = machine('b20a0030 58204000', { 4: BigInt(at) });
    m.keys.set(at - (at % 4096), storageKey);
    m.cpu.setCr(0, 0xe0n | cr0);
    // The end's LPSWE is privileged, not protected.
    return run(m);
  };
  const [FPO, SPO] = [0x0200_0000n, 0x0100_0000n];
  expect([fetch(0x700, 0n, 0x48), fetch(0x700, FPO, 0x48), fetch(0x7fe, FPO, 0x48), fetch(0x800, FPO, 0x48)]).toEqual([
    4, 0, 4, 4,
  ]);
  expect([fetch(DATA, 0n, 0x98), fetch(DATA, SPO, 0x98), fetch(DATA, SPO, 0x88)]).toEqual([4, 0, 4]);
  // st 2,0(4) with storage-protection override, twice: the second time through the TLB.
  const store = machine('b20a0030 50204000 50204000', { 4: BigInt(DATA) });
  store.keys.set(DATA, 0x98);
  store.cpu.setCr(0, 0xe0n | SPO);
  expect(run(store)).toBe(0);
});

test('LURA and STURA are checked too', () => {
  for (const [text, storageKey, expected] of [
    ['b24b0024', 0x48, PROTECTION],
    ['b24b0024', 0x40, 0],
    ['b2460024', 0x40, PROTECTION],
    ['b2460024', 0x30, 0],
  ] as const) {
    const m = machine(`b20a0030 ${text}`, { 4: BigInt(DATA) });
    m.keys.set(DATA, storageKey);
    expect(run(m)).toBe(expected);
  }
});

// tprot 0(4),0(5): access key in R5.
test.each([
  [0x30, 3, 0n, 0],
  [0x40, 3, 0n, 1],
  [0x48, 3, 0n, 2],
  [0x48, 0, 0n, 0],
  [0x98, 3, 0x0100_0000n, 0],
])('TPROT: storage key %i, access key %i, CR0 %s: cc %i', (storageKey, accessKey, cr0, cc) => {
  const m = machine('e50140005000 b2220060', { 4: BigInt(DATA), 5: BigInt(accessKey << 4) });
  m.keys.set(DATA, storageKey);
  m.cpu.setCr(0, 0xe0n | cr0);
  expect(run(m)).toBe(0);
  expect([m.cpu.gprLow(6) >>> 28, m.keys.get(DATA)]).toEqual([cc, storageKey]);
});

/** Identity tables of the first 256 pages for the primary space, and another order for the secondary one. */
function tables(m: SimpleMachine): void {
  const { dv } = m.memory;
  for (const [segment, page, swap] of [
    [0x10000, 0x14000, 0],
    [0x18000, 0x1c000, 1],
  ]) {
    dv.setBigUint64(segment, BigInt(page));
    for (let n = 1; n < 512; n++) dv.setBigUint64(segment + 8 * n, 0x20n);
    for (let n = 0; n < 256; n++)
      dv.setBigUint64(page + 8 * n, BigInt((n === 5 || n === 6 ? n ^ (3 * swap) : n) << 12));
  }
  m.cpu.setCr(1, 0x10000n);
  m.cpu.setCr(7, 0x18000n);
}

test('IVSK: access-control and fetch-protection bits of a virtual page; DAT and authority are needed', () => {
  const m = machine('b2230024', { 2: 0xffffn, 4: BigInt(DATA) }, EA_BA | DAT);
  tables(m);
  m.keys.set(DATA, 0x3e);
  expect(run(m)).toBe(0);
  expect(m.cpu.gpr(2)).toBe(0xff38n);
  expect(run(machine('b2230024', { 4: BigInt(DATA) }))).toBe(0x13);
  const problem = machine('b2230024', { 4: BigInt(DATA) }, EA_BA | PROBLEM | DAT);
  tables(problem);
  expect(run(problem)).toBe(2);
});

test('TPROT of a page without translation is cc 3; of one that DAT protects, cc 1', () => {
  for (const [change, cc] of [
    [0x400n, 3],
    [0x200n, 1],
  ] as const) {
    const m = machine('e50140005000 b2220060', { 4: BigInt(DATA), 5: 0n }, EA_BA | DAT);
    tables(m);
    m.memory.dv.setBigUint64(0x14000 + 8 * 5, BigInt(DATA) | change);
    expect(run(m)).toBe(0);
    expect(m.cpu.gprLow(6) >>> 28).toBe(cc);
  }
});

test('protection under DAT: DAT is named as the cause of its own, and of no other', () => {
  const byKey = machine('b20a0030 50204000', { 4: BigInt(DATA) }, EA_BA | DAT);
  tables(byKey);
  byKey.keys.set(DATA, 0x40);
  byKey.keys.set(CODE, 0x30);
  expect([run(byKey), teid(byKey)]).toEqual([PROTECTION, BigInt(DATA) | 0x400n]);
  const byDat = machine('50204000', { 4: BigInt(DATA) }, EA_BA | DAT);
  tables(byDat);
  byDat.memory.dv.setBigUint64(0x14000 + 8 * 5, BigInt(DATA) | 0x200n);
  expect([run(byDat), teid(byDat)]).toEqual([PROTECTION, BigInt(DATA) | 0x404n]);
});

test('a frame of a mebibyte is translated when control register 0 turns enhanced DAT on', () => {
  // l 2,0(4)
  const m = machine('58204000', { 4: 0x10_5000n }, EA_BA | DAT);
  tables(m);
  m.memory.dv.setBigUint64(0x10008, 0x400n);
  m.memory.dv.setUint32(DATA, 0x1234_5678);
  m.cpu.setCr(0, 0x80_00e0n);
  expect([run(m), m.cpu.gprLow(2)]).toEqual([0, 0x1234_5678]);
});

const TEXT = [1, 2, 3, 4, 5, 6, 7, 8];
/** Bytes at 5000; 6000 is the target. */
function moving(code: string, registers: Record<number, bigint>, mask = EA_BA): SimpleMachine {
  const m = machine(code, { 4: 0x6000n, 5: 0x5000n, ...registers }, mask);
  m.load(0x5000, Uint8Array.from(TEXT));
  return m;
}
const moved = (m: SimpleMachine, at = 0x6000) => [...m.memory.u8.subarray(at, at + 8)];

test('MVCK fetches with the key in R3, and moves at most 256 bytes', () => {
  // mvck 0(2,4),0(5),3; ipm 6
  const m = moving('d92340005000 b2220060', { 2: 8n, 3: 0x30n });
  m.keys.set(0x5000, 0x38);
  expect(run(m)).toBe(0);
  expect([moved(m), m.cpu.gprLow(6) >>> 28]).toEqual([TEXT, 0]);
  const more = moving('d92340005000 b2220060', { 2: 0x1_0000_0000n, 3: 0n });
  expect([run(more), more.cpu.gprLow(6) >>> 28]).toEqual([0, 3]);
  const closed = moving('d92340005000', { 2: 8n, 3: 0x40n });
  closed.keys.set(0x5000, 0x38);
  expect([run(closed), moved(closed)]).toEqual([PROTECTION, [0, 0, 0, 0, 0, 0, 0, 0]]);
  expect(run(moving('d92340005000', { 2: 8n, 3: 0x30n }, EA_BA | PROBLEM))).toBe(2);
});

test('MVCSK and MVCDK use the key in register 1 for the source and for the target', () => {
  // mvcsk 0(4),0(5); mvcdk 0(4),0(5)
  for (const [text, block] of [
    ['e50e40005000', 0x5000],
    ['e50f40005000', 0x6000],
  ] as const) {
    for (const [n, expected] of [
      [0x30n, 0],
      [0x40n, PROTECTION],
    ] as const) {
      const m = moving(text, { 0: 7n, 1: n });
      m.keys.set(block, 0x38);
      expect([run(m), moved(m)[0]]).toEqual([expected, expected === 0 ? 1 : 0]);
    }
  }
});

test('MVCP and MVCS move between the primary and the secondary space', () => {
  // In the secondary space pages 5 and 6 are exchanged: mvcp moves 5000 to 5000, mvcs 6000 back to 6000 of the other.
  for (const [text, from, to] of [
    ['da2350005000', 0x6000, 0x5000],
    ['db2350005000', 0x5000, 0x6000],
  ] as const) {
    const m = machine(text, { 2: 8n, 3: 0x30n, 5: 0x5000n }, EA_BA | DAT);
    tables(m);
    m.cpu.setCr(0, 0x0400_00e0n);
    m.load(from, Uint8Array.from(TEXT));
    m.keys.set(0x6000, 0x38);
    expect(run(m)).toBe(0);
    expect(moved(m, to)).toEqual(TEXT);
    m.cpu.setPsw(EA_BA | DAT, BigInt(CODE));
    m.keys.set(0x6000, 0x48);
    m.cpu.flushTlb();
    expect(run(m)).toBe(PROTECTION);
  }
  expect(run(machine('da2350005000', { 2: 8n, 3: 0n, 5: 0x5000n }))).toBe(0x13);
});

test('an overlapping move with key propagates bytes from left to right', () => {
  const m = machine('d92340005000', { 2: 7n, 3: 0n, 4: 0x5001n, 5: 0x5000n });
  m.load(0x5000, Uint8Array.from(TEXT));
  expect(run(m)).toBe(0);
  expect(moved(m, 0x5000)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
});
