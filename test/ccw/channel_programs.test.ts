/** Channel programs of a guest, from SSCH to the interruption, through every layer (vfio-ccw test ideas 1 to 12). */
import { describe, expect, test } from 'vitest';
import { patternRecord } from '../../devices/physical/dasd/volume.ts';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { LAST_NOP, MEMORY, NOP, OUTSIDE, one as runOne, script, simulatedDrive, TIC } from '../support/ccw_script.ts';
import { ECKD, located } from '../support/eckd.ts';
import { type Ccw, ccwBytes, ENDED, type IoScript, type OrbFields, sid, UNIT_EXCEPTION } from '../support/io_script.ts';

const { words } = simulatedDrive();
const one = (make: (s: IoScript) => OrbFields) => runOne(words, make);
const { CC, SLI, IDA, SKIP } = CCW_FLAG;
const { F, P, H, T } = ORB_CTRL0.mask;

test('a NOP: condition code 0, one interruption with its parameter, ending status, idle again', async () => {
  const s = script();
  const irb = s.irb();
  const at = s.program(LAST_NOP);
  const first = s.run(0, s.orb({ cpa: at, intparm: 0xcafe0001 }), irb);
  const again = s.insn('tsch', sid(0), s.irb());
  const run = await s.simulate(words);
  expect(run.result(first)).toMatchObject({
    cc: 0,
    count: 1,
    intparm: 0xcafe0001,
    subsystemId: sid(0),
    idWord: 3 << 27,
  });
  expect(run.status(irb)).toEqual({ ...ENDED, count: 1 });
  expect(run.irb(irb).scsw.cpa).toBe(at + 8);
  expect(run.result(again).cc).toBe(1);
  expect(run.pins).toBe(0);
  // Opened, started, interrupted; io_work then makes it idle.
  expect(run.fsm()).toBe('12 24 44');
});

test('a NOP with a count and neither SLI nor ORB.L ends with incorrect length in format 1', async () => {
  const { status } = await one((s) => ({ cpa: s.program([ECKD.NOP, 0, 1, 0]) }));
  expect(status).toEqual({ ...ENDED, cstat: 0x40, count: 1, stctl: 0x17 });
});

test('SENSE ID into a direct buffer: a 3390 on a 3990 answers, the rest is residual, one page was pinned', async () => {
  let buffer = 0;
  const { run, irb, status } = await one((s) => {
    buffer = s.alloc(256);
    return { cpa: s.program([ECKD.SENSE_ID, SLI, 256, buffer]) };
  });
  expect(status).toEqual({ ...ENDED, count: status.count });
  const bytes = run.bytes(buffer, 256);
  expect([...bytes.subarray(0, 3), ...bytes.subarray(4, 6)]).toEqual([0xff, 0x39, 0x90, 0x33, 0x90]);
  expect(status.count).toBeGreaterThan(200);
  expect(bytes.subarray(256 - status.count).every((byte) => byte === 0)).toBe(true);
  expect(run.traced('vfio_ccw_K2').map(([, , pages]) => pages)).toEqual([1]);
  expect(run.irb(irb).scsw.cpa).toBeGreaterThan(0x100000);
});

describe('a track of twelve 4096-byte records', () => {
  const rows: readonly [string, number, 4096 | 2048, boolean, number][] = [
    ['directly addressed', F | P, 2048, false, 24],
    ['through format-2 IDALs of 4K blocks', F | P | H, 4096, true, 24],
    ['through format-2 IDALs of 2K blocks', F | P | H | T, 2048, true, 24],
    ['through format-1 IDALs', F | P, 2048, true, 24],
  ];
  test.each(rows)('is read %s', async (_, ctrl0, block, indirect, pages) => {
    const buffers: number[] = [];
    const { run, status } = await one((s) => {
      for (let i = 0; i < 12; i++) buffers.push(s.alloc(4096 + 0x800, 4096) + 0x800);
      const reads = buffers.map((buffer, i): Ccw => {
        const flags = i < 11 ? CC : 0;
        if (!indirect) return [ECKD.READ_MT, flags, 4096, buffer];
        const words: number[] = [];
        for (let at = buffer; at < buffer + 4096; at += block - (at % block)) words.push(at);
        const size = (ctrl0 & H) !== 0 ? 8 : 4;
        const list = new DataView(new ArrayBuffer(words.length * size));
        for (const [n, word] of words.entries()) list.setUint32(n * size + size - 4, word);
        return [ECKD.READ_MT, flags | IDA, 4096, s.data(new Uint8Array(list.buffer))];
      });
      return { cpa: s.program(...located(s, { cylinder: 1, head: 3, count: 12 }), ...reads), ctrl0 };
    });
    expect(status).toEqual(ENDED);
    for (const [i, buffer] of buffers.entries())
      expect(Buffer.compare(run.bytes(buffer, 4096), patternRecord(1, 3, i + 1))).toBe(0);
    // Every record lies in two pages (or two 2K blocks of different pages); define extent and locate take one each.
    expect(run.traced('vfio_ccw_K2').map((args) => args[2])).toEqual([2 + pages]);
    expect(run.traced('ccw_execute').every(([, , flags]) => (flags & IDA) !== 0)).toBe(true);
  });
});

