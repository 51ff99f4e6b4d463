/** KVM_S390_MEM_OP on a guest of 32 pages, with tables and registers made by hand. */
import { expect, test } from 'vitest';
import { PGM } from '../include/arch/s390/pgm.ts';
import { KVM_S390_MEM_OP } from '../include/uapi/ioctl.ts';
import { KVM_S390_MEMOP, kvm_s390_mem_op, MEM_OP_MAX_SIZE, MEMOP_F } from '../include/uapi/kvm.ts';
import { KVM_RUN, RUN_LOCAL_INTERRUPTS } from '../include/uapi/kvm_run.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { LocalInterrupts } from '../lib/local_interrupts.ts';
import { STORAGE_KEY, StorageKeys } from '../lib/storage_keys.ts';
import { preempt, type Task } from '../lib/task.ts';
import { migratePage } from '../mm/migrate.ts';
import { TestHost } from './test_host.ts';

const PAGES = 32;
const RAM_END = PAGES * PAGE_SIZE;
const { LOGICAL_READ, LOGICAL_WRITE, ABSOLUTE_READ, ABSOLUTE_WRITE } = KVM_S390_MEMOP;
const { CHECK_ONLY, INJECT_EXCEPTION, SKEY_PROTECTION } = MEMOP_F;
const EA_BA = 0x1_8000_0000n;
const DAT = EA_BA | (1n << 58n);
const AS = { ar: 1n << 46n, secondary: 2n << 46n, home: 3n << 46n } as const;
/** Control register 0: low-address protection, fetch-protection and storage-protection override, enhanced DAT. */
const LAP = 0x1000_0000n;
const FPO = 0x0200_0000n;
const SPO = 0x0100_0000n;
const EDAT = 0x0080_0000n;
/** Where the guest has its tables: segment and page table of the primary, secondary and home space. */
const SEGMENT_TABLE = 0x4000;
const PAGE_TABLE = 0x8000;
const ASCE = (n: number) => BigInt(SEGMENT_TABLE + n * 0x1000);
const PTE_INVALID = 0x400n;
const PTE_PROTECT = 0x200n;

class Guest {
  readonly host = new TestHost();
  readonly ram = this.host.ram(PAGES);
  readonly fds = this.host.run(() => this.host.machine(this.ram, PAGES));
  readonly keys = new StorageKeys(this.host.memory, this.host.map.storageKeys);
  readonly run = this.host.map.vcpus[0].run;
  readonly local = new LocalInterrupts(this.host.memory, this.run + RUN_LOCAL_INTERRUPTS);

  constructor() {
    this.psw(EA_BA);
  }
  hpa(absolute: number): number {
    return this.host.kernel.mm.space.lookup(this.ram + absolute, false) + (absolute % PAGE_SIZE);
  }
  psw(mask: bigint): void {
    KVM_RUN.at(this.host.memory.dv, this.run).psw_mask = mask;
  }
  set prefix(value: number) {
    KVM_RUN.at(this.host.memory.dv, this.run).prefix = value;
  }
  cr(n: number, value: bigint): void {
    this.host.memory.dv.setBigUint64(this.run + KVM_RUN.offset.crs + 8 * n, value, true);
  }
  ar(n: number, value: number): void {
    this.host.memory.dv.setUint32(this.run + KVM_RUN.offset.acrs + 4 * n, value, true);
  }
  store64(absolute: number, value: bigint): void {
    this.host.memory.dv.setBigUint64(this.hpa(absolute), value);
  }
  store32(absolute: number, value: number): void {
    this.host.memory.dv.setUint32(this.hpa(absolute), value);
  }
  fill(absolute: number, ...bytes: number[]): void {
    bytes.forEach((byte, i) => {
      this.host.memory.u8[this.hpa(absolute + i)] = byte;
    });
  }
  bytes(absolute: number, length: number): number[] {
    return Array.from({ length }, (_, i) => this.host.memory.u8[this.hpa(absolute + i)]);
  }
  /** Space `n`: virtual page p is absolute page p + 8 * n, modulo the memory; pages 2 invalid, 3 protected. */
  space(n: number): void {
    this.store64(SEGMENT_TABLE + n * 0x1000, BigInt(PAGE_TABLE + n * 0x1000));
    for (let p = 0; p < PAGES; p++)
      this.store64(
        PAGE_TABLE + n * 0x1000 + p * 8,
        BigInt(((p + 8 * n) % PAGES) * PAGE_SIZE) | (p === 2 ? PTE_INVALID : p === 3 ? PTE_PROTECT : 0n),
      );
    // The other segments, and the page table's second half, are invalid.
    for (let i = 1; i < 512; i++) this.store64(SEGMENT_TABLE + n * 0x1000 + i * 8, 0x20n);
    for (let p = PAGES; p < 256; p++) this.store64(PAGE_TABLE + n * 0x1000 + p * 8, PTE_INVALID);
  }
  /** DAT on with three spaces. */
  translated(mask = 0n): this {
    for (const [n, register] of [1, 7, 13].entries()) {
      this.space(n);
      this.cr(register, ASCE(n));
    }
    this.psw(DAT | mask);
    return this;
  }

