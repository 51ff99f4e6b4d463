/** Refusals of the PAMU backend and of vfio-platform: every misuse of vfio-pamu facts 5.4, one row each. */
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import type { Fields } from '../../kernel/lib/struct.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { FslPamuDomain } from '../../kernel/ppc/fsl_pamu_domain.ts';
import { MiB, PamuFixture, type PamuFixtureOptions } from '../support/pamu_fixture.ts';
import { K, R, type Row, SET, s32, VADDR, W } from './surroundings.ts';

const WINDOW = MiB;
const ATTR = uapi.VFIO_PAMU_ATTR;

interface Pamu {
  readonly t: PamuFixture;
  readonly c: number;
  readonly fd: number;
  readonly group: number;
  /** Four windows of memory in one piece each, aligned. */
  readonly ram: number;
}

/** A container with dma0 and nothing else. */
export function bareSurroundings(options: PamuFixtureOptions = {}): Pamu {
  const t = new PamuFixture({ guestMemory: 8 * MiB, ...options });
  const ram = t.kernel.mm.mmapHuge('ram', 4 * WINDOW, WINDOW).start;
  const c = t.run(t.container());
  return { t, c, ram, ...t.run(t.open(c, 'dma0')) };
}
const bare =
  (body: (s: Pamu) => Task<unknown>, options: PamuFixtureOptions = {}) =>
  () => {
    const s = bareSurroundings(options);
    return s.t.outcome(body(s));
  };
/** With 8 windows, of which the first is mapped. */
const pamu = (body: (s: Pamu) => Task<unknown>, options: PamuFixtureOptions = {}) =>
  bare(function* (s) {
    yield* s.t.setGeometry(s.c, 0, 8 * WINDOW - 1);
    yield* s.t.setWindows(s.c, 8);
    yield* s.t.mapDma(s.c, 0, WINDOW, s.ram);
    return yield* body(s);
  }, options);
/** With 8 windows and nothing mapped. */
const empty = (body: (s: Pamu) => Task<unknown>) =>
  bare(function* (s) {
    yield* s.t.setGeometry(s.c, 0, 8 * WINDOW - 1);
    yield* s.t.setWindows(s.c, 8);
    return yield* body(s);
  });
/** A second container, of dma1, that has bank 0. */
function* rival({ t }: Pamu): Task {
  const c = yield* t.container();
  yield* t.join(c, 'dma1');
  yield* t.setGeometry(c, 0, 2 * WINDOW - 1);
  yield* t.setWindows(c, 2);
  yield* t.mapBank(c, 0, 0);
}
/** Everything the secondary table has, but `left` entries. */
function fillTable({ t }: Pamu, left: number): void {
  const { tables } = t.host.pamu;
  while (2048 - tables.allocated - 255 >= left) {
    const domain = new FslPamuDomain(t.host.pamu);
    domain.attach(0x200 + tables.allocated / 255);
    domain.setGeometry(0, 2 ** 32 - 1);
    domain.setWindows(256);
  }
}

/** A structure with its argsz, and something wrong. */
const give = <F extends Fields>({ t, c }: Pamu, ioctl: ioctls.Ioctl<F>, values: object) => {
  const { struct } = ioctl;
  if (struct === undefined) throw new Error(`${ioctl.name} takes no structure`);
  return t.user.ioctlStruct(c, ioctl, struct.make({ argsz: struct.size, ...values } as never));
};
const map = (iova: number, size: number, vaddr?: number, flags = R | W) =>
  pamu(({ t, c, ram }) => t.mapDma(c, iova, size, vaddr ?? ram + WINDOW, flags));
const irqs = (values: object, tail = s32(-1)) =>
  pamu(({ t, fd }) => {
    const set = uapi.vfio_irq_set.make({
      argsz: 20 + tail.length,
      flags: SET.ACTION_TRIGGER | SET.DATA_EVENTFD,
      count: 1,
      ...values,
    });
    return t.user.ioctlStruct(fd, ioctls.VFIO_DEVICE_SET_IRQS, set, tail);
  });

const {
  VFIO_IOMMU_PAMU_GET_ATTR: GET,
  VFIO_IOMMU_PAMU_SET_ATTR: SET_ATTR,
  VFIO_IOMMU_PAMU_MAP_MSI_BANK: MAP_BANK,
  VFIO_IOMMU_PAMU_UNMAP_MSI_BANK: UNMAP_BANK,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO: INFO,
  VFIO_IOMMU_MAP_DMA: MAP,
  VFIO_IOMMU_UNMAP_DMA: UNMAP,
  VFIO_DEVICE_SET_IRQS: IRQS,
} = ioctls;

