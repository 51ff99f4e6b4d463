import { expect, test } from 'vitest';
import { CcwFixture, UUID } from '../../test/support/ccw_fixture.ts';
import { VFIO_CCW_IRQ } from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';

const SCH = '/sys/bus/css/devices/0.0.0000';
const TYPE = `${SCH}/mdev_supported_types/vfio_ccw-io`;
/** Where the links lead. */
const REAL = '/sys/devices/css0/0.0.0000';
const OTHER = '11111111-2222-3333-4444-555555555555';

/** One second of virtual time. */
const SECOND = 1e9;

test('a subchannel has no mdev type until vfio_ccw has it', () => {
  const t = new CcwFixture();
  expect(t.outcome(t.user.readFile(`${TYPE}/name`))).toBe('ENOENT');
  expect(t.kernel.vfs.resolve('/sys/bus/ccw/devices/0.0.1000')).toBe('/sys/devices/css0/0.0.0000/0.0.1000');
  t.run(t.make());
  expect(t.run(t.user.readFile(`${TYPE}/name`))).toBe('I/O subchannel (Non-QDIO)');
  expect(t.run(t.user.readFile(`${TYPE}/device_api`))).toBe('vfio-ccw');
  expect(t.run(t.user.readFile(`${TYPE}/available_instances`))).toBe('0');
  expect(t.outcome(t.user.readlink('/sys/bus/ccw/devices/0.0.1000'))).toBe('ENOENT');
});