  *#op(fd: number, values: Record<string, unknown>): Task<number> {
    const made = kvm_s390_mem_op.make({ buf: this.host.user + 0x1000, size: 8, ...values } as never);
    this.host.poke(0, kvm_s390_mem_op.bytes(made));
    return yield* this.host.ioctl(fd, KVM_S390_MEM_OP, this.host.user);
  }
  op(values: Record<string, unknown>): number {
    return this.host.run(() => this.#op(this.fds.vcpu, values));
  }
  vmOp(values: Record<string, unknown>): number {
    return this.host.run(() => this.#op(this.fds.vm, values));
  }
  errno(fd: number, values: Record<string, unknown>): string {
    return this.host.errno(() => this.#op(fd, values));
  }
  read(gaddr: number | bigint, length: number, more = {}): number[] | number {
    const code = this.op({ op: LOGICAL_READ, gaddr: BigInt(gaddr), size: length, ...more });
    return code === 0 ? [...this.host.peek(0x1000, length)] : code;
  }
  write(gaddr: number | bigint, bytes: number[], more = {}): number {
    this.host.poke(0x1000, Uint8Array.from(bytes));
    return this.op({ op: LOGICAL_WRITE, gaddr: BigInt(gaddr), size: bytes.length, ...more });
  }
}

const refusing = new Guest();
test.each<['vm' | 'vcpu', string, Record<string, unknown>, string]>([
  ['vcpu', 'no bytes', { size: 0 }, 'EINVAL'],
  ['vcpu', 'too many bytes', { size: MEM_OP_MAX_SIZE + 1 }, 'E2BIG'],
  ['vcpu', 'an unknown flag', { flags: 8 }, 'EINVAL'],
  ['vcpu', 'a flag beyond 32 bits', { flags: 2 ** 32 }, 'EINVAL'],
  ['vcpu', 'access key 16', { flags: SKEY_PROTECTION, key: 16 }, 'EINVAL'],
  ['vcpu', 'access key 16, which is not looked at', { key: 16 }, 'OK'],
  ['vcpu', 'access register 16', { ar: 16 }, 'EINVAL'],
  ['vcpu', 'an operation of the machine', { op: ABSOLUTE_READ }, 'EINVAL'],
  ['vcpu', 'the secure instruction data area', { op: 2 }, 'EINVAL'],
  ['vcpu', 'an unknown operation', { op: 99 }, 'EINVAL'],
  ['vcpu', 'a bad buffer to read into', { buf: 0x1000 }, 'EFAULT'],
  ['vcpu', 'a bad buffer to write from', { op: LOGICAL_WRITE, buf: 0x1000 }, 'EFAULT'],
  ['vcpu', 'a bad buffer when only checking', { flags: CHECK_ONLY, buf: 0x1000 }, 'OK'],
  ['vm', 'no bytes', { op: ABSOLUTE_READ, size: 0 }, 'EINVAL'],
  ['vm', 'too many bytes', { op: ABSOLUTE_READ, size: MEM_OP_MAX_SIZE + 1 }, 'E2BIG'],
  ['vm', 'an exception to inject', { op: ABSOLUTE_READ, flags: INJECT_EXCEPTION }, 'EINVAL'],
  ['vm', 'access key 16', { op: ABSOLUTE_READ, flags: SKEY_PROTECTION, key: 16 }, 'EINVAL'],
  ['vm', 'a logical operation', { op: LOGICAL_READ }, 'EINVAL'],
  ['vm', 'a bad buffer to read into', { op: ABSOLUTE_READ, buf: 0x1000 }, 'EFAULT'],
  ['vm', 'a bad buffer to write from', { op: ABSOLUTE_WRITE, buf: 0x1000 }, 'EFAULT'],
])('%s: %s', (on, _, values, expected) => {
  expect(refusing.errno(refusing.fds[on], { op: LOGICAL_READ, ...values })).toBe(expected);
});

test('DAT off: real addresses with prefixing, cut to the addressing mode, over page ends', () => {
  const g = new Guest();
  g.prefix = 0x6000;
  g.fill(0x6ffe, 1, 2, 3, 4);
  expect(g.read(0xffe, 4)).toEqual([1, 2, 3, 4]);
  expect(g.write(0x7ffe, [5, 6, 7, 8])).toBe(0);
  // Real 7ffe is absolute 1ffe; real 8000 is itself.
  expect([g.bytes(0x1ffe, 2), g.bytes(0x8000, 2)]).toEqual([
    [5, 6],
    [7, 8],
  ]);
  g.psw(0x8000_0000n);
  expect(g.read(0xffff_ffff_8000_0ffen, 2)).toEqual([1, 2]);
  g.psw(0n);
  expect(g.read(0xff00_0ffen, 2)).toEqual([1, 2]);
});

test.each([BigInt(RAM_END), BigInt(RAM_END - 4), 0x1_0000_0000n, 0xffff_ffff_ffff_f000n])(
  'storage that is not there is an addressing exception and moves nothing: %s',
  (address) => {
    const g = new Guest();
    expect(g.write(address, [1, 1, 1, 1, 1, 1, 1, 1])).toBe(PGM.ADDRESSING);
    expect(g.read(address, 8)).toBe(PGM.ADDRESSING);
    expect(g.bytes(RAM_END - 4, 4)).toEqual([0, 0, 0, 0]);
  },
);

test('the spaces of the PSW: primary, secondary, home', () => {
  const g = new Guest().translated();
  for (const page of [12, 20, 28]) g.fill(page * PAGE_SIZE + 0x123, page);
  expect(g.read(0xc123, 1)).toEqual([12]);
  g.psw(DAT | AS.secondary);
  expect(g.read(0xc123, 1)).toEqual([20]);
  g.psw(DAT | AS.home);
  expect(g.read(0xc123, 1)).toEqual([28]);
});

test('an operand over a page end is translated page by page', () => {
  const g = new Guest().translated(AS.secondary);
  g.fill(0x10000, 9);
  expect(g.write(0x7ffc, [1, 2, 3, 4, 5, 6, 7, 8])).toBe(0);
  expect([g.bytes(0xfffc, 4), g.bytes(0x10000, 4)]).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
  ]);
});

