import { expect, test } from 'vitest';
import { FloatingInterrupts } from '../../kernel/lib/floating_interrupts.ts';
import { createMemory, HostMemory } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import type { Actor } from '../../kernel/lib/task.ts';
import { LOWCORE, LOWCORE_PSW } from '../cpu/interruption.ts';
import { SimpleMachine } from '../cpu/simple_machine.ts';
import { Timers, TodClock } from './clock.ts';
import { Interrupts } from './interrupts.ts';
import { Registers } from './registers.ts';

const BASE = 1n << 60n;
const EA_BA = 0x1_8000_0000n;
const OPEN = { io: 1n << 57n, external: 1n << 56n, machineCheck: 1n << 50n };
const ALL = OPEN.io | OPEN.external | OPEN.machineCheck;

/** A CPU with every subclass open and disabled new PSWs at X'1000' (machine check), '2000' (external), '3000' (I/O). */
function waitingCpu() {
  const machine = new SimpleMachine(0x10000);
  const { cpu, memory } = machine;
  const host = new HostMemory(createMemory(65536));
  const floating = new FloatingInterrupts(host, 0);
  const local = new LocalInterrupts(host, 32768);
  const time = { ns: 0 };
  const timers = new Timers(cpu.state, new TodClock({ now: () => time.ns } as Actor, BASE));
  const interrupts = new Interrupts(cpu, new Registers(memory, cpu.state.address), floating, local, timers);
  const newPsw = (kind: keyof typeof LOWCORE_PSW, mask: bigint, address: bigint) => {
    memory.dv.setBigUint64(LOWCORE_PSW[kind].new, mask | EA_BA);
    memory.dv.setBigUint64(LOWCORE_PSW[kind].new + 8, address);
  };
  newPsw('mcheck', 0n, 0x1000n);
  newPsw('external', 0n, 0x2000n);
  newPsw('io', 0n, 0x3000n);
  cpu.setCr(0, 0x6e00n);
  cpu.setCr(6, 0xff00_0000n);
  cpu.setCr(14, 0x1000_0000n);
  cpu.state.clockComparator = 0xffff_ffff_ffff_ffffn;
  cpu.state.cpuTimerEnd = BASE + (1n << 40n);
  cpu.setPsw(ALL | EA_BA, 0x8000n);
  const codes: number[] = [];
  return {
    machine,
    cpu,
    floating,
    local,
    time,
    interrupts,
    newPsw,
    dv: memory.dv,
    codes,
    deliver: () => interrupts.deliver((code) => codes.push(code)),
  };
}
const io = (isc: number, n = 0) => ({ subsystemId: 0x10000 + n, intparm: 0xabc0 + n, word: (isc << 27) >>> 0 });

test('nothing pending, nothing taken', () => {
  const { interrupts, deliver, cpu } = waitingCpu();
  expect([interrupts.open(), deliver(), cpu.psw().address]).toEqual([false, 0, 0x8000n]);
});

test('an I/O interruption brings its three words, and the next waits for its PSW to open again', () => {
  const { interrupts, deliver, cpu, floating, dv } = waitingCpu();
  floating.addIo(3, io(3, 1));
  floating.addIo(1, io(1, 2));
  expect([interrupts.open(), deliver()]).toEqual([true, 1]);
  expect([LOWCORE.IO_SUBSYSTEM_ID, LOWCORE.IO_PARAMETER, LOWCORE.IO_WORD].map((at) => dv.getUint32(at))).toEqual([
    0x10002, 0xabc2, 0x0800_0000,
  ]);
  expect([cpu.psw().address, dv.getBigUint64(LOWCORE_PSW.io.old + 8)]).toEqual([0x3000n, 0x8000n]);
  expect([interrupts.open(), deliver()]).toEqual([false, 0]);
  cpu.setPsw(ALL | EA_BA, 0x8000n);
  expect([deliver(), dv.getUint32(LOWCORE.IO_PARAMETER)]).toEqual([1, 0xabc1]);
});

test('interruptions of several classes nest: machine check first, so that I/O runs first', () => {
  const { deliver, cpu, floating, newPsw, dv, codes } = waitingCpu();
  newPsw('mcheck', ALL, 0x1000n);
  newPsw('external', OPEN.io, 0x2000n);
  floating.addIo(0, io(0));
  floating.addService(0x1234);
  floating.addMachineCheck();
  expect(deliver()).toBe(3);
  expect(codes).toEqual([0, 0x2401, 0x80]);
  expect(cpu.psw().address).toBe(0x3000n);
  expect([LOWCORE_PSW.io, LOWCORE_PSW.external, LOWCORE_PSW.mcheck].map((p) => dv.getBigUint64(p.old + 8))).toEqual([
    0x2000n,
    0x1000n,
    0x8000n,
  ]);
  expect(dv.getUint32(LOWCORE.EXT_PARAMETER)).toBe(0x1234);
  expect(dv.getBigUint64(LOWCORE.MCIC) >> 54n).toBe(1n);
});