export const PAMU_ROWS: readonly Row[] = [
  [GET, 'unknown attribute', bare((s) => give(s, GET, { attribute: 4 })), 'EINVAL'],
  [GET, 'flags', bare((s) => give(s, GET, { flags: 1 })), 'EINVAL'],
  [SET_ATTR, 'unknown attribute', bare((s) => give(s, SET_ATTR, { attribute: 4 })), 'EINVAL'],
  [SET_ATTR, 'flags', bare((s) => give(s, SET_ATTR, { flags: 1, attribute: ATTR.ENABLE })), 'EINVAL'],
  [SET_ATTR, 'GEOMETRY while something is mapped', pamu(({ t, c }) => t.setGeometry(c, 0, 0xffff)), 'EBUSY'],
  [SET_ATTR, 'GEOMETRY, mapped comes before wrong', pamu(({ t, c }) => t.setGeometry(c, 1, 0)), 'EBUSY'],
  [SET_ATTR, 'GEOMETRY: end before start', bare(({ t, c }) => t.setGeometry(c, 0x2000, 0x1fff)), 'EINVAL'],
  [SET_ATTR, 'GEOMETRY: no power of two', bare(({ t, c }) => t.setGeometry(c, 0, 0x17ff_ffff)), 'EINVAL'],
  [SET_ATTR, 'GEOMETRY: less than a page', bare(({ t, c }) => t.setGeometry(c, 0, 2047)), 'EINVAL'],
  [SET_ATTR, 'GEOMETRY: start not aligned', bare(({ t, c }) => t.setGeometry(c, 0x1000, 0x2fff)), 'EINVAL'],
  [SET_ATTR, 'GEOMETRY: beyond 36 bits', bare(({ t, c }) => t.setGeometry(c, 2 ** 36, 2 ** 36 + 0xfff)), 'EINVAL'],
  [SET_ATTR, 'WINDOWS while something is mapped', pamu(({ t, c }) => t.setWindows(c, 4)), 'EBUSY'],
  [SET_ATTR, 'WINDOWS without geometry', bare(({ t, c }) => t.setWindows(c, 8)), 'EINVAL'],
  [SET_ATTR, 'WINDOWS: none', empty(({ t, c }) => t.setWindows(c, 0)), 'EINVAL'],
  [SET_ATTR, 'WINDOWS: no power of two', empty(({ t, c }) => t.setWindows(c, 6)), 'EINVAL'],
  [SET_ATTR, 'WINDOWS: more than there are', empty(({ t, c }) => t.setWindows(c, 512)), 'EINVAL'],
  [
    SET_ATTR,
    'WINDOWS: less than a page each',
    bare(function* ({ t, c }) {
      yield* t.setGeometry(c, 0, 0xffff);
      return yield* t.setWindows(c, 32);
    }),
    'EINVAL',
  ],
  [
    SET_ATTR,
    'WINDOWS: no secondary entries',
    bare(function* (s) {
      fillTable(s, 0);
      yield* s.t.setGeometry(s.c, 0, 8 * WINDOW - 1);
      return yield* s.t.setWindows(s.c, 16);
    }),
    'ENOSPC',
  ],
  [SET_ATTR, 'STASH without windows', bare(({ t, c }) => t.setStash(c, 0, 1)), 'EINVAL'],
  [SET_ATTR, 'STASH: no such CPU', empty(({ t, c }) => t.setStash(c, 8, 1)), 'EINVAL'],
  [SET_ATTR, 'STASH: no such level', empty(({ t, c }) => t.setStash(c, 0, 0)), 'EINVAL'],
  [SET_ATTR, 'ENABLE with nothing mapped', empty(({ t, c }) => t.setEnable(c, 1)), 'ENODEV'],
  [MAP, 'pamu: windows not set', bare(({ t, c, ram }) => t.mapDma(c, 0, WINDOW, ram)), 'ENODEV'],
  [MAP, 'pamu: unknown flag comes before that', bare(({ t, c, ram }) => t.mapDma(c, 0, WINDOW, ram, VADDR)), 'EINVAL'],
  [MAP, 'pamu: neither reading nor writing', map(WINDOW, WINDOW, undefined, 0), 'EINVAL'],
  [MAP, 'pamu: unknown flag', map(WINDOW, WINDOW, undefined, R | VADDR), 'EINVAL'],
  [MAP, 'pamu: nothing', map(WINDOW, 0), 'EINVAL'],
  [MAP, 'pamu: wraps', map(7 * WINDOW, 2 ** 64 - WINDOW), 'EINVAL'],
  [MAP, 'pamu: starts behind the aperture', map(8 * WINDOW, WINDOW), 'EINVAL'],
  [MAP, 'pamu: ends behind the aperture', map(7 * WINDOW, 2 * WINDOW), 'EINVAL'],
  [MAP, 'pamu: starts inside a window', map(WINDOW + K, K), 'EINVAL'],
  [MAP, 'pamu: a window and a half', map(WINDOW, 1.5 * WINDOW), 'EINVAL'],
  [MAP, 'pamu: less than a page', map(WINDOW, 2048), 'EINVAL'],
  [MAP, 'pamu: no power of two', map(WINDOW, 3 * K), 'EINVAL'],
  [MAP, 'pamu: over memory that is mapped', map(0, 2 * WINDOW), 'EBUSY'],
  [
    MAP,
    'pamu: over a bank',
    pamu(function* ({ t, c, ram }) {
      yield* t.mapBank(c, 0, 2 * WINDOW);
      return yield* t.mapDma(c, WINDOW, 2 * WINDOW, ram + WINDOW);
    }),
    'EBUSY',
  ],
  [
    MAP,
    'pamu: limit',
    pamu(({ t, c, ram }) => t.mapDma(c, WINDOW, WINDOW, ram + WINDOW), { lockLimit: 300 }),
    'ENOMEM',
  ],
  [MAP, 'pamu: nothing at vaddr', map(WINDOW, WINDOW, 0x1000), 'EFAULT'],
  [
    MAP,
    'pamu: memory in pieces',
    pamu(({ t, c }) => t.mapDma(c, WINDOW, WINDOW, t.kernel.mm.mmapAnonymous('odd', WINDOW, true).start)),
    'EFAULT',
  ],
  [
    MAP,
    'pamu: a window across two huge pages',
    pamu(({ t, c }) => {
      const { mm } = t.kernel;
      const low = mm.mmapHuge('low', WINDOW / 2, WINDOW / 2);
      mm.mmapAnonymous('gap', K, true);
      mm.mmapHuge('high', WINDOW / 2, WINDOW / 2);
      return t.mapDma(c, WINDOW, WINDOW, low.start);
    }),
    'EFAULT',
  ],
  [
    MAP,
    'pamu: in one piece, but not aligned',
    pamu(({ t, c, ram }) => t.mapDma(c, WINDOW, WINDOW / 2, ram + WINDOW / 4)),
    'EINVAL',
  ],
  [UNMAP, 'pamu: flags', pamu(({ t, c }) => t.unmapDma(c, 0, WINDOW, 1)), 'EINVAL'],
  [UNMAP, 'pamu: the first half of a window', pamu(({ t, c }) => t.unmapDma(c, 0, WINDOW / 2)), 'EINVAL'],
  [UNMAP, 'pamu: the second half', pamu(({ t, c }) => t.unmapDma(c, WINDOW / 2, 2 * WINDOW)), 'EINVAL'],
  [MAP_BANK, 'windows not set', bare(({ t, c }) => t.mapBank(c, 0, 0)), 'ENODEV'],
  [MAP_BANK, 'flags', pamu((s) => give(s, MAP_BANK, { flags: 1, iova: WINDOW })), 'EINVAL'],
  [MAP_BANK, 'no such bank', pamu(({ t, c }) => t.mapBank(c, 4, WINDOW)), 'ENODEV'],
  [MAP_BANK, 'inside a window', pamu(({ t, c }) => t.mapBank(c, 0, WINDOW + K)), 'EINVAL'],
  [MAP_BANK, 'behind the aperture', pamu(({ t, c }) => t.mapBank(c, 0, 8 * WINDOW)), 'EINVAL'],
  [MAP_BANK, 'the window has memory', pamu(({ t, c }) => t.mapBank(c, 0, 0)), 'EBUSY'],
  [
    MAP_BANK,
    'another container has it',
    pamu(function* (s) {
      yield* rival(s);
      return yield* s.t.mapBank(s.c, 0, WINDOW);
    }),
    'EBUSY',
  ],
  [
    MAP_BANK,
    'the host has a vector in it',
    pamu(({ t, c }) => {
      t.host.msi.allocateHost(() => {});
      return t.mapBank(c, 0, WINDOW);
    }),
    'EBUSY',
  ],
  [
    MAP_BANK,
    'twice',
    pamu(function* ({ t, c }) {
      yield* t.mapBank(c, 0, WINDOW);
      return yield* t.mapBank(c, 0, 2 * WINDOW);
    }),
    'EEXIST',
  ],
  [MAP_BANK, 'banks share a page', pamu(({ t, c }) => t.mapBank(c, 0, WINDOW), { msi: 'classic' }), 'EPERM'],
  [UNMAP_BANK, 'flags', pamu((s) => give(s, UNMAP_BANK, { flags: 1 })), 'EINVAL'],
  [UNMAP_BANK, 'no bank there', pamu(({ t, c }) => t.unmapBank(c, WINDOW)), 'EINVAL'],
  [UNMAP_BANK, 'memory there', pamu(({ t, c }) => t.unmapBank(c, 0)), 'EINVAL'],
  [
    UNMAP_BANK,
    'a vector is armed',
    pamu(function* ({ t, c, fd }) {
      yield* t.mapBank(c, 0, WINDOW);
      yield* t.setIrq(fd, 1, yield* t.user.eventfd());
      return yield* t.unmapBank(c, WINDOW);
    }),
    'EBUSY',
  ],
  [INFO, 'no such bank', bare(({ t, c }) => t.bankInfo(c, 4)), 'ENODEV'],
  [INFO, 'flags', bare((s) => give(s, INFO, { flags: 8 })), 'EINVAL'],
  [
    ioctls.VFIO_GROUP_SET_CONTAINER,
    'pamu: no secondary entries for one more group',
    pamu(({ t, c }) => {
      while (t.host.pamu.tables.allocate(1) !== undefined);
      return t.join(c, 'dma1');
    }),
    'ENOSPC',
  ],
  [
    ioctls.VFIO_GROUP_UNSET_CONTAINER,
    'pamu: the device is open',
    pamu(({ t, group }) => t.user.ioctl(group, ioctls.VFIO_GROUP_UNSET_CONTAINER)),
    'EBUSY',
  ],
  [
    ioctls.VFIO_SET_IOMMU,
    'pamu: a backend for other IOMMUs',
    () => {
      const t = new PamuFixture();
      return t.outcome(
        (function* () {
          const c = yield* t.container();
          yield* t.bind('dma0');
          const group = yield* t.user.open('/dev/vfio/0');
          yield* t.setContainer(group, c);
          return yield* t.user.ioctl(c, ioctls.VFIO_SET_IOMMU, uapi.VFIO_SPAPR_TCE_v2_IOMMU);
        })(),
      );
    },
    'ENODEV',
  ],
  // vfio-platform.
  [
    ioctls.VFIO_DEVICE_GET_REGION_INFO,
    'platform: no such region',
    pamu(({ t, fd }) => {
      const info = uapi.vfio_region_info.make({ argsz: 32, index: 1 });
      return t.user.ioctlStruct(fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, info);
    }),
    'EINVAL',
  ],
  [
    ioctls.VFIO_DEVICE_GET_IRQ_INFO,
    'platform: no such interrupt',
    pamu(({ t, fd }) => {
      const info = uapi.vfio_irq_info.make({ argsz: 16, index: 2 });
      return t.user.ioctlStruct(fd, ioctls.VFIO_DEVICE_GET_IRQ_INFO, info);
    }),
    'EINVAL',
  ],
  [IRQS, 'platform: no such interrupt', irqs({ index: 2 }), 'EINVAL'],
  [IRQS, 'platform: two of one', irqs({ count: 2 }, new Uint8Array(8)), 'EINVAL'],
  [IRQS, 'platform: masking a message', irqs({ index: 1, flags: SET.ACTION_MASK | SET.DATA_NONE }), 'ENOTTY'],
  [IRQS, 'platform: no action', irqs({ flags: SET.DATA_NONE }), 'ENOTTY'],
  [IRQS, 'platform: masking by eventfd', irqs({ flags: SET.ACTION_MASK | SET.DATA_EVENTFD }), 'EINVAL'],
  [IRQS, 'platform: no such descriptor', irqs({ index: 1 }, s32(99)), 'EBADF'],
  [
    IRQS,
    'platform: a message without a bank',
    pamu(function* ({ t, fd }) {
      return yield* t.setIrq(fd, 1, yield* t.user.eventfd());
    }),
    'ENODEV',
  ],
  [
    IRQS,
    'platform: no vector is free',
    pamu(function* ({ t, c, fd }) {
      yield* t.mapBank(c, 0, WINDOW);
      const [bank] = t.host.msi.banks;
      for (let i = 0; i < bank.vectors; i++) bank.allocate(t, () => {});
      return yield* t.setIrq(fd, 1, yield* t.user.eventfd());
    }),
    'ENOSPC',
  ],
];
