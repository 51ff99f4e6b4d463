/** MSI banks of a PAMU container: isolation by bank, messages that the kernel programs, chips where banks share a page. */
import { beforeEach, expect, test } from 'vitest';
import { FSL_DMA_MR } from '../../kernel/include/arch/ppc/fsldma.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { VFIO_PAMU_MSI_BANK as FLAG } from '../../kernel/include/uapi/vfio.ts';
import { K, MiB, PamuFixture } from '../support/pamu_fixture.ts';

const WINDOW = 2 * MiB;
const BANK = 4 * WINDOW;
const MESSAGE = 1;
const DOORBELL = 0x148;
const UNSAFE = '/sys/module/vfio_iommu_fsl_pamu/parameters/allow_unsafe_msi';

let t: PamuFixture;
let ram: number;

/** A container with a device, memory in windows 0 and 1. */
function open(name: string): { container: number; fd: number } {
  const container = t.run(t.container());
  const { fd } = t.run(t.open(container, name));
  t.run(t.setGeometry(container, 0, 8 * WINDOW - 1));
  t.run(t.setWindows(container, 8));
  t.run(t.mapDma(container, 0, 2 * WINDOW, ram));
  return { container, fd };
}
function base(msi: 'v4.3' | 'classic' | 'classic-alias' = 'v4.3'): void {
  t = new PamuFixture({ guestMemory: 32 * MiB, msi });
  ram = t.kernel.mm.mmapHuge('ram', 2 * WINDOW, WINDOW).start;
}
beforeEach(() => base());

/** The device writes a message as data: 32 bits, little-endian. */
function message(fd: number, target: number, data: number): boolean {
  new DataView(t.memory.u8.buffer).setUint32(t.kernel.mm.space.lookup(ram, true), data, true);
  return t.run(t.copy(fd, 0, target, 4));
}
const eventfd = () => t.run(t.user.eventfd());
const count = (container: number) => t.run(t.user.ioctl(container, ioctls.VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT));

test('14: a message reaches its eventfd, and user space has programmed nothing', () => {
  const { container, fd } = open('dma0');
  expect(count(container)).toBe(4);
  t.run(t.mapBank(container, 0, BANK));
  const event = eventfd();
  t.run(t.setIrq(fd, MESSAGE, event));
  expect([t.hardware('dma0', 'MSIARH'), t.hardware('dma0', 'MSIAR'), t.hardware('dma0', 'MSICR')]).toEqual([
    0,
    BANK + DOORBELL,
    1,
  ]);
  // What user space writes there stays virtual.
  expect(t.run(t.register(fd, 'MSIAR', 0x1234_5678))).toBe(0x1234_5678);
  expect(t.run(t.register(fd, 'MSICR', 0))).toBe(0);
  expect(t.hardware('dma0', 'MSIAR')).toBe(BANK + DOORBELL);
  expect(t.run(t.copy(fd, 0, WINDOW, 64, FSL_DMA_MR.EOSIE))).toBe(true);
  expect(t.user.signals(event)).toBe(1);
  expect(t.host.msi.banks[0].spurious).toBe(0);
  // A second one: the MSIR was read, which cleared it.
  expect(t.run(t.copy(fd, 0, WINDOW, 64, FSL_DMA_MR.EOSIE))).toBe(true);
  expect(t.user.signals(event)).toBe(2);
});

test('the message outlives a reset of the device, and goes with its eventfd', () => {
  const { container, fd } = open('dma0');
  t.run(t.mapBank(container, 0, BANK));
  const event = eventfd();
  t.run(t.setIrq(fd, MESSAGE, event));
  t.run(t.user.ioctl(fd, ioctls.VFIO_DEVICE_RESET));
  t.run(t.copy(fd, 0, WINDOW, 64, FSL_DMA_MR.EOSIE));
  expect(t.user.signals(event)).toBe(1);
  expect(t.outcome(t.unmapBank(container, BANK))).toBe('EBUSY');
  t.run(t.setIrq(fd, MESSAGE, -1));
  expect(t.hardware('dma0', 'MSICR')).toBe(0);
  expect(t.outcome(t.unmapBank(container, BANK))).toBe(0);
});

test('15: no message without a bank', () => {
  const { container, fd } = open('dma0');
  const event = eventfd();
  expect(t.outcome(t.setIrq(fd, MESSAGE, event))).toBe('ENODEV');
  expect(t.host.msi.banks.map((bank) => bank.armed(t.host))).toEqual([0, 0, 0, 0]);
  t.run(t.mapBank(container, 2, BANK));
  expect(t.outcome(t.setIrq(fd, MESSAGE, event))).toBe(0);
});

