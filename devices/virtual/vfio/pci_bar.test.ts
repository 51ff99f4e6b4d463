import { beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_REGION_INFO_FLAG } from '../../../kernel/include/uapi/vfio.ts';
import { FakeMachine } from '../fake_machine.ts';
import { regionInfo } from './device.ts';
import { VfioBar } from './pci_bar.ts';

const { READ, WRITE, MMAP } = VFIO_REGION_INFO_FLAG;
const PAGE = 4096;
const FD = 7;

let machine: FakeMachine;
/** What read and write reach, and what is behind the mapping. */
let device: Uint8Array;
let accesses: string[];

beforeEach(() => {
  machine = new FakeMachine();
  device = Uint8Array.from({ length: 3 * PAGE }, (_, i) => i & 0x7f);
  accesses = [];
  machine.kernel.mapped.fill(0xaa);
  machine.kernel.read = (_fd, count, position) => {
    accesses.push(`read ${position}`);
    return device.slice(position, position + count);
  };
  machine.kernel.write = (_fd, bytes, position) => {
    accesses.push(`write ${position}`);
    device.set(bytes, position);
    return bytes.length;
  };
});

function bar(mappable: { offset: number; size: number }[] | undefined, flags = READ | WRITE | MMAP): VfioBar {
  const made = new VfioBar(machine, FD, 'nic', { index: 0, flags, size: 3 * PAGE, offset: 0, mappable });
  machine.run(made.map());
  return made;
}

describe('with a mapping', () => {
  test('loads and stores of it are no system calls; others are', () => {
    const one = bar([{ offset: PAGE, size: PAGE }]);
    expect(machine.run(one.read(PAGE, 2))).toEqual(Uint8Array.of(0xaa, 0xaa));
    machine.run(one.write(2 * PAGE - 1, Uint8Array.of(0x55)));
    expect([machine.kernel.mapped[PAGE - 1], accesses]).toEqual([0x55, []]);
    machine.run(one.read(0, 4));
    machine.run(one.write(2 * PAGE, Uint8Array.of(1)));
    // Across its end.
    machine.run(one.read(2 * PAGE - 2, 4));
    expect(accesses).toEqual(['read 0', `write ${2 * PAGE}`, `read ${2 * PAGE - 2}`]);
  });
  test('that was taken away, the kernel is asked instead', () => {
    const one = bar([{ offset: PAGE, size: PAGE }]);
    machine.kernel.zapped = true;
    expect(machine.run(one.read(PAGE, 1))).toEqual(Uint8Array.of(0));
    machine.run(one.write(PAGE, Uint8Array.of(9)));
    expect([accesses, device[PAGE]]).toEqual([[`read ${PAGE}`, `write ${PAGE}`], 9]);
    machine.kernel.read = () => {
      throw new Errno('EIO', 'off');
    };
    expect(machine.run(one.read(PAGE, 1))).toEqual(Uint8Array.of(0xff));
    expect(machine.logs).toHaveLength(1);
  });
  test('of the whole region, where nothing says which part', () => {
    machine.run(bar(undefined).read(0, 4));
    expect(accesses).toEqual([]);
  });
  test('it is used no more once it is unmapped', () => {
    const one = bar(undefined);
    machine.run(one.unmap());
    machine.run(one.read(0, 4));
    expect(accesses).toEqual(['read 0']);
  });
});

test.each([
  ['the flag is not set', READ | WRITE, [{ offset: 0, size: PAGE }]],
  ['no area is named', READ | WRITE | MMAP, []],
  ['the area is no whole page', READ | WRITE | MMAP, [{ offset: 0, size: 100 }]],
  ['the area is off a page', READ | WRITE | MMAP, [{ offset: 8, size: PAGE }]],
  ['the area leaves the region', READ | WRITE | MMAP, [{ offset: 2 * PAGE, size: 2 * PAGE }]],
  ['the area is empty', READ | WRITE | MMAP, [{ offset: 0, size: 0 }]],
])('nothing is mapped when %s', (_, flags, areas) => {
  machine.run(bar(areas, flags).read(0, 4));
  expect(accesses).toEqual(['read 0']);
});

test('what lies over a region answers in its place, for accesses inside it', () => {
  const one = bar(undefined, READ | WRITE);
  const written: [number, number[]][] = [];
  one.overlays.push({
    offset: 16,
    size: 16,
    read: (offset, length) => new Uint8Array(length).fill(0xc0 + offset),
    *write(offset, bytes) {
      written.push([offset, [...bytes]]);
    },
  });
  expect(machine.run(one.read(20, 2))).toEqual(Uint8Array.of(0xc4, 0xc4));
  machine.run(one.write(31, Uint8Array.of(7)));
  machine.run(one.read(30, 4));
  expect([written, accesses]).toEqual([[[15, [7]]], ['read 30']]);
});

describe('region information with capabilities', () => {
  /** Bytes behind the structure: 32-bit words. */
  function info(argsz: number, ...words: number[]) {
    machine.kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', ({ view, tail }) => {
      Object.assign(view, { argsz, flags: 15, cap_offset: tail === undefined ? 0 : 32, size: 3 * PAGE });
      tail?.set(new Uint8Array(Uint32Array.from(words).buffer).subarray(0, tail.length));
      return 0;
    });
    return machine.run(regionInfo(machine, FD, 0)).mappable;
  }
  const SPARSE = 0x0001_0001;
  test.each([
    ['two areas', 32 + 48, [SPARSE, 0, 2, 0, 0, 0, PAGE, 0, 2 * PAGE, 0, PAGE, 0], [0, 2 * PAGE]],
    ['more areas than were told', 32 + 32, [SPARSE, 0, 9, 0, PAGE, 0, PAGE, 0], [PAGE]],
    ['behind another capability', 32 + 24 + 16, [0x0001_0003, 40, SPARSE, 0, 1, 0, 0, 0, PAGE, 0], [0]],
    ['a chain that loops', 32 + 16, [0x0001_0003, 32, 0, 0], undefined],
    ['an offset outside', 32 + 16, [0x0001_0003, 4000, 0, 0], undefined],
    ['cut off', 32 + 8, [SPARSE, 0], []],
  ] as const)('%s', (_, argsz, words, offsets) => {
    expect(info(argsz, ...words)?.map(({ offset }) => offset)).toEqual(offsets);
  });
});
