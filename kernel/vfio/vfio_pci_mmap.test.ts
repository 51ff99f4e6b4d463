import { describe, expect, test } from 'vitest';
import { DMA_PORT } from '../../devices/physical/phb/dma_port.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { PCI_COMMAND, PCI_REG } from '../include/uapi/pci_regs.ts';
import {
  vfio_info_cap_header,
  vfio_pci_dependent_device,
  vfio_pci_hot_reset_info,
  vfio_region_info,
  vfio_region_info_cap_sparse_mmap,
  vfio_region_sparse_mmap_area,
} from '../include/uapi/vfio.ts';
import { TestPci } from './test_pci.ts';

const { MEMORY, MASTER } = PCI_COMMAND;
const PAGE = 4096;
const BUFFER = DMA_PORT.BUFFER;

describe('mapping a BAR', () => {
  function mapped() {
    const t = new TestPci();
    t.setConfig(PCI_REG.COMMAND, MEMORY | MASTER, 2);
    const va = t.host.run(() => t.mmapTask(PAGE, BUFFER));
    const { space } = t.host.kernel.mm;
    const load = () => t.host.run(() => space.copyIn(va, 1))[0];
    const fault = () => t.host.errno(() => space.copyIn(va, 1));
    return { t, va, load, fault };
  }

  test('region information says which part, and that the MSI-X table is no obstacle', () => {
    const t = new TestPci();
    const size = 200;
    const short = t.host.run(() => t.host.ioctlStruct(t.device, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 0 }));
    expect([short.argsz, short.cap_offset]).toEqual([72, 0]);
    const info = t.host.run(() =>
      t.host.ioctlStruct(t.device, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 0, argsz: size }, new Uint8Array(size)),
    );
    const bytes = t.host.peek(0, vfio_region_info.size + size);
    const dv = new DataView(bytes.buffer);
    const sparse = vfio_region_info_cap_sparse_mmap.at(dv, info.cap_offset);
    const area = vfio_region_sparse_mmap_area.at(dv, info.cap_offset + vfio_region_info_cap_sparse_mmap.size);
    // Registers and buffer; the MSI-X structures behind them are the host's.
    expect([sparse.id, sparse.nr_areas, area.offset, area.size]).toEqual([1, 1, 0, 2 * PAGE]);
    const { id, next } = vfio_info_cap_header.at(dv, sparse.next);
    expect([id, next]).toEqual([3, 0]);
  });

  test('a mapping that outlives the descriptor never comes back: the device may be another process’s by then', () => {
    const { t, fault } = mapped();
    t.host.run(() => t.host.close(t.device));
    expect(fault()).toBe('EFAULT');
    expect(t.open()).toBe(t.device);
    t.setConfig(PCI_REG.COMMAND, MEMORY | MASTER, 2);
    t.load(0, BUFFER, 1);
    expect(fault()).toBe('EFAULT');
  });

  test('loads and stores are the device’s memory', () => {
    const { t, va, load } = mapped();
    t.store(0, BUFFER, 0x5a, 1);
    expect(load()).toBe(0x5a);
    t.host.run(() => t.host.kernel.mm.space.copy(va + 1, Uint8Array.of(0xa5), true));
    expect(t.load(0, BUFFER, 2)).toBe(0xa55a);
  });

  test('with memory space off they fault, and reach the device again after an access by the descriptor', () => {
    const { t, load, fault } = mapped();
    t.setConfig(PCI_REG.COMMAND, MASTER, 2);
    expect(fault()).toBe('EFAULT');
    t.setConfig(PCI_REG.COMMAND, MEMORY, 2);
    expect(fault()).toBe('EFAULT');
    t.load(0, BUFFER);
    expect(load()).toBe(0);
  });

  test('registers are mapped too, but for KVM: the process itself cannot load from them, nor pin them', () => {
    const t = new TestPci();
    t.setConfig(PCI_REG.COMMAND, MEMORY | MASTER, 2);
    const va = t.host.run(() => t.mmapTask(2 * PAGE, 0));
    const { mm } = t.host.kernel;
    expect(t.host.errno(() => mm.space.copyIn(va, 4))).toBe('EFAULT');
    expect(t.host.errno(() => mm.pinPage(va, false))).toBe('EFAULT');
    expect(mm.vma(va, 2 * PAGE)?.device).toEqual({ pe: t.pe, bar: 0, offset: 0 });
    t.store(0, BUFFER, 0x5a, 1);
    expect(t.host.run(() => mm.space.copyIn(va + BUFFER, 1))[0]).toBe(0x5a);
    t.host.run(() => mm.unmap(va));
    expect(mm.vma(va, 1)).toBe(undefined);
  });

  test('mapped with memory space off they fault at once', () => {
    const t = new TestPci();
    const va = t.host.run(() => t.mmapTask(PAGE, BUFFER));
    expect(t.host.errno(() => t.host.kernel.mm.space.copyIn(va, 1))).toBe('EFAULT');
  });

  test('a frozen PE takes them away; thawed, an access brings them back', () => {
    const { t, load, fault } = mapped();
    t.host.bridge.eehFreeze(t.pe);
    t.settle();
    expect(fault()).toBe('EFAULT');
    expect(t.load(0, BUFFER)).toBe(0xffff_ffff);
    expect(fault()).toBe('EFAULT');
    t.host.bridge.eehUnfreeze(t.pe);
    expect(t.load(0, BUFFER)).toBe(0);
    expect(load()).toBe(0);
  });

  test('reset and close take them away; unmapped ones are forgotten', () => {
    const { t, va, fault } = mapped();
    t.host.run(() => t.host.ioctl(t.device, ioctls.VFIO_DEVICE_RESET));
    expect(fault()).toBe('EFAULT');
    t.load(0, BUFFER);
    t.host.run(() => t.host.kernel.mm.unmap(va));
    t.host.run(() => t.host.close(t.device));
    expect(t.host.kernel.mm.vmas.some(({ start }) => start === va)).toBe(false);
  });

  test.each([
    ['nothing', 0, 0],
    ['a part of a page', BUFFER, 8],
    ['the MSI-X table', 0x2000, PAGE],
    ['beyond the memory', BUFFER, 2 * PAGE],
    ['another BAR', 2 ** 40, PAGE],
    ['configuration space', 7 * 2 ** 40, PAGE],
  ])('%s cannot be mapped', (_, offset, length) => {
    const t = new TestPci();
    expect(t.host.errno(() => t.mmapTask(length, offset))).toBe('EINVAL');
  });
});

