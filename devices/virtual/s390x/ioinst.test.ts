import { beforeEach, describe, expect, test } from 'vitest';
import { CRW_ERC, CRW_RSC } from '../../../kernel/include/arch/s390/crw.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS, SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_FCTL_START_FUNC, SCSW_STCTL_STATUS_PEND } from '../../../kernel/include/arch/s390/scsw.ts';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { CRW_QUEUE_CAPACITY, channelReport } from './crw_queue.ts';
import { ChannelSubsystem } from './css.ts';
import { addFakeDevice, type FakeDevice } from './fake_device.ts';
import { IO_INSTRUCTIONS, ioinst } from './ioinst.ts';
import type { Subchannel } from './subchannel.ts';

const SCHID = 0x0001_0000n;
const AT = 0x4000;
/** An address where there is no RAM; aligned for everything. */
const NOWHERE = 0x100_0000;
const OPERAND = 0x15;
const SPECIFICATION = 6;
const ADDRESSING = 5;
const PRIVILEGED = 2;

let machine: FakeMachine;
let css: ChannelSubsystem;
let vcpu: FakeVcpu;
let sch: Subchannel;
let device: FakeDevice;

beforeEach(() => {
  machine = new FakeMachine();
  css = new ChannelSubsystem(machine);
  vcpu = new FakeVcpu(machine);
  ({ sch, device } = addFakeDevice(css));
});

const opcodeOf = (name: string) =>
  Number(Object.entries(IO_INSTRUCTIONS).find(([, row]) => row.name === name)?.[0] ?? Number.NaN);

/** Runs an instruction; a good operand is at AT. */
function execute(name: string, { gr1 = SCHID, operand = AT, gr2 = 0n } = {}) {
  const opcode = opcodeOf(name);
  vcpu.instruction([opcode >> 8, opcode & 0xff, 0, 0x20], operand);
  vcpu.setGpr(1, gr1);
  vcpu.setGpr(2, gr2);
  return machine.outcome(ioinst(css, vcpu));
}
function putOrb(change: (orb: ReturnType<typeof ORB.make>) => void = () => {}) {
  const orb = ORB.make({ intparm: 0xcafe, ctrl0: ORB_CTRL0.mask.F | ORB_CTRL0.mask.P, lpm: 0xff, cpa: 0x8000 });
  change(orb);
  machine.memory.bytes.set(ORB.bytes(orb), AT);
}
function putSchib(change: (schib: ReturnType<typeof SCHIB.make>) => void = () => {}) {
  const schib = SCHIB.make();
  schib.pmcw.flags = PMCW_FLAGS.set(PMCW_FLAGS.mask.E, 'ISC', 5);
  schib.pmcw.intparm = 0x1234;
  change(schib);
  machine.memory.bytes.set(SCHIB.bytes(schib), AT);
}

describe('every instruction', () => {
  for (const { name, length, alignment } of Object.values(IO_INSTRUCTIONS)) {
    test(`${name} in problem state is privileged`, () => {
      vcpu.problemState = true;
      expect(execute(name)).toEqual({ interruption: PRIVILEGED });
    });
    if (alignment > 1)
      test(`${name} with an operand off its boundary is a specification exception, before all others`, () => {
        expect(execute(name, { gr1: 0n, operand: NOWHERE + alignment / 2 })).toEqual({ interruption: SPECIFICATION });
      });
    if (length > 0 && !['tpi', 'tsch'].includes(name))
      test(`${name} with an operand outside storage is an addressing exception, before the identification`, () => {
        expect(execute(name, { gr1: ['stcrw', 'stcps'].includes(name) ? SCHID : 0n, operand: NOWHERE })).toEqual({
          interruption: ADDRESSING,
        });
      });
  }
  test('an unknown opcode is an operation exception', () => {
    vcpu.instruction([0xb2, 0x74]);
    expect(machine.outcome(ioinst(css, vcpu))).toEqual({ interruption: 1 });
  });
});

