import { expect, test } from 'vitest';
import { EventFd } from '../kernel/fs/eventfd.ts';
import type { Errno } from '../kernel/include/uapi/errno.ts';
import { VFIO_GROUP_GET_STATUS, VFIO_SET_IOMMU } from '../kernel/include/uapi/ioctl.ts';
import { NR } from '../kernel/include/uapi/syscall.ts';
import { vfio_group_status } from '../kernel/include/uapi/vfio.ts';
import { Kernel } from '../kernel/kernel.ts';
import { Doorbell } from '../kernel/lib/doorbell.ts';
import { PAGE_SIZE } from '../kernel/lib/host_memory.ts';
import { actorAreas } from '../kernel/lib/shared_map.ts';
import { Simulation } from '../kernel/lib/simulated.ts';
import { sleep, type Task, until, type Wait } from '../kernel/lib/task.ts';
import { File } from '../kernel/syscall/file.ts';
import { ioctlOperation, row } from '../kernel/syscall/ioctl.ts';
import { smallMachine } from '../test/support/small_machine.ts';
import { Syscalls } from './syscall.ts';

const { memory, map } = smallMachine(400);

interface Line {
  readonly sys: Syscalls;
  readonly kernel: Kernel;
  readonly simulation: Simulation;
  readonly released: string[];
}

/** A kernel with a few nodes and a VMM that runs `body`, under the seeded scheduler. */
function boot(seed: number, body: (line: Line) => Task, others: ((line: Line) => Task)[] = []): Line {
  memory.u8.fill(0);
  const simulation = new Simulation(seed);
  const kernel = new Kernel(simulation.actor('kernel'), memory, map, { lockLimit: 100, seed, log: () => {} });
  const sys = new Syscalls(memory, map);
  const line: Line = { sys, kernel, simulation, released: [] };
  addNodes(line);
  let left = 1 + others.length;
  const vmm = simulation.actor('vmm');
  vmm.spawn(
    'body',
    (function* (): Task {
      yield* sys.start((va) => kernel.mm.space.lookup(va, true));
      for (const other of others)
        vmm.spawn(
          'other',
          (function* (): Task {
            yield* other(line);
            left--;
          })(),
        );
      yield* body(line);
      left--;
    })(),
  );
  simulation.run(() => left === 0, 200_000);
  return line;
}

function addNodes({ kernel, released }: Line): void {
  kernel.vfs.add('/dev/thing', {
    kind: 'device',
    *open() {
      return new File(
        'thing',
        {
          ioctl: ioctlOperation(kernel, [
            row(VFIO_GROUP_GET_STATUS, function* (_arg, status) {
              status.flags = 3;
              return 0;
            }),
            row(VFIO_SET_IOMMU, function* (arg) {
              yield* sleep(kernel.actor, 1e6);
              if (released.length > 0) throw new Error('released while an ioctl was under way');
              return arg;
            }),
          ]),
          *mmap(length) {
            return kernel.mm.mmapAnonymous('thing', length, true).start;
          },
          *release() {
            released.push('thing');
          },
        },
        undefined,
      );
    },
  });
  let value = 'off';
  kernel.vfs.attribute(
    '/sys/a/mode',
    () => value,
    function* (text) {
      value = text;
    },
  );
  kernel.vfs.attribute('/sys/a/name', () => 'x'.repeat(100));
  kernel.vfs.add('/sys/link', { kind: 'link', target: 'a/mode' });
}

/** The errno name a task fails with, or its value. */
function* outcome<T>(task: Task<T>): Task<T | string> {
  try {
    return yield* task;
  } catch (error) {
    return (error as Errno).code;
  }
}

test('files are opened, read, written, listed and closed over the line', () => {
  boot(1, function* ({ sys, kernel }) {
    expect(yield* sys.readFile('/sys/a/mode')).toBe('off');
    yield* sys.writeFile('/sys/link', 'on');
    expect(yield* sys.readFile('/sys/link')).toBe('on');
    expect(yield* sys.readlink('/sys/link')).toBe('a/mode');
    expect(yield* sys.readdir('/sys')).toEqual(['a', 'link']);
    const fd = yield* sys.open('/sys/a/name', 0);
    expect((yield* sys.pread(fd, 30, 90)).length).toBe(11);
    yield* sys.close(fd);
    expect([...kernel.files.entries()]).toEqual([]);
  });
});

