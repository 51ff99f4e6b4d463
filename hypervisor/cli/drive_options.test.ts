/** `--drive`: what its keys mean, and what is refused. */
import { linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { FAULT_KINDS } from '../../kernel/include/fault_kinds.ts';
import { UserError } from '../user_error.ts';
import { DEFAULT_DRIVE, DRIVE_OPTION, readDrives } from './drive_options.ts';
import { HelpRequested, type Keys, parseOptions } from './options.ts';

const folder = mkdtempSync(join(tmpdir(), 'drive-options-'));
afterAll(() => rmSync(folder, { recursive: true }));
const A = join(folder, 'a.ckd');
const B = join(folder, 'b.ckd');
writeFileSync(A, '');
writeFileSync(B, '');
symlinkSync(A, join(folder, 'symlink.ckd'));
linkSync(A, join(folder, 'link.ckd'));

const read = (...given: string[]) =>
  readDrives(
    parseOptions(
      'boot',
      [DRIVE_OPTION],
      given.flatMap((keys) => ['--drive', keys]),
    ).values.drive as Keys[],
  );

test('without any, one 3390 with a slow cylinder', () => {
  expect(readDrives(undefined)).toMatchObject([
    { type: '3390', file: DEFAULT_DRIVE, schid: 0, devno: 0x190, slow: { cylinder: 9, ns: 200e6 } },
  ]);
});

test('every key finds its place', () => {
  const all =
    'devno=abc,readonly,cache=unsafe,service-us=5,slow-cylinder=3,slow-ms=7,chpid=80:8A,iop=2,fault=busy@0.5,fault=slow';
  expect(read(`file=${B}`, `file=${A},${all}`)[1]).toEqual({
    type: '3390',
    file: A,
    schid: 1,
    devno: 0xabc,
    readonly: true,
    cache: 'unsafe',
    serviceTimeNs: 5000,
    slow: { cylinder: 3, ns: 7e6 },
    chpids: [0x80, 0x8a],
    iop: 2,
    faults: [
      { kind: 'busy', rate: 0.5 },
      { kind: 'slow', rate: 1 },
    ],
  });
});

test('an echo device has no file', () => {
  expect(read('type=echo,iop=1', 'type=echo')).toMatchObject([
    { type: 'echo', file: '', devno: 0x190, iop: 1 },
    { type: 'echo', file: '', devno: 0x191 },
  ]);
});

test.each([
  ['busy', { kind: 'busy', rate: 1 }],
  ['busy@0.01', { kind: 'busy', rate: 0.01 }],
  ['path-lost@1/after=100/times=1', { kind: 'path-lost', rate: 1, after: 100, times: 1 }],
  ['slow/us=20', { kind: 'slow', rate: 1, ns: 20_000 }],
  ['slow@1e-3/ns=5/times=0', { kind: 'slow', rate: 0.001, ns: 5, times: 0 }],
  ['path-lost/ms=2', { kind: 'path-lost', rate: 1, ns: 2e6 }],
])('fault=%s', (text, fault) => {
  expect(read(`type=echo,fault=${text}`)[0].faults).toEqual([fault]);
});

test.each([
  ['fire', "no fault is called 'fire'; give one of equipment-check, no-record-found"],
  ['constructor', "no fault is called 'constructor'; give one of"],
  ['busy@', "rate ''; give a probability from 0 to 1"],
  ['busy@2', "rate '2'; give a probability from 0 to 1"],
  ['busy@-0.1', "rate '-0.1'; give a probability from 0 to 1"],
  ['busy@x', "rate 'x'; give a probability from 0 to 1"],
  ['busy@0@0', "rate '0@0'; give a probability from 0 to 1"],
  ['busy/when=3', "'when=3' is not understood; the form is KIND[@RATE]"],
  ['busy/after', "'after' is not understood; the form is KIND[@RATE]"],
  ['busy/times=-1', "'times=-1' is not understood; the form is KIND[@RATE]"],
  ['busy/times=1/times=2', "'times=2' after another times; give one"],
  ['busy/ms=1/ns=2', "'ns=2' after another time; give one"],
  ['equipment-check/ms=1', 'equipment-check takes no time; leave it out'],
  ['busy@0x1', "rate '0x1'; give a probability from 0 to 1"],
  ['busy/times=99999999999999999999', "'times=99999999999999999999' is out of range; give less"],
  ['slow/ms=99999999', 'longer than an hour; give less'],
])('fault=%s is refused in one sentence', (text, message) => {
  expect(() => read(`type=echo,fault=${text}`)).toThrow(UserError);
  expect(() => read(`type=echo,fault=${text}`)).toThrow(`--drive fault=${text}: ${message}`);
});

test.each([
  [['devno=190'], '--drive: file=... is missing; make an image with minivisor dasd create'],
  [[`file=${A},file=${A}`], '--drive: file is given twice; give it once'],
  [['type=echo,iop=1,iop=2'], '--drive: iop is given twice; give it once'],
  [['type=echo,iop=-1'], '--drive iop=-1: out of range; give 0 to 7'],
  [['type=echo,devno=-1'], '--drive devno=-1: not understood; give up to four hexadecimal digits'],
  [['type=echo,devno=10000'], '--drive devno=10000: not understood; give up to four hexadecimal digits'],
  [['type=echo,chpid=-1'], '--drive chpid=-1: not understood; give one to 8 different hexadecimal numbers (80:81)'],
  [[`file=${A},service-us=3600000001`], '--drive service-us=3600000001: out of range; give 0 to 3600000000'],
  [[`file=${A},slow-cylinder=-1`], '--drive slow-cylinder=-1: out of range; give 0 to 268435455'],
  [[`file=${A},slow-cylinder=a`], '--drive slow-cylinder=a: not understood; give a whole number'],
  [[`file=${A},slow-cylinder=1,slow-ms=-5`], '--drive slow-ms=-5: out of range; give 0 to 3600000'],
  [[`file=${A},slow-cylinder=1,slow-ms=NaN`], '--drive slow-ms=NaN: not understood; give a whole number'],
  [[`file=${A},slow-cylinder=1,slow-ms=1e9`], '--drive slow-ms=1e9: not understood; give a whole number'],
  [[`file=${A},slow-cylinder=1,slow-ms=99999999999`], '--drive slow-ms=99999999999: out of range; give 0 to 3600000'],
  [[`file=${A},slow-ms=5`], '--drive slow-ms=5: of which cylinder? give slow-cylinder=... too'],
  [[`file=${A},service-us=-1`], '--drive service-us=-1: out of range; give 0 to 3600000000'],
  [[`file=${A},iop=8`], '--drive iop=8: out of range; give 0 to 7'],
  [[`file=${A},readonly=yes`], '--drive readonly=yes: not understood; give off or on'],
  [[`file=${A},cache=none`], '--drive cache=none: not understood; give writethrough, writeback or unsafe'],
  [[`file=${A},type=tape`], '--drive type=tape: not understood; give 3390 or echo'],
  [[`file=${A},chpid=80:80`], '--drive chpid=80:80: a path twice; give one to 8 different hexadecimal numbers (80:81)'],
  [[`file=${A},chpid=100`], '--drive chpid=100: not understood; give one to 8 different hexadecimal numbers (80:81)'],
  [
    [`file=${A},chpid=0:1:2:3:4:5:6:7:8`],
    '--drive chpid=0:1:2:3:4:5:6:7:8: 9 paths; give one to 8 different hexadecimal numbers (80:81)',
  ],
  [[`type=echo,file=${A}`], '--drive file=...: type=echo has none; leave it out'],
  [['type=echo,readonly'], '--drive readonly=...: type=echo has none; leave it out'],
  [['type=echo,devno=191', 'type=echo'], '--drive: two devices with number 0191; give one of them another devno=...'],
  [Array(65).fill('type=echo'), '--drive: 65 of them; the machine has 64 subchannels'],
  [
    ['type=echo,devno=ffff', 'type=echo,devno=FFFF'],
    '--drive: two devices with number ffff; give one of them another devno=...',
  ],
])('%j is refused in one sentence', (given, message) => {
  expect(() => read(...given)).toThrow(new UserError(message));
});

test.each(['a.ckd', 'symlink.ckd', 'link.ckd'])('one image for two drives is refused: a.ckd and %s', (name) => {
  const other = join(folder, name);
  const message = `--drive file=${other}: two drives on one image; give each its own, or readonly=on to both`;
  expect(() => read(`file=${A}`, `file=${other}`)).toThrow(new UserError(message));
  expect(() => read(`file=${A},readonly`, `file=${other}`)).toThrow(new UserError(message));
  expect(read(`file=${A},readonly`, `file=${other},readonly`)).toHaveLength(2);
});

test('help explains every key and every kind of fault, one line each', () => {
  try {
    read('help');
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(HelpRequested);
    const lines = (error as Error).message.split('\n');
    for (const name of [...Object.keys(DRIVE_OPTION.keys as object).map((key) => `${key}=`), ...FAULT_KINDS])
      expect(lines.filter((line) => line.startsWith(`  ${name} `))).toHaveLength(1);
  }
});
