import { beforeEach, describe, expect, test } from 'vitest';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS, SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { ERRNO, Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { type FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { ChannelSubsystem } from '../s390x/css.ts';
import { addFakeDevice } from '../s390x/fake_device.ts';
import { ioinst } from '../s390x/ioinst.ts';
import { VFIOCCWDevice, type VfioCcwOptions } from './ccw.ts';
import { FUNCTION_ERRNO, functionOutcome, RESULT_ERRNO, UNIT_EXCEPTION } from './ccw_errno.ts';
import { ASYNC, CRW, FakeCcwKernel, PARENT, SCHIB_REGION, SYSFSDEV } from './fake_ccw_kernel.ts';

/** File offset of the I/O region. */
const IO = 0;
let host: FakeCcwKernel;
let machine: FakeMachine;
let css: ChannelSubsystem;
function setUp(seed = 1): void {
  host = new FakeCcwKernel(seed);
  machine = host.machine;
  css = new ChannelSubsystem(machine);
}
beforeEach(() => setUp());
function realize(options: Partial<VfioCcwOptions> = {}): VFIOCCWDevice {
  const device = machine.run(VFIOCCWDevice.realize(css, { sysfsdev: SYSFSDEV, ...options }));
  device.sch.schib.pmcw.flags |= PMCW_FLAGS.set(PMCW_FLAGS.mask.E, 'ISC', 3);
  return device;
}
function instruction(opcode: number, operand = 0x4000) {
  const vcpu = new FakeVcpu(machine).instruction([opcode >> 8, opcode & 0xff], operand);
  vcpu.setGpr(1, 0x0001_0000n);
  return machine.outcome(ioinst(css, vcpu));
}
function ssch(ctrl0: number = ORB_CTRL0.mask.F | ORB_CTRL0.mask.P) {
  const orb = ORB.make({ intparm: 0xcafe, ctrl0, lpm: 0xff, cpa: 0x8000 });
  machine.memory.bytes.set(ORB.bytes(orb), 0x4000);
  return instruction(0xb233);
}
const HSCH = 0xb231;
const CSCH = 0xb230;
const TSCH = 0xb235;
const STSCH = 0xb234;
/** The kernel signals an interrupt; runs until the VMM has served it. */
function signal(index: number, served: () => boolean) {
  machine.kernel.signal(host.eventfds[index]);
  machine.runUntil(served);
}

describe('realise', () => {
  test('goes in QEMU’s order', () => {
    const device = realize();
    expect(machine.kernel.calls).toEqual([
      'open /dev/vfio/vfio',
      'VFIO_GET_API_VERSION',
      'VFIO_CHECK_EXTENSION',
      'open /dev/vfio/7',
      'VFIO_GROUP_GET_STATUS',
      'VFIO_GROUP_SET_CONTAINER',
      'VFIO_SET_IOMMU',
      'VFIO_IOMMU_MAP_DMA',
      'VFIO_GROUP_GET_DEVICE_FD',
      'VFIO_DEVICE_GET_INFO',
      'VFIO_DEVICE_GET_REGION_INFO',
      ...new Array(6).fill('VFIO_DEVICE_GET_REGION_INFO'),
      ...new Array(3).fill(['VFIO_DEVICE_GET_IRQ_INFO', 'VFIO_DEVICE_SET_IRQS']).flat(),
    ]);
    expect(machine.trace.filter(([event]) => event === 'vfio_ccw_Q1').map((row) => row.slice(1))).toEqual([
      [0x313, 0, 124],
      [0x313, ASYNC, 8],
      [0x313, SCHIB_REGION, 52],
      [0x313, CRW, 8],
    ]);
    expect(machine.trace.filter(([event]) => event === 'vfio_ccw_Q2').length).toBe(3);
    const { pmcw } = device.sch.schib;
    expect([pmcw.pim, pmcw.pam, pmcw.pom, [...pmcw.chpid.slice(0, 2)], pmcw.devno]).toEqual([
      0xc0,
      0xc0,
      0xff,
      [0x80, 0x81],
      0,
    ]);
    expect([css.paths.get(0x80)?.type, css.paths.get(0x81)?.type]).toEqual([0x1b, 0]);
    expect(machine.channelReports).toBe(0);
  });
  const refusals: [string, () => void, string, Partial<VfioCcwOptions>?][] = [
    ['no such device', () => machine.kernel.links.delete(SYSFSDEV), 'does not exist: create the mediated device first'],
    [
      'no subchannel above it',
      () => machine.kernel.links.set(SYSFSDEV, '../../../devices/matrix/x'),
      'its parent is matrix, not like 0.0.0000',
    ],
    [
      'masks that are none',
      () => machine.kernel.files.set(`${PARENT}/pimpampom`, 'none'),
      `${PARENT}/pimpampom holds "none", not 3 hexadecimal bytes`,
    ],
    [
      'group not viable',
      () => machine.kernel.ioctls.set('VFIO_GROUP_GET_STATUS', () => 0),
      'vfio-ccw 0.0.0313: IOMMU group 7 is not viable: bind every device of the group to its vfio driver',
    ],
    [
      'another API',
      () => machine.kernel.ioctls.set('VFIO_GET_API_VERSION', () => 1),
      'vfio: the kernel speaks API version 1, this VMM needs 0',
    ],
    [
      'no backend',
      () => machine.kernel.ioctls.set('VFIO_CHECK_EXTENSION', () => 0),
      'vfio: the kernel has no IOMMU backend of type 3',
    ],
    [
      'not a channel device',
      () => {
        host.device.flags = 1;
      },
      'vfio-ccw 0.0.0313: this is no channel I/O device',
    ],
    [
      'no regions',
      () => {
        host.device.regions = [];
      },
      'vfio-ccw 0.0.0313: the device has no regions',
    ],
    ...['I/O', 'async', 'schib', 'crw'].map((name, i): [string, () => void, string] => [
      `${name} region of a wrong size`,
      () => {
        host.device.regions[i].size++;
      },
      `vfio-ccw 0.0.0313: the ${name} region has`,
    ]),
    [
      'no I/O interrupt',
      () => {
        host.device.irqs[0] = 0;
      },
      'vfio-ccw 0.0.0313 io: the device has no interrupt of index 0',
    ],
    [
      'a CRW region without its interrupt',
      () => {
        host.device.irqs[1] = 0;
      },
      'vfio-ccw 0.0.0313 crw: the device has no interrupt of index 1',
    ],
  ];
  for (const [what, change, message, options] of refusals)
    test(`refused: ${what}; nothing stays open`, () => {
      change();
      expect(() => realize(options)).toThrow(message);
      machine.runUntil(() => machine.kernel.open.size === 0);
      expect([...css.subchannels()]).toEqual([]);
    });
  test('the same host subchannel twice is refused', () => {
    realize();
    expect(() => realize()).toThrow('vfio-ccw 0.0.0313: this subchannel of the host is in the machine already');
  });
  test('without a request interrupt there is a warning only', () => {
    host.device.irqs[2] = 0;
    realize();
    expect(machine.logs[0]).toContain('vfio-ccw 0.0.0313: warning: no request notifier');
  });
  test('absent regions are features that are off', () => {
    host.device.regions = [host.device.regions[0]];
    const device = realize({ devno: 0x1234 });
    expect(device.regions.async).toBeUndefined();
    expect(host.eventfds[1]).toBe(-1);
    expect(device.sch.schib.pmcw.devno).toBe(0x1234);
    expect(instruction(STSCH)).toEqual({ value: 0 });
  });
  test('a device plugged into a running machine is reported, after paths that are new to the guest', () => {
    css.paths.set(0x80, { type: 0x1b, isVirtual: false });
    realize({ hotplugged: true });
    expect(machine.channelReports).toBe(1);
    expect([css.reports.take(), css.reports.take(), css.reports.take()]).toEqual([
      { flags: 0x0b00, rsid: 0 },
      { flags: 0x0304, rsid: 0 },
      undefined,
    ]);
    expect(css.events.take()?.[7]).toBe(0x81);
    expect(css.events.take()).toBeUndefined();
  });
  test('a name that another device has is refused', () => {
    const { sch } = addFakeDevice(css);
    Object.assign(sch.operations, { plugged: { id: 'dasd0' } });
    expect(() => realize({ id: 'dasd0' })).toThrow('vfio-ccw 0.0.0313: id=dasd0 is another device');
    expect(realize({ id: 'dasd1' }).id).toBe('dasd1');
  });
  test('a device in another subchannel set is seen once the guest has enabled sets', () => {
    const device = realize({ ssid: 1, devno: 0x190 });
    expect([device.sch.name, device.describe().devno]).toEqual(['0.1.0000', 'fe.1.0190']);
    const find = () => css.find({ m: false, cssid: 0, ssid: 1, schid: 0 });
    expect(find()).toBeUndefined();
    css.enableMss();
    expect(find()).toBe(device.sch);
    expect(css.identification(device.sch)).toBe(0x0003_0000);
  });
  test('KVM learns of the group', () => {
    machine.kvmVfioFd = 9;
    const seen: number[] = [];
    machine.kernel.ioctls.set('KVM_SET_DEVICE_ATTR', ({ fd, view }) => {
      expect([fd, view.group]).toEqual([9, 1]);
      seen.push(view.attr, new DataView(machine.kernel.heap.blocks.get(view.addr)!.buffer).getInt32(0, true));
      return 0;
    });
    const device = realize();
    const groupFd = [...machine.kernel.open].find(([, path]) => path === '/dev/vfio/7')?.[0];
    machine.run(device.unplug());
    expect(seen).toEqual([1, groupFd, 2, groupFd]);
    expect(machine.kernel.heap.blocks.size).toBe(0);
  });
});

describe('start', () => {
  test('writes ORB and SCSW, whole', () => {
    realize();
    expect(ssch()).toEqual({ value: 0 });
    expect(host.writes.length).toBe(1);
    expect([host.writes[0].offset, host.writes[0].bytes.length]).toEqual([IO, 124]);
    expect(Buffer.from(host.writes[0].bytes.slice(0, 12)).toString('hex')).toBe('0000cafe00c0ff0000008000');
    expect(Buffer.from(host.writes[0].bytes.slice(12, 16)).toString('hex')).toBe('00004400');
    expect(
      machine.trace
        .map(([event]) => event)
        .filter((event) => event.startsWith('vfio_ccw_Q'))
        .slice(-3),
    ).toEqual(['vfio_ccw_Q3', 'vfio_ccw_Q4', 'vfio_ccw_Q5']);
  });
  test('while the kernel is busy the write is repeated', () => {
    realize();
    host.writeErrors = ['EAGAIN', 'EAGAIN'];
    expect(ssch()).toEqual({ value: 0 });
    expect(host.writes.length).toBe(3);
  });
  test('a short write is a unit exception', () => {
    realize();
    machine.kernel.write = () => 12;
    expect(ssch()).toEqual({ value: 0 });
    expect(machine.io.length).toBe(1);
  });
  test('prefetch is forced on request, with one warning', () => {
    realize({ forceOrbPfch: true });
    ssch(ORB_CTRL0.mask.F);
    instruction(CSCH);
    expect(host.writes[0].bytes[5]).toBe(0xc0);
    expect(machine.logs.length).toBe(1);
  });
  test('prefetch is left alone by default', () => {
    realize();
    ssch(ORB_CTRL0.mask.F);
    expect(host.writes[0].bytes[5]).toBe(0x80);
  });
});

describe('errno to condition code', () => {
  const functions = [
    ['ssch', () => ssch()],
    ['hsch', () => instruction(HSCH)],
    ['csch', () => instruction(CSCH)],
  ] as const;
  const names = (Object.keys(ERRNO) as ErrnoName[]).filter((name) => name !== 'EAGAIN');
  const expected: Partial<Record<ErrnoName, number[]>> = { EBUSY: [2, 2, -1], ENODEV: [3, 3, 3], EACCES: [3, 3, 3] };
  test('the table has the rows of the interface', () => {
    expect(Object.keys(FUNCTION_ERRNO).sort()).toEqual(['EACCES', 'EBUSY', 'ENODEV']);
    expect(functionOutcome('ssch', 'EFAULT')).toBe(UNIT_EXCEPTION);
  });
  for (const name of names)
    test(name, () => {
      for (const [i, [, run]] of functions.entries()) {
        machine.io.length = 0;
        const fresh = new ChannelSubsystem(machine);
        css = fresh;
        const { sch } = realize();
        const before = SCHIB.bytes(sch.schib).slice();
        host.writeErrors = [name];
        const cc = expected[name]?.[i] ?? -1;
        expect(run()).toEqual({ value: Math.max(cc, 0) });
        if (cc > 0) {
          expect(SCHIB.bytes(sch.schib)).toEqual(before);
          expect(machine.io).toEqual([]);
          continue;
        }
        const { scsw } = sch.schib;
        expect([scsw.ctrl & 0x1f, scsw.ctrl & 0x0400, scsw.dstat, scsw.cstat]).toEqual([0x17, 0, 1, 0]);
        expect(scsw.cpa).toBe(i === 0 ? 0x8008 : 8);
        expect(machine.io).toEqual([{ subsystemId: 0x10000, intparm: i === 0 ? 0xcafe : 0, isc: 3 }]);
      }
    });
});

describe('halt and clear', () => {
  test('are commands of the command region', () => {
    realize();
    ssch();
    expect(instruction(HSCH)).toEqual({ value: 0 });
    expect(instruction(CSCH)).toEqual({ value: 0 });
    expect(host.writes.slice(1).map(({ offset, bytes }) => [offset, [...bytes]])).toEqual([
      [ASYNC, [1, 0, 0, 0, 0, 0, 0, 0]],
      [ASYNC, [2, 0, 0, 0, 0, 0, 0, 0]],
    ]);
  });
  test.each([
    ['halt', HSCH, 0x4],
    ['clear', CSCH, 0],
  ])('without the region a %s is pretended, with an interruption', (_what, opcode, dstat) => {
    host.device.regions.length = 1;
    const { sch } = realize();
    expect(instruction(opcode)).toEqual({ value: 0 });
    expect([sch.schib.scsw.ctrl & 0x1f, sch.schib.scsw.ctrl & 0x0300, sch.schib.scsw.dstat]).toEqual([1, 0, dstat]);
    expect(machine.io.length).toBe(1);
    expect(host.writes).toEqual([]);
  });
  test('RSCH sends the held ORB again', () => {
    const { sch } = realize();
    ssch();
    sch.schib.scsw.ctrl = 0x4020;
    expect(instruction(0xb238)).toEqual({ value: 0 });
    expect(host.writes[1].bytes.slice(0, 12)).toEqual(host.writes[0].bytes.slice(0, 12));
  });
});

describe('results', () => {
  test('the IRB becomes the status, and the interruption is the guest’s own', () => {
    const { sch } = realize();
    sch.schib.pmcw.chars = PMCW_CHARS.mask.CSENSE;
    ssch();
    Object.assign(host.irb.scsw, { ctrl: 0x4007, cpa: 0x8010, dstat: 0x0e, cstat: 0x40, count: 5, flags: 0x0082 });
    host.irb.erw = 0x01200000;
    host.irb.ecw[1] = 0x08;
    expect(machine.hostIos).toBe(1);
    signal(0, () => machine.io.length === 1);
    expect(machine.hostIos).toBe(0);
    expect(machine.io).toEqual([{ subsystemId: 0x10000, intparm: 0xcafe, isc: 3 }]);
    expect(instruction(TSCH)).toEqual({ value: 0 });
    expect(machine.memory.bytes.slice(0x4000, 0x4040)).toEqual(IRB.bytes(host.irb));
    expect(instruction(TSCH)).toEqual({ value: 1 });
    expect(machine.trace.some(([event]) => event === 'vfio_ccw_Q6')).toBe(true);
    expect(machine.trace.filter(([event]) => event === 'vfio_ccw_Q7')).toEqual([['vfio_ccw_Q7', 0x313, 0xcafe, 3]]);
  });
  /** Error of the read: status control, subchannel status, deferred condition code. */
  const errors: [ErrnoName | 'short', number, number, number][] = [
    ['ENODEV', 0x11, 0, 3],
    ['EFAULT', 0x17, 0x08, 0],
    ['EIO', 0x17, 0x20, 0],
    ['EINVAL', 0x17, 0x20, 0],
    ['short', 0x17, 0x04, 0],
  ];
  for (const [error, stctl, cstat, cc] of errors)
    test(`a read that fails with ${error} is a status too`, () => {
      const { sch } = realize();
      ssch();
      host.readError = error;
      signal(0, () => machine.io.length === 1);
      const { scsw } = sch.schib;
      expect([scsw.ctrl & 0x1f, scsw.cstat, scsw.ctrl & 0x0400]).toEqual([stctl, cstat, 0]);
      expect((scsw.flags >> 8) & 3).toBe(cc);
    });
  test('every row of the table is among them', () => {
    expect(Object.keys(RESULT_ERRNO).sort()).toEqual(['EFAULT', 'ENODEV', 'default', 'short']);
  });
  test('signals before the handler runs are one interruption', () => {
    realize();
    machine.kernel.signal(host.eventfds[0]);
    signal(0, () => machine.io.length === 1);
    expect(() => machine.runUntil(() => machine.io.length === 2)).toThrow('nothing can run');
  });
  test('an interruption never overtakes the condition code of its SSCH, in any interleaving', () => {
    for (let seed = 1; seed < 60; seed++) {
      setUp(seed);
      const { sch } = realize();
      host.irb.scsw.ctrl = 0x4007;
      // The device is done before the write returns.
      machine.kernel.write = (_fd, bytes) => {
        machine.kernel.signal(host.eventfds[0]);
        return bytes.length;
      };
      expect(ssch()).toEqual({ value: 0 });
      machine.runUntil(() => machine.io.length === 1);
      expect(sch.schib.scsw.ctrl).toBe(0x4007);
    }
  });
});

describe('the rest', () => {
  test('STSCH takes path state from the host; an error changes nothing', () => {
    const { sch } = realize();
    Object.assign(host.schib.pmcw, { pnom: 1, lpum: 0x40, pam: 0x80, pom: 0x7f, pim: 0x11, intparm: 9 });
    host.schib.scsw.flags = 1;
    expect(instruction(STSCH)).toEqual({ value: 0 });
    const { pmcw, scsw } = sch.schib;
    expect([pmcw.pnom, pmcw.lpum, pmcw.pam, pmcw.pom, pmcw.pim, pmcw.intparm, scsw.flags]).toEqual([
      1, 0x40, 0x80, 0x7f, 0xc0, 0, 1,
    ]);
    host.readError = 'ENODEV';
    expect(instruction(STSCH)).toEqual({ value: 0 });
    expect(machine.logs.length).toBe(1);
  });
  test('channel reports are fetched until there are no more', () => {
    realize();
    host.crws = [0x0406_0080, 0x0402_0080];
    signal(1, () => host.crws.length === 0);
    machine.runUntil(() => machine.channelReports === 1);
    expect(css.reports.take()).toEqual({ flags: 0x0406, rsid: 0x80 });
    expect(css.reports.take()).toEqual({ flags: 0x0402, rsid: 0x80 });
  });
  test('a request from the host unplugs the device', () => {
    realize();
    signal(2, () => machine.channelReports === 1 && machine.kernel.open.size === 0);
    expect([...css.subchannels()]).toEqual([]);
    expect(css.reports.take()).toEqual({ flags: 0x0304, rsid: 0 });
    expect(instruction(STSCH)).toEqual({ value: 3 });
    expect(ssch()).toEqual({ value: 3 });
    expect(host.eventfds).toEqual([-1, -1, -1]);
  });
  test('unplugged by host and monitor at once: once, and the second waits for the first, in any interleaving', () => {
    for (let seed = 1; seed < 40; seed++) {
      setUp(seed);
      const device = realize();
      machine.kernel.signal(host.eventfds[2]);
      const mine = machine.run(device.unplug());
      expect(machine.kernel.open.size, `seed ${seed}`).toBeLessThan(4);
      machine.runUntil(() => machine.kernel.open.size === 0);
      const reports = [css.reports.take(), css.reports.take()];
      expect([seed, typeof mine, reports]).toEqual([seed, 'boolean', [{ flags: 0x0304, rsid: 0 }, undefined]]);
      expect(machine.run(device.unplug())).toBe(false);
    }
  });
  test('unplugged with status pending: nothing of it is left, and the place is free for the next', () => {
    const device = realize();
    ssch();
    signal(0, () => machine.io.length === 1);
    machine.run(device.unplug());
    expect(machine.io).toEqual([]);
    const again = realize({ hotplugged: true });
    expect([again.sch.name, again.sch.schib.scsw.ctrl]).toEqual(['0.0.0000', 0]);
  });
  test('status of a disabled subchannel is taken and dropped', () => {
    const { sch } = realize();
    sch.schib.pmcw.flags &= ~PMCW_FLAGS.mask.E;
    host.irb.scsw.ctrl = 0x0011;
    const reads: number[] = [];
    const read = machine.kernel.read;
    machine.kernel.read = (fd, count, offset) => {
      reads.push(offset);
      return read(fd, count, offset);
    };
    signal(0, () => reads.length === 1);
    expect(() => machine.runUntil(() => machine.io.length === 1)).toThrow('nothing can run');
    expect(sch.schib.scsw.ctrl).toBe(0);
  });
  test('an instruction that waits while the device goes finds nothing', () => {
    const device = realize();
    const outcomes: number[] = [];
    const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x31]);
    vcpu.setGpr(1, 0x0001_0000n);
    machine.run(device.sch.lock.lock());
    machine.actor.spawn(
      'vcpu',
      (function* (): Task {
        outcomes.push(yield* ioinst(css, vcpu));
      })(),
    );
    machine.run(css.remove(device.sch));
    device.sch.lock.unlock();
    machine.runUntil(() => outcomes.length === 1);
    expect(outcomes).toEqual([3]);
  });
  test('machine reset resets the device, whatever the kernel says', () => {
    realize();
    machine.kernel.ioctls.set('VFIO_DEVICE_RESET', () => {
      throw new Errno('EINVAL', 'reset');
    });
    machine.run(css.reset());
    expect(machine.kernel.calls.at(-1)).toBe('VFIO_DEVICE_RESET');
  });
  test('the host works at no I/O after a reset, nor at one whose status came too late', () => {
    const { sch } = realize();
    ssch();
    sch.schib.pmcw.flags &= ~PMCW_FLAGS.mask.E;
    signal(0, () => machine.hostIos === 0);
    sch.schib.pmcw.flags |= PMCW_FLAGS.mask.E;
    sch.schib.scsw.ctrl = 0;
    ssch();
    expect(machine.hostIos).toBe(1);
    machine.kernel.ioctls.set('VFIO_DEVICE_RESET', () => 0);
    machine.run(css.reset());
    expect(machine.hostIos).toBe(0);
  });
});