const TEID_STORE = 0x400n;
const TEID_FETCH = 0x800n;
test.each<[string, bigint, bigint, 'read' | 'write', number, bigint | undefined]>([
  ['page invalid', 0n, 0x2ffcn, 'read', PGM.PAGE, 0x2000n | TEID_FETCH],
  ['page invalid, second half', AS.home, 0x1ffcn, 'write', PGM.PAGE, 0x2003n | TEID_STORE],
  ['segment invalid', AS.secondary, 0x10_0000n, 'read', PGM.SEGMENT, 0x10_0002n | TEID_FETCH],
  ['beyond the segment table', 0n, 0x2000_0000n, 'read', PGM.SEGMENT, 0x2000_0000n | TEID_FETCH],
  ['beyond what a segment table can', 0n, 0x8000_0000n, 'write', PGM.ASCE_TYPE, 0x8000_0000n | TEID_STORE],
  ['page protected', 0n, 0x3004n, 'write', PGM.PROTECTION, 0x3004n | TEID_STORE],
])('translation: %s', (_, mask, address, kind, code, teid) => {
  const g = new Guest().translated(mask);
  const more = { flags: INJECT_EXCEPTION };
  const before = g.bytes(0, RAM_END);
  const answer = kind === 'read' ? g.read(address, 8, more) : g.write(address, [1, 2, 3, 4, 5, 6, 7, 8], more);
  expect(answer).toBe(code);
  // The identification has the page's address, and says of a protection exception that DAT is its cause.
  const expected = code === PGM.PROTECTION ? ((teid as bigint) & ~0xffn) | 4n : teid;
  expect(g.local.takeProgram()).toEqual({ code, teid: expected, accessId: undefined });
  expect(g.bytes(0, RAM_END)).toEqual(before);
});