test('a format-0 program with a TIC of code F8 is converted: its flags and count mean nothing', async () => {
  // Format 0: command, 24-bit address, flags, zero, count.
  const ccw0 = (cmd: number, cda: number, flags: number, count: number) => [
    cmd,
    (cda >>> 16) & 0xff,
    (cda >>> 8) & 0xff,
    cda & 0xff,
    flags,
    0,
    count >>> 8,
    count & 0xff,
  ];
  let at = 0;
  let buffer = 0;
  const { run, irb, status } = await one((s) => {
    at = s.alloc(40);
    buffer = s.alloc(8);
    const hole = Array(16).fill(0);
    s.put(
      at,
      Uint8Array.from([
        ...ccw0(ECKD.NOP, 0, CC | SLI, 1),
        ...ccw0(0xf8, at + 32, 0xff, 0xffff),
        ...hole,
        ...ccw0(ECKD.SENSE_ID, buffer, SLI, 7),
      ]),
    );
    return { cpa: at, ctrl0: P };
  });
  expect(status).toEqual(ENDED);
  expect(run.irb(irb).scsw.cpa).toBe(at + 40);
  expect(run.bytes(buffer, 1)[0]).toBe(0xff);
  expect(run.executed()).toBe('03 e4');
});

test('SEARCH ID EQUAL with a TIC back to it finds the record: status modifier skips the TIC', async () => {
  let buffer = 0;
  const { run, status } = await one((s) => {
    buffer = s.alloc(4096);
    const id = s.data(Uint8Array.from([0, 1, 0, 3, 7]));
    const seek = s.data(Uint8Array.from([0, 0, 0, 1, 0, 3]));
    const cpa = s.programAt(4, (at) => [
      [ECKD.SEEK, CC, 6, seek],
      [ECKD.SEARCH_ID_EQ, CC, 5, id],
      [0x08, 0, 0, at + 8],
      [ECKD.READ, 0, 4096, buffer],
    ]);
    return { cpa };
  });
  expect(status).toEqual(ENDED);
  expect(Buffer.compare(run.bytes(buffer, 4096), patternRecord(1, 3, 7))).toBe(0);
  expect(run.traced('vfio_ccw_K1').map((args) => args[2])).toEqual([4]);
});

test('a TIC far away and a TIC back into the middle of the first segment make two segments', async () => {
  const { run, status } = await one((s) => {
    const far = s.alloc(16, 0x4000);
    const cpa = s.programAt(4, () => [NOP, [TIC, 0, 0, far], NOP, LAST_NOP]);
    s.put(far, ccwBytes([NOP, [TIC, 0, 0, cpa + 16]]));
    return { cpa };
  });
  expect(status).toEqual({ ...ENDED, count: 1 });
  expect(run.executed()).toBe('03 03 03 03');
  // NOP and TIC; NOP and TIC far away, which leads behind the first two: a third segment, of two NOPs.
  expect(run.traced('vfio_ccw_K1').map((args) => args[2])).toEqual([6]);
});

