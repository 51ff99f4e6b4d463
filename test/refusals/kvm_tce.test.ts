/**
 * Every refusal of KVM's TCE commands and of the kvm-vfio device, one row each (vfio-tce facts 4.1 to 4.3). The last test
 * checks the table: an errno that a command lists and no row produces is one too many there or a row too few here.
 */
import { expect, test } from 'vitest';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { KVM_CAP } from '../../kernel/include/uapi/kvm.ts';
import { VFIO_TYPE1v2_IOMMU } from '../../kernel/include/uapi/vfio.ts';
import { KVM_TCE_LINKS } from '../../kernel/kvm/kvm_area.ts';
import { quietInvariants } from '../../kernel/kvm/test_invariants.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { registerType1 } from '../../kernel/vfio/vfio_iommu_type1.ts';
import { ATTR, LIOBN, PAGES, World, type WorldOptions } from '../tce/world.ts';
import { K, limited } from './surroundings.ts';

type Row = readonly [
  ioctl: ioctls.Ioctl,
  what: string,
  attempt: (w: World) => Task<unknown>,
  expected: string,
  options?: WorldOptions,
];

const CREATE = ioctls.KVM_CREATE_SPAPR_TCE as unknown as ioctls.Ioctl;
const CREATE_64 = ioctls.KVM_CREATE_SPAPR_TCE_64 as unknown as ioctls.Ioctl;
const SET = ioctls.KVM_SET_DEVICE_ATTR as unknown as ioctls.Ioctl;
const GET = ioctls.KVM_GET_DEVICE_ATTR as unknown as ioctls.Ioctl;
const HAS = ioctls.KVM_HAS_DEVICE_ATTR as unknown as ioctls.Ioctl;
const DEVICE = ioctls.KVM_CREATE_DEVICE as unknown as ioctls.Ioctl;
const CAP = ioctls.KVM_ENABLE_CAP as unknown as ioctls.Ioctl;
const BIND = ioctls.KVM_SPAPR_TCE_BIND_VFIO as unknown as ioctls.Ioctl;
const UNBIND = ioctls.KVM_SPAPR_TCE_UNBIND_VFIO as unknown as ioctls.Ioctl;

const vm =
  (ioctl: ioctls.Ioctl, values: object) =>
  ({ host, vm: fd }: World): Task<unknown> =>
    host.ioctlStruct(fd, ioctl, values as never);
const create64 = (values: object) => vm(CREATE_64, { liobn: LIOBN + 1, page_shift: 12, size: 16, ...values });
const set =
  (attr: number, ...words: number[]) =>
  (w: World) =>
    w.host.setAttr(w.device, attr, ...words);
const attribute = (ioctl: ioctls.Ioctl, values: object) => (w: World) =>
  w.host.ioctlStruct(w.device, ioctl, values as never);
/** Fills the descriptor table first. */
const full = (body: (w: World) => Task<unknown>) =>
  function* (w: World): Task<unknown> {
    const { files } = w.host.kernel;
    try {
      for (;;) files.install(files.file(w.vm).get());
    } catch {
      return yield* body(w);
    }
  };
const liobnAttr =
  (words: { argsz?: number; fd?: number; liobn?: number; low?: number; high?: number }) => (w: World) => {
    const { argsz = 24, fd = w.containers[0].groups[0], liobn = LIOBN, low = 0, high = 0 } = words;
    return w.host.setAttr(w.device, ATTR.SET_SPAPR_TCE_LIOBN, argsz, fd, liobn, 0, low, high);
  };
const bind =
  (ioctl: ioctls.Ioctl, values: object = {}) =>
  (w: World) =>
    w.host.ioctlStruct(w.vm, ioctl, { liobn: LIOBN, fd: w.containers[0].fd, ...values } as never);
/** More hardware tables than a guest table has room for: windows that come and go, each bound. */
function* links(w: World, last: () => Task<unknown>): Task<unknown> {
  const [{ fd }] = w.containers;
  for (let i = 0; i < KVM_TCE_LINKS; i++) {
    yield* w.host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
    yield* w.createWindow(fd);
    if (i < KVM_TCE_LINKS - 1) yield* w.bind(w.containers[0]);
  }
  return yield* last();
}
const byContainer = { side: 'container' } as const;
const byLiobn = { side: 'group-liobn' } as const;

