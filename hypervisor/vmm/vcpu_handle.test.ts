import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KVM_RUN, RUN_ANSWER, RUN_LOCAL_INTERRUPTS, RUN_OWNER } from '../../kernel/include/uapi/kvm_run.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { finish, smallMachine } from '../../test/support/small_machine.ts';
import { type GuestMemory, ProgramInterruption } from '../machine_api.ts';
import type { LogicalMemory } from './logical_memory.ts';
import { VcpuHandle } from './vcpu_handle.ts';

const SIZE = 0x20000;
const MODE_64 = 0x1_8000_0000n;

/** Guest RAM as an array: the absolute addresses. */
class Ram implements GuestMemory {
  readonly size = SIZE;
  readonly bytes = Uint8Array.from({ length: SIZE }, (_, i) => (i >> 8) ^ i);
  hva(): number {
    return -1;
  }
  *read(gpa: number, length: number): Task<Uint8Array> {
    if (gpa < 0 || gpa + length > SIZE) throw new ProgramInterruption(5);
    return this.bytes.slice(gpa, gpa + length);
  }
  *write(gpa: number, bytes: Uint8Array): Task {
    this.bytes.set(bytes, gpa);
  }
}

function setUp() {
  const { memory, map } = smallMachine(1, 2);
  const ram = new Ram();
  const vcpu = new VcpuHandle(memory, map, ram, 1);
  vcpu.run.psw_mask = MODE_64;
  return { memory, map, ram, vcpu, local: new LocalInterrupts(memory, map.vcpus[1].run + RUN_LOCAL_INTERRUPTS) };
}

/** Prefixing, a byte at a time (SA22-7832 chapter 3, "Prefixing"). */
function absolute(real: number, prefix: number): number {
  if (real < 0x2000) return prefix + real;
  return real >= prefix && real < prefix + 0x2000 ? real - prefix : real;
}

test('an operand is read and written byte by byte where prefixing puts it', () => {
  const { ram, vcpu } = setUp();
  fc.assert(
    fc.property(
      fc.nat(15).map((n) => n * 0x2000),
      fc.nat(SIZE - 1),
      fc.integer({ min: 1, max: 0x6000 }),
      (prefix, address, length) => {
        fc.pre(address + length <= SIZE);
        vcpu.run.prefix = prefix;
        const expected = Array.from({ length }, (_, i) => ram.bytes[absolute(address + i, prefix)]);
        expect(Buffer.from(finish(vcpu.read(BigInt(address), length))).equals(Buffer.from(expected))).toBe(true);
        const changed = Uint8Array.from(expected, (byte) => byte ^ 0x55);
        finish(vcpu.write(BigInt(address), changed));
        for (const i of [0, length >> 1, length - 1]) expect(ram.bytes[absolute(address + i, prefix)]).toBe(changed[i]);
      },
    ),
    { numRuns: 60 },
  );
});

test.each([
  ['24-bit', 0n, 0x0100_0010n, 0x10],
  ['24-bit', 0n, 0xffff_ffff_ff00_4000n, 0x4000],
  ['31-bit', 0x8000_0000n, 0x8000_4000n, 0x4000],
  ['31-bit', 0x8000_0000n, 0xffff_ffff_0000_4000n, 0x4000],
  ['64-bit', MODE_64, 0x4000n, 0x4000],
])('addresses are cut to the mode: %s', (_, mask, address, expected) => {
  const { ram, vcpu } = setUp();
  vcpu.run.psw_mask = mask;
  expect([...finish(vcpu.read(address, 2))]).toEqual([...ram.bytes.subarray(expected, expected + 2)]);
});

test('an operand that wraps round the end of the 24-bit addresses goes on at address 0', () => {
  const { vcpu } = setUp();
  vcpu.run.psw_mask = 0n;
  // Its first half is not in storage.
  expect(() => finish(vcpu.read(0xff_fffcn, 8))).toThrow(ProgramInterruption);
});

test.each([0x1_0000_0000n, 0xffff_ffff_ffff_fff8n, BigInt(SIZE), BigInt(SIZE - 4)])(
  'storage that is not there is an addressing exception, and nothing is written: %s',
  (address) => {
    const { ram, vcpu } = setUp();
    const before = ram.bytes.slice();
    for (const access of [vcpu.read(address, 8), vcpu.checkWrite(address, 8), vcpu.write(address, new Uint8Array(8))])
      expect(() => finish<unknown>(access)).toThrow(expect.objectContaining({ interruption: 5 }));
    expect(Buffer.from(ram.bytes).equals(Buffer.from(before))).toBe(true);
  },
);

/** KVM's way to the operands, recorded. */
function recorded() {
  const calls: unknown[] = [];
  const call =
    (name: string, answer: unknown) =>
    (...[access, what]: unknown[]) => {
      calls.push([name, access, what]);
      return (function* () {
        return answer;
      })();
    };
  const logical = {
    read: call('read', new Uint8Array(8)),
    checkWrite: call('check', undefined),
    write: call('write', undefined),
  };
  return { calls, logical: logical as unknown as LogicalMemory };
}
const DAT = 1n << 58n;
const PSW_KEY_3 = 3n << 52n;
const LOW_ADDRESS_PROTECTION = 0x1000_0000n;