test('external interruptions come in the manual’s order, with the sender’s address', () => {
  const { deliver, floating, local, newPsw, time, cpu, dv, codes } = waitingCpu();
  newPsw('external', 0n, 0x2000n);
  floating.addService(1);
  cpu.state.clockComparator = BASE + 10n;
  cpu.state.cpuTimerEnd = BASE + 10n;
  time.ns = 1e6;
  local.addExternalCall(5);
  local.addEmergency(7);
  local.addEmergency(4);
  const senders: number[] = [];
  for (let turn = 0; turn < 7; turn++) {
    cpu.setPsw(ALL | EA_BA, 0x8000n);
    expect(deliver()).toBe(1);
    senders.push(dv.getUint16(LOWCORE.EXT_CPU_ADDRESS));
    if (codes.at(-1) === 0x1004) cpu.state.clockComparator = 1n << 61n;
    if (codes.at(-1) === 0x1005) cpu.state.cpuTimerEnd = 1n << 61n;
    if (turn === 5) break;
  }
  expect(codes).toEqual([0x1201, 0x1201, 0x1202, 0x1004, 0x1005, 0x2401]);
  expect(senders.slice(0, 3)).toEqual([4, 7, 5]);
});

const CASES: [string, number, (c: ReturnType<typeof waitingCpu>) => void][] = [
  ['emergency signal', 0x4000, (c) => c.local.addEmergency(1)],
  ['external call', 0x2000, (c) => void c.local.addExternalCall(1)],
  ['clock comparator', 0x800, (c) => Object.assign(c.cpu.state, { clockComparator: BASE - 1n })],
  ['CPU timer', 0x400, (c) => Object.assign(c.cpu.state, { cpuTimerEnd: BASE - 1n })],
  ['service signal', 0x200, (c) => c.floating.addService(1)],
];
test.each(CASES)('%s: taken only with its own bit of CR0 and the PSW’s external mask', (_name, bit, arrange) => {
  const c = waitingCpu();
  arrange(c);
  c.cpu.setCr(0, BigInt(0x6e00 & ~bit));
  expect(c.interrupts.open()).toBe(false);
  c.cpu.setCr(0, BigInt(bit));
  c.cpu.setPsw(EA_BA | OPEN.io, 0n);
  expect(c.interrupts.open()).toBe(false);
  c.cpu.setPsw(EA_BA | OPEN.external, 0n);
  expect([c.interrupts.open(), c.deliver()]).toEqual([true, 1]);
});

test('I/O waits for its subclass, a channel report for CR14 and the machine-check mask', () => {
  const c = waitingCpu();
  c.floating.addIo(2, io(2));
  c.cpu.setCr(6, 0xdf00_0000n);
  expect(c.interrupts.open()).toBe(false);
  c.cpu.setCr(6, 0x2000_0000n);
  expect(c.interrupts.open()).toBe(true);
  c.deliver();
  c.floating.addMachineCheck();
  c.cpu.setPsw(EA_BA | OPEN.machineCheck, 0n);
  c.cpu.setCr(14, 0n);
  expect(c.interrupts.open()).toBe(false);
  c.cpu.setCr(14, 0x1000_0000n);
  expect([c.interrupts.open(), c.deliver(), c.interrupts.open()]).toEqual([true, 1, false]);
});

test('a new PSW that is open for the timer that has run out does not hold the thread for ever', () => {
  const c = waitingCpu();
  c.newPsw('external', OPEN.external, 0x2000n);
  c.cpu.state.clockComparator = BASE - 1n;
  expect(c.deliver()).toBeLessThan(1000);
  expect(c.interrupts.open()).toBe(true);
});

test('an order that is no interruption opens nothing', () => {
  const c = waitingCpu();
  for (const bit of [LOCAL.RESTART, LOCAL.STOP, LOCAL.SET_PREFIX]) c.local.add(bit);
  expect([c.interrupts.open(), c.deliver()]).toEqual([false, 0]);
});

test('no interruption is lost while the page of the lowcore is being moved', () => {
  const c = waitingCpu();
  c.machine.load(0x2000, 'a7f40000'); // j .
  c.newPsw('external', OPEN.io, 0x2000n);
  c.floating.addIo(1, io(1, 1));
  c.floating.addIo(1, io(1, 2));
  c.floating.addService(3);
  c.machine.moving.add(0);
  expect(c.deliver()).toBe(1);
  expect(c.cpu.run(10)).toBe('retry');
  expect(c.deliver()).toBe(0);
  c.machine.moving.delete(0);
  c.cpu.flushTlb();
  // The accepted one is finished first; the others follow.
  const left = () => [c.floating.takeService(), c.floating.takeIo(0xff)?.intparm, c.floating.takeIo(0xff)?.intparm];
  c.cpu.run(0);
  expect(c.dv.getUint32(LOWCORE.EXT_PARAMETER)).toBe(3);
  expect(c.cpu.psw().address).toBe(0x2000n);
  expect(left()).toEqual([undefined, 0xabc1, 0xabc2]);
});
