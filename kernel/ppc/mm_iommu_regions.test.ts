import { expect, test } from 'vitest';
import { TestHost } from '../kvm/test_host.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { migratePage } from '../mm/migrate.ts';

function setup() {
  const host = new TestHost();
  const ram = host.ram(8);
  return { host, ram, regions: host.powernv.regions, memory: host.powernv.ops.regions };
}

test('the same region twice is one region, charged and pinned once, gone with its last use', () => {
  const { host, ram, regions } = setup();
  const before = host.held();
  const hpa = host.kernel.mm.space.lookup(ram, true);
  const one = host.run(() => regions.get(ram, 8));
  expect(host.run(() => regions.get(ram, 8))).toBe(one);
  expect([one.used, regions.mapped(one), host.held().locked - before.locked]).toEqual([2, 1, 8]);
  expect(host.kernel.mm.space.frames.pins(hpa)).toBe(1);
  host.run(() => regions.put(one));
  expect(regions.list()).toEqual([one]);
  host.run(() => regions.put(one));
  expect(host.held()).toEqual(before);
  expect(host.kernel.mm.space.frames.pins(hpa)).toBe(0);
  expect(host.errno(() => regions.put(one))).toBe('ENOENT');
});

test.each([
  ['one page less', 0, 7],
  ['one page more', -1, 9],
  ['its last page', 7, 1],
  ['a page that begins inside', 4, 8],
])('a region that overlaps by %s is refused', (_, first, pages) => {
  const { host, ram, regions } = setup();
  host.run(() => regions.get(ram, 8));
  expect(host.errno(() => regions.get(ram + first * PAGE_SIZE, pages))).toBe('EINVAL');
});

test('neighbours are no overlap', () => {
  const { host, ram, regions, memory } = setup();
  host.run(() => regions.get(ram, 4));
  expect(host.errno(() => regions.get(ram + 4 * PAGE_SIZE, 4))).toBe('OK');
  const page = ram / PAGE_SIZE;
  expect(memory.lookup(page + 3, 1)).not.toBe(memory.lookup(page + 4, 1));
  expect(memory.lookup(page + 3, 2)).toBe(0);
});

test('memory that ends inside the region: nothing stays pinned or charged', () => {
  const { host, ram, regions } = setup();
  const before = host.held();
  expect(host.errno(() => regions.get(ram + 4 * PAGE_SIZE, 5000))).toBe('EFAULT');
  expect(host.held()).toEqual(before);
  for (let i = 0; i < 8; i++) {
    const hpa = host.kernel.mm.space.lookup(ram + i * PAGE_SIZE, true);
    expect(host.kernel.mm.space.frames.pins(hpa)).toBe(0);
  }
});

test('registered pages do not move; unregistered ones do', () => {
  const { host, ram, regions, memory } = setup();
  const { mm } = host.kernel;
  const region = host.run(() => regions.get(ram, 8));
  const page = ram / PAGE_SIZE;
  expect(host.run(() => migratePage(mm, host.memory, ram))).toBe(false);
  expect(memory.hpa(memory.lookup(page, 8), page) >>> 0).toBe(mm.space.lookup(ram, true));
  host.run(() => regions.put(region));
  expect(host.run(() => migratePage(mm, host.memory, ram))).toBe(true);
});

test('a count is given only while the region is registered, and never falls below the registration', () => {
  const { host, ram, regions, memory } = setup();
  const region = host.run(() => regions.get(ram, 8));
  const page = ram / PAGE_SIZE;
  expect(memory.take(page, 12)).toBe(region.slot);
  expect(memory.take(page, 16)).toBe(0);
  expect(regions.mapped(region)).toBe(2);
  expect(host.errno(() => regions.put(region))).toBe('EBUSY');
  expect([region.used, regions.mapped(region)]).toEqual([1, 2]);
  for (let i = 0; i < 3; i++) memory.mappedDec(region.slot);
  expect(regions.mapped(region)).toBe(1);
  host.run(() => regions.put(region));
  expect(memory.take(page, 12)).toBe(0);
});

test('two tasks that register overlapping memory: one succeeds', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const host = new TestHost({ seed });
    const ram = host.ram(8);
    const codes: string[] = [];
    for (const pages of [8, 7])
      host.kernel.spawn(
        host.kernel.process,
        'register',
        (function* () {
          try {
            yield* host.powernv.regions.get(ram, pages);
            codes.push('OK');
          } catch (error) {
            codes.push((error as { code: string }).code);
          }
        })(),
      );
    host.simulation.run(() => codes.length === 2);
    expect(codes.sort()).toEqual(['EINVAL', 'OK']);
  }
});
