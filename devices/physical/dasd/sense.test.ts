import { expect, test } from 'vitest';
import { buildSense, FORMAT, noRecordFound, reject, SENSE0, SENSE1, UnitCheck } from './sense.ts';

const place = { cylinder: 0x123, head: 9, record: 5, cylinders: 3339, residual: 4 };

test('a small disk has the track in bytes 5 and 6, and in 29 to 31', () => {
  const sense = buildSense(noRecordFound(), place);
  expect(sense).toHaveLength(32);
  expect([...sense.subarray(0, 8)]).toEqual([0, 0x08, 0, 0, 0, 0x23, 0x19, 0]);
  expect([...sense.subarray(8, 13)]).toEqual([0, 0, 0, 0, 0]);
  expect([...sense.subarray(27)]).toEqual([0x80, 0, 0x01, 0x23, 9]);
});

test('a disk of more than 4095 cylinders has FF there, on any cylinder', () => {
  const sense = buildSense(reject('', 3), { ...place, cylinders: 4096 });
  expect([...sense.subarray(0, 8)]).toEqual([0x80, 0, 0, 0, 0, 0xff, 0xff, 0x03]);
  expect([...sense.subarray(29)]).toEqual([0x01, 0x23, 9]);
});

test('from cylinder 65536 on the address has its big form', () => {
  const cylinder = 0x2_3456;
  const sense = buildSense(noRecordFound(), { ...place, cylinder, cylinders: 262668 });
  expect(sense[27]).toBe(0xb0);
  // As Linux takes it apart.
  const low = (sense[28] << 8) | sense[29];
  expect([(sense[30] << 20) | ((sense[31] & 0xf0) << 12) | low, sense[31] & 0x0f]).toEqual([cylinder, 9]);
});

test('data checks name the record, imprecise endings what was left', () => {
  const data = buildSense(new UnitCheck('', SENSE0.DATA, 0, FORMAT.DATA_CHECK), place);
  expect([...data.subarray(7, 13)]).toEqual([0x40, 0x01, 0x23, 0, 9, 5]);
  const late = buildSense(
    new UnitCheck('', SENSE0.EQUIPMENT, SENSE1.PERMANENT | SENSE1.IMPRECISE, FORMAT.DEVICE),
    place,
  );
  expect([late[1], late[3], late[7]]).toEqual([0x81, 4, 0x10]);
});
