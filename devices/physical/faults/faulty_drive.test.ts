/** Faults of a 3390: sense information with the place where the heads are, and another path when one is lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import { DATA, statusOf, TestMachine } from '../css/test_machine.ts';
import { openDrive } from '../dasd/drive.ts';
import { createVolume } from '../dasd/volume.ts';
import { FaultyDevice } from './faulty_device.ts';

const folder = mkdtempSync(join(tmpdir(), 'faulty-drive-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'a.ckd');
createVolume(file, { volser: 'FAULT1', cylinders: 4, layout: 'cdl' });
const { CC, SLI } = CCW_FLAG;

test.each([
  ['equipment-check', 0x10, 0, 0x10],
  ['no-record-found', 0, 0x08, 0],
] as const)('%s on a read at cylinder 2 head 3 tells the place', (kind, byte0, byte1, byte7) => {
  const drive = openDrive({ schid: 0, devno: 0x100, file, cache: 'unsafe' });
  // The first two commands that can draw position; the third reads.
  const after = kind === 'equipment-check' ? 1 : 0;
  const device = new FaultyDevice(drive, { schid: 0, faults: [{ kind, rate: 1, after, times: 1 }], seed: 1 });
  const m = new TestMachine([{ schid: 0, device }]);
  m.put(DATA, [0, 0, 0, 2, 0, 3]);
  const irb = m.start([
    [0x07, CC, 6, DATA],
    [0x06, SLI, 8, DATA + 0x100],
  ]);
  expect(statusOf(irb).dstat & DSTAT.UNIT_CHECK).not.toBe(0);
  m.start([[0x04, SLI, 32, DATA + 0x200]]);
  const sense = m.bytes(DATA + 0x200, 32);
  expect([sense[0], sense[1], sense[7]]).toEqual([byte0, byte1, byte7]);
  expect([...sense.slice(5, 7)]).toEqual([2, 3]);
  m.iop.close();
});