test('an ioctl carries its structure there and back, or a value', () => {
  boot(2, function* ({ sys }) {
    const fd = yield* sys.open('/dev/thing', 2);
    const status = vfio_group_status.make({ argsz: 8 });
    expect(yield* sys.ioctlStruct(fd, VFIO_GROUP_GET_STATUS, status)).toBe(0);
    expect(status.flags).toBe(3);
    status.argsz = 4;
    expect(yield* outcome(sys.ioctlStruct(fd, VFIO_GROUP_GET_STATUS, status))).toBe('EINVAL');
    expect(yield* sys.ioctl(fd, VFIO_SET_IOMMU, 7)).toBe(7);
    expect(yield* outcome(sys.call('ioctl', NR.ioctl, [fd, 0x1234, 0]))).toBe('ENOTTY');
  });
});

test('refused calls throw their errno and name the call', () => {
  boot(3, function* ({ sys, kernel }) {
    const name = yield* sys.open('/sys/a/name', 0);
    const thing = yield* sys.open('/dev/thing', 2);
    const cases: [string, Task<number>][] = [
      ['ENOENT', sys.open('/nothing', 0)],
      ['EBADF', sys.call('read', NR.read, [99, 0, 0])],
      ['ENOSYS', sys.call('what', 9999, [])],
      ['ENOSYS', sys.call('what', Number.NaN, [])],
      ['EFAULT', sys.call('open', NR.open, [0, 0])],
      ['EFAULT', sys.call('open', NR.open, [Number.NaN, 0])],
      ['EFAULT', sys.call('read', NR.pread64, [name, 4096, 10, 0])],
      ['EFAULT', sys.call('write', NR.pwrite64, [name, -5, 10, 0])],
      ['EFAULT', sys.call('readlink', NR.readlink, [-1, 0, 10])],
      ['EINVAL', sys.call('readlink', NR.readlink, [sys.heap.alloc(32), 0, 0])],
      ['EINVAL', sys.call('pread', NR.pread64, [name, sys.heap.alloc(32), 10, -1])],
      ['EINVAL', sys.call('pread', NR.pread64, [name, sys.heap.alloc(32), Number.NaN, 0])],
      ['EINVAL', sys.call('read', NR.read, [thing, sys.heap.alloc(32), 4])],
      ['EACCES', sys.pwrite(name, Uint8Array.of(1), 0)],
      ['ENOTDIR', sys.call('getdents', NR.getdents, [name, sys.heap.alloc(32), 32])],
      ['ENOTTY', sys.ioctl(name, VFIO_SET_IOMMU)],
      ['ENODEV', sys.mmap(name, 4096)],
      ['EINVAL', sys.mmap(-1, 0)],
      ['ENOMEM', sys.mmap(-1, 2 ** 40)],
      ['EINVAL', sys.call('munmap', NR.munmap, [4096, 4096])],
      ['ENAMETOOLONG', sys.open('x'.repeat(5000), 0)],
    ];
    for (const [code, task] of cases) expect(yield* outcome(task)).toBe(code);
    try {
      yield* sys.open('/nothing', 0);
    } catch (error) {
      expect((error as Error).message).toBe('open /nothing: ENOENT: No such file or directory');
    }
    expect(kernel.lastError?.code).toBe('ENOENT');
  });
});

test('paths may end at the last mapped byte and may cross pages', () => {
  boot(4, function* ({ sys, kernel }) {
    const va = yield* sys.mmap(-1, 2 * PAGE_SIZE);
    const path = new TextEncoder().encode('/sys/a/mode\0');
    for (const at of [va + 2 * PAGE_SIZE - path.length, va + PAGE_SIZE - 5]) {
      yield* kernel.mm.space.copy(at, path, true);
      expect(yield* sys.call('open', NR.open, [at, 0])).toBeGreaterThanOrEqual(0);
    }
  });
});

test('an eventfd is read when it is signalled, and holds nobody up meanwhile', () => {
  const order: unknown[] = [];
  let fd = -1;
  boot(
    5,
    function* ({ sys, kernel, simulation }) {
      fd = yield* sys.eventfd();
      yield* until('reader', () => order.length === 1);
      expect(yield* sys.readFile('/sys/a/mode')).toBe('off');
      order.push('other call');
      yield* sleep(simulation.actor('x'), 1e6);
      EventFd.of(kernel.files.file(fd)).signal(2n);
      EventFd.of(kernel.files.file(fd)).signal();
    },
    [
      function* ({ sys }) {
        yield* until('fd', () => fd >= 0);
        order.push('reads');
        order.push(yield* sys.eventfdRead(fd));
      },
    ],
  );
  expect(order).toEqual(['reads', 'other call', 3n]);
});

