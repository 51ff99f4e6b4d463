import { expect, test } from 'vitest';
import { KernelFixture, type User } from '../test/support/kernel_fixture.ts';
import { exitProcess } from './exit.ts';
import { registerProc } from './fs/proc.ts';
import {
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_SET_IOMMU,
} from './include/uapi/ioctl.ts';
import { NR } from './include/uapi/syscall.ts';
import { VFIO_GROUP_FLAGS_VIABLE, vfio_group_status } from './include/uapi/vfio.ts';
import { mappingProcess } from './lib/address_space.ts';
import { PAGE_SIZE } from './lib/host_memory.ts';
import { processThreads } from './lib/shared_map.ts';
import { stopping } from './lib/stop.ts';
import { preempt, sleep, type Task } from './lib/task.ts';
import { memoryPressure } from './mm/migrate.ts';
import { File } from './syscall/file.ts';
import type { VfioDevice, VfioIommu, VfioIommuDriver } from './vfio/vfio.ts';
import { VfioCore } from './vfio/vfio_main.ts';

/** A kernel with two processes. */
function two(options: { seed?: number; guestMemory?: number } = {}) {
  const t = new KernelFixture({ ...options, others: 1 });
  const [a, b] = t.users;
  return { t, a, b };
}

/** The process's threads have left their loops. */
function threadsEnd(t: KernelFixture, { process }: User): void {
  t.memory.add(process.map.control.ended, processThreads(process.map));
}

/** Starts the end of a process; it goes on when its threads have ended. */
function exits(t: KernelFixture, { process }: User): void {
  t.kernel.spawn(process, 'exit', exitProcess(t.kernel, process));
}

test('copies go to the memory of whoever called, though both use the same address', () => {
  const { t, a, b } = two();
  registerProc(t.kernel.vfs, t.kernel);
  const address = a.buffer(new Uint8Array(64));
  expect(b.buffer(new Uint8Array(64))).toBe(address);
  const read = (user: User) =>
    t.runFor(
      user,
      (function* () {
        const fd = yield* user.open('/proc/self/status', 0);
        return yield* user.call(NR.pread64, fd, address, 20, 0);
      })(),
    );
  read(b);
  expect([...a.bytes(address, 20)]).toEqual(Array(20).fill(0));
  expect(new TextDecoder().decode(b.bytes(address, 4))).toBe('Name');
});

test('tasks of two processes side by side: whatever the order, each call works in its caller', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { t, a, b } = two({ seed });
    t.kernel.vfs.attribute('/sys/who', () => t.kernel.process.comm);
    const seen: string[][] = [[], []];
    const body = function* (user: User): Task {
      for (let i = 0; i < 10; i++) {
        seen[user.process.number].push(yield* user.readFile('/sys/who'));
        yield* preempt();
      }
    };
    for (const user of [a, b]) t.kernel.spawn(user.process, 'user', body(user));
    t.settle();
    expect(seen, `seed ${seed}`).toEqual([Array(10).fill('vm0'), Array(10).fill('vm1')]);
  }
});

test('a kernel thread has no memory, no files and no rights', () => {
  const { t } = two();
  const told: string[] = [];
  t.kernel.actor.spawn(
    'thread',
    (function* (): Task {
      for (const use of [() => t.kernel.mm, () => t.kernel.files, () => t.kernel.capable('CAP_IPC_LOCK')])
        try {
          use();
        } catch (error) {
          told.push((error as Error).message);
        }
      yield* preempt();
    })(),
  );
  t.settle();
  expect(told).toEqual(Array(3).fill('a kernel thread has no process'));
  // And whoever runs next has its own again.
  expect(t.kernel.process.number).toBe(0);
});

test('descriptors and locked memory are counted for each process', () => {
  const { t, a, b } = two();
  expect([t.run(a.eventfd()), t.run(a.eventfd()), t.runFor(b, b.eventfd())]).toEqual([0, 1, 0]);
  expect(t.outcomeFor(b, b.close(1))).toBe('EBADF');
  a.process.mm.account(5);
  expect([a.process.mm.lockedVm, b.process.mm.lockedVm]).toEqual([5, 0]);
  a.process.mm.lockLimit = 5;
  expect(() => a.process.mm.account(1)).toThrow(/RLIMIT_MEMLOCK/);
  b.process.mm.account(1);
});

test('a right of one process is none of the other', () => {
  const { t, a, b } = two();
  const rawIo = (user: User) =>
    t.runFor(
      user,
      (function* () {
        return t.kernel.capable('CAP_SYS_RAWIO');
      })(),
    );
  b.process.capabilities.delete('CAP_SYS_RAWIO');
  expect([rawIo(a), rawIo(b)]).toEqual([true, false]);
});