test('16: a bank belongs to one container, whose device raises nobody else’s vectors', () => {
  const a = open('dma0');
  const b = open('dma1');
  t.run(t.mapBank(a.container, 0, BANK));
  t.run(t.mapBank(b.container, 1, BANK));
  expect(t.outcome(t.mapBank(b.container, 0, BANK + WINDOW))).toBe('EBUSY');
  expect([a, b].map(({ container }) => t.run(t.bankInfo(container, 0)).flags)).toEqual([
    FLAG.ISOLATED | FLAG.MINE | FLAG.MSIIR1,
    FLAG.ISOLATED | FLAG.OWNED_ELSEWHERE | FLAG.MSIIR1,
  ]);
  const [eventA, eventB] = [eventfd(), eventfd()];
  t.run(t.setIrq(a.fd, MESSAGE, eventA));
  t.run(t.setIrq(b.fd, MESSAGE, eventB));
  for (let data = 0; data < 512; data++) expect(message(a.fd, BANK + DOORBELL, data)).toBe(true);
  expect([t.user.signals(eventA), t.user.signals(eventB)]).toEqual([1, 0]);
  expect(t.host.msi.banks.map(({ spurious }) => spurious)).toEqual([511, 0, 0, 0]);
  t.run(t.user.close(a.fd));
  const group = t.kernel.files;
  expect(group.file(a.container)).toBeDefined();
  t.run(t.user.ioctl(groupFd('dma0'), ioctls.VFIO_GROUP_UNSET_CONTAINER));
  expect(t.outcome(t.mapBank(b.container, 0, BANK + WINDOW))).toBe(0);
});

/** The descriptor of a device's open group. */
function groupFd(name: string): number {
  const id = t.run(t.groupOf(name));
  for (const [fd, file] of t.kernel.files.entries()) if (file.name === `/dev/vfio/${id}`) return fd;
  throw new Error(`no group of ${name} is open`);
}

test('a bank that a host driver has a vector in belongs to the host', () => {
  const { container, fd } = open('dma0');
  let host = 0;
  const vector = t.host.msi.allocateHost(() => host++);
  expect(t.outcome(t.mapBank(container, 0, BANK))).toBe('EBUSY');
  expect(t.run(t.bankInfo(container, 0)).flags & FLAG.OWNED_ELSEWHERE).not.toBe(0);
  t.run(t.mapBank(container, 1, BANK));
  expect(message(fd, BANK + DOORBELL, vector.data)).toBe(true);
  expect(host).toBe(0);
  vector.free();
  expect(t.outcome(t.mapBank(container, 0, BANK + WINDOW))).toBe(0);
  // And the other way round: the host takes its vectors where no container is.
  expect(t.host.msi.allocateHost(() => {}).bank.index).toBe(2);
});

test('what a bank is: page, data, vectors', () => {
  const { container } = open('dma0');
  const { page_addr, page_offset, nr_vectors, srs_shift, ibs_shift } = t.run(t.bankInfo(container, 3));
  expect([page_addr, page_offset, nr_vectors, srs_shift, ibs_shift]).toEqual([0xf_fe04_7000, 0x148, 512, 0, 4]);
  expect(t.outcome(t.bankInfo(container, 4))).toBe('ENODEV');
});

test.each(['classic', 'classic-alias'] as const)('%s: three banks of 256 vectors, data as SRS and IBS', (msi) => {
  base(msi);
  const { container } = open('dma0');
  expect(count(container)).toBe(3);
  const infos = [0, 1, 2].map((i) => t.run(t.bankInfo(container, i)));
  expect(infos.map(({ nr_vectors, srs_shift, ibs_shift }) => [nr_vectors, srs_shift, ibs_shift])).toEqual(
    Array(3).fill([256, 5, 0]),
  );
  // Equal pages are how user space sees that isolation is not to be had.
  const pages = new Set(infos.map(({ page_addr }) => page_addr));
  expect([...pages].map((page) => page.toString(16))).toEqual(
    msi === 'classic' ? ['ffe041000'] : ['ffe044000', 'ffe045000', 'ffe046000'],
  );
  expect(infos[0].flags).toBe(msi === 'classic' ? 0 : FLAG.ISOLATED);
});

