import { beforeEach, describe, expect, test } from 'vitest';
import type { Task } from '../../../kernel/lib/task.ts';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { type Cpus, SIGP_ORDERS, sigp } from './sigp.ts';

/** Three CPUs that record what is done to them. */
class FakeCpus implements Cpus {
  readonly count = 3;
  readonly stopped = new Set([1]);
  readonly calls = new Set<number>();
  readonly done: string[] = [];
  state(address: number) {
    return this.stopped.has(address) ? ('stopped' as const) : ('operating' as const);
  }
  descriptor(address: number) {
    return 50 + address;
  }
  externalCallPending(address: number) {
    return this.calls.has(address);
  }
  readonly busyOnes = new Set<number>();
  busy(address: number) {
    return this.busyOnes.has(address);
  }
  running(address: number) {
    return address === 0;
  }
  *start(address: number): Task {
    this.done.push(`start ${address}`);
  }
  *reset(address: number, initial: boolean): Task {
    this.done.push(`${initial ? 'initial ' : ''}reset ${address}`);
  }
  *storeStatus(address: number, origin: number): Task {
    this.done.push(`store ${address} at ${origin.toString(16)}`);
  }
  *stopAndStoreStatus(address: number): Task {
    this.done.push(`stop and store ${address}`);
  }
}

let machine: FakeMachine;
let cpus: FakeCpus;
beforeEach(() => {
  machine = new FakeMachine();
  cpus = new FakeCpus();
  machine.kernel.ioctls.set('KVM_S390_INTERRUPT', ({ fd, view }) => {
    cpus.done.push(`interrupt ${fd} ${view.type.toString(16)} ${view.parm.toString(16)}`);
    return 0;
  });
});

/** SIGP 2,4,order from CPU 2: condition code, status (when stored), what was done. */
function order(code: number, to: number, parameter = 0) {
  const vcpu = new FakeVcpu(machine, 2).instruction([0xae, 0x24], code);
  vcpu.setGpr(2, 0xffff_ffff_0000_0000n);
  vcpu.setGpr(3, BigInt(parameter));
  vcpu.setGpr(4, 0xabcd_0000n | BigInt(to));
  const outcome = machine.outcome(sigp(machine, cpus, vcpu));
  expect(vcpu.gpr(2) >> 32n).toBe(0xffff_ffffn);
  return { outcome, status: Number(vcpu.gpr(2) & 0xffff_ffffn), done: cpus.done.splice(0) };
}

/** Order, CPU, parameter; condition code, status, effect. */
const CASES: [string, number, number, number, number, number, string[]][] = [
  ['sense of an operating CPU', 0x01, 0, 0, 0, 0, []],
  ['sense of a stopped CPU', 0x01, 1, 0, 1, 0x40, []],
  ['external call', 0x02, 0, 0, 0, 0, ['interrupt 50 ffff1202 2']],
  ['emergency signal', 0x03, 1, 0, 0, 0, ['interrupt 51 ffff1201 2']],
  ['start', 0x04, 1, 0, 0, 0, ['start 1']],
  ['stop', 0x05, 0, 0, 0, 0, ['interrupt 50 fffe0000 0']],
  ['stop of a stopped CPU', 0x05, 1, 0, 0, 0, []],
  ['restart', 0x06, 1, 0, 0, 0, ['interrupt 51 fffe0003 0']],
  ['stop and store status', 0x09, 0, 0, 0, 0, ['stop and store 0']],
  ['initial CPU reset', 0x0b, 1, 0, 0, 0, ['initial reset 1']],
  ['CPU reset', 0x0c, 1, 0, 0, 0, ['reset 1']],
  ['set prefix', 0x0d, 1, 0x800053ff, 0, 0, ['interrupt 51 fffe0002 4000']],
  ['set prefix outside storage', 0x0d, 1, 0x20000, 1, 0x100, []],
  ['set prefix of an operating CPU', 0x0d, 0, 0x4000, 1, 0x200, []],
  ['store status at address', 0x0e, 1, 0x43ff, 0, 0, ['store 1 at 4200']],
  ['store status of an operating CPU', 0x0e, 0, 0x4000, 1, 0x200, []],
  ['store status outside storage', 0x0e, 1, 0x20000, 1, 0x100, []],
  ['set architecture with another CPU operating', 0x12, 2, 2, 1, 0x200, []],
  ['sense running status of a running CPU', 0x15, 0, 0, 0, 0, []],
  ['sense running status', 0x15, 1, 0, 1, 0x400, []],
  ['an unknown order', 0x7f, 0, 0, 1, 0x02, []],
  ['set multithreading is not offered', 0x16, 0, 0, 1, 0x02, []],
  ['a CPU that is not there', 0x01, 3, 0, 3, 0, []],
];
describe('orders', () => {
  for (const [name, code, to, parameter, cc, status, done] of CASES)
    test(name, () => {
      expect(order(code, to, parameter)).toEqual({ outcome: { value: cc }, status, done });
    });
  test('every order has a case', () => {
    for (const code of Object.keys(SIGP_ORDERS)) expect(CASES.some((row) => row[1] === Number(code))).toBe(true);
  });
});
test('a second external call is refused, and sense shows the first', () => {
  cpus.calls.add(1);
  expect(order(0x02, 1)).toEqual({ outcome: { value: 1 }, status: 0x80, done: [] });
  expect(order(0x01, 1).status).toBe(0xc0);
});
test('a CPU with an order to perform is busy for every order but a reset', () => {
  cpus.busyOnes.add(1);
  for (const code of Object.keys(SIGP_ORDERS).map(Number)) {
    const { outcome, done } = order(code, 1);
    if (code === 0x0b || code === 0x0c) expect([outcome, done.length]).toEqual([{ value: 0 }, 1]);
    else expect([outcome, done]).toEqual([{ value: 2 }, []]);
  }
});
test('set architecture with all others stopped: the mode is not accepted', () => {
  cpus.stopped.add(0);
  expect(order(0x12, 0)).toEqual({ outcome: { value: 1 }, status: 0x100, done: [] });
});
test('the parameter is in R1 when that is odd', () => {
  const vcpu = new FakeVcpu(machine, 2).instruction([0xae, 0x34], 0x0d);
  vcpu.setGpr(3, 0x6000n);
  vcpu.setGpr(4, 1n);
  expect(machine.outcome(sigp(machine, cpus, vcpu))).toEqual({ value: 0 });
  expect(cpus.done).toEqual(['interrupt 51 fffe0002 6000']);
});
test('problem state is privileged', () => {
  const vcpu = new FakeVcpu(machine).instruction([0xae, 0x24], 1);
  vcpu.problemState = true;
  expect(machine.outcome(sigp(machine, cpus, vcpu))).toEqual({ interruption: 2 });
});