test('a group is open in one process at a time', () => {
  const { t, a, b } = two();
  const core = new VfioCore(t.kernel);
  const group = core.allocateGroup({ emulated: true });
  core.addDevice({ name: 'device', group, operations: {}, *openDevice() {}, *closeDevice() {} });
  const fd = t.run(a.open('/dev/vfio/0'));
  expect(t.outcomeFor(b, b.open('/dev/vfio/0'))).toBe('EBUSY');
  t.run(a.close(fd));
  const own = t.runFor(b, b.open('/dev/vfio/0'));
  const status = vfio_group_status.make({ argsz: vfio_group_status.size });
  t.runFor(b, b.ioctlStruct(own, VFIO_GROUP_GET_STATUS, status));
  expect(status.flags).toBe(VFIO_GROUP_FLAGS_VIABLE);
});

test('frames name the process that maps them, and pins are of the frame, so of its process', () => {
  const { a, b } = two();
  const [ram, other] = [a, b].map(({ process }) => process.mm.mmapAnonymous('ram', 2 * PAGE_SIZE, true).start);
  expect(ram).toBe(other);
  const [hpa, otherHpa] = [a, b].map(({ process }) => process.mm.tryPinPage(ram, true));
  const { frames } = a.process.mm.space;
  expect([hpa, otherHpa].map((at) => [frames.pins(at), mappingProcess(frames.mapping(at))])).toEqual([
    [1, 0],
    [1, 1],
  ]);
  b.process.mm.unpinPage(ram, otherHpa, false);
  expect([frames.pins(hpa), frames.pins(otherHpa)]).toEqual([1, 0]);
});

test('memory pressure moves pages of both processes, and each keeps its bytes', () => {
  const { t, a, b } = two({ seed: 3 });
  const ram = [a, b].map(({ process }) => process.mm.mmapAnonymous('ram', 8 * PAGE_SIZE, true).start);
  const moved = [0, 0];
  for (const { process } of [a, b])
    process.mm.notifiers.add(function* () {
      moved[process.number]++;
    });
  t.kernel.actor.spawn(
    'pressure',
    memoryPressure(
      t.actor,
      t.kernel.processes.map(({ mm }) => mm),
      t.memory,
      1,
      () => {},
    ),
  );
  const use = function* ({ process: { mm, number } }: User): Task {
    for (let i = 0; i < 8; i++) yield* mm.space.copy(ram[number] + i * PAGE_SIZE, Uint8Array.of(number, i), true);
    yield* sleep(t.actor, 10e6);
    for (let i = 0; i < 8; i++)
      expect([...(yield* mm.space.copyIn(ram[number] + i * PAGE_SIZE, 2))]).toEqual([number, i]);
  };
  for (const user of [a, b]) t.runFor(user, use(user));
  expect(Math.min(...moved)).toBeGreaterThan(50);
});

test('a process ends: files closed, memory unmapped, a sleeping call ends; the other one goes on', () => {
  const { t, a, b } = two();
  const before = t.kernel.pages.allocated;
  const released: string[] = [];
  t.kernel.vfs.add('/dev/thing', {
    kind: 'device',
    *open() {
      return fileOf(released, t.kernel.process.comm);
    },
  });
  t.runFor(b, b.open('/dev/thing'));
  t.run(a.open('/dev/thing'));
  const fd = t.runFor(b, b.eventfd());
  b.process.mm.mmapAnonymous('ram', 64 * PAGE_SIZE, true);
  let ended: unknown;
  b.process.calls++;
  t.kernel.spawn(
    b.process,
    'read',
    (function* (): Task {
      try {
        yield* b.pread(fd, 8);
      } catch (error) {
        ended = error;
      }
      b.process.calls--;
    })(),
  );
  exits(t, b);
  t.settle();
  expect([ended, released]).toEqual([undefined, []]);
  threadsEnd(t, b);
  t.settle();
  expect((ended as { code: string }).code).toBe('EINTR');
  expect([released, b.process.dead, a.process.dead]).toEqual([['vm1'], true, false]);
  expect([[...b.process.files.entries()], b.process.mm.vmas, b.process.mm.lockedVm]).toEqual([[], [], 0]);
  // Its heap of this test is gone as well.
  expect(t.kernel.pages.allocated).toBe(before - 256);
  expect(stopping(t.memory, t.map)).toBe(false);
  expect(t.run(a.readFile('/dev/thing'))).toBe('vm0');
});

