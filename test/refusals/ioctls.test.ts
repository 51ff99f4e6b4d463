/**
 * Every refusal of every VFIO command, one row each: what is wrong, and the errno (vfio-tce facts 1.1 to 1.4 and 2). The
 * last test checks the tables themselves: an errno that a command lists in the ioctl table and no row produces is one too
 * many there or a row too few here.
 */
import { expect, test } from 'vitest';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { TestHost } from '../../kernel/kvm/test_host.ts';
import { TestPci } from '../../kernel/vfio/test_pci.ts';
import { CcwFixture } from '../support/ccw_fixture.ts';
import { CcwRfcFixture } from '../support/ccw_rfc_fixture.ts';
import { CORE_ROWS } from './core_rows.ts';
import { bareSurroundings, PAMU_ROWS } from './pamu_rows.ts';
import { PCI_ROWS } from './pci_rows.ts';
import { SPAPR_ROWS } from './spapr_rows.ts';
import { type Row, SPAPR, SPAPR2 } from './surroundings.ts';
import { TYPE1_ROWS } from './type1_rows.ts';

const ROWS: readonly Row[] = [...CORE_ROWS, ...TYPE1_ROWS, ...SPAPR_ROWS, ...PAMU_ROWS, ...PCI_ROWS];

test.each(ROWS.map(([{ name }, ...rest]) => [name, ...rest] as const))('%s: %s', (_ioctl, _what, attempt, expected) => {
  expect(attempt()).toBe(expected);
});

// Rows that every command with a structure has.

/** Descriptors by the word in the ioctl table; each gives one that is open, and the process that has it. */
const DESCRIPTORS: Readonly<
  Record<string, () => { call(number: number, arg: number): unknown; put(bytes: Uint8Array): number }>
> = {
  group: () => ccwDescriptor((t) => t.group),
  device: () => ccwDescriptor((t) => t.fd),
  type1: () => ccwDescriptor((t) => t.container),
  'type1, spapr, pamu': () => ccwDescriptor((t) => t.container),
  pamu: () => {
    const { t, c } = bareSurroundings();
    return {
      call: (number, arg) => t.outcome(t.user.ioctl(c, { number } as ioctls.Ioctl, arg)),
      put: (bytes) => t.user.buffer(bytes),
    };
  },
  'device (vfio-pci)': () => {
    const t = new TestPci();
    return {
      call: (number, arg) => t.host.errno(() => t.host.ioctl(t.device, { number } as ioctls.Ioctl, arg)),
      put(bytes: Uint8Array) {
        t.host.poke(0, bytes);
        return t.host.user;
      },
    };
  },
  spapr: () => spaprDescriptor(SPAPR2),
  'spapr v1': () => spaprDescriptor(SPAPR),
  'spapr v2': () => spaprDescriptor(SPAPR2),
  'device (vfio_ccw_rfc)': () => {
    const t = new CcwRfcFixture();
    t.run(t.openAll());
    return {
      call: (number, arg) => t.outcome(t.user.ioctl(t.fd, { number } as ioctls.Ioctl, arg)),
      put: (bytes) => t.user.buffer(bytes),
    };
  },
};
function ccwDescriptor(fd: (t: CcwFixture) => number) {
  const t = new CcwFixture();
  t.run(t.openAll());
  return {
    call: (number: number, arg: number) => t.outcome(t.user.ioctl(fd(t), { number } as ioctls.Ioctl, arg)),
    put: (bytes: Uint8Array) => t.user.buffer(bytes),
  };
}
function spaprDescriptor(type: number) {
  const host = new TestHost();
  const { fd } = host.run(() => host.container([0], type));
  return {
    call: (number: number, arg: number) => host.errno(() => host.ioctl(fd, { number } as ioctls.Ioctl, arg)),
    put(bytes: Uint8Array) {
      host.poke(0, bytes);
      return host.user;
    },
  };
}

const VFIO = Object.values<ioctls.Ioctl>(ioctls).filter(({ name }) => name.startsWith('VFIO_'));

test.each(VFIO.filter(({ struct }) => struct !== undefined).map((ioctl) => [ioctl.name, ioctl] as const))(
  '%s: a bad pointer is EFAULT, an argsz that is too small EINVAL',
  (_name, ioctl) => {
    const { call, put } = DESCRIPTORS[ioctl.on]();
    expect([call(ioctl.number, 16), call(ioctl.number, 2 ** 52)]).toEqual(['EFAULT', 'EFAULT']);
    if (!ioctl.argsz || ioctl.struct === undefined) return;
    for (const argsz of [0, ioctl.minsz - 1])
      expect([argsz, call(ioctl.number, put(ioctl.struct.bytes(ioctl.struct.make({ argsz }))))]).toEqual([
        argsz,
        'EINVAL',
      ]);
  },
);

test.each(Object.keys(DESCRIPTORS))('a command that a descriptor does not take is ENOTTY: %s', (on) => {
  const { call } = DESCRIPTORS[on]();
  expect([0, 0x3b64 + 99, 0xffffffff].map((number) => call(number, 0))).toEqual(Array(3).fill('ENOTTY'));
});

test.each(VFIO.map((ioctl) => [ioctl.name, ioctl] as const))('%s: every errno it lists has a row', (_name, ioctl) => {
  // The request of the RFC has its own table, vfio_ccw_cmd_request.test.ts.
  if (ioctl === (ioctls.VFIO_DEVICE_CCW_CMD_REQUEST as ioctls.Ioctl)) return;
  const produced = new Set(ROWS.filter((row) => row[0] === ioctl).map((row) => row[3]));
  expect(ioctl.errnos.filter((errno) => !produced.has(errno))).toEqual([]);
});