test('create and remove refusals', () => {
  const t = new CcwFixture();
  t.run(t.make());
  const remove = `/sys/bus/mdev/devices/${UUID}/remove`;
  const rows: [string, Task<unknown>, string | number][] = [
    ['no UUID', t.user.writeFile(`${TYPE}/create`, 'disk'), 'EINVAL'],
    ['half a UUID', t.user.writeFile(`${TYPE}/create`, UUID.slice(0, 20)), 'EINVAL'],
    ['same UUID', t.user.writeFile(`${TYPE}/create`, UUID), 'EEXIST'],
    ['same UUID, capitals', t.user.writeFile(`${TYPE}/create`, UUID.toUpperCase()), 'EEXIST'],
    ['second instance', t.user.writeFile(`${TYPE}/create`, OTHER), 'EUSERS'],
    ['create is write-only', t.user.readFile(`${TYPE}/create`), 'EACCES'],
    ['name is read-only', t.user.writeFile(`${TYPE}/name`, 'x'), 'EACCES'],
    ['remove: no number', t.user.writeFile(remove, 'yes'), 'EINVAL'],
    ['remove: 0', t.user.writeFile(remove, '0'), 1],
    ['remove: 1', t.user.writeFile(remove, '1'), 1],
    ['removed', t.user.writeFile(remove, '1'), 'ENOENT'],
    ['room again', t.user.writeFile(`${TYPE}/create`, OTHER), OTHER.length],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
});

test('the nodes of an instance come and go with it', () => {
  const t = new CcwFixture();
  const nodes = [
    `/sys/devices/css0/0.0.0000/${UUID}`,
    `/sys/bus/mdev/devices/${UUID}`,
    '/dev/vfio/0',
    '/sys/kernel/iommu_groups/0',
  ];
  const there = () => nodes.map((node) => t.kernel.vfs.has(node));
  expect(there()).toEqual([false, false, false, false]);
  t.run(t.make());
  expect(there()).toEqual([true, true, true, true]);
  expect(t.run(t.user.readlink(`/sys/bus/mdev/devices/${UUID}/mdev_type`))).toContain('vfio_ccw-io');
  t.run(t.user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
  expect(there()).toEqual([false, false, false, false]);
});

test('remove waits for user space and asks it every ten seconds', () => {
  const t = new CcwFixture();
  t.run(t.openAll());
  const request = t.run(t.setEventfd(VFIO_CCW_IRQ.REQ));
  const removal = t.start(t.user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
  t.settle(SECOND);
  expect([removal.done, t.user.signals(request)]).toEqual([false, 1]);
  expect(t.outcome(t.openDevice())).toBe('ENODEV');
  t.settle(25 * SECOND);
  expect([removal.done, t.user.signals(request)]).toEqual([false, 3]);
  t.run(t.user.close(t.fd));
  t.settle();
  expect(removal.done).toBe(true);
  expect(t.kernel.vfs.has('/dev/vfio/0')).toBe(false);
});

test('remove without a request eventfd says so once', () => {
  const t = new CcwFixture();
  t.run(t.openAll());
  t.start(t.user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
  t.settle(35 * SECOND);
  expect(t.log.filter((line) => line.includes('no device request channel'))).toHaveLength(1);
});

test('bind and unbind refusals', () => {
  const t = new CcwFixture();
  const drivers = '/sys/bus/css/drivers';
  const rows: [string, Task<unknown>, string | number][] = [
    ['bound elsewhere', t.user.writeFile(`${drivers}/vfio_ccw/bind`, '0.0.0000'), 'EBUSY'],
    ['not bound there', t.user.writeFile(`${drivers}/vfio_ccw/unbind`, '0.0.0000'), 'ENODEV'],
    ['no such subchannel', t.user.writeFile(`${drivers}/vfio_ccw/bind`, '0.0.0099'), 'ENODEV'],
    ['unbind', t.user.writeFile(`${drivers}/io_subchannel/unbind`, '0.0.0000'), 8],
    ['override', t.user.writeFile(`${SCH}/driver_override`, 'vfio_ccw'), 8],
    ['override refuses', t.user.writeFile(`${drivers}/io_subchannel/bind`, '0.0.0000'), 'ENODEV'],
    ['probe picks the override', t.user.writeFile('/sys/bus/css/drivers_probe', '0.0.0000'), 8],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  expect(t.run(t.user.readlink(`${SCH}/driver`))).toBe('../../../bus/css/drivers/vfio_ccw');
  expect(t.run(t.user.readFile(`${SCH}/driver_override`))).toBe('vfio_ccw');
});

test('attributes of a subchannel', () => {
  const t = new CcwFixture();
  const read = (name: string) => t.run(t.user.readFile(`${SCH}/${name}`));
  expect(read('pimpampom')).toBe('80 80 ff');
  expect(read('chpids')).toBe('80 00 00 00 00 00 00 00');
  expect([read('type'), read('modalias'), read('driver_override')]).toEqual(['0', 'css:t0', '(null)']);
  expect(t.run(t.user.readFile('/sys/devices/css0/chp0.80/status'))).toBe('online');
});

test('unbinding vfio_ccw removes its instance once that is closed', () => {
  const t = new CcwFixture();
  t.run(t.openAll());
  const unbind = t.start(t.user.writeFile('/sys/bus/css/drivers/vfio_ccw/unbind', '0.0.0000'));
  t.settle();
  expect(unbind.done).toBe(false);
  t.run(t.user.close(t.fd));
  t.settle();
  expect(unbind.done).toBe(true);
  expect(t.kernel.vfs.has(`/sys/devices/css0/0.0.0000/mdev_supported_types`)).toBe(false);
});

test('the type lists its instance and counts what is left', () => {
  const t = new CcwFixture();
  t.run(t.make());
  expect(t.kernel.vfs.list(`${REAL}/mdev_supported_types/vfio_ccw-io/devices`)).toEqual([UUID]);
  expect(t.kernel.vfs.resolve(`${TYPE}/devices/${UUID}`)).toBe(`/sys/devices/css0/0.0.0000/${UUID}`);
  expect(t.kernel.vfs.list(`${REAL}/mdev_supported_types/vfio_ccw-io`)).toEqual([
    'available_instances',
    'create',
    'device_api',
    'devices',
    'name',
  ]);
  t.run(t.user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
  expect([
    t.run(t.user.readFile(`${TYPE}/available_instances`)),
    t.kernel.vfs.list(`${REAL}/mdev_supported_types/vfio_ccw-io/devices`),
  ]).toEqual(['1', []]);
});

test('a UUID is taken once, whatever the parent', () => {
  const t = new CcwFixture();
  t.run(t.make());
  const second = '/sys/bus/css/devices/0.0.0001';
  t.run(t.user.writeFile(`${second}/driver_override`, 'vfio_ccw'));
  t.run(t.user.writeFile('/sys/bus/css/drivers/io_subchannel/unbind', '0.0.0001'));
  t.run(t.user.writeFile('/sys/bus/css/drivers_probe', '0.0.0001'));
  const create = `${second}/mdev_supported_types/vfio_ccw-io/create`;
  expect(t.outcome(t.user.writeFile(create, UUID))).toBe('EEXIST');
  t.run(t.user.writeFile(create, OTHER));
  expect(t.kernel.vfs.list('/sys/bus/mdev/devices')).toEqual([OTHER, UUID]);
  expect(t.kernel.vfs.list('/dev/vfio')).toEqual(['0', '1', 'vfio']);
});

test('an instance goes with its driver, and driver_override brings the driver back without it', () => {
  const t = new CcwFixture();
  t.run(t.make());
  const { user } = t;
  t.run(user.writeFile('/sys/bus/css/drivers/vfio_ccw/unbind', '0.0.0000'));
  expect([t.kernel.vfs.has(`/sys/bus/mdev/devices/${UUID}`), t.kernel.vfs.has('/dev/vfio/0')]).toEqual([false, false]);
  expect(t.outcome(user.readlink(`${SCH}/driver`))).toBe('ENOENT');
  t.run(user.writeFile('/sys/bus/css/drivers_probe', '0.0.0000'));
  expect(t.run(user.readFile(`${TYPE}/available_instances`))).toBe('1');
  // Without the override the host's own driver takes it.
  t.run(user.writeFile('/sys/bus/css/drivers/vfio_ccw/unbind', '0.0.0000'));
  t.run(user.writeFile(`${SCH}/driver_override`, ''));
  t.run(user.writeFile('/sys/bus/css/drivers_probe', '0.0.0000'));
  expect(t.run(user.readlink(`${SCH}/driver`))).toBe('../../../bus/css/drivers/io_subchannel');
});

test('with drivers_autoprobe off a new subchannel waits for whoever asks', () => {
  const t = new CcwFixture({ autoprobe: false });
  const { user } = t;
  expect(t.run(user.readFile('/sys/bus/css/drivers_autoprobe'))).toBe('0');
  expect(t.outcome(user.readlink(`${SCH}/driver`))).toBe('ENOENT');
  t.run(t.make());
  expect(t.run(user.readlink(`${SCH}/driver`))).toContain('vfio_ccw');
  t.run(user.writeFile('/sys/bus/css/drivers_autoprobe', '1'));
  expect(t.run(user.readFile('/sys/bus/css/drivers_autoprobe'))).toBe('1');
});

test('creating, removing and unbinding at once: one instance or none, and everything is consistent', () => {
  for (let seed = 0; seed < 100; seed++) {
    const t = new CcwFixture({ seed });
    t.run(t.make());
    const { user, kernel } = t;
    const attempt = function* (task: () => Task<unknown>): Task<unknown> {
      for (let i = t.actor.choose(6); i > 0; i--) yield { what: 'later', ready: () => true };
      try {
        return yield* task();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    t.runAll([
      attempt(() => user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1')),
      attempt(() => user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1')),
      attempt(() => user.writeFile(`${TYPE}/create`, OTHER)),
      attempt(() => user.writeFile('/sys/bus/css/drivers/vfio_ccw/unbind', '0.0.0000')),
    ]);
    expect([seed, kernel.vfs.list('/sys/bus/mdev/devices'), kernel.vfs.has(`${REAL}/mdev_supported_types`)]).toEqual([
      seed,
      [],
      false,
    ]);
    expect([seed, kernel.vfs.list('/dev/vfio'), kernel.vfs.list(REAL).includes(OTHER)]).toEqual([
      seed,
      ['vfio'],
      false,
    ]);
  }
});