describe('identification', () => {
  const withId = ['csch', 'hsch', 'msch', 'ssch', 'stsch', 'tsch', 'rsch', 'xsch'];
  const bad = [0n, 0x0000_0001n, 0x0101_0000n, 0x0011_0000n, 0x00f1_0000n];
  for (const name of withId) {
    test(`${name} refuses a bad identification`, () => {
      putSchib();
      if (name === 'ssch') putOrb();
      for (const gr1 of bad) expect(execute(name, { gr1 })).toEqual({ interruption: OPERAND });
    });
    test(`${name} of no subchannel is not operational`, () => {
      putSchib();
      if (name === 'ssch') putOrb();
      expect(execute(name, { gr1: SCHID + 7n })).toEqual({ value: 3 });
    });
  }
  test('TSCH looks at the identification before the alignment', () => {
    expect(execute('tsch', { gr1: 0n, operand: AT + 1 })).toEqual({ interruption: OPERAND });
    expect(execute('tsch', { operand: AT + 1 })).toEqual({ interruption: SPECIFICATION });
    expect(execute('tsch', { operand: NOWHERE })).toEqual({ interruption: ADDRESSING });
  });
  test('the virtual css is css 0 to the guest, and has its own number when named', () => {
    expect(execute('stsch', { gr1: 0xfe09_0000n })).toEqual({ value: 0 });
    expect(execute('stsch', { gr1: 0x0009_0000n })).toEqual({ value: 3 });
    expect(css.identification(sch)).toBe(0x0001_0000);
    css.enableMcsse();
    expect(css.identification(sch)).toBe(0xfe09_0000);
  });
});

describe('ORB', () => {
  const refused: [string, (orb: ReturnType<typeof ORB.make>) => void][] = [
    ['transport mode', (orb) => (orb.ctrl0 |= ORB_CTRL0.mask.B)],
    ['MIDAWs', (orb) => (orb.ctrl1 |= 0x40)],
    ['reserved bits', (orb) => (orb.ctrl1 |= 0x02)],
    ['a 32-bit program address', (orb) => (orb.cpa = 0x8000_0000)],
  ];
  for (const [what, change] of refused)
    test(`with ${what} is an operand exception`, () => {
      putOrb(change);
      expect(execute('ssch')).toEqual({ interruption: OPERAND });
      expect(device.done).toEqual([]);
    });
});

describe('SSCH', () => {
  test('sets start function and start pending, and takes the interruption parameter', () => {
    putOrb();
    expect(execute('ssch')).toEqual({ value: 0 });
    expect(sch.schib.scsw.ctrl).toBe(0x4400);
    expect(sch.schib.pmcw.intparm).toBe(0xcafe);
    expect(sch.orb.cpa).toBe(0x8000);
  });
  test('leaves the subchannel as it was when the device refuses', () => {
    putOrb();
    sch.schib.pmcw.intparm = 7;
    sch.schib.scsw.flags = 1;
    for (const cc of [2, 3]) {
      device.cc = cc;
      const before = SCHIB.bytes(sch.schib).slice();
      expect(execute('ssch')).toEqual({ value: cc });
      expect(SCHIB.bytes(sch.schib)).toEqual(before);
      expect(sch.orb.cpa).toBe(0);
    }
  });
});