describe('hot reset', () => {
  const groupsOf = (t: TestPci, fds: readonly number[], count = fds.length) =>
    t.host.ioctlStruct(
      t.device,
      ioctls.VFIO_DEVICE_PCI_HOT_RESET,
      { count },
      new Uint8Array(Int32Array.from(fds).buffer),
    );

  test('every device of the bus is affected', () => {
    const t = new TestPci(1);
    const { size } = vfio_pci_dependent_device;
    const info = t.host.run(() =>
      t.host.ioctlStruct(t.device, ioctls.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, {}, new Uint8Array(3 * size)),
    );
    expect(info.count).toBe(3);
    const bytes = t.host.peek(vfio_pci_hot_reset_info.size, 3 * size);
    const dv = new DataView(bytes.buffer);
    const found = Array.from({ length: 3 }, (_, i) => vfio_pci_dependent_device.at(dv, i * size));
    expect(found.map(({ group_id, segment, bus, devfn }) => [group_id, segment, bus, devfn])).toEqual([
      [0, 0, 1, 0],
      [1, 0, 1, 8],
      [2, 0, 1, 16],
    ]);
  });

  test('with all groups all devices are reset, and keep their configuration space', () => {
    const t = new TestPci(1);
    const others = t.host.run(() => t.host.container([0, 2]));
    t.setConfig(PCI_REG.COMMAND, MEMORY, 2);
    t.store(0, DMA_PORT.LENGTH, 77);
    t.host.bridge.configWrite(2, PCI_REG.COMMAND, 2, MEMORY);
    t.host.bridge.mmioWrite(2, 0, DMA_PORT.LENGTH, 4, 88);
    t.host.run(() => groupsOf(t, [t.group, ...others.groups]));
    expect([t.load(0, DMA_PORT.LENGTH), t.config(PCI_REG.COMMAND, 2)]).toEqual([0, MEMORY]);
    expect(t.host.bridge.mmioRead(2, 0, DMA_PORT.LENGTH, 4)).toBe(0);
  });

  test('a bus with one device needs one group', () => {
    const t = new TestPci(0, { pes: 1 });
    t.setConfig(PCI_REG.COMMAND, MEMORY, 2);
    t.store(0, DMA_PORT.LENGTH, 77);
    t.host.run(() => groupsOf(t, [t.group]));
    expect(t.load(0, DMA_PORT.LENGTH)).toBe(0);
  });
});