test('17: on an old chip a bank is refused, or taken with isolation lost for all to see', () => {
  base('classic');
  const a = open('dma0');
  expect(t.outcome(t.mapBank(a.container, 0, BANK))).toBe('EPERM');
  expect(t.outcome(t.user.writeFile(UNSAFE, 'maybe'))).toBe('EINVAL');
  t.run(t.user.writeFile(UNSAFE, '1'));
  expect(t.run(t.user.readFile(UNSAFE))).toBe('Y');
  expect(t.outcome(t.mapBank(a.container, 0, BANK))).toBe(0);
  const b = open('dma1');
  t.run(t.mapBank(b.container, 1, BANK));
  const event = eventfd();
  t.run(t.setIrq(b.fd, MESSAGE, event));
  // Bank 1's doorbell is in the page that A was given for bank 0.
  expect(message(a.fd, BANK + 0x940, 0)).toBe(true);
  expect(t.user.signals(event)).toBe(1);
  const before = t.soc.integrity().count;
  message(a.fd, BANK + 0x100, 0xdead);
  expect(t.soc.integrity()).toMatchObject({ count: before + 1, offset: 0x4_1100, liodn: 0x40 });
});

test('18: a bank’s window is for writing messages, and for nothing else', () => {
  const { container, fd } = open('dma0');
  t.run(t.mapBank(container, 0, BANK));
  const event = eventfd();
  t.run(t.setIrq(fd, MESSAGE, event));
  const rows: [string, () => boolean, unknown][] = [
    ['a read', () => t.run(t.copy(fd, BANK + DOORBELL, 0, 4)), [BANK + DOORBELL, 'APV']],
    ['behind the page', () => message(fd, BANK + K, 0), [BANK + K, 'WAV']],
  ];
  for (const [what, attempt, expected] of rows) {
    expect([what, attempt()]).toEqual([what, false]);
    const { address, code } = t.host.pamu.violations.at(-1) ?? {};
    expect([what, address, code]).toEqual([what, ...(expected as unknown[])]);
    t.run(t.setEnable(container, 1));
  }
  expect(message(fd, BANK + DOORBELL, 0x1ff)).toBe(true);
  expect([t.host.msi.banks[0].spurious, t.user.signals(event)]).toEqual([1, 0]);
  expect(message(fd, BANK + 0x40, 0)).toBe(true);
  expect([t.soc.ignoredMessages(), t.user.signals(event)]).toEqual([1, 0]);
});

test('no vector is left: ENOSPC, and the device is as it was', () => {
  const { container, fd } = open('dma0');
  t.run(t.mapBank(container, 0, BANK));
  const { owner } = t.host.msi.banks[0];
  const taken = Array.from({ length: 512 }, () => t.host.msi.banks[0].allocate(owner as object, () => {}));
  expect(t.outcome(t.setIrq(fd, MESSAGE, eventfd()))).toBe('ENOSPC');
  expect(t.hardware('dma0', 'MSICR')).toBe(0);
  taken[77]?.free();
  expect(t.outcome(t.setIrq(fd, MESSAGE, eventfd()))).toBe(0);
  expect(t.hardware('dma0', 'MSIDATA')).toBe(((77 % 32) << 4) | Math.floor(77 / 32));
});

test('messages left in the bank when it is given back are not the next owner’s', () => {
  const a = open('dma0');
  t.run(t.mapBank(a.container, 0, BANK));
  t.run(t.setIrq(a.fd, MESSAGE, eventfd()));
  // The bits are there, and the kernel has not looked yet.
  t.soc.write32(0x4_4148, 0);
  t.run(t.user.close(a.fd));
  t.soc.write32(0x4_4148, 0);
  t.run(t.user.ioctl(groupFd('dma0'), ioctls.VFIO_GROUP_UNSET_CONTAINER));
  const b = open('dma1');
  t.run(t.mapBank(b.container, 0, BANK));
  const event = eventfd();
  t.run(t.setIrq(b.fd, MESSAGE, event));
  t.settle();
  expect(t.user.signals(event)).toBe(0);
});

test('the interrupt of the device itself is masked when it comes, and comes again after', () => {
  const { fd } = open('dma0');
  const event = eventfd();
  t.run(t.setIrq(fd, 0, event));
  for (let i = 0; i < 3; i++) t.run(t.copy(fd, 0, WINDOW, 64, FSL_DMA_MR.EOSIE));
  expect(t.user.signals(event)).toBe(1);
  t.run(t.unmaskLine(fd));
  expect(t.user.signals(event)).toBe(2);
  t.run(t.unmaskLine(fd));
  t.run(t.copy(fd, 0, WINDOW, 64, FSL_DMA_MR.EOSIE));
  expect(t.user.signals(event)).toBe(3);
});