/** Condition codes by the subchannel's state: control halfword and what each instruction answers. */
const STATES: [string, number, Record<string, number>][] = [
  ['idle', 0, { ssch: 0, hsch: 0, csch: 0, rsch: 2, xsch: 2, msch: 0, tsch: 1 }],
  ['status pending', 0x4007, { ssch: 1, hsch: 1, csch: 0, rsch: 1, xsch: 1, msch: 1, tsch: 0 }],
  ['alert only', 0x0011, { ssch: 1, hsch: 1, csch: 0, rsch: 1, xsch: 1, msch: 1, tsch: 0 }],
  ['intermediate while active', 0x40c9, { ssch: 1, hsch: 0, csch: 0, rsch: 1, xsch: 1, msch: 1, tsch: 0 }],
  ['start pending', 0x4400, { ssch: 2, hsch: 0, csch: 0, rsch: 2, xsch: 0, msch: 2, tsch: 1 }],
  ['active', 0x40c0, { ssch: 2, hsch: 0, csch: 0, rsch: 2, xsch: 2, msch: 2, tsch: 1 }],
  ['suspended', 0x4020, { ssch: 2, hsch: 0, csch: 0, rsch: 0, xsch: 0, msch: 2, tsch: 1 }],
  ['resume pending', 0x4820, { ssch: 2, hsch: 0, csch: 0, rsch: 2, xsch: 0, msch: 2, tsch: 1 }],
  ['halt pending', 0x6200, { ssch: 2, hsch: 2, csch: 0, rsch: 2, xsch: 2, msch: 2, tsch: 1 }],
  ['clear pending', 0x1100, { ssch: 2, hsch: 2, csch: 0, rsch: 2, xsch: 2, msch: 2, tsch: 1 }],
];
describe('condition codes', () => {
  for (const [state, ctrl, codes] of STATES)
    test(`${state}`, () => {
      for (const [name, cc] of Object.entries(codes)) {
        if (name === 'ssch') putOrb();
        else putSchib();
        sch.schib.scsw.ctrl = ctrl;
        sch.schib.pmcw.flags |= PMCW_FLAGS.mask.E;
        expect([name, execute(name)]).toEqual([name, { value: cc }]);
      }
    });
  test('a disabled subchannel is not operational, except to STSCH and MSCH', () => {
    for (const name of ['ssch', 'hsch', 'csch', 'rsch', 'xsch', 'tsch']) {
      putOrb();
      sch.schib.pmcw.flags &= ~PMCW_FLAGS.mask.E;
      expect([name, execute(name)]).toEqual([name, { value: 3 }]);
    }
    expect(execute('stsch')).toEqual({ value: 0 });
  });
  test('HSCH keeps the start function and withdraws intermediate status', () => {
    sch.schib.scsw.ctrl = 0x40c9;
    execute('hsch');
    expect(sch.schib.scsw.ctrl).toBe(0x62c8);
  });
  test('CSCH leaves the clear function alone', () => {
    sch.schib.scsw.ctrl = 0x62c9;
    execute('csch');
    expect(sch.schib.scsw.ctrl).toBe(0x1100);
    expect(sch.schib.pmcw.pom).toBe(0xff);
  });
});

describe('MSCH and STSCH', () => {
  test('only what may be changed is changed', () => {
    putSchib((schib) => {
      schib.pmcw.pim = 0x55;
      schib.pmcw.devno = 9;
      schib.pmcw.chars = PMCW_CHARS.mask.CSENSE;
      schib.pmcw.mbi = 3;
    });
    expect(execute('msch')).toEqual({ value: 0 });
    const { pmcw } = sch.schib;
    expect([pmcw.intparm, sch.isc, pmcw.pim, pmcw.devno, pmcw.chars, pmcw.mbi]).toEqual([0x1234, 5, 0, 0x1234, 1, 3]);
  });
  const refused: [string, (schib: ReturnType<typeof SCHIB.make>) => void][] = [
    ['reserved flags', (schib) => (schib.pmcw.flags |= 0x0400)],
    ['reserved characteristics', (schib) => (schib.pmcw.chars = 0x8)],
    ['extended measurement', (schib) => (schib.pmcw.chars = PMCW_CHARS.mask.XMWME)],
    [
      'a measurement block off its boundary',
      (schib) => {
        schib.pmcw.chars = PMCW_CHARS.mask.MBFC;
        schib.mba = 0x20;
      },
    ],
  ];
  for (const [what, change] of refused)
    test(`${what}: operand exception`, () => {
      putSchib(change);
      expect(execute('msch')).toEqual({ interruption: OPERAND });
    });
  test('STSCH stores the SCHIB; zeros for a hole; cc 3 beyond the last', () => {
    const { sch: second } = addFakeDevice(css);
    machine.run(css.remove(sch));
    machine.memory.bytes.fill(0xee, AT, AT + 52);
    expect(execute('stsch')).toEqual({ value: 0 });
    expect(machine.memory.bytes.slice(AT, AT + 52)).toEqual(new Uint8Array(52));
    expect(execute('stsch', { gr1: SCHID + 1n })).toEqual({ value: 0 });
    expect(machine.memory.bytes.slice(AT, AT + 52)).toEqual(SCHIB.bytes(second.schib));
    expect(execute('stsch', { gr1: SCHID + 2n })).toEqual({ value: 3 });
    expect(execute('stsch', { gr1: 0x0003_0000n })).toEqual({ value: 3 });
    machine.run(css.remove(second));
    for (const gr1 of [SCHID, SCHID + 1n]) expect(execute('stsch', { gr1 })).toEqual({ value: 3 });
  });
});

