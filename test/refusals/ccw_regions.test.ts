/** Every refusal of reading and writing the regions of a vfio-ccw device, one row each (vfio-ccw facts 3.4, 3.5). */
import { expect, test } from 'vitest';
import type { Task } from '../../kernel/lib/task.ts';
import { CcwFixture, REGION } from '../support/ccw_fixture.ts';
import { R } from './surroundings.ts';

const bytes = (count: number) => new Uint8Array(count);
const gone = (t: CcwFixture) => {
  t.css.subchannels[0].gone = true;
};
const REGION_ROWS: readonly [string, (t: CcwFixture) => Task<unknown>, string][] = [
  ...[
    ['I/O', REGION.IO, 124],
    ['async', REGION.ASYNC, 8],
    ['schib', REGION.SCHIB, 52],
    ['crw', REGION.CRW, 8],
  ].flatMap(([name, offset, size]): [string, (t: CcwFixture) => Task<unknown>, string][] => [
    [`${name}: read of a byte too many`, (t) => t.user.pread(t.fd, Number(size) + 1, Number(offset)), 'EINVAL'],
    [`${name}: read behind its end`, (t) => t.user.pread(t.fd, 1, Number(offset) + Number(size)), 'EINVAL'],
    [
      `${name}: write of a byte too many`,
      (t) => t.user.pwrite(t.fd, bytes(Number(size) + 1), Number(offset)),
      'EINVAL',
    ],
  ]),
  ['schib: write', (t) => t.user.pwrite(t.fd, bytes(52), REGION.SCHIB), 'EINVAL'],
  ['crw: write', (t) => t.user.pwrite(t.fd, bytes(8), REGION.CRW), 'EINVAL'],
  ['no such region', (t) => t.user.pread(t.fd, 1, 4 << 10), 'EINVAL'],
  ['no such region, written', (t) => t.user.pwrite(t.fd, bytes(1), 2 ** 50), 'EINVAL'],
  ['I/O: read to where nothing is', (t) => t.user.call(180, t.fd, 4096, 124, REGION.IO), 'EFAULT'],
  ['I/O: written from where nothing is', (t) => t.user.call(181, t.fd, 4096, 124, REGION.IO), 'EFAULT'],
  [
    'schib: the subchannel is gone',
    (t) => {
      gone(t);
      return t.user.pread(t.fd, 52, REGION.SCHIB);
    },
    'ENODEV',
  ],
  ['I/O: halt', (t) => t.user.pwrite(t.fd, t.request(0x1000, {}, 0x2000), REGION.IO), 'EOPNOTSUPP'],
  ['I/O: clear', (t) => t.user.pwrite(t.fd, t.request(0x1000, {}, 0x1000), REGION.IO), 'EOPNOTSUPP'],
  ['I/O: transport mode', (t) => t.ssch(0x1000, { ctrl0: 0x00c4 }), 'EOPNOTSUPP'],
  ['I/O: a program outside memory', (t) => t.ssch(0x7000_0000), 'EINVAL'],
  ['I/O: an ORB with reserved bits', (t) => t.ssch(0x1000, { ctrl1: 0x02 }), 'EIO'],
  [
    'I/O: a program runs',
    function* (t) {
      yield* t.ssch(0x1000);
      return yield* t.ssch(0x1000);
    },
    'EBUSY',
  ],
  [
    'I/O: another request is being made',
    (t) => {
      t.device.ioMutex.tryLock();
      return t.ssch(0x1000);
    },
    'EAGAIN',
  ],
  [
    'async: another request is being made',
    (t) => {
      t.device.ioMutex.tryLock();
      return t.command(1);
    },
    'EAGAIN',
  ],
  [
    'I/O: no path is left',
    (t) => {
      t.css.subchannels[0].schib.pmcw.pam = 0;
      return t.ssch(0x1000);
    },
    'ENODEV',
  ],
  [
    'I/O: another path is left',
    (t) => {
      t.device.sch.lpm = 0xc0;
      return t.ssch(0x1000, { lpm: 0x40 });
    },
    'EACCES',
  ],
  [
    'I/O: the page may not be written',
    function* (t) {
      yield* t.mapDma(0x10_0000, t.ram.start, 4096, R);
      t.program(0x1000, [[0x02, 0, 8, 0x10_0000]]);
      return yield* t.ssch(0x1000);
    },
    'EPERM',
  ],
  [
    'I/O: locked-memory limit',
    (t) => {
      t.kernel.mm.lockLimit = 0;
      t.program(0x1000, [[0x02, 0, 8, 0x3000]]);
      return t.ssch(0x1000);
    },
    'ENOMEM',
  ],
  [
    'I/O: a transfer to nowhere in the program',
    (t) => {
      t.program(0x1000, [
        [0x03, 0x40, 1, 0],
        [0x08, 0, 0, 0x1ffc],
      ]);
      t.program(0x1ff8, [[0x03, 0, 1, 0]]);
      return t.ssch(0x1000, { ctrl0: 0x00c0 });
    },
    'OK',
  ],
  ['async: no such command', (t) => t.command(3), 'EINVAL'],
  [
    'async: nothing to halt any more',
    (t) => {
      gone(t);
      return t.command(1);
    },
    'ENODEV',
  ],
  [
    'async: a halt is under way',
    function* (t) {
      t.css.subchannels[0].hung = true;
      yield* t.command(1);
      return yield* t.command(1);
    },
    'EBUSY',
  ],
  ...(['ssch', 'command'] as const).map((name): [string, (t: CcwFixture) => Task<unknown>, string] => [
    `${name === 'ssch' ? 'I/O' : 'async'}: the device is lost`,
    function* (t) {
      yield* t.device.fsm('NOT_OPER');
      return yield* name === 'ssch' ? t.ssch(0x1000) : t.command(2);
    },
    'EIO',
  ]),
];
test.each(REGION_ROWS)('vfio-ccw region: %s', (_what, access, expected) => {
  const t = new CcwFixture();
  t.run(t.openAll());
  t.program(0x1000, [[0x03, 0, 1, 0]]);
  const outcome = t.outcome(access(t));
  expect(typeof outcome === 'number' ? 'OK' : outcome).toBe(expected);
});

test('each errno that a region can give (vfio-ccw facts 3.4, 3.5) has a row', () => {
  const all = ['EPERM', 'EIO', 'EAGAIN', 'ENOMEM', 'EACCES', 'EFAULT', 'EBUSY', 'ENODEV', 'EINVAL', 'EOPNOTSUPP'];
  const produced = new Set(REGION_ROWS.map((row) => row[2]));
  expect(all.filter((errno) => !produced.has(errno))).toEqual([]);
});