/** A file that tells whose it is, and when it is released. */
function fileOf(released: string[], comm: string) {
  return new File(`${comm}'s`, {
    *read() {
      return new TextEncoder().encode(comm);
    },
    *release() {
      released.push(comm);
    },
  });
}

test('the end of the last process ends the run of the host', () => {
  const { t, a, b } = two();
  for (const user of [a, b]) exits(t, user);
  threadsEnd(t, a);
  t.settle();
  expect(stopping(t.memory, t.map)).toBe(false);
  threadsEnd(t, b);
  t.settle();
  expect([stopping(t.memory, t.map), a.process.dead, b.process.dead]).toEqual([true, true, true]);
});

/** A device of a group of its own that user space can open, and an attribute by which the host takes it back. */
function plugged(t: KernelFixture) {
  const core = new VfioCore(t.kernel);
  const iommu: VfioIommu = {
    driver: undefined as never,
    *attachGroup() {},
    *detachGroup() {},
    *ioctl() {
      return 0;
    },
    *release() {},
  };
  const driver: VfioIommuDriver = { name: 'any', checkExtension: () => 1, open: () => iommu };
  core.registerIommuDriver(driver);
  const closed: string[] = [];
  const device: VfioDevice = {
    name: 'device',
    group: core.allocateGroup({ emulated: true }),
    operations: {},
    *openDevice() {},
    *closeDevice() {
      closed.push(t.kernel.process.comm);
    },
  };
  core.addDevice(device);
  t.kernel.vfs.attribute(
    '/sys/unbind',
    () => '',
    () => core.removeDevice(device),
  );
  return closed;
}

/** Opens the device, through its group and a container. */
function* opensDevice(user: User): Task {
  const container = yield* user.open('/dev/vfio/vfio');
  const group = yield* user.open('/dev/vfio/0');
  yield* user.ioctlBytes(group, VFIO_GROUP_SET_CONTAINER, new Uint8Array(Int32Array.of(container).buffer));
  yield* user.ioctl(container, VFIO_SET_IOMMU, 1);
  yield* user.ioctlBytes(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('device\0'));
}

test('a process ends while a call of it waits for its own device to be given back', () => {
  const { t, a, b } = two();
  const closed = plugged(t);
  t.runFor(b, opensDevice(b));
  for (const user of [a, b]) exits(t, user);
  const attribute = t.runFor(b, b.open('/sys/unbind', 1));
  let unbound = false;
  b.process.calls++;
  t.kernel.spawn(
    b.process,
    'unbind',
    (function* (): Task {
      yield* b.pwrite(attribute, Uint8Array.of(1));
      unbound = true;
      b.process.calls--;
    })(),
  );
  t.settle();
  expect([unbound, closed]).toEqual([false, []]);
  threadsEnd(t, b);
  t.settle();
  expect([unbound, closed, b.process.dead]).toEqual([true, ['vm1'], true]);
  expect([[...b.process.files.entries()], b.process.mm.vmas, t.kernel.vfs.has('/dev/vfio/0')]).toEqual([[], [], false]);
  expect(a.process.dead).toBe(false);
});

test('the host takes the device of another process: it has it back when that process ends', () => {
  const { t, a, b } = two();
  const closed = plugged(t);
  t.runFor(b, opensDevice(b));
  exits(t, b);
  let unbound = false;
  t.kernel.spawn(
    a.process,
    'unbind',
    (function* (): Task {
      yield* a.writeFile('/sys/unbind', '1');
      unbound = true;
    })(),
  );
  t.settle();
  expect([unbound, closed]).toEqual([false, []]);
  threadsEnd(t, b);
  t.settle();
  expect([unbound, closed, b.process.dead]).toEqual([true, ['vm1'], true]);
});

test('calls that close and open descriptors while the process ends leave none behind', () => {
  const { t, b } = two();
  const [first, second] = [0, 1].map(() => t.runFor(b, b.eventfd()));
  const released: string[] = [];
  let go = false;
  // Its release lasts until the call has closed the one behind it, and opened another in its own place.
  const slow = new File('slow', {
    *release() {
      released.push('slow');
      go = true;
      yield* sleep(t.actor, 1e5);
    },
  });
  b.process.files.install(slow);
  const behind = t.runFor(b, b.eventfd());
  b.process.calls++;
  t.kernel.spawn(
    b.process,
    'call',
    (function* (): Task {
      while (!go) yield* preempt();
      yield* b.close(behind);
      expect(yield* b.eventfd()).toBe(first);
      b.process.calls--;
    })(),
  );
  exits(t, b);
  threadsEnd(t, b);
  t.settle();
  expect([released, b.process.dead, [...b.process.files.entries()], second]).toEqual([['slow'], true, [], 1]);
});