describe('TSCH and TPI', () => {
  test('a TSCH that faults gives the interruption back to KVM and keeps the status', () => {
    sch.schib.scsw.ctrl = SCSW_FCTL_START_FUNC | SCSW_STCTL_STATUS_PEND;
    vcpu.instruction([0xb2, 0x35], NOWHERE).setGpr(1, SCHID);
    const dequeued = { subsystemId: 0x10000, intparm: 5, word: (3 << 27) >>> 0 };
    expect(machine.outcome(ioinst(css, vcpu, dequeued))).toEqual({ interruption: ADDRESSING });
    expect(machine.io).toEqual([{ subsystemId: 0x10000, intparm: 5, isc: 3 }]);
    expect(sch.schib.scsw.ctrl & SCSW_STCTL_STATUS_PEND).toBe(1);
  });
  test('TPI stores two words, three of them in lowcore for address 0, none without an interruption', () => {
    expect(execute('tpi')).toEqual({ value: 0 });
    const dequeued = { subsystemId: 0x10000, intparm: 0xabcd, word: 0x18000000 };
    vcpu.instruction([0xb2, 0x36], AT);
    expect(machine.outcome(ioinst(css, vcpu, dequeued))).toEqual({ value: 1 });
    expect(Buffer.from(machine.memory.bytes.slice(AT, AT + 12)).toString('hex')).toBe('000100000000abcd00000000');
    vcpu.prefix = 0x2000;
    vcpu.instruction([0xb2, 0x36], 0);
    expect(machine.outcome(ioinst(css, vcpu, dequeued))).toEqual({ value: 1 });
    expect(Buffer.from(machine.memory.bytes.slice(0x20b8, 0x20c4)).toString('hex')).toBe('000100000000abcd18000000');
  });
});

describe('channel reports', () => {
  const report = channelReport(CRW_RSC.SUBCH, CRW_ERC.IPI, 5);
  test('one machine check until STCRW has found nothing', () => {
    machine.run(css.queueReport(report));
    machine.run(css.queueReport(report));
    expect(machine.channelReports).toBe(1);
    expect(execute('stcrw')).toEqual({ value: 0 });
    expect(Buffer.from(machine.memory.bytes.slice(AT, AT + 4)).toString('hex')).toBe('03040005');
    expect(execute('stcrw')).toEqual({ value: 0 });
    machine.run(css.queueReport(report));
    expect(machine.channelReports).toBe(1);
    expect(execute('stcrw')).toEqual({ value: 0 });
    expect(execute('stcrw')).toEqual({ value: 1 });
    machine.run(css.queueReport(report));
    expect(machine.channelReports).toBe(2);
  });
  test('a report that cannot be stored is not lost', () => {
    machine.run(css.queueReport(report));
    expect(execute('stcrw', { operand: NOWHERE })).toEqual({ interruption: ADDRESSING });
    expect(execute('stcrw')).toEqual({ value: 0 });
  });
  test('a guest that never looks gets an overflow mark', () => {
    for (let i = 0; i <= CRW_QUEUE_CAPACITY; i++) css.reports.add(report);
    css.reports.take();
    css.reports.add(report);
    let last = css.reports.take();
    for (let next = css.reports.take(); next !== undefined; next = css.reports.take()) last = next;
    expect(last?.flags).toBe(report.flags | 0x2000);
  });
  test('a subchannel report is chained once the guest knows of sets', () => {
    machine.run(css.reportSubchannel(sch));
    css.enableMss();
    machine.run(css.reportSubchannel(sch));
    const flags = [css.reports.take(), css.reports.take(), css.reports.take()].map((crw) => crw?.flags);
    expect(flags).toEqual([0x0304, 0x1304, 0x0304]);
  });
});

