import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { sleep } from '../../../kernel/lib/task.ts';
import { DATA, PROGRAM, statusOf, type TestCcw, TestMachine } from '../css/test_machine.ts';
import { offsetOf } from './ckd_image.ts';
import type { DriveOptions } from './drive.ts';
import { toEbcdic } from './ebcdic.ts';
import { createVolume, patternRecord } from './volume.ts';

const folder = mkdtempSync(join(tmpdir(), 'minivisor-drive-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'disk.ckd');
beforeEach(() => createVolume(file, { volser: 'DRIVE1', cylinders: 4, layout: 'cdl', pattern: true, force: true }));

const CC = 0x40;
const SLI = 0x20;
const DE = DATA;
const LO = DATA + 0x40;
const SEEK = DATA + 0x80;
const ARG = DATA + 0xc0;
const BUFFER = DATA + 0x10000;

function drive(options: Partial<DriveOptions> = {}, seed = 1): TestMachine {
  const m = new TestMachine([{ schid: 0, devno: 0x1234, file, ...options }], seed);
  m.concurrentSense();
  return m;
}

const cchh = (cylinder: number, head: number) => [cylinder >> 8, cylinder & 255, head >> 8, head & 255];

interface Where {
  mask?: number;
  first?: readonly [number, number];
  last?: readonly [number, number];
  attributes?: number;
  op?: number;
  aux?: number;
  count?: number;
  cylinder?: number;
  head?: number;
  record?: number;
  sector?: number;
  tlf?: number;
  block?: number;
  byte6?: number;
}

/** Parameters of Define Extent and Locate Record; returns their two CCWs. */
function located(m: TestMachine, where: Where = {}): TestCcw[] {
  const { mask = 0xc0, first = [0, 0], last = [3, 14], attributes = 0xc0, op = 6, aux = 0, count = 1 } = where;
  const { cylinder = 1, head = 0, record = 1, sector = 0, tlf = 0, block = 0, byte6 = 0 } = where;
  const auxiliary = tlf > 0 ? aux | 0x80 : aux;
  m.put(DE, [mask, attributes, block >> 8, block & 255, 0, 0, byte6, 0, ...cchh(...first), ...cchh(...last)]);
  const seek = cchh(cylinder, head);
  m.put(LO, [op, auxiliary, 0, count, ...seek, ...seek, record, sector, tlf >> 8, tlf & 255]);
  return [
    [0x63, CC, 16, DE],
    [0x47, CC, 16, LO],
  ];
}

/** Command-chains all CCWs. */
const chain = (ccws: readonly TestCcw[]): TestCcw[] =>
  ccws.map(([c, f, n, a], i) => [c, i < ccws.length - 1 ? f | CC : f, n, a]);

const GOOD = { stctl: 7, dstat: 0x0c, cstat: 0, count: 0 };

describe('what the device is', () => {
  const rows: readonly (readonly [string, number, number, number[]])[] = [
    ['Sense ID', 0xe4, 20, [0xff, 0x39, 0x90, 0xe9, 0x33, 0x90, 0x02, 0, 0x40, 0xfa, 0x01, 0x00]],
    ['Basic Sense', 0x04, 32, [0, 0, 0]],
    ['Sense Path Group ID', 0x34, 12, [0, 0]],
    ['Device Reserve', 0xb4, 32, [0, 0, 0]],
    ['Device Release', 0x94, 32, [0, 0, 0]],
    ['Read Device Characteristics', 0x64, 64, [0x39, 0x90, 0xe9, 0x33, 0x90, 0x02, 0x52, 0, 0, 2]],
    ['Read Configuration Data', 0xfa, 256, [0xdc, 0x01, 0x01, 0x00, 0xf0, 0xf0, 0xf3, 0xf3, 0xf9, 0xf0]],
    ['Sense Subsystem Status', 0x54, 44, [1, 0x34, 255]],
    ['Read IPL', 0x02, 24, [0, 6, 0, 0]],
  ];
  test.each(rows)('%s', (_, command, length, begins) => {
    const m = drive();
    expect(statusOf(m.start([[command, SLI, 300, BUFFER]]))).toEqual({ ...GOOD, count: 300 - length });
    expect([...m.bytes(BUFFER, begins.length)]).toEqual(begins);
  });

  test('characteristics give the geometry', () => {
    const m = drive();
    m.start([[0x64, 0, 64, BUFFER]]);
    const rdc = Buffer.from(m.bytes(BUFFER, 64));
    expect([rdc[10], rdc[11], rdc.readUInt16BE(12), rdc.readUInt16BE(14), rdc[16]]).toEqual([0x20, 0x26, 4, 15, 224]);
    expect([rdc.readUInt16BE(18), rdc.readUInt16BE(20), [...rdc.subarray(22, 28)]]).toEqual([
      58786,
      1428,
      [2, 34, 19, 9, 6, 116],
    ]);
    expect([rdc.readUInt16BE(44), rdc[48], rdc.readUInt16BE(49), rdc.readUInt32BE(60)]).toEqual([57326, 6, 0x7708, 4]);
  });

  test('configuration data: device, string, director and subsystem, and the general qualifier', () => {
    const m = drive();
    m.start([[0xfa, 0, 256, BUFFER]]);
    const rcd = m.bytes(BUFFER, 256);
    expect(Array.from({ length: 8 }, (_, i) => [rcd[i * 32], rcd[i * 32 + 1]])).toEqual([
      [0xdc, 1],
      [0xd4, 2],
      [0xd0, 0],
      [0xf0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
      [0x80, 0],
    ]);
    expect([...rcd.subarray(30, 32)]).toEqual([0x12, 0x34]);
    expect([rcd[224 + 6], rcd[224 + 8], rcd[224 + 9]]).toEqual([0x1e, 0x01, 0x12]);
  });
});

describe('reads', () => {
  test('volume label through Define Extent and Locate Record', () => {
    const m = drive();
    const ccws = [...located(m, { cylinder: 0, record: 3 }), [0x06, 0, 80, BUFFER] as const];
    expect(statusOf(m.start(ccws))).toEqual(GOOD);
    expect(m.bytes(BUFFER, 10)).toEqual(toEbcdic('VOL1DRIVE1'));
    expect(statusOf(m.start([...located(m, { cylinder: 0, record: 3 }), [0x8e, 0, 84, BUFFER]]))).toEqual(GOOD);
    expect(m.bytes(BUFFER, 14)).toEqual(toEbcdic('VOL1VOL1DRIVE1'));
  });

  test('twelve records of a track by indirect addressing, page-crossing', () => {
    const m = drive();
    const reads = Array.from({ length: 12 }, (_, i): TestCcw => {
      const list = DATA + 0x200 + i * 16;
      const at = BUFFER + 0x800 + i * 4096;
      m.memory.dv.setUint32(list + 4, at);
      m.memory.dv.setUint32(list + 12, at + 0x800);
      return [0x86, 0x04, 4096, list];
    });
    const irb = m.start(chain([...located(m, { count: 12 }), ...reads]), { ctrl0: { H: 1 } });
    expect(statusOf(irb)).toEqual(GOOD);
    for (let r = 1; r <= 12; r++)
      expect(m.bytes(BUFFER + 0x800 + (r - 1) * 4096, 4096)).toEqual(patternRecord(1, 0, r));
  });

  test('a domain runs over tracks and cylinders', () => {
    const m = drive();
    const reads = Array.from({ length: 3 }, (_, i): TestCcw => [0x86, 0, 4096, BUFFER + i * 4096]);
    expect(statusOf(m.start(chain([...located(m, { head: 14, record: 12, count: 3 }), ...reads])))).toEqual(GOOD);
    expect(m.bytes(BUFFER, 4096)).toEqual(patternRecord(1, 14, 12));
    expect(m.bytes(BUFFER + 4096, 4096)).toEqual(patternRecord(2, 0, 1));
    expect(m.bytes(BUFFER + 8192, 4096)).toEqual(patternRecord(2, 0, 2));
  });

  test('Seek, Search ID with TIC, Read Data', () => {
    const m = drive();
    m.put(SEEK, [0, 0, ...cchh(2, 5)]);
    m.put(ARG, [...cchh(2, 5), 9]);
    const ccws: TestCcw[] = [
      [0x07, CC, 6, SEEK],
      [0x31, CC, 5, ARG],
      [0x08, 0, 0, PROGRAM + 8],
      [0x06, 0, 4096, BUFFER],
    ];
    expect(statusOf(m.start(ccws))).toEqual(GOOD);
    expect(m.bytes(BUFFER, 4096)).toEqual(patternRecord(2, 5, 9));
  });

  test('Search Key finds VOL1; counts follow each other', () => {
    const m = drive();
    m.put(SEEK, [0, 0, 0, 0, 0, 0]);
    m.put(ARG, toEbcdic('VOL1'));
    const ccws: TestCcw[] = [
      [0x07, CC, 6, SEEK],
      [0x29, CC, 4, ARG],
      [0x08, 0, 0, PROGRAM + 8],
      [0x06, CC, 80, BUFFER],
      [0x12, CC, 8, BUFFER + 100],
      [0x1e, 0, 4104, BUFFER + 200],
    ];
    expect(statusOf(m.start(ccws))).toEqual(GOOD);
    expect(m.bytes(BUFFER, 4)).toEqual(toEbcdic('VOL1'));
    expect([...m.bytes(BUFFER + 100, 8)]).toEqual([0, 0, 0, 0, 4, 0, 0x10, 0]);
    expect([...m.bytes(BUFFER + 200, 8)]).toEqual([0, 0, 0, 0, 5, 0, 0x10, 0]);
  });

  test("Linux's analysis: Locate Record of record 0, then counts of the records after it", () => {
    const m = drive();
    const counts = [0, 1, 2, 3].map((i): TestCcw => [0x12, 0, 8, BUFFER + i * 8]);
    expect(statusOf(m.start(chain([...located(m, { cylinder: 0, record: 0, count: 4 }), ...counts])))).toEqual(GOOD);
    expect([0, 1, 2, 3].map((i) => m.bytes(BUFFER + i * 8, 8)[4])).toEqual([1, 2, 3, 4]);
  });

  test('end of file: unit exception', () => {
    const m = drive();
    m.put(BUFFER, [0, 1, 0, 2, 1, 0, 0, 0]);
    const write: TestCcw = [0x1d, 0, 8, BUFFER];
    expect(statusOf(m.start([...located(m, { op: 3, head: 2, record: 0 }), write]))).toEqual(GOOD);
    const irb = m.start([...located(m, { head: 2, record: 1 }), [0x06, SLI, 4096, BUFFER]]);
    expect(statusOf(irb)).toMatchObject({ stctl: 0x17, dstat: 0x0d });
  });
});

describe('writes', () => {
  const data = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7) & 255);

  test('a record is written to the file, its neighbours and all other tracks stay', () => {
    const before = readFileSync(file);
    const m = drive();
    m.put(BUFFER, data);
    const irb = m.start([...located(m, { mask: 0x80, op: 1, head: 1, record: 5, tlf: 4096 }), [0x85, 0, 4096, BUFFER]]);
    expect(statusOf(irb)).toEqual(GOOD);
    const at = offsetOf(16) + 5 + 16 + 4 * 4104 + 8;
    before.set(data, at);
    expect(Buffer.compare(readFileSync(file), before)).toBe(0);
  });

  test('a short write fills the record with zeros', () => {
    const m = drive();
    m.put(BUFFER, data);
    const irb = m.start([...located(m, { op: 1, record: 2, tlf: 4096 }), [0x05, SLI, 10, BUFFER]]);
    expect(statusOf(irb)).toEqual(GOOD);
    m.start([...located(m, { record: 2 }), [0x06, 0, 4096, BUFFER + 4096]]);
    expect(m.bytes(BUFFER + 4096, 4096)).toEqual(Uint8Array.from({ length: 4096 }, (_, i) => (i < 10 ? data[i] : 0)));
  });

  test('a program check in the middle of a write leaves record and file as they were', () => {
    const before = readFileSync(file);
    const m = drive();
    const irb = m.start([...located(m, { op: 1, tlf: 4096 }), [0x05, 0, 4096, m.memory.size - 100]]);
    expect(statusOf(irb)).toMatchObject({ cstat: 0x20, dstat: 0x0c });
    expect(Buffer.compare(readFileSync(file), before)).toBe(0);
  });

  test('Write CKD formats a track anew; too much for it is an invalid track format', () => {
    const m = drive();
    const count = (r: number, kl: number, dl: number) => [...cchh(3, 0), r, kl, dl >> 8, dl & 255];
    m.put(BUFFER, [...count(1, 3, 5), 1, 2, 3, 4, 5, 6, 7, 8]);
    m.put(BUFFER + 0x100, count(2, 0, 50000));
    const where = { op: 3, cylinder: 3, record: 0, count: 2 };
    const ccws = chain([...located(m, where), [0x1d, 0, 16, BUFFER], [0x9d, SLI, 50008, BUFFER + 0x100]]);
    expect(statusOf(m.start(ccws))).toEqual(GOOD);
    const read = [...located(m, { cylinder: 3, record: 1 }), [0x0e, 0, 8, BUFFER + 0x100] as const];
    expect(statusOf(m.start(read))).toEqual(GOOD);
    expect([...m.bytes(BUFFER + 0x100, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    m.put(BUFFER, count(2, 0, 57000));
    const irb = m.start([...located(m, { ...where, record: 1, count: 1 }), [0x1d, SLI, 8, BUFFER]]);
    expect([statusOf(irb).dstat, irb.ecw[1]]).toEqual([0x0e, 0x40]);
  });

  test('Write Key and Data', () => {
    const m = drive();
    m.put(BUFFER, [...toEbcdic('VOL1VOL1CHANGE'), ...Array(70).fill(0x40)]);
    expect(
      statusOf(m.start([...located(m, { op: 1, cylinder: 0, record: 3, tlf: 84 }), [0x0d, 0, 84, BUFFER]])),
    ).toEqual(GOOD);
    expect(readFileSync(file).includes(Buffer.from(toEbcdic('VOL1CHANGE')))).toBe(true);
  });

  test('after Search ID Equal without a domain', () => {
    const m = drive();
    m.put(SEEK, [0, 0, ...cchh(2, 0)]);
    m.put(ARG, [...cchh(2, 0), 1]);
    m.put(BUFFER, data);
    const search: TestCcw[] = [
      [0x07, CC, 6, SEEK],
      [0x31, CC, 5, ARG],
      [0x08, 0, 0, PROGRAM + 8],
    ];
    expect(statusOf(m.start([...search, [0x05, 0, 4096, BUFFER]]))).toEqual(GOOD);
    expect(
      m.start([
        [0x07, CC, 6, SEEK],
        [0x12, CC, 8, ARG + 32],
        [0x05, 0, 4096, BUFFER],
      ]).ecw[7],
    ).toBe(2);
  });

  test.each(['writethrough', 'writeback', 'unsafe'] as const)('%s: the file has the data at device end', (cache) => {
    const m = drive({ cache });
    m.put(BUFFER, data);
    m.start([...located(m, { op: 1, tlf: 4096 }), [0x05, 0, 4096, BUFFER]]);
    expect(readFileSync(file).includes(Buffer.from(data))).toBe(true);
    m.iop.close();
  });

  test('a read-only drive inhibits writes', () => {
    const m = drive({ readonly: true });
    const irb = m.start([...located(m, { op: 1, tlf: 4096 }), [0x05, 0, 4096, BUFFER]]);
    expect([statusOf(irb).dstat, irb.ecw[0], irb.ecw[1]]).toEqual([0x0e, 0x80, 0x02]);
  });
});

describe('unit checks', () => {
  const READ: TestCcw = [0x06, 0, 4096, BUFFER];

  test('concurrent sense tells of a program that left its extent', () => {
    const m = drive();
    const irb = m.start([...located(m, { last: [0, 14] }), READ]);
    expect(statusOf(irb)).toMatchObject({ stctl: 0x17, dstat: 0x0e, cstat: 0 });
    expect([irb.ecw[0], irb.ecw[1], irb.ecw[7]]).toEqual([0, 0x04, 0]);
  });

  test('a search goes round the track twice, and no further', () => {
    const m = drive();
    m.put(SEEK, [0, 0, ...cchh(1, 0)]);
    m.put(ARG, [9, 9, 9, 9, 9]);
    const irb = m.start([
      [0x07, CC, 6, SEEK],
      [0x31, CC, 5, ARG],
      [0x08, 0, 0, PROGRAM + 8],
    ]);
    expect([statusOf(irb).dstat, irb.ecw[1]]).toEqual([0x0e, 0x08]);
  });

  test('a chain that ends before its domain does: incomplete domain', () => {
    const m = drive();
    const irb = m.start([...located(m, { count: 2 }), READ]);
    expect([statusOf(irb).dstat, irb.ecw[0], irb.ecw[7]]).toEqual([0x0e, 0x81, 0]);
  });

  test('without concurrent sense, Basic Sense fetches the same bytes once', () => {
    const m = drive();
    m.modify(0, ({ pmcw }) => {
      pmcw.chars &= ~1;
    });
    expect(m.start([...located(m, { cylinder: 1, head: 3, record: 13 }), READ]).erw).toBe(0);
    m.start([[0x04, 0, 32, BUFFER]]);
    expect([...m.bytes(BUFFER, 8)]).toEqual([0, 8, 0, 0, 0, 1, 3, 0]);
    expect([...m.bytes(BUFFER + 29, 3)]).toEqual([0, 1, 3]);
    m.start([[0x04, 0, 32, BUFFER]]);
    expect(m.bytes(BUFFER, 32)).toEqual(new Uint8Array(32));
  });

  test('a command that is not sense clears pending sense', () => {
    const m = drive();
    m.modify(0, ({ pmcw }) => {
      pmcw.chars &= ~1;
    });
    m.start([[0x3b, 0, 1, ARG]]);
    m.start([[0x03, SLI, 1, 0]]);
    m.start([[0x04, 0, 32, BUFFER]]);
    expect(m.bytes(BUFFER, 32)).toEqual(new Uint8Array(32));
  });
});

describe('split endings', () => {
  const seek = (m: TestMachine, cylinder: number): TestCcw => [0x07, 0, 6, m.put(SEEK, [0, 0, ...cchh(cylinder, 0)])];

  test('a seek that is last gives channel end at once, and device end when the arm is there', () => {
    const m = drive({ serviceTimeNs: 5e6 });
    const channelEnd = m.start([seek(m, 2)]);
    expect(statusOf(channelEnd)).toMatchObject({ stctl: 5, dstat: 0x08 });
    expect(m.simulation.now).toBeLessThan(1e6);
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toMatchObject({ stctl: 3, dstat: 0x04 });
    expect(m.simulation.now).toBeGreaterThanOrEqual(5e6);
    expect(m.simulation.now).toBeLessThan(6e6);
  });

  test('under chaining the next command waits for device end, and the time passes once', () => {
    const m = drive({ serviceTimeNs: 5e6 });
    const irb = m.start(chain([seek(m, 2), [0x06, 0, 4096, BUFFER]]));
    expect(statusOf(irb)).toEqual(GOOD);
    expect(m.bytes(BUFFER, 4096)).toEqual(patternRecord(2, 0, 1));
    expect(m.simulation.now).toBeGreaterThanOrEqual(5e6);
    expect(m.simulation.now).toBeLessThan(6e6);
  });

  test('an arm that need not move, or takes no time, gives both together', () => {
    const m = drive({ serviceTimeNs: 5e6 });
    expect(statusOf(m.start([seek(m, 0)]))).toEqual(GOOD);
    const quick = drive();
    expect(statusOf(quick.start([seek(quick, 2)]))).toEqual(GOOD);
  });

  test('recalibrate splits too', () => {
    const m = drive({ slow: { cylinder: 0, ns: 7e6 } });
    m.start([seek(m, 2)]);
    expect(statusOf(m.start([[0x13, SLI, 1, 0]]))).toMatchObject({ stctl: 5, dstat: 0x08 });
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 3, dstat: 0x04 });
  });
});

describe('time', () => {
  test('a slow cylinder takes its time once per positioning, and halt ends it early', () => {
    const m = drive({ slow: { cylinder: 2, ns: 200e6 }, serviceTimeNs: 1e6 });
    const read = (cylinder: number) => [...located(m, { cylinder }), [0x06, 0, 4096, BUFFER] as const];
    m.start(read(1));
    expect(m.simulation.now).toBeLessThan(2e6);
    m.start(read(2));
    expect(m.simulation.now).toBeGreaterThan(201e6);
    expect(m.simulation.now).toBeLessThan(204e6);
    m.program(read(2));
    m.ssch();
    m.run(sleep(m.kernel, 10e6));
    expect(m.css.hsch(0)).toBe(0);
    const { irb } = m.run(m.interruption());
    expect(irb.scsw.ctrl & 0x6000).toBe(0x6000);
    expect(m.simulation.now).toBeLessThan(220e6);
    expect(statusOf(m.start(read(1)))).toEqual(GOOD);
    expect(m.bytes(BUFFER, 4096)).toEqual(patternRecord(1, 0, 1));
  });
});

test('a damaged track is an invalid track format, a lost file end an equipment check', () => {
  const damaged = join(folder, 'damaged.ckd');
  createVolume(damaged, { volser: 'D', cylinders: 1, layout: 'cdl' });
  const bytes = readFileSync(damaged);
  bytes.fill(0, offsetOf(2) + 5, offsetOf(3));
  writeFileSync(damaged, bytes);
  const n = drive({ file: damaged });
  n.put(SEEK, [0, 0, 0, 0, 0, 2]);
  expect(
    n.start([
      [0x07, CC, 6, SEEK],
      [0x12, 0, 8, BUFFER],
    ]).ecw[1],
  ).toBe(0x40);
  truncateSync(damaged, offsetOf(5));
  n.put(SEEK, [0, 0, 0, 0, 0, 9]);
  const irb = n.start([
    [0x07, CC, 6, SEEK],
    [0x12, 0, 8, BUFFER],
  ]);
  expect([irb.ecw[0], irb.ecw[1]]).toEqual([0x10, 0x80]);
});
