/** Hot-plug events: the log that a guest is given, byte by byte, and the interrupt that announces it. */
import { expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { FakeMachine } from '../fake_machine.ts';
import { SpaprHypercalls } from './spapr_hcall.ts';

const [SET_XIVE, CHECK_EXCEPTION, EVENT_SCAN] = [0x200a, 0x200e, 0x200f];
const SOURCE = 0x1001;
const [EPOW, HOT_PLUG] = [0x4000_0000, 0x1000_0000];
const [ADD, REMOVE] = [1, 2];
const DRC = 0x4001_0008;
const LOG = 116;
const [BUFFER, LOG_BUFFER] = [0x4000, 0x5000];
/** 20 November 2026, 12:34:56, in units of the TOD clock: days since 1900, then seconds. */
const TOD = BigInt((46344 * 24 + 12) * 3600 + 34 * 60 + 56) * 4_096_000_000n;

function machineWithEvents() {
  const machine = new FakeMachine();
  const hypercalls = new SpaprHypercalls(machine, {
    tier: 'vmm',
    mark: () => {},
    platform: { tod: () => TOD, osTerm: () => {} },
  });
  const { events } = hypercalls;
  machine.kernel.ioctls.set('KVM_ENABLE_CAP', () => 0);
  const hcall = (token: number, ...args: number[]) => machine.run(hypercalls.hypercall(token, args.map(BigInt)));
  function rtas(token: number, ...args: number[]): number {
    const dv = new DataView(machine.memory.bytes.buffer);
    [token, args.length, 1, ...args].forEach((word, i) => {
      dv.setUint32(BUFFER + 4 * i, word >>> 0);
    });
    hcall(HCALL.H_RTAS, BUFFER);
    return dv.getInt32(BUFFER + 4 * (3 + args.length));
  }
  return {
    machine,
    hypercalls,
    events,
    rtas,
    tell: (action = ADD, drc = DRC) => machine.run(events.hotplug(action, drc)),
    /** check-exception into {@link LOG_BUFFER}. */
    check: (mask = HOT_PLUG, buffer = LOG_BUFFER, length = 2048) =>
      rtas(CHECK_EXCEPTION, 0x500, SOURCE, mask, 0, buffer, length),
    hear(): void {
      rtas(SET_XIVE, SOURCE, 0, 5);
      hcall(HCALL.H_CPPR, 0xff);
    },
    /** Sources that are presented now, each ended. */
    served(): number[] {
      const found: number[] = [];
      for (;;) {
        const xirr = Number(hcall(HCALL.H_XIRR).out[0]);
        if ((xirr & 0xff_ffff) === 0) return found;
        found.push(xirr & 0xff_ffff);
        hcall(HCALL.H_EOI, xirr);
      }
    },
    log: (length = LOG) => Buffer.from(machine.memory.bytes.subarray(LOG_BUFFER, LOG_BUFFER + length)),
  };
}

test('the log says what, when and where: a version 6 log with the sections PH, UH and HP', () => {
  const { tell, check, log } = machineWithEvents();
  tell();
  expect(check()).toBe(0);
  expect(
    log()
      .toString('hex')
      .match(/.{1,8}/g),
  ).toEqual([
    // Version 6, an event, not recovered, with an extended part of 108 bytes; initiator and type hot plug.
    ...['063460e5', '0000006c'],
    // Valid, new, big-endian; PowerPC, platform event; IBM.
    ...['86008e00', '00000000', '00000000', '49424d00'],
    // PH, 48 bytes: 2026-11-20, 12:34:56, by H, three sections, log 0.
    ...['50480030', '00000000', '20261120', '12345600', '00000000', '00000000', '48000003'],
    ...['00000000', '00000000', '00000000', '00000000', '00000000'],
    // UH, 24 bytes.
    ...['55480018', '00000000', '80000000', '00000000', '00000000', '00000000'],
    // HP, 20 bytes, version 1: a PCI device is added, named by index.
    ...['48500014', '01000000', '05010200', '40010008', '00000000'],
  ]);
});

test('events come in their order, each once; the interrupt comes again while there are any', () => {
  const { tell, check, hear, served, log } = machineWithEvents();
  hear();
  tell(ADD, 0x4000_0000);
  expect(served()).toEqual([SOURCE]);
  tell(REMOVE, 0x4000_0008);
  expect(served()).toEqual([SOURCE]);
  expect([check(), log().readUInt8(105), log().readUInt32BE(108)]).toEqual([0, ADD, 0x4000_0000]);
  expect(served()).toEqual([SOURCE]);
  expect([check(), log().readUInt8(105), log().readUInt32BE(108)]).toEqual([0, REMOVE, 0x4000_0008]);
  expect([check(), served()]).toEqual([1, []]);
  // The second log has a number of its own.
  expect(log().readUInt32BE(64)).toBe(1);
});

test.each([
  ['no class', 0, LOG_BUFFER, 2048, 1],
  ['another class', EPOW, LOG_BUFFER, 2048, 1],
  ['a buffer behind memory', HOT_PLUG, 0x2_0000, 2048, -3],
  ['a buffer across its end', HOT_PLUG, 0x2_0000 - LOG + 1, 2048, -3],
  ['a buffer far away', HOT_PLUG, 0xffff_fff0, 2048, -3],
  ['no room', HOT_PLUG, LOG_BUFFER, 0, -3],
  ['room for less than the fixed part', HOT_PLUG, LOG_BUFFER, 7, -3],
])('check-exception with %s gives nothing, and the event stays', (_, mask, buffer, length, status) => {
  const { machine, tell, check, events } = machineWithEvents();
  tell();
  const before = machine.memory.bytes.slice(LOG_BUFFER);
  expect(check(mask, buffer, length)).toBe(status);
  expect(Buffer.compare(machine.memory.bytes.subarray(LOG_BUFFER), before)).toBe(0);
  expect([events.waiting, check(EPOW | HOT_PLUG), events.waiting]).toEqual([1, 0, 0]);
});

test('a log is cut to the room there is, and may be right up to the end of memory', () => {
  const { machine, tell, check } = machineWithEvents();
  machine.memory.bytes.fill(0x77, LOG_BUFFER);
  tell();
  expect(check(HOT_PLUG, LOG_BUFFER, 10)).toBe(0);
  expect([...machine.memory.bytes.subarray(LOG_BUFFER + 7, LOG_BUFFER + 12)]).toEqual([0x6c, 0x86, 0, 0x77, 0x77]);
  tell();
  expect(check(HOT_PLUG, machine.memory.size - LOG, 0xffff_ffff)).toBe(0);
});

test('check-exception takes seven arguments too', () => {
  const { tell, rtas, log } = machineWithEvents();
  tell();
  expect(rtas(CHECK_EXCEPTION, 0, SOURCE, HOT_PLUG, 0, LOG_BUFFER, 2048, 0)).toBe(0);
  expect(log().readUInt32BE(108)).toBe(DRC);
});

test('event-scan finds no error, and announces again what waits', () => {
  const { tell, rtas, hear, served, events } = machineWithEvents();
  hear();
  expect([rtas(EVENT_SCAN, HOT_PLUG, 0, LOG_BUFFER, 2048), served()]).toEqual([1, []]);
  tell();
  served();
  expect([rtas(EVENT_SCAN, EPOW, 0, LOG_BUFFER, 2048), served()]).toEqual([1, []]);
  expect([rtas(EVENT_SCAN, HOT_PLUG, 0, LOG_BUFFER, 2048), served(), events.waiting]).toEqual([1, [SOURCE], 1]);
});

test('a guest is heard to take part once it has unmasked the source, or asked for such events', () => {
  const ways: ((t: ReturnType<typeof machineWithEvents>) => void)[] = [
    ({ hear }) => hear(),
    ({ check }) => check(),
    ({ rtas }) => rtas(EVENT_SCAN, HOT_PLUG, 0, LOG_BUFFER, 2048),
  ];
  for (const way of ways) {
    const t = machineWithEvents();
    t.check(EPOW);
    t.rtas(EVENT_SCAN, EPOW, 0, LOG_BUFFER, 2048);
    t.rtas(SET_XIVE, SOURCE, 0, 0xff);
    expect(t.events.hotplugHeard).toBe(false);
    way(t);
    expect(t.events.hotplugHeard).toBe(true);
    t.tell();
    t.machine.run(t.hypercalls.reset());
    expect([t.events.hotplugHeard, t.events.waiting, t.check()]).toEqual([false, 0, 1]);
  }
});
