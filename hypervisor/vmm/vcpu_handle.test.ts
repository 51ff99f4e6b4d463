import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KVM_RUN, RUN_ANSWER, RUN_LOCAL_INTERRUPTS, RUN_OWNER } from '../../kernel/include/uapi/kvm_run.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { finish, smallMachine } from '../../test/support/small_machine.ts';
import { type GuestMemory, ProgramInterruption } from '../machine_api.ts';
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

test('an operand under address translation is refused', () => {
  const { vcpu } = setUp();
  vcpu.run.psw_mask = MODE_64 | (1n << 58n);
  expect(() => finish(vcpu.read(0x4000n, 8))).toThrow(ProgramInterruption);
});

test('registers changed after an exit are marked for the vCPU, once', () => {
  const { memory, map, vcpu } = setUp();
  const { run } = map.vcpus[1];
  const bell = new Doorbell(memory, actorAreas(map, 'vcpu1').doorbell);
  memory.store(run + KVM_RUN.offset.owner, RUN_OWNER.VMM);
  finish(vcpu.nextExit());
  vcpu.setGpr(15, -2n);
  expect(vcpu.gpr(15)).toBe(0xffff_ffff_ffff_fffen);
  vcpu.answer(RUN_ANSWER.CC, 2);
  expect(vcpu.run).toMatchObject({ owner: RUN_OWNER.VCPU, answer_kind: RUN_ANSWER.CC, answer_value: 2, dirty_regs: 1 });
  expect(bell.sequence()).toBe(1);
  memory.store(run + KVM_RUN.offset.owner, RUN_OWNER.VMM);
  finish(vcpu.nextExit());
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
  memory.store(run + KVM_RUN.offset.owner, RUN_OWNER.VMM);
  finish(vcpu.nextExit());
  expect(vcpu.atRest).toBe(false);
});