test('a TIC back to a CCW of a segment that is known makes no new one', async () => {
  const { run, status } = await one((s) => {
    const id = s.data(Uint8Array.from([0, 1, 0, 0, 2]));
    const seek = s.data(Uint8Array.from([0, 0, 0, 1, 0, 0]));
    const far = s.alloc(16, 0x4000);
    const cpa = s.programAt(3, () => [
      [ECKD.SEEK, CC, 6, seek],
      [ECKD.SEARCH_ID_EQ, CC, 5, id],
      [TIC, 0, 0, far],
    ]);
    // Not equal: to here, and from here into the middle of the first segment. Equal: past the TIC, where nothing is.
    s.put(
      far,
      ccwBytes([
        [ECKD.NOP, CC | SLI, 1, 0],
        [TIC, 0, 0, cpa + 8],
      ]),
    );
    return { cpa };
  });
  expect(run.traced('vfio_ccw_K1').map((args) => args[2])).toEqual([5]);
  expect(run.executed()).toMatch(/^07( 31 03)+ 31/);
  // Behind the copy of the segment there is nothing: the channel finds an invalid CCW.
  expect(status).toMatchObject({ cstat: 0x20, stctl: 0x17 });
});

describe('how long a program may be', () => {
  const nops = (count: number): Ccw[] => [...Array<Ccw>(count - 1).fill(NOP), LAST_NOP];
  test('256 CCWs in one segment run', async () => {
    const { run, status } = await one((s) => ({ cpa: s.program(...nops(256)) }));
    expect(status).toEqual({ ...ENDED, count: 1 });
    expect(run.executed().split(' ')).toHaveLength(256);
  });
  test('257 are refused: condition code 0, then unit exception', async () => {
    const { run, status, result } = await one((s) => ({ cpa: s.program(...nops(257)) }));
    expect(result).toMatchObject({ cc: 0, count: 1 });
    expect(status).toEqual(UNIT_EXCEPTION);
    expect(run.executed()).toBe('');
    expect(run.fsm()).toBe('12 22');
    expect(run.machine.log.join('\n')).toMatch(/more than 256 CCWs/);
  });
  const segments = (s: IoScript, count: number): number => {
    const at = Array.from({ length: count }, () => s.alloc(16, 64));
    for (const [i, address] of at.entries())
      s.put(address, ccwBytes(i + 1 < count ? [NOP, [TIC, 0, 0, at[i + 1]]] : [LAST_NOP]));
    return at[0];
  };
  test('16 segments run', async () => {
    const { status, run } = await one((s) => ({ cpa: segments(s, 16) }));
    expect(status).toEqual({ ...ENDED, count: 1 });
    expect(run.executed().split(' ')).toHaveLength(16);
  });
  test('17 segments are refused', async () => {
    const { status, run } = await one((s) => ({ cpa: segments(s, 17) }));
    expect(status).toEqual(UNIT_EXCEPTION);
    expect(run.machine.log.join('\n')).toMatch(/more than 16 segments/);
  });
});

test('a data address outside storage after five good CCWs: unit exception, the five pages are released once', async () => {
  const { status, run } = await one((s) => {
    const good = Array.from({ length: 5 }, (): Ccw => [ECKD.SENSE_ID, CC | SLI, 7, s.alloc(16, 4096)]);
    return { cpa: s.program(...good, [ECKD.SENSE_ID, SLI, 7, OUTSIDE]) };
  });
  expect(status).toEqual(UNIT_EXCEPTION);
  expect(run.executed()).toBe('');
});

test('what moves no data needs no storage: NOP, skipped input and a count of zero with an address outside', async () => {
  const { status, run } = await one((s) => ({
    cpa: s.program(
      [ECKD.NOP, CC | SLI, 1, OUTSIDE],
      [ECKD.SENSE_ID, CC | SLI | SKIP, 7, OUTSIDE],
      [ECKD.SENSE_ID, SLI, 0, OUTSIDE],
    ),
  }));
  expect(status).toEqual(ENDED);
  expect(run.executed()).toBe('03 e4 e4');
  expect(run.traced('vfio_ccw_K2').map((args) => args[2])).toEqual([0]);
});

test('a short program in the last 2 KiB of storage fails, for always 2 KiB are read; 2 KiB earlier it runs', async () => {
  const at = (cpa: number) =>
    one((s) => {
      s.put(cpa, ccwBytes([LAST_NOP]));
      return { cpa };
    });
  expect((await at(MEMORY - 8)).status).toEqual(UNIT_EXCEPTION);
  expect((await at(MEMORY - 2040)).status).toEqual(UNIT_EXCEPTION);
  expect((await at(MEMORY - 2048)).status).toEqual({ ...ENDED, count: 1 });
});
