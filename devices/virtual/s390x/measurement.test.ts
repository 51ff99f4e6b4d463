import { beforeEach, expect, test } from 'vitest';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_FLAGS } from '../../../kernel/include/arch/s390/scsw.ts';
import { sleep } from '../../../kernel/lib/task.ts';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { ChannelSubsystem } from './css.ts';
import { addFakeDevice } from './fake_device.ts';
import { ioinst } from './ioinst.ts';
import type { Subchannel } from './subchannel.ts';

const ORB_AT = 0x4000;
const BLOCKS = 0x6000;
/** PMCW.MM: block update, connect time. */
const UPDATE = 0x10;
const CONNECT = 0x08;

let machine: FakeMachine;
let css: ChannelSubsystem;
let sch: Subchannel;
beforeEach(() => {
  machine = new FakeMachine();
  css = new ChannelSubsystem(machine);
  sch = addFakeDevice(css).sch;
  const orb = ORB.make({ ctrl0: ORB_CTRL0.mask.F, lpm: 0xff, cpa: 0x8000 });
  machine.memory.bytes.set(ORB.bytes(orb), ORB_AT);
});

function execute(opcode: number, gr1: bigint, gr2 = 0n) {
  const vcpu = new FakeVcpu(machine).instruction([opcode >> 8, opcode & 0xff], ORB_AT);
  vcpu.setGpr(1, gr1);
  vcpu.setGpr(2, gr2);
  return machine.outcome(ioinst(css, vcpu));
}
const ssch = () => execute(0xb233, 0x1_0000n);
/** SCHM. @param mode 2: update, 1: connect time */
const schm = (mode: number, origin = BLOCKS, key = 0) =>
  execute(0xb23c, (BigInt(key) << 28n) | BigInt(mode), BigInt(origin));
/** The device ends after `ns`. */
function end(ns: number, ctrl = 0x4007): void {
  machine.run(sleep(machine.actor, ns));
  sch.schib.scsw.ctrl = ctrl;
  sch.schib.scsw.flags = 0;
  sch.esw.fill(0);
  sch.esw[1] = 0x80;
  machine.run(css.functionEnded(sch));
}
/** Count, samples and connect time of the block at `address`. */
function block(address: number, format1 = false): number[] {
  const dv = new DataView(machine.memory.bytes.buffer, address);
  return format1
    ? [dv.getUint32(0), dv.getUint32(4), dv.getUint32(8)]
    : [dv.getUint16(0), dv.getUint16(2), dv.getUint32(4)];
}

test('a format-0 block counts starts, samples and connect time in units of 128 us, with nothing lost between', () => {
  sch.schib.pmcw.flags |= UPDATE;
  sch.schib.pmcw.mbi = 2;
  expect(schm(2)).toEqual({ value: -1 });
  ssch();
  expect(block(BLOCKS + 64)).toEqual([1, 0, 0]);
  end(10 * 128_000 + 127_000);
  expect(block(BLOCKS + 64)).toEqual([1, 1, 10]);
  sch.schib.scsw.ctrl = 0;
  ssch();
  end(126_000);
  expect(block(BLOCKS + 64)).toEqual([2, 2, 11]);
});

test('a format-1 block has 32-bit counts at the address in the subchannel', () => {
  sch.schib.pmcw.flags |= UPDATE;
  sch.schib.pmcw.chars = PMCW_CHARS.mask.MBFC;
  sch.schib.mba = 0x7040;
  new DataView(machine.memory.bytes.buffer).setUint32(0x7040, 0xffff);
  schm(2);
  ssch();
  end(300_000);
  expect(block(0x7040, true)).toEqual([0x10000, 1, 2]);
  expect(block(BLOCKS)).toEqual([0, 0, 0]);
});

test('an intermediate status is no end, and a status without a start no sample', () => {
  sch.schib.pmcw.flags |= UPDATE;
  schm(2);
  end(1000, 0x0011);
  sch.schib.scsw.ctrl = 0;
  ssch();
  end(300_000, 0x40c9);
  expect(block(BLOCKS)).toEqual([1, 0, 0]);
  end(300_000);
  expect(block(BLOCKS)[1]).toBe(1);
});

test('nothing is counted before SCHM, after it was switched off, or of a subchannel that takes no part', () => {
  sch.schib.pmcw.flags |= UPDATE;
  ssch();
  schm(2);
  schm(0);
  sch.schib.scsw.ctrl = 0;
  ssch();
  schm(2);
  sch.schib.pmcw.flags &= ~UPDATE;
  sch.schib.scsw.ctrl = 0;
  ssch();
  expect(block(BLOCKS)).toEqual([0, 0, 0]);
});

test('a start that is refused is not counted', () => {
  sch.schib.pmcw.flags |= UPDATE;
  schm(2);
  sch.schib.scsw.ctrl = 0x4400;
  expect(ssch()).toEqual({ value: 2 });
  expect(block(BLOCKS)).toEqual([0, 0, 0]);
});

test('a block outside storage does not stop the I/O: it ends the updates, and a logout says so with the status', () => {
  sch.schib.pmcw.flags |= UPDATE;
  schm(2, 0x100_0000);
  expect(ssch()).toEqual({ value: 0 });
  expect(sch.schib.pmcw.flags & UPDATE).toBe(0);
  end(1000);
  expect(sch.schib.scsw.flags & SCSW_FLAGS.mask.L).not.toBe(0);
  // Measurement-block program check, path 0x80, valid.
  expect(Buffer.from(sch.esw.subarray(0, 4)).toString('hex')).toBe('20804000');
});

test.each([
  ['another key', 3, { key: 4, fetch: false }, '08804000'],
  ['another key, and it must not be fetched either', 3, { key: 4, fetch: true }, '08804000'],
  ['its own key', 4, { key: 4, fetch: true }, undefined],
  ['key 0, which matches all', 0, { key: 4, fetch: true }, undefined],
])('a block under a storage key, SCHM with %s', (_, key, storageKey, logout) => {
  machine.storageKeys.set(BLOCKS / 4096, storageKey);
  sch.schib.pmcw.flags |= UPDATE;
  expect(schm(2, BLOCKS, key)).toEqual({ value: -1 });
  expect(ssch()).toEqual({ value: 0 });
  end(2 * 128_000);
  const refused = logout !== undefined;
  expect(block(BLOCKS)).toEqual(refused ? [0, 0, 0] : [1, 1, 2]);
  expect((sch.schib.pmcw.flags & UPDATE) === 0).toBe(refused);
  // Measurement-block protection check, path 0x80, valid.
  if (refused) expect(Buffer.from(sch.esw.subarray(0, 4)).toString('hex')).toBe(logout);
});

test('in connect-time mode the response tells the time of the function, as much as fits', () => {
  sch.schib.pmcw.flags |= CONNECT;
  schm(1);
  ssch();
  end(3 * 128_000);
  expect(Buffer.from(sch.esw.subarray(0, 4)).toString('hex')).toBe('00800003');
  sch.schib.scsw.ctrl = 0;
  ssch();
  end(20e9);
  expect(Buffer.from(sch.esw.subarray(0, 4)).toString('hex')).toBe('0080ffff');
});