test('regions above the segments: a table that is not there is told by its level', () => {
  const g = new Guest().translated();
  // Region-third table at 3000, one entry valid; then an ASCE of a region-first table.
  for (let i = 0; i < 512; i++) g.store64(0x3000 + i * 8, 0x20n);
  g.store64(0x3000, BigInt(SEGMENT_TABLE) | 4n);
  g.cr(1, 0x3004n);
  g.fill(0xc000, 7);
  expect(g.read(0xc000, 1)).toEqual([7]);
  expect(g.read(0x8000_0000, 1)).toBe(PGM.REGION_THIRD);
  g.cr(1, 0x300cn);
  expect(g.read(0xc000, 1)).toBe(PGM.TRANSLATION_SPECIFICATION);
  expect(g.read(1n << 62n, 1)).toBe(PGM.REGION_FIRST);
  g.cr(1, 0x3008n);
  expect(g.read(1n << 42n, 1)).toBe(PGM.REGION_SECOND);
  g.cr(1, BigInt(RAM_END));
  expect(g.read(0xc000, 1)).toBe(PGM.ADDRESSING);
  // Real-space designation.
  g.cr(1, 0x20n);
  expect(g.read(0xc000, 1)).toEqual([7]);
});

test('a large frame counts when control register 0 says so', () => {
  const g = new Guest().translated();
  g.store64(SEGMENT_TABLE, 0x400n);
  g.fill(0x2000, 42);
  g.cr(0, EDAT);
  expect(g.read(0x2000, 1)).toEqual([42]);
});

test('a program interruption is pending only when it was asked for', () => {
  const g = new Guest().translated();
  expect(g.read(0x2000, 8)).toBe(PGM.PAGE);
  expect(g.local.takeProgram()).toBeUndefined();
  expect(g.read(0x2000, 8, { flags: INJECT_EXCEPTION | CHECK_ONLY })).toBe(PGM.PAGE);
  expect(g.local.takeProgram()).toEqual({ code: PGM.PAGE, teid: 0x2000n | TEID_FETCH, accessId: undefined });
  expect(g.local.takeProgram()).toBeUndefined();
});

test('low-address protection: two ranges, stores only, not in a private space', () => {
  const g = new Guest().translated();
  g.cr(0, LAP);
  const check = (address: number, op: number = LOGICAL_WRITE, size = 1) =>
    g.op({ op, gaddr: BigInt(address), size, flags: CHECK_ONLY });
  expect([0, 511, 512, 4095, 4096, 4607, 4608].map((address) => check(address))).toEqual([4, 4, 0, 0, 4, 4, 0]);
  expect(check(4000, LOGICAL_WRITE, 200)).toBe(PGM.PROTECTION);
  expect(check(0, LOGICAL_READ)).toBe(0);
  g.cr(1, ASCE(0) | 0x100n);
  expect(check(0)).toBe(0);
  g.psw(EA_BA);
  expect(check(0)).toBe(PGM.PROTECTION);
});