// PSW, CR0, address, instruction; then: does a fetch, does a store go through KVM, and with which access register and key.
test.each<[string, bigint, bigint, bigint, string, boolean, boolean, number, number]>([
  ['DAT off, key 0', 0n, 0n, 0n, 'b2334000', false, false, 0, 0],
  ['DAT on', DAT, 0n, 0x4000n, 'b2334000', true, true, 4, 0],
  ['an access key', PSW_KEY_3, 0n, 0x4000n, 'b235f008', true, true, 15, 3],
  ['low-address protection', 0n, LOW_ADDRESS_PROTECTION, 0x1ffcn, 'b2334000', false, true, 4, 0],
  ['low-address protection, wrapping round', 0n, LOW_ADDRESS_PROTECTION, -4n, 'b2334000', false, true, 4, 0],
  ['low-address protection, far away', 0n, LOW_ADDRESS_PROTECTION, 0x2000n, 'b2334000', false, false, 0, 0],
  ['CHSC, whose operand R1 names', DAT, 0n, 0x4000n, 'b25f0070', true, true, 7, 0],
])('operands through KVM: %s', (_, psw, cr0, address, text, fetch, store, ar, key) => {
  const { memory, map, ram } = setUp();
  const { calls, logical } = recorded();
  const vcpu = new VcpuHandle(memory, map, ram, 1, { logical });
  vcpu.fd = 17;
  vcpu.run.psw_mask = MODE_64 | psw;
  vcpu.run.text = Buffer.from(text.padEnd(16, '0'), 'hex');
  memory.dv.setBigUint64(map.vcpus[1].run + KVM_RUN.offset.crs, cr0, true);
  const access = { fd: 17, address, ar, key };
  const attempt = (task: Task<unknown>) => {
    // What does not go through KVM may lie outside the RAM here.
    try {
      finish(task);
    } catch (error) {
      expect(error).toBeInstanceOf(ProgramInterruption);
    }
    return calls.splice(0);
  };
  expect(attempt(vcpu.read(address, 8))).toEqual(fetch ? [['read', access, 8]] : []);
  expect(attempt(vcpu.checkWrite(address, 8))).toEqual(store ? [['check', access, 8]] : []);
  expect(attempt(vcpu.write(address, new Uint8Array(8)))).toEqual(store ? [['write', access, new Uint8Array(8)]] : []);
});

test('registers changed after an exit are marked for the vCPU, once', () => {
  const { memory, map, vcpu } = setUp();
  const { run } = map.vcpus[1];
  const bell = new Doorbell(memory, actorAreas(map, 'vcpu1').doorbell);
  memory.store(run + KVM_RUN.offset.owner, RUN_OWNER.VMM);
  expect(vcpu.exit.ready()).toBe(true);
  vcpu.setGpr(15, -2n);
  expect(vcpu.gpr(15)).toBe(0xffff_ffff_ffff_fffen);
  vcpu.answer(RUN_ANSWER.CC, 2);
  expect(vcpu.run).toMatchObject({ owner: RUN_OWNER.VCPU, answer_kind: RUN_ANSWER.CC, answer_value: 2, dirty_regs: 1 });
  expect(bell.sequence()).toBe(1);
  expect(vcpu.exit.ready()).toBe(false);
  vcpu.answer(RUN_ANSWER.NONE);
  expect(vcpu.run.dirty_regs).toBe(0);
});

test('a CPU is at rest when stopped or parked, and no longer once an order to run is under way', () => {
  const { memory, map, vcpu, local } = setUp();
  const { run } = map.vcpus[1];
  expect([vcpu.operating, vcpu.atRest]).toEqual([false, true]);
  memory.store(run + KVM_RUN.offset.cpu_state, 1);
  expect([vcpu.operating, vcpu.atRest]).toEqual([true, false]);
  vcpu.answer(RUN_ANSWER.PARK);
  expect(vcpu.atRest).toBe(true);
  for (const order of [LOCAL.RESTART, LOCAL.START]) {
    local.add(order);
    expect(vcpu.atRest).toBe(false);
    local.take(order);
    expect(vcpu.atRest).toBe(true);
  }
  local.add(LOCAL.STOP);
  expect(vcpu.atRest).toBe(true);
  vcpu.take();
  expect(vcpu.atRest).toBe(false);
});

test('a CPU is on its way out of the guest unless it is inside or waits', () => {
  const { memory, map, vcpu } = setUp();
  const { run } = map.vcpus[1];
  const exiting = (mode: number, idle: number) => {
    memory.store(run + KVM_RUN.offset.mode, mode);
    memory.store(run + KVM_RUN.offset.idle, idle);
    return vcpu.exiting;
  };
  expect([exiting(0, 0), exiting(0, 1), exiting(1, 0)]).toEqual([true, false, false]);
});

test('a machine begins with clear general registers, taken over when the CPU is started', () => {
  const { vcpu } = setUp();
  vcpu.setGpr(3, 7n);
  vcpu.setInitialState(MODE_64, 0x1_0000n);
  expect([vcpu.gpr(3), vcpu.run.psw_mask, vcpu.run.psw_address, vcpu.run.dirty_regs]).toEqual([
    0n,
    MODE_64,
    0x1_0000n,
    3,
  ]);
});