describe('the others', () => {
  test('RCHP resets a virtual path with a report; a path of the host is not the guest’s', () => {
    expect(execute('rchp', { gr1: 0x0000_0100n })).toEqual({ interruption: OPERAND });
    expect(execute('rchp', { gr1: 0x0001_0000n })).toEqual({ interruption: OPERAND });
    expect(execute('rchp', { gr1: 0n })).toEqual({ value: 3 });
    css.paths.set(0x80, { type: 0x1b, isVirtual: false });
    expect(execute('rchp', { gr1: 0x80n })).toEqual({ value: 3 });
    css.paths.set(0, { type: 0x32, isVirtual: true });
    expect(execute('rchp', { gr1: 0n })).toEqual({ value: 0 });
    expect(css.reports.take()).toEqual({ flags: 0x4402, rsid: 0 });
    css.enableMcsse();
    css.paths.set(0x33, { type: 0x32, isVirtual: true });
    expect(execute('rchp', { gr1: 0x33n })).toEqual({ interruption: OPERAND });
    expect(execute('rchp', { gr1: 0xfe_0033n })).toEqual({ value: 0 });
    expect([css.reports.take(), css.reports.take()]).toEqual([
      { flags: 0x5402, rsid: 0x33 },
      { flags: 0x4402, rsid: 0xfe00 },
    ]);
  });
  test('STCPS tells the paths of what runs', () => {
    Object.assign(sch.schib.pmcw, { lpum: 0x40, chpid: Uint8Array.of(0x10, 0x81, 0, 0, 0, 0, 0, 0) });
    machine.memory.bytes.fill(0xee, AT, AT + 32);
    expect(execute('stcps')).toEqual({ value: -1 });
    expect([...machine.memory.bytes.slice(AT, AT + 32)]).toEqual(new Array(32).fill(0));
    sch.schib.scsw.ctrl = 0x40c0;
    execute('stcps');
    expect(machine.memory.bytes[AT + 0x10]).toBe(0x40);
    expect(machine.memory.bytes.slice(AT, AT + 32).filter((byte) => byte !== 0).length).toBe(1);
    expect(execute('stcps', { operand: NOWHERE })).toEqual({ interruption: ADDRESSING });
  });
  test('SAL and SCHM check their registers', () => {
    expect(execute('sal', { gr1: 0x8000_0000n })).toEqual({ interruption: OPERAND });
    expect(execute('sal', { gr1: 0x1n })).toEqual({ interruption: OPERAND });
    expect(execute('sal', { gr1: 0x7fff_0000n })).toEqual({ value: -1 });
    expect(execute('schm', { gr1: 0x4n })).toEqual({ interruption: OPERAND });
    expect(execute('schm', { gr1: 2n, gr2: 0x10n })).toEqual({ interruption: OPERAND });
    expect(execute('schm', { gr1: 1n, gr2: 0x10n })).toEqual({ value: -1 });
  });
  test('reset leaves the device and forgets the guest', () => {
    putSchib();
    execute('msch');
    css.enableMss();
    machine.run(css.reset());
    expect(sch.operational).toBe(false);
    expect(sch.schib.pmcw.flags).toBe(PMCW_FLAGS.mask.V);
    expect(sch.schib.pmcw.devno).toBe(0x1234);
  });
  test('a device number that is taken is refused by name', () => {
    expect(() => css.place(0x1234)).toThrow('device number fe.0.1234 is in use');
    expect(css.place().schid).toBe(1);
  });
});