test('waiting for an eventfd leaves the thread free to spin, every other call puts it to sleep', () => {
  const sys = new Syscalls(memory, map);
  memory.u8.fill(0);
  const first = (task: Task<unknown>) => (task.next().value as Wait).strategy;
  expect(first(sys.call('x', NR.close, [0]))).toBe('sleep');
  const heap = { alloc: () => 0, free: () => {}, bytes: () => new Uint8Array(8) };
  Object.defineProperty(sys, 'heap', { value: heap });
  expect(first(sys.eventfdRead(0))).toBeUndefined();
});

test('an eventfd read that was begun is told to the kernel once, with the next call or alone', () => {
  const rings: number[] = [];
  let count = 0n;
  const bell = new Doorbell(memory, actorAreas(map, 'kernel').doorbell);
  boot(7, function* ({ sys, kernel }) {
    const fd = yield* sys.eventfd();
    const eventFd = EventFd.of(kernel.files.file(fd));
    const note = () => rings.push(bell.sequence());
    note();
    const first = yield* sys.beginEventfdRead(fd);
    note();
    eventFd.signal(2n);
    yield* sys.close(yield* sys.eventfd());
    sys.tell();
    note();
    count += yield* first;
    const second = yield* sys.beginEventfdRead(fd);
    sys.tell();
    sys.tell();
    note();
    eventFd.signal(3n);
    count += yield* second;
  });
  expect(count).toBe(5n);
  expect(rings.map((n) => n - rings[0])).toEqual([0, 0, 2, 3]);
});

test('a file that is closed during a call on it is released after the call', () => {
  let fd = -1;
  let result: unknown;
  const { released } = boot(
    6,
    function* ({ sys }) {
      fd = yield* sys.open('/dev/thing', 2);
      result = yield* outcome(sys.ioctl(fd, VFIO_SET_IOMMU, 9));
    },
    [
      function* ({ sys, released, simulation }) {
        yield* until('fd', () => fd >= 0);
        yield* sleep(simulation.actor('x'), 5e5);
        yield* sys.close(fd);
        expect([result, ...released]).toEqual([undefined]);
      },
    ],
  );
  expect(result).toBe(9);
  expect(released).toEqual(['thing']);
});

test('a device opened for a full descriptor table is released again', () => {
  const { released } = boot(7, function* ({ sys, kernel }) {
    for (let i = 0; i < 1024; i++) kernel.files.install(new File('f', {}));
    expect(yield* outcome(sys.open('/dev/thing', 2))).toBe('EMFILE');
    expect(yield* outcome(sys.eventfd())).toBe('EMFILE');
  });
  expect(released).toEqual(['thing']);
});

test('more calls at once than there are slots all get their own answer, whatever the schedule', () => {
  for (let seed = 0; seed < 10; seed++) {
    const got = new Map<number, number>();
    boot(
      seed,
      function* () {},
      Array.from(
        { length: 100 },
        (_, i) =>
          function* ({ sys }: Line): Task {
            const bytes = yield* sys.pread(yield* sys.open('/sys/a/name', 0), i, 0);
            got.set(i, bytes.length);
          },
      ),
    );
    expect([...got].every(([i, length]) => i === length)).toBe(true);
    expect(got.size).toBe(100);
  }
});

test('attributes that cannot be read leave no descriptor open', () => {
  boot(8, function* ({ sys, kernel }) {
    kernel.vfs.add('/sys/writeonly', { kind: 'attribute', *store() {} });
    expect(yield* outcome(sys.readFile('/sys/writeonly'))).toBe('EACCES');
    expect(yield* outcome(sys.writeFile('/sys/a/name', 'x'))).toBe('EACCES');
    expect(yield* outcome(sys.readdir('/sys/a/name'))).toBe('ENOTDIR');
    expect([...kernel.files.entries()]).toEqual([]);
  });
});

test('memory is mapped and unmapped: anonymous pages are zero, a device’s are the device’s', () => {
  boot(9, function* ({ sys, kernel }) {
    const before = kernel.mm.pages.allocated;
    const va = yield* sys.mmap(-1, 3 * PAGE_SIZE - 1);
    expect(kernel.mm.pages.allocated - before).toBe(3);
    expect([...(yield* kernel.mm.space.copyIn(va, 4))]).toEqual([0, 0, 0, 0]);
    yield* sys.munmap(va, 3 * PAGE_SIZE);
    const fd = yield* sys.open('/dev/thing', 2);
    expect(yield* sys.mmap(fd, 100)).toBeGreaterThan(va);
    expect(kernel.mm.vmas.at(-1)).toMatchObject({ name: 'thing', size: PAGE_SIZE });
  });
});
