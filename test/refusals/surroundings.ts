/** What the rows of the refusal tables need around them: fresh machines, and calls with one thing wrong. */

import { Errno } from '../../kernel/include/uapi/errno.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import { TestHost } from '../../kernel/kvm/test_host.ts';
import type { Fields, View } from '../../kernel/lib/struct.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { spaprTceDriver } from '../../kernel/vfio/vfio_iommu_spapr_tce.ts';
import { CcwFixture } from '../support/ccw_fixture.ts';
import { CcwRfcFixture } from '../support/ccw_rfc_fixture.ts';
import { Type1Fixture, WithIommu } from '../support/type1_fixture.ts';

export const K = 4096;
export const TOP = 2 ** 64 - K;
export const SET = uapi.VFIO_IRQ_SET;
export const { READ: R, WRITE: W, VADDR } = uapi.VFIO_DMA_MAP_FLAG;
export const UNMAP_FLAG = uapi.VFIO_DMA_UNMAP_FLAG;
export const DIRTY = uapi.VFIO_IOMMU_DIRTY_PAGES_FLAG;
export const T1 = uapi.VFIO_TYPE1_IOMMU;
export const T1V2 = uapi.VFIO_TYPE1v2_IOMMU;
export const SPAPR = uapi.VFIO_SPAPR_TCE_IOMMU;
export const SPAPR2 = uapi.VFIO_SPAPR_TCE_v2_IOMMU;
export const fdBytes = (fd: number) => uapi.fd_argument.bytes(uapi.fd_argument.make({ fd }));
export const text = (name: string) => new TextEncoder().encode(`${name}\0`);
export const s32 = (value: number) => new Uint8Array(Int32Array.of(value).buffer);

/** What is wrong; makes everything the row needs, does it, and says how it ends; the errno that is expected. */
export type Row = readonly [ioctl: ioctls.Ioctl, what: string, attempt: () => unknown, expected: string];

// Surroundings. Each gives a fresh machine to the row.

/** An open vfio-ccw device. */
export const ccw =
  (body: (t: CcwFixture) => Task<unknown>, type = T1V2) =>
  () => {
    const t = new CcwFixture();
    t.run(t.openAll(type));
    return t.outcome(body(t));
  };
/** A group, a container, not joined; `t.group` and `t.container` are open. */
export const apart = (body: (t: CcwFixture) => Task<unknown>) => () => {
  const t = new CcwFixture();
  t.run(t.make());
  t.group = t.run(t.user.open('/dev/vfio/0'));
  t.container = t.run(t.user.open('/dev/vfio/vfio'));
  return t.outcome(body(t));
};
/** They are joined, without an IOMMU. */
export const joined = (body: (t: CcwFixture) => Task<unknown>) =>
  apart(function* (t) {
    yield* setContainer(t, t.container);
    return yield* body(t);
  });
/** type1 with mappings of four pages at 0, 8 and 16. */
export const type1 =
  (body: (t: Type1Fixture) => Task<unknown>, options = {}) =>
  () => {
    const t = new Type1Fixture(options);
    for (const page of [0, 8, 16]) t.run(t.mapDma(page * K, 4 * K));
    return t.outcome(body(t));
  };
/** type1 with an IOMMU besides the mediated device. */
export const iommu =
  (body: (t: Type1Fixture, nic: WithIommu) => Task<unknown>, options = {}) =>
  () => {
    const t = new Type1Fixture(options);
    const nic = new WithIommu(t.core, 'nic', () => new Errno('EINVAL', 'nic'));
    t.run(t.join(nic));
    return t.outcome(body(t, nic));
  };
/** A no-IOMMU device, open. */
export const rfc =
  (body: (t: CcwRfcFixture) => Task<unknown>, options = {}) =>
  () => {
    const t = new CcwRfcFixture(options);
    t.run(t.openAll());
    return t.outcome(body(t));
  };
export interface Spapr {
  readonly host: TestHost;
  readonly ram: number;
  readonly fd: number;
  readonly group: number;
}
/** A container with PE 0; version 2 with 16 registered pages and a window of as many. */
export const spapr =
  (body: (s: Spapr) => Task<unknown>, type = SPAPR2) =>
  () => {
    const host = new TestHost({ lockLimit: 2 ** 20 });
    const ram = host.ram(32);
    const { fd, groups } = host.run(() => host.container([0], type));
    if (type === SPAPR2)
      host.run(function* () {
        yield* host.register(fd, ram, 16);
        yield* host.window(fd, 12, 16 * K);
      });
    return host.errno(() => body({ host, ram, fd, group: groups[0] }));
  };
/** The backend without any group, which no user can reach by now: what its own checks say. */
export const bare =
  (ioctl: ioctls.Ioctl, values: object = {}, type = SPAPR2) =>
  () => {
    const host = new TestHost();
    const backend = spaprTceDriver(host.powernv).open(type);
    const vaddr = host.ram(1);
    const call = (one: ioctls.Ioctl, fields: object) => {
      if (one.struct !== undefined)
        host.poke(0, one.struct.bytes(one.struct.make({ argsz: one.struct.size, ...fields })));
      return host.errno(() => backend.ioctl(one.number, host.user));
    };
    if (type === SPAPR2) call(ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY, { vaddr, size: K });
    return call(ioctl, { vaddr, ...values });
  };
/** A vfio-pci device. */
export const pci = (body: (host: TestHost, device: number) => Task<unknown>) => () => {
  const host = new TestHost();
  const { groups } = host.run(() => host.container([1]));
  host.poke(0, text('0000:01:01.0'));
  const device = host.run(() => host.ioctl(groups[0], ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user));
  return host.errno(() => body(host, device));
};

export function* setContainer(t: CcwFixture, fd: number): Task<number> {
  return yield* t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(fd));
}
export function* struct<F extends Fields>(
  t: CcwFixture,
  fd: number,
  ioctl: ioctls.Ioctl<F>,
  values: object,
  tail?: Uint8Array,
) {
  const type = ioctl.struct as NonNullable<typeof ioctl.struct>;
  const view = type.make({ argsz: type.size + (tail?.length ?? 0), ...values } as never) as View<F>;
  return yield* t.user.ioctlStruct(fd, ioctl, view, tail);
}
export const irqs = (values: object, tail: Uint8Array = s32(-1)) =>
  ccw((t) =>
    struct(
      t,
      t.fd,
      ioctls.VFIO_DEVICE_SET_IRQS,
      {
        flags: SET.ACTION_TRIGGER | SET.DATA_EVENTFD,
        count: 1,
        ...values,
      },
      tail,
    ),
  );
export const map = (iova: number, size: number, vaddr?: number, flags = R | W, argsz = 32) =>
  type1((t) => t.mapDma(iova, size, vaddr ?? t.ram, flags, argsz));
export const unmap = (iova: number, size: number, flags = 0, argsz = 24) =>
  type1((t) => t.unmapDma(iova, size, flags, argsz));
export const dirty = (change: object) =>
  type1(function* (t) {
    yield* t.dirtyPages(DIRTY.START);
    const bits = t.user.buffer(new Uint8Array(8));
    return yield* t.dirtyPages(DIRTY.GET_BITMAP, { iova: 0, size: 20 * K, bits, ...change });
  });
export const create = (values: object) =>
  spapr(({ host, fd }) =>
    host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, {
      page_shift: 12,
      window_size: 65536,
      levels: 1,
      ...values,
    }),
  );

export function* limited(host: TestHost, pages: number, task: Task<unknown>): Task<unknown> {
  host.kernel.mm.lockLimit = host.kernel.mm.lockedVm + pages;
  return yield* task;
}