const ROWS: readonly Row[] = [
  [CREATE, 'nothing', vm(CREATE, { liobn: 7, window_size: 0 }), 'EINVAL'],
  [CREATE, 'less than a page', vm(CREATE, { liobn: 7, window_size: K - 1 }), 'EINVAL'],
  [CREATE, 'a LIOBN of 33 bits', vm(CREATE, { liobn: 2 ** 32, window_size: K }), 'EINVAL'],
  [CREATE, 'a LIOBN that has one', vm(CREATE, { liobn: LIOBN, window_size: K }), 'EBUSY'],
  [CREATE, 'limit', (w) => limited(w.host, 1, vm(CREATE, { liobn: 7, window_size: K })(w)), 'ENOMEM'],
  [CREATE, 'no descriptor left', full(vm(CREATE, { liobn: 7, window_size: K })), 'EMFILE'],
  [CREATE_64, 'nothing', create64({ size: 0 }), 'EINVAL'],
  [CREATE_64, 'flags', create64({ flags: 1 }), 'EINVAL'],
  [CREATE_64, 'pages of 2^11 bytes', create64({ page_shift: 11 }), 'EINVAL'],
  [CREATE_64, 'pages of 2^35 bytes', create64({ page_shift: 35 }), 'EINVAL'],
  [CREATE_64, 'the end of the bus', create64({ offset: 2 ** 52 - 16 }), 'EINVAL'],
  [CREATE_64, 'a size that wraps', create64({ size: 2 ** 63, offset: 2 ** 63 }), 'EINVAL'],
  [CREATE_64, 'a LIOBN that has one', create64({ liobn: LIOBN }), 'EBUSY'],
  [CREATE_64, 'limit', (w) => limited(w.host, 1, create64({})(w)), 'ENOMEM'],
  [CREATE_64, 'more than the host has', create64({ size: 2 ** 40 }), 'ENOMEM'],
  [CREATE_64, 'no descriptor left', full(create64({})), 'EMFILE'],
  [DEVICE, 'a second one', vm(DEVICE, { type: 4 }), 'EBUSY'],
  [DEVICE, 'of no type', vm(DEVICE, { type: 99 }), 'ENODEV'],
  [DEVICE, 'a test for no type', vm(DEVICE, { type: 99, flags: 1 }), 'ENODEV'],
  [
    DEVICE,
    'a second interrupt controller',
    function* (w) {
      yield* vm(DEVICE, { type: 6 })(w);
      yield* vm(DEVICE, { type: 6 })(w);
    },
    'EINVAL',
  ],
  [DEVICE, 'no descriptor left', full(vm(DEVICE, { type: 6 })), 'EMFILE'],
  [CAP, 'a hypercall without a handler', vm(CAP, { cap: KVM_CAP.PPC_ENABLE_HCALL, arg0: 0x24, arg1: 1 }), 'EINVAL'],
  [CAP, 'flags', vm(CAP, { cap: KVM_CAP.PPC_ENABLE_HCALL, flags: 1, arg0: 0x20 }), 'EINVAL'],
  [CAP, 'an MMU that is none', vm(CAP, { cap: KVM_CAP.PPC_MMU_RADIX, arg0: 2 }), 'EINVAL'],
  [CAP, 'a capability that is not enabled', vm(CAP, { cap: KVM_CAP.SPAPR_TCE }), 'EINVAL'],
  // kvm-vfio.
  [SET, 'no attribute', attribute(SET, { group: 1, attr: 9 }), 'ENXIO'],
  [SET, 'attribute 0', attribute(SET, { group: 1, attr: 0 }), 'ENXIO'],
  [SET, 'attribute 2^32 + 1', attribute(SET, { group: 1, attr: 2 ** 32 + 1 }), 'ENXIO'],
  [SET, 'no group of attributes', attribute(SET, { group: 2, attr: 1 }), 'ENXIO'],
  [SET, 'flags', attribute(SET, { group: 1, attr: 1, flags: 1 }), 'ENXIO'],
  ...Object.entries(ATTR).map(
    ([name, attr]): Row => [SET, `${name}: bad pointer`, attribute(SET, { group: 1, attr, addr: 8 }), 'EFAULT'],
  ),
  [SET, 'ADD: descriptor not open', set(ATTR.ADD, 99), 'EBADF'],
  [SET, 'ADD: a container', (w) => set(ATTR.ADD, w.containers[0].fd)(w), 'EINVAL'],
  [SET, 'ADD: twice', (w) => set(ATTR.ADD, w.containers[0].groups[0])(w), 'EEXIST'],
  [SET, 'DEL: descriptor not open', set(ATTR.DEL, -1), 'EBADF'],
  [SET, 'DEL: a table', (w) => set(ATTR.DEL, w.tableFd)(w), 'ENOENT'],
  [
    SET,
    'DEL: twice',
    function* (w) {
      yield* set(ATTR.DEL, w.containers[0].groups[0])(w);
      yield* set(ATTR.DEL, w.containers[0].groups[0])(w);
    },
    'ENOENT',
  ],
  [SET, 'SET_SPAPR_TCE: group not open', (w) => set(ATTR.SET_SPAPR_TCE, 99, w.tableFd)(w), 'EBADF'],
  [SET, 'SET_SPAPR_TCE: a container', (w) => set(ATTR.SET_SPAPR_TCE, w.containers[0].fd, w.tableFd)(w), 'ENOENT'],
  [
    SET,
    'SET_SPAPR_TCE: group not added',
    function* (w) {
      yield* set(ATTR.DEL, w.containers[0].groups[0])(w);
      yield* set(ATTR.SET_SPAPR_TCE, w.containers[0].groups[0], w.tableFd)(w);
    },
    'ENOENT',
  ],
  [SET, 'SET_SPAPR_TCE: table not open', (w) => set(ATTR.SET_SPAPR_TCE, w.containers[0].groups[0], 99)(w), 'EBADF'],
  [SET, 'SET_SPAPR_TCE: no table', (w) => set(ATTR.SET_SPAPR_TCE, w.containers[0].groups[0], w.vm)(w), 'EINVAL'],
  [
    SET,
    'SET_SPAPR_TCE: no window fits',
    noWindow((w, fd) => set(ATTR.SET_SPAPR_TCE, w.containers[0].groups[0], fd)(w)),
    'EINVAL',
  ],
  [
    SET,
    'SET_SPAPR_TCE: a group without TCE tables',
    foreign((w, group) => set(ATTR.SET_SPAPR_TCE, group, w.tableFd)(w)),
    'EIO',
  ],
  [
    SET,
    'SET_SPAPR_TCE: too many windows',
    (w) => links(w, () => set(ATTR.SET_SPAPR_TCE, w.containers[0].groups[0], w.tableFd)(w)),
    'ENOMEM',
  ],
  [SET, '_LIOBN: argsz', liobnAttr({ argsz: 23 }), 'EINVAL'],
  [SET, '_LIOBN: group not open', liobnAttr({ fd: 99 }), 'EBADF'],
  [SET, '_LIOBN: a container', (w) => liobnAttr({ fd: w.containers[0].fd })(w), 'ENOENT'],
  [SET, '_LIOBN: no table', liobnAttr({ liobn: 7 }), 'ENODEV'],
  [SET, '_LIOBN: no window starts there', liobnAttr({ low: K }), 'EINVAL'],
  [SET, '_LIOBN: one window starts there, and does not fit', noWindow(liobnAttr({ liobn: LIOBN + 1 })), 'EINVAL'],
  [SET, '_LIOBN: a group without TCE tables', foreign((w, fd) => liobnAttr({ fd })(w)), 'EIO'],
  [SET, '_LIOBN: too many windows', (w) => links(w, () => liobnAttr({})(w)), 'ENOMEM', byLiobn],
  [HAS, 'no attribute', attribute(HAS, { group: 1, attr: 5 }), 'ENXIO'],
  [HAS, 'no group of attributes', attribute(HAS, { group: 0, attr: 1 }), 'ENXIO'],
  ...Object.values(ATTR).map((attr): Row => [GET, `attribute ${attr}`, attribute(GET, { group: 1, attr }), 'EPERM']),
  // The other side of 2016.
  ...[BIND, UNBIND].flatMap((ioctl): Row[] => [
    [ioctl, 'flags', bind(ioctl, { flags: 1 }), 'EINVAL'],
    [ioctl, 'descriptor not open', bind(ioctl, { fd: 99 }), 'EBADF'],
    [ioctl, 'negative descriptor', bind(ioctl, { fd: -1 }), 'EBADF'],
    [ioctl, 'a group', (w) => bind(ioctl, { fd: w.containers[0].groups[0] })(w), 'EINVAL'],
    [ioctl, 'a table', (w) => bind(ioctl, { fd: w.tableFd })(w), 'EINVAL'],
    [ioctl, 'no table', bind(ioctl, { liobn: 7 }), 'ENODEV'],
    [ioctl, 'a LIOBN of 33 bits', bind(ioctl, { liobn: LIOBN + 2 ** 32 }), 'ENODEV'],
  ]),
  [BIND, 'twice', bind(BIND), 'EEXIST', byContainer],
  [BIND, 'no window fits', noWindow(bind(BIND, { liobn: LIOBN + 1 })), 'EINVAL'],
  [
    BIND,
    'the window was removed',
    function* (w) {
      yield* w.host.ioctlStruct(w.containers[0].fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
      yield* bind(BIND)(w);
    },
    'EINVAL',
  ],
  [
    BIND,
    'a container without an IOMMU',
    function* (w) {
      yield* bind(BIND, { fd: yield* w.host.open('/dev/vfio/vfio') })(w);
    },
    'EIO',
  ],
  [BIND, 'too many windows', (w) => links(w, () => bind(BIND)(w)), 'ENOMEM', byContainer],
  [UNBIND, 'not bound', bind(UNBIND), 'ENOENT'],
  [
    UNBIND,
    'twice',
    function* (w) {
      yield* bind(UNBIND)(w);
      yield* bind(UNBIND)(w);
    },
    'ENOENT',
    byContainer,
  ],
  [
    UNBIND,
    'another container',
    function* (w) {
      yield* bind(UNBIND, { fd: yield* w.host.open('/dev/vfio/vfio') })(w);
    },
    'ENOENT',
    byContainer,
  ],
];

/** A table, LIOBN + 1, of more pages than the window has. */
function noWindow(body: (w: World, table: number) => Task<unknown>) {
  return function* (w: World): Task<unknown> {
    return yield* body(w, yield* w.host.table(w.vm, LIOBN + 1, 12, 2 * PAGES));
  };
}
/** A group that was added and has no TCE tables: that of a mediated device. */
function foreign(body: (w: World, group: number) => Task<unknown>) {
  return function* (w: World): Task<unknown> {
    const { host } = w;
    registerType1(host.vfio);
    const group = host.vfio.allocateGroup({ emulated: true });
    host.vfio.addDevice({ name: 'mediated', group, operations: {}, *openDevice() {}, *closeDevice() {} });
    const fd = yield* host.open(`/dev/vfio/${group.id}`);
    const container = yield* host.open('/dev/vfio/vfio');
    yield* host.ioctlWords(fd, ioctls.VFIO_GROUP_SET_CONTAINER, container);
    yield* host.ioctl(container, ioctls.VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    yield* host.setAttr(w.device, ATTR.ADD, fd);
    return yield* body(w, fd);
  };
}

test.each(ROWS.map(([{ name }, ...rest]) => [name, ...rest] as const))(
  '%s: %s',
  (_ioctl, _what, attempt, expected, options = {}) => {
    const w = new World(options);
    const { lockLimit } = w.host.kernel.mm;
    expect(w.host.errno(() => attempt(w))).toBe(expected);
    w.host.kernel.mm.lockLimit = lockLimit;
    // A refusal leaves nothing behind.
    quietInvariants(w.host);
  },
);

test.each([CREATE, CREATE_64, DEVICE, CAP, BIND, UNBIND].map((ioctl) => [ioctl.name, ioctl] as const))(
  '%s: a bad pointer is EFAULT',
  (_name, ioctl) => {
    const w = new World();
    for (const at of [16, 2 ** 52]) expect(w.host.errno(() => w.host.ioctl(w.vm, ioctl, at))).toBe('EFAULT');
  },
);

/** What only the interrupt controller gives, whose device has the same commands: `kernel/kvm/flic.test.ts`. */
const FLIC: Readonly<Record<string, readonly string[]>> = {
  KVM_SET_DEVICE_ATTR: ['EBUSY'],
  KVM_GET_DEVICE_ATTR: ['ENOMEM', 'EFAULT', 'EINVAL'],
};
test.each([CREATE, CREATE_64, DEVICE, CAP, SET, GET, HAS, BIND, UNBIND].map((ioctl) => [ioctl.name, ioctl] as const))(
  '%s: every errno it lists has a row',
  (name, ioctl) => {
    const produced = new Set([...ROWS.filter((row) => row[0] === ioctl).map((row) => row[3]), ...(FLIC[name] ?? [])]);
    expect(ioctl.errnos.filter((errno) => !produced.has(errno))).toEqual([]);
  },
);