test('storage keys: access key 0 unless the flag says otherwise; checked on every page before anything moves', () => {
  const g = new Guest();
  g.keys.set(g.hpa(0x5000), 0x38);
  g.keys.set(g.hpa(0x6000), 0x40);
  const key = (n: number) => ({ flags: SKEY_PROTECTION | INJECT_EXCEPTION, key: n });
  expect(g.write(0x5ffc, [1, 2, 3, 4, 5, 6, 7, 8])).toBe(0);
  expect(g.write(0x5ffc, [9, 9, 9, 9, 9, 9, 9, 9], key(3))).toBe(PGM.PROTECTION);
  expect(g.local.takeProgram()).toMatchObject({ code: PGM.PROTECTION, teid: 0x6000n | TEID_STORE });
  expect(g.bytes(0x5ffc, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(g.read(0x5ffc, 8, key(3))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(g.read(0x5ffc, 8, key(4))).toBe(PGM.PROTECTION);
  expect(g.read(0x6000, 1, key(5))).toEqual([5]);
  expect(g.write(0x5000, [1], key(3))).toBe(0);
});

test('reference and change bits follow accesses, and not checks', () => {
  const g = new Guest();
  const at = g.hpa(0x5000);
  g.keys.set(at, 0);
  g.op({ op: LOGICAL_WRITE, gaddr: 0x5000n, size: 1, flags: CHECK_ONLY });
  expect(g.keys.get(at)).toBe(0);
  g.read(0x5000, 1);
  expect(g.keys.get(at)).toBe(STORAGE_KEY.REFERENCE);
  g.write(0x5000, [1]);
  expect(g.keys.get(at)).toBe(STORAGE_KEY.REFERENCE | STORAGE_KEY.CHANGE);
});

test('overrides: fetches below 2048, blocks with key 9', () => {
  const g = new Guest();
  g.keys.set(g.hpa(0), 0x38);
  g.keys.set(g.hpa(0x5000), 0x98);
  const allowed = (op: number, gaddr: number, size = 1) =>
    g.op({ op, gaddr: BigInt(gaddr), size, flags: CHECK_ONLY | SKEY_PROTECTION, key: 5 }) === 0;
  const all = () => [
    allowed(LOGICAL_READ, 2047),
    allowed(LOGICAL_READ, 2048),
    allowed(LOGICAL_READ, 2047, 2),
    allowed(LOGICAL_WRITE, 0),
    allowed(LOGICAL_READ, 0x5000),
    allowed(LOGICAL_WRITE, 0x5000),
  ];
  expect(all()).toEqual([false, false, false, false, false, false]);
  g.cr(0, FPO);
  expect(all()).toEqual([true, false, false, false, false, false]);
  g.cr(0, SPO);
  expect(all()).toEqual([false, false, false, false, true, true]);
  g.cr(0, FPO);
  g.translated();
  g.cr(1, ASCE(0) | 0x100n);
  expect(all()[0]).toBe(false);
});

test('absolute storage: neither prefix nor translation, keys when asked for', () => {
  const g = new Guest().translated(AS.home);
  g.prefix = 0x6000;
  g.fill(0x1ffe, 1, 2, 3, 4);
  expect(g.vmOp({ op: ABSOLUTE_READ, gaddr: 0x1ffen, size: 4 })).toBe(0);
  expect([...g.host.peek(0x1000, 4)]).toEqual([1, 2, 3, 4]);
  g.host.poke(0x1000, Uint8Array.of(5, 6));
  expect(g.vmOp({ op: ABSOLUTE_WRITE, gaddr: 0x1fffn, size: 2 })).toBe(0);
  expect(g.bytes(0x1ffe, 4)).toEqual([1, 5, 6, 4]);
  g.keys.set(g.hpa(0x2000), 0x38);
  const check = { op: ABSOLUTE_WRITE, gaddr: 0x1fffn, size: 2, flags: CHECK_ONLY | SKEY_PROTECTION };
  expect([g.vmOp({ ...check, key: 0 }), g.vmOp({ ...check, key: 3 })]).toEqual([0, PGM.PROTECTION]);
  for (const gaddr of [BigInt(RAM_END), BigInt(RAM_END - 1), 0xffff_ffff_ffff_ffffn])
    expect(g.vmOp({ op: ABSOLUTE_READ, gaddr, size: 2 })).toBe(PGM.ADDRESSING);
});

test('operands and tables that are being moved are waited for', () => {
  const g = new Guest().translated();
  g.fill(0xc000, 7);
  const { kernel } = g.host;
  let moves = 0;
  // The mover is slow: the access finds the page busy, wherever it is.
  kernel.mm.notifiers.add(function* (): Task {
    for (let i = 0; i < 5; i++) yield* preempt();
  });
  kernel.spawn(
    kernel.process,
    'mover',
    (function* (): Task {
      for (let i = 0; i < 60; i++)
        for (const page of [SEGMENT_TABLE, PAGE_TABLE, 0xc000])
          if (yield* migratePage(kernel.mm, g.host.memory, g.ram + page)) moves++;
    })(),
  );
  for (let i = 0; i < 20; i++) {
    expect(g.read(0xc000, 1)).toEqual([7 + i]);
    expect(g.write(0xc000, [8 + i])).toBe(0);
  }
  expect(moves).toBeGreaterThan(20);
});

/** Access lists: dispatchable-unit control table at 2000, access list at 2080, ASTE at 3000. */
function accessList(g: Guest): void {
  g.cr(2, 0x2000n);
  // Origin 2080 in units of 128, and one unit of eight entries.
  g.store32(0x2010, 0x2080);
  for (let i = 0; i < 8; i++) g.store32(0x2080 + 16 * i, 0x8000_0000);
  // Entry 2: sequence number 5; ASTE 3000, its sequence number 77; the space of the home page tables.
  g.store32(0x20a0, 5 << 16);
  g.store32(0x20a8, 0x3000);
  g.store32(0x20ac, 77);
  g.store32(0x3000, 0);
  g.store64(0x3008, ASCE(2));
  g.store32(0x3014, 77);
}
test('access registers choose the space: primary, secondary, access list', () => {
  const g = new Guest().translated(AS.ar);
  accessList(g);
  for (const page of [12, 20, 28]) g.fill(page * PAGE_SIZE, page);
  g.ar(3, 1);
  g.ar(4, 0x0005_0002);
  expect([0, 3, 4, 5].map((ar) => g.read(0xc000, 1, { ar }))).toEqual([[12], [20], [28], [12]]);
  g.ar(0, 1);
  expect(g.read(0xc000, 1, { ar: 0 })).toEqual([12]);
  expect(g.read(0x2000, 1, { ar: 4, flags: INJECT_EXCEPTION })).toBe(PGM.PAGE);
  expect(g.local.takeProgram()).toEqual({ code: PGM.PAGE, teid: 0x2001n | TEID_FETCH, accessId: 4 });
});

test.each<[string, number, (g: Guest) => void, number, 'read' | 'write']>([
  ['reserved bits', 0x0205_0002, () => {}, PGM.ALET_SPECIFICATION, 'read'],
  ['number beyond the list', 0x0005_0008, () => {}, PGM.ALEN_TRANSLATION, 'read'],
  ['entry invalid', 0x0005_0003, () => {}, PGM.ALEN_TRANSLATION, 'read'],
  ['entry of another sequence', 0x0006_0002, () => {}, PGM.ALE_SEQUENCE, 'read'],
  ['ASTE invalid', 0x0005_0002, (g) => g.store32(0x3000, 0x8000_0000), PGM.ASTE_VALIDITY, 'read'],
  ['ASTE of another sequence', 0x0005_0002, (g) => g.store32(0x3014, 78), PGM.ASTE_SEQUENCE, 'read'],
  [
    'private entry of another owner',
    0x0005_0002,
    (g) => g.store32(0x20a0, 0x0105_0009),
    PGM.EXTENDED_AUTHORITY,
    'read',
  ],
  ['fetch only', 0x0005_0002, (g) => g.store32(0x20a0, 0x0205_0000), PGM.PROTECTION, 'write'],
  ['list outside storage', 0x0005_0002, (g) => g.store32(0x2010, 0x7fff_ff80), PGM.ADDRESSING, 'read'],
])('access-register translation: %s', (_, alet, change, code, kind) => {
  const g = new Guest().translated(AS.ar);
  accessList(g);
  change(g);
  g.ar(4, alet);
  expect(kind === 'read' ? g.read(0xc000, 1, { ar: 4 }) : g.write(0xc000, [1], { ar: 4 })).toBe(code);
});

test('a private entry is open to its owner and to whom the authority table allows', () => {
  const g = new Guest().translated(AS.ar);
  accessList(g);
  g.ar(4, 0x0005_0002);
  g.store32(0x20a0, 0x0105_0009);
  g.cr(8, 9n << 16n);
  expect(g.read(0xc000, 1, { ar: 4 })).toEqual([0]);
  // Authority table at 2800, for indexes 0 to 15; index 6 has secondary authority.
  g.cr(8, 6n << 16n);
  g.store32(0x3000, 0x2800);
  g.fill(0x2801, 0x04);
  expect(g.read(0xc000, 1, { ar: 4 })).toEqual([0]);
  g.fill(0x2801, 0x08);
  expect(g.read(0xc000, 1, { ar: 4 })).toBe(PGM.EXTENDED_AUTHORITY);
  g.cr(8, 16n << 16n);
  expect(g.read(0xc000, 1, { ar: 4 })).toBe(PGM.EXTENDED_AUTHORITY);
});
