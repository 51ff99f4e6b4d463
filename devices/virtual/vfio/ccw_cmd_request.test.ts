import { beforeEach, expect, test } from 'vitest';
import { CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import { Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { FAKE_MMAP_VA, FAKE_RAM_VA, FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { ChannelSubsystem } from '../s390x/css.ts';
import { ioinst } from '../s390x/ioinst.ts';
import { CC } from '../s390x/subchannel.ts';
import { type CcwRequestOptions, VFIOCCWRequestDevice } from './ccw_cmd_request.ts';

const SYSFSDEV = '/sys/devices/css0/0.0.0313';
const REQUEST = 'VFIO_DEVICE_CCW_CMD_REQUEST';
const { F, P, H } = ORB_CTRL0.mask;
const [SSCH, HSCH, CSCH, TSCH, STSCH] = [0xb233, 0xb231, 0xb230, 0xb235, 0xb234];

let machine: FakeMachine;
let css: ChannelSubsystem;
/** The device works on a program. */
let working = false;
/** What a request ends with. */
let result: { irb: ReturnType<typeof IRB.make>; errno?: ErrnoName };

beforeEach(() => {
  machine = new FakeMachine();
  css = new ChannelSubsystem(machine);
  working = false;
  result = { irb: IRB.make() };
  Object.assign(result.irb.scsw, { ctrl: scsw.SCSW_FCTL_START_FUNC | 7, dstat: 0x0c, cpa: 8 });
  const { kernel } = machine;
  kernel.links.set(`${SYSFSDEV}/iommu_group`, '../../../kernel/iommu_groups/7');
  kernel.files.set(SYSFSDEV, '');
  kernel.files.set(`${SYSFSDEV}/pimpampom`, '80 80 ff');
  kernel.files.set(`${SYSFSDEV}/chpids`, '80 00 00 00 00 00 00 00');
  const ok = () => 0;
  for (const name of ['VFIO_GROUP_SET_CONTAINER', 'VFIO_GROUP_UNSET_CONTAINER', 'VFIO_SET_IOMMU', 'VFIO_DEVICE_RESET'])
    kernel.ioctls.set(name, ok);
  kernel.ioctls.set('VFIO_GET_API_VERSION', ok);
  kernel.ioctls.set('VFIO_CHECK_EXTENSION', ({ value }) => (value === 8 ? 1 : 0));
  kernel.ioctls.set('VFIO_GROUP_GET_STATUS', ({ view }) => {
    view.flags = 1;
    return 0;
  });
  kernel.ioctls.set('VFIO_GROUP_GET_DEVICE_FD', () => kernel.install('device'));
  kernel.ioctls.set('VFIO_DEVICE_GET_INFO', ({ view }) => {
    Object.assign(view, { flags: 0x11, num_regions: 0, num_irqs: 0 });
    return 0;
  });
  kernel.sleeping.set(REQUEST, () => working);
  kernel.ioctls.set(REQUEST, ({ view }) => {
    if (result.errno !== undefined) throw new Errno(result.errno, REQUEST);
    view.irb_area = IRB.bytes(result.irb);
    return 0;
  });
  // The kernel's reset ends what sleeps, with EIO.
  kernel.ioctls.set('VFIO_DEVICE_RESET', () => {
    if (working) result = { ...result, errno: 'EIO' };
    working = false;
    return 0;
  });
  const ccw = CCW1.at(new DataView(machine.memory.bytes.buffer), 0x8000);
  Object.assign(ccw, { cmd: 0x03, flags: 0, count: 1, cda: 0 });
});

function realize(options: Partial<CcwRequestOptions> = {}): VFIOCCWRequestDevice {
  const device = machine.run(VFIOCCWRequestDevice.realize(css, { sysfsdev: SYSFSDEV, ...options }));
  device.sch.schib.pmcw.flags |= PMCW_FLAGS.set(PMCW_FLAGS.mask.E, 'ISC', 3);
  return device;
}
/** An instruction of a CPU. */
function* execute(opcode: number, cpu = 0): Task<number> {
  const vcpu = new FakeVcpu(machine, cpu).instruction([opcode >> 8, opcode & 0xff], 0x4000 + 0x100 * cpu);
  vcpu.setGpr(1, 0x0001_0000n);
  if (opcode === SSCH) {
    const orb = ORB.make({ intparm: 0xcafe, ctrl0: F | P, lpm: 0x80, cpa: 0x8000 });
    machine.memory.bytes.set(ORB.bytes(orb), 0x4000 + 0x100 * cpu);
  }
  return yield* ioinst(css, vcpu);
}
const run = (opcode: number, cpu = 0) => machine.run(execute(opcode, cpu));
/** SSCH that does not end before the device has. */
function startSsch(): { cc?: number } {
  const call: { cc?: number } = {};
  working = true;
  machine.actor.spawn(
    'vcpu0',
    (function* (): Task {
      call.cc = yield* execute(SSCH);
    })(),
  );
  machine.runUntil(() => machine.trace.some(([event]) => event === 'ccw_rfc_Q3'));
  return call;
}
const finished = (call: { cc?: number }) => machine.runUntil(() => call.cc !== undefined);
/** SCSW that the last TSCH of a CPU stored. */
const stored = (cpu = 0) => IRB.at(new DataView(machine.memory.bytes.buffer), 0x4000 + 0x100 * cpu).scsw;

test('realise opens a no-IOMMU group and maps nothing; KVM is not told', () => {
  machine.kvmVfioFd = 9;
  const device = realize({ devno: 0x190 });
  expect(machine.kernel.calls).toEqual([
    'open /dev/vfio/vfio',
    'VFIO_GET_API_VERSION',
    'VFIO_CHECK_EXTENSION',
    'open /dev/vfio/noiommu-7',
    'VFIO_GROUP_GET_STATUS',
    'VFIO_GROUP_SET_CONTAINER',
    'VFIO_SET_IOMMU',
    'VFIO_GROUP_GET_DEVICE_FD',
    'VFIO_DEVICE_GET_INFO',
  ]);
  expect([device.sch.schib.pmcw.devno, device.sch.schib.pmcw.chpid[0]]).toEqual([0x190, 0x80]);
});

test.each<[string, () => void, string]>([
  ['nothing there', () => machine.kernel.files.delete(SYSFSDEV), 'does not exist: bind the subchannel first'],
  [
    'no-IOMMU mode off',
    () => machine.kernel.ioctls.set('VFIO_CHECK_EXTENSION', () => 0),
    'the kernel has no IOMMU backend of type 8',
  ],
  [
    'no channel device',
    () => machine.kernel.ioctls.set('VFIO_DEVICE_GET_INFO', () => 0),
    'vfio-ccw-rfc 0.0.0313: this is no channel I/O device',
  ],
])('realise refuses, and leaves nothing open: %s', (_what, change, message) => {
  change();
  expect(() => realize()).toThrow(message);
  expect([...machine.kernel.open.values()]).toEqual([]);
});

test('one subchannel of the host is passed through once', () => {
  realize();
  expect(() => realize()).toThrow('0.0.0313: this subchannel of the host is in the machine already');
});

test('SSCH ends when the program has: status is pending before the condition code is there', () => {
  realize();
  const call = startSsch();
  expect([call.cc, machine.io]).toEqual([undefined, []]);
  working = false;
  finished(call);
  expect([call.cc, machine.io]).toEqual([CC.EXPECTED, [{ subsystemId: 0x10000, intparm: 0xcafe, isc: 3 }]]);
  expect(run(TSCH)).toBe(CC.EXPECTED);
  expect([stored().dstat, stored().cpa]).toEqual([0x0c, 0x8008]);
  const steps = machine.trace.flatMap(([event]) => (event.startsWith('ccw_rfc_') ? [event.slice(-2)] : []));
  expect(steps).toEqual(['Q1', 'Q2', 'Q3', 'Q4']);
});

test('the kernel gets the ORB with the format the VMM writes, and the address of its program', () => {
  realize();
  let seen: number[] = [];
  machine.kernel.ioctls.set(REQUEST, ({ view }) => {
    const orb = ORB.at(new DataView(view.orb_area.slice().buffer));
    seen = [view.ccwchain_nr, view.ccwchain_buf, orb.ctrl0 & (F | P | H), view.argsz];
    view.irb_area = IRB.bytes(result.irb);
    return 0;
  });
  run(SSCH);
  expect(seen).toEqual([1, FAKE_MMAP_VA, F | P | H, 136]);
  expect([...machine.kernel.mapped.subarray(0, 8)]).toEqual([0x03, 0, 0, 1, 0, 0, 0, 0]);
});

test.each<[ErrnoName, number, boolean]>([
  ['EBUSY', CC.BUSY, false],
  ['ENODEV', CC.NOT_OPERATIONAL, false],
  ['EACCES', CC.NOT_OPERATIONAL, false],
  ['EFAULT', CC.EXPECTED, true],
  ['EOPNOTSUPP', CC.EXPECTED, true],
  ['ENOMEM', CC.EXPECTED, true],
])('%s from the kernel: condition code %d, unit exception %s', (errno, cc, unitException) => {
  const device = realize();
  result = { ...result, errno };
  expect(run(SSCH)).toBe(cc);
  expect(machine.io.length).toBe(unitException ? 1 : 0);
  if (!unitException) expect(device.sch.schib.scsw.ctrl).toBe(0);
  else expect(device.sch.schib.scsw.dstat).toBe(scsw.DSTAT.UNIT_EXCEP);
});

test('a program outside RAM never reaches the kernel: unit exception, as with the merged driver', () => {
  const device = realize();
  Object.assign(CCW1.at(new DataView(machine.memory.bytes.buffer), 0x8000), { cmd: 2, count: 1, cda: 0x7fff_0000 });
  expect([run(SSCH), device.sch.schib.scsw.dstat]).toEqual([CC.EXPECTED, scsw.DSTAT.UNIT_EXCEP]);
  expect(machine.kernel.calls).not.toContain(REQUEST);
});

test('the CPU that issued SSCH cannot issue HSCH before the end; afterwards there is nothing to halt', () => {
  realize();
  const call = startSsch();
  working = false;
  finished(call);
  expect([run(HSCH), machine.kernel.calls.filter((name) => name === REQUEST).length]).toEqual([CC.STATUS_PRESENT, 1]);
});

test.each([
  ['HSCH', HSCH, scsw.SCSW_FCTL_HALT_FUNC],
  ['CSCH', CSCH, scsw.SCSW_FCTL_CLEAR_FUNC],
])(
  '%s of another CPU is only pretended: the program runs on, and its status comes after all',
  (_name, opcode, fctl) => {
    realize();
    const call = startSsch();
    expect(run(opcode, 1)).toBe(CC.EXPECTED);
    expect([machine.io.length, call.cc]).toEqual([1, undefined]);
    expect(run(TSCH, 1)).toBe(CC.EXPECTED);
    expect(stored(1).ctrl & fctl).toBe(fctl);
    // The guest believes the device free; its next program would be written over the one that runs.
    expect(run(SSCH, 1)).toBe(CC.BUSY);
    expect(machine.kernel.calls.filter((name) => name === REQUEST)).toEqual([]);
    working = false;
    finished(call);
    expect([call.cc, run(TSCH, 1), stored(1).dstat]).toEqual([CC.EXPECTED, CC.EXPECTED, 0x0c]);
    expect(machine.trace.filter(([event]) => event === 'ccw_rfc_pretend').length).toBe(1);
  },
);

test('other CPUs are served while one waits: STSCH of the same subchannel does not', () => {
  realize();
  const call = startSsch();
  expect([run(STSCH, 1), call.cc]).toEqual([CC.EXPECTED, undefined]);
});

test('a program that was halted meanwhile and then fails has its status already', () => {
  const device = realize();
  const call = startSsch();
  run(HSCH, 1);
  result = { ...result, errno: 'ENODEV' };
  working = false;
  finished(call);
  expect([call.cc, machine.io.length, device.sch.schib.scsw.dstat]).toEqual([CC.EXPECTED, 1, scsw.DSTAT.DEVICE_END]);
});

test('machine reset ends a request, and nothing of it is presented', () => {
  const device = realize();
  const call = startSsch();
  machine.run(css.reset());
  finished(call);
  expect([call.cc, machine.io, device.sch.schib.scsw.ctrl]).toEqual([CC.NOT_OPERATIONAL, [], 0]);
});

test('unplugging ends a request by a reset, closes everything once it is over, and the guest is told', () => {
  const device = realize();
  const call = startSsch();
  expect(machine.run(device.unplug())).toBe(true);
  finished(call);
  expect([call.cc, [...machine.kernel.open.values()], machine.channelReports]).toEqual([CC.NOT_OPERATIONAL, [], 1]);
  expect(machine.kernel.calls.slice(-4)).toEqual([
    'close device',
    'VFIO_GROUP_UNSET_CONTAINER',
    'close /dev/vfio/noiommu-7',
    'close /dev/vfio/vfio',
  ]);
  expect(machine.run(device.unplug())).toBe(false);
});

test('a device that is there says where its program lies', () => {
  const device = realize({ id: 'dasd0' });
  expect([device.plugged.id, device.driver, device.describe().group]).toEqual([
    'dasd0',
    'vfio-ccw-rfc',
    expect.stringMatching(/^noiommu-7 /),
  ]);
  expect(device.describe().program).toContain(`0x${FAKE_MMAP_VA.toString(16)}`);
  expect(FAKE_MMAP_VA).not.toBe(FAKE_RAM_VA);
});

test('a CPU that is to stop is let go by a reset, and only then', () => {
  const device = realize();
  machine.run(device.letCpuGo());
  expect(machine.kernel.calls).not.toContain('VFIO_DEVICE_RESET');
  const call = startSsch();
  machine.run(device.letCpuGo());
  finished(call);
  expect([call.cc, device.sch.schib.scsw.dstat]).toEqual([CC.EXPECTED, scsw.DSTAT.UNIT_EXCEP]);
  expect(machine.logs[0]).toBe('vfio-ccw-rfc 0.0.0313: a reset ends the request that keeps a CPU from stopping');
});
