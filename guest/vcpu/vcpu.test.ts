/** The run loop under the simulated scheduler, with a scripted VMM and the kernel's side of requests. */
import { expect, test } from 'vitest';
import { MachineCpus } from '../../hypervisor/vmm/cpus.ts';
import { VcpuHandle } from '../../hypervisor/vmm/vcpu_handle.ts';
import {
  KVM_EXIT,
  KVM_REQ,
  KVM_RUN,
  RUN_ANSWER,
  RUN_LOCAL_INTERRUPTS,
  STATE_ATTENTION,
  SYSTEM_EVENT,
  VCPU_MODE,
} from '../../kernel/include/uapi/kvm_run.ts';
import { VcpuRequests } from '../../kernel/kvm/vcpu_requests.ts';
import { PTE } from '../../kernel/lib/address_space.ts';
import { FloatingInterrupts } from '../../kernel/lib/floating_interrupts.ts';
import { HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts } from '../../kernel/lib/local_interrupts.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';
import { Simulation } from '../../kernel/lib/simulated.ts';
import { type Task, until } from '../../kernel/lib/task.ts';
import { migratePage } from '../../kernel/mm/migrate.ts';
import { Mm } from '../../kernel/mm/mm.ts';
import { PageAllocator } from '../../kernel/mm/page.ts';
import { smallMachine } from '../../test/support/small_machine.ts';
import { TOY_MODEL } from '../model.ts';
import { VcpuThread } from './vcpu.ts';

const RAM = 16 * PAGE_SIZE;
const CODE = 0x2000;
/** 64-bit addressing; the bits for wait, I/O and external interruptions. */
const EA_BA = 0x1_8000_0000n;
const WAIT = 1n << 49n;
const IO = 1n << 57n;
const EXTERNAL = 1n << 56n;
/** Old and new PSWs in the lowcore (SA22-7832 chapter 3, assigned storage locations). */
const PSW = {
  restartOld: 0x120,
  programOld: 0x150,
  ioOld: 0x170,
  restartNew: 0x1a0,
  programNew: 0x1d0,
  ioNew: 0x1f0,
} as const;
const LOOP = 'a7f40000';
/** Ends the program: LARL R1,psw; LPSWE 0(R1); a disabled wait at X'bad'. */
const END = 'c01000000008 b2b21000 000000000000 0002000180000000 0000000000000bad';
const END_PSW = [EA_BA | WAIT, 0xbadn];

interface Exit {
  readonly cpu: number;
  readonly reason: number;
  readonly event: number;
  readonly psw: readonly bigint[];
}

/** A machine with guest code at X'2000', its vCPUs, and a VMM that answers as `script` says. */
function machine({ cpus = 1, seed = 1, code = [LOOP] as readonly string[] } = {}) {
  const { memory, map } = smallMachine(64, cpus);
  const mm = new Mm(memory, map, 1000, new PageAllocator(memory, map));
  const ram = mm.mmapAnonymous('ram', RAM, true);
  new Memslots(memory, map.memslots).set(1, { gpa: 0, size: RAM, hva: ram.start });
  const simulation = new Simulation(seed);
  const requests = new VcpuRequests(memory, map, STATE_ATTENTION);
  mm.notifiers.add(() => requests.flushAll('vCPUs'));
  mm.settled = () => requests.requestAll(KVM_REQ.INTERRUPT);
  const host = (gpa: number) => mm.space.lookup(ram.start + gpa - (gpa % PAGE_SIZE), false) + (gpa % PAGE_SIZE);
  const bytes = (gpa: number, length: number) => memory.bytes(host(gpa), length);
  const read = (gpa: number) => memory.dv.getBigUint64(host(gpa));
  const write = (gpa: number, ...values: bigint[]) =>
    values.forEach((value, i) => {
      memory.dv.setBigUint64(host(gpa) + 8 * i, value);
    });
  code.forEach((text, i) => {
    const program = Buffer.from(text.replaceAll(' ', ''), 'hex');
    bytes(CODE + i * 0x100, program.length).set(program);
  });
  const looks: number[] = [];
  class Watched extends HostMemory {
    override load(hpa: number): number {
      if (hpa === mm.space.entryAddress(ram.start))
        looks.push(this.dv.getInt32(map.vcpus[0].run + KVM_RUN.offset.mode, true));
      return super.load(hpa);
    }
  }
  const watched = new Watched(memory.memory);
  const vcpus = map.vcpus.map((_, index) => {
    const actor = simulation.actor(`vcpu${index}`);
    const vcpu = new VcpuThread({
      actor,
      memory: watched,
      map,
      index,
      model: TOY_MODEL,
      todBase: 1n << 60n,
      log: () => {},
    });
    actor.spawn(`vcpu${index}`, vcpu.task());
    return vcpu;
  });
  const guestMemory = { size: RAM } as never;
  const handles = vcpus.map((_, i) => new VcpuHandle(memory, map, guestMemory, i));
  const exits: Exit[] = [];
  const script = { held: false, answer: (vcpu: VcpuHandle) => vcpu.answer(RUN_ANSWER.CC, 0) };
  const vmm = simulation.actor('vmm');
  for (const vcpu of handles)
    vmm.spawn(
      'vcpu',
      (function* (): Task {
        for (;;) {
          yield vcpu.exit;
          const { exit_reason: reason, event, psw_mask, psw_address } = vcpu.run;
          exits.push({ cpu: vcpu.address, reason, event, psw: [psw_mask, psw_address] });
          if (reason !== KVM_EXIT.SYSTEM_EVENT) script.answer(vcpu);
          else vcpu.answer(event === SYSTEM_EVENT.STOPPED ? RUN_ANSWER.NONE : RUN_ANSWER.PARK);
          // A script may leave the answer to the test.
          yield* until('answer', () => !script.held);
        }
      })(),
    );
  const orders = new MachineCpus(memory, map, handles);
  const local = (cpu: number) => new LocalInterrupts(memory, map.vcpus[cpu].run + RUN_LOCAL_INTERRUPTS);
  /** Runs a task of the kernel to its end. */
  const kernel = <T>(task: Task<T>): T => {
    let outcome: { value: T } | undefined;
    simulation.actor('kernel').spawn(
      'test',
      (function* (): Task {
        outcome = { value: yield* task };
      })(),
    );
    runUntil(() => outcome !== undefined);
    return (outcome as unknown as { value: T }).value;
  };
  /** @throws Error when it does not come within some thousand steps */
  const runUntil = (done: () => boolean) => simulation.run(done, simulation.steps + 5000);
  const performed = (cpu = 0) => runUntil(() => !orders.busy(cpu));
  const start = (cpu = 0, address = CODE, mask = EA_BA) => {
    handles[cpu].setPsw(mask, BigInt(address));
    kernel(orders.start(cpu));
    performed(cpu);
  };
  /** What the kernel's KVM_S390_INTERRUPT does for an order. */
  const give = (bit: number, cpu = 0) => {
    local(cpu).add(bit);
    requests.request(cpu, KVM_REQ.SIGP | KVM_REQ.INTERRUPT);
  };
  return {
    memory,
    map,
    mm,
    ram,
    simulation,
    requests,
    bytes,
    read,
    write,
    vcpus,
    handles,
    exits,
    script,
    orders,
    local,
    kernel,
    runUntil,
    start,
    give,
    performed,
    looks,
  };
}

test('a CPU is stopped until it is started, then runs from the PSW that was set', () => {
  const m = machine({ code: [END] });
  expect([m.handles[0].operating, m.handles[0].atRest]).toEqual([false, true]);
  m.start();
  m.runUntil(() => m.exits.length > 0);
  expect(m.exits).toEqual([{ cpu: 0, reason: KVM_EXIT.SYSTEM_EVENT, event: SYSTEM_EVENT.DISABLED_WAIT, psw: END_PSW }]);
});

test('an intercepted instruction brings its text, operand and registers; the answer’s registers and code are taken', () => {
  // SIGP R2,R4,X'123'(R5)
  const m = machine({ code: [`ae245123 ${LOOP}`] });
  m.vcpus[0].cpu.setGpr(5, 0x1000n);
  m.vcpus[0].cpu.setGpr(2, 7n);
  let seen: unknown;
  m.script.answer = (vcpu) => {
    seen = [Buffer.from(vcpu.text).toString('hex'), vcpu.operand, vcpu.gpr(2)];
    vcpu.setGpr(2, -1n);
    vcpu.answer(RUN_ANSWER.CC, 3);
  };
  m.start();
  m.runUntil(() => m.vcpus[0].cpu.psw().address === BigInt(CODE + 4) && m.vcpus[0].cpu.gpr(2) !== 7n);
  expect(seen).toEqual(['ae2451230000', 0x1123n, 7n]);
  const { cpu } = m.vcpus[0];
  expect([cpu.gpr(2), (cpu.psw().mask >> 44n) & 3n]).toEqual([0xffff_ffff_ffff_ffffn, 3n]);
});

test('a program interruption as answer is taken behind the instruction', () => {
  const m = machine({ code: ['ae240001', END] });
  m.write(PSW.programNew, EA_BA, BigInt(CODE + 0x100));
  m.script.answer = (vcpu) => vcpu.answer(RUN_ANSWER.PROGRAM, 6);
  m.start();
  m.runUntil(() => m.exits.length === 2);
  expect(m.exits[1].psw).toEqual(END_PSW);
  expect([m.read(PSW.programOld + 8), m.read(0x88) & 0xffff_ffffn]).toEqual([BigInt(CODE + 4), 0x0004_0006n]);
});

test('a program interruption as answer goes to the lowcore’s new frame when that moved in the meantime', () => {
  for (let seed = 0; seed < 20; seed++) {
    const m = machine({ seed, code: ['ae240001', END] });
    m.write(PSW.programNew, EA_BA, BigInt(CODE + 0x100));
    m.script.answer = () => {
      m.script.held = true;
    };
    m.start();
    m.runUntil(() => m.script.held);
    const before = m.mm.space.lookup(m.ram.start, true);
    expect(m.kernel(migratePage(m.mm, m.memory, m.ram.start))).toBe(true);
    m.memory.u8.fill(0xee, before, before + PAGE_SIZE);
    m.script.held = false;
    m.handles[0].answer(RUN_ANSWER.PROGRAM, 6);
    m.runUntil(() => m.exits.length === 2);
    expect(m.exits[1].psw).toEqual(END_PSW);
    expect(m.read(PSW.programOld + 8)).toBe(BigInt(CODE + 4));
  }
});

test('wherever a vCPU looks the lowcore up to reach it, the mover of frames sees it in guest mode', () => {
  const m = machine({ code: ['ae240001', LOOP] });
  m.write(PSW.programNew, EA_BA, BigInt(CODE + 0x100));
  m.write(PSW.restartNew, EA_BA, BigInt(CODE));
  m.script.answer = (vcpu) => vcpu.answer(RUN_ANSWER.PROGRAM, 6);
  m.kernel(m.orders.storeStatus(0, 0xe00));
  m.performed();
  expect(m.looks.length).toBeGreaterThan(0);
  m.give(LOCAL.RESTART);
  m.runUntil(() => m.exits.length === 1);
  m.runUntil(() => m.vcpus[0].cpu.instructions > 100);
  m.kernel(m.orders.stopAndStoreStatus(0));
  m.performed();
  expect(new Set(m.looks)).toEqual(new Set([VCPU_MODE.IN_GUEST_MODE]));
});

test('TSCH takes the subchannel’s interruption off the queue and hands it to the VMM', () => {
  // TSCH 0(R2), twice
  const m = machine({ code: [`b2352000 b2352000 ${END}`] });
  m.vcpus[0].cpu.setGpr(1, 0x10001n);
  const floating = new FloatingInterrupts(m.memory, m.map.floating);
  floating.addIo(3, { subsystemId: 0x10000, intparm: 0x11, word: 3 << 27 });
  floating.addIo(3, { subsystemId: 0x10001, intparm: 0x22, word: 3 << 27 });
  const dequeued: unknown[] = [];
  m.script.answer = (vcpu) => {
    expect(vcpu.run.exit_reason).toBe(KVM_EXIT.S390_TSCH);
    dequeued.push(vcpu.dequeued);
    vcpu.answer(RUN_ANSWER.CC, 0);
  };
  m.start();
  m.runUntil(() => m.exits.length === 3);
  expect(dequeued).toEqual([{ subsystemId: 0x10001, intparm: 0x22, word: 3 << 27 }, undefined]);
  expect(floating.takeIo(0xff)?.subsystemId).toBe(0x10000);
});

test('a loop of program interruptions is told, and an order ends the wait that follows', () => {
  const m = machine({ code: ['0000', END] });
  m.start();
  m.runUntil(() => m.exits.length === 1);
  expect(m.exits[0]).toMatchObject({ reason: KVM_EXIT.SYSTEM_EVENT, event: SYSTEM_EVENT.PROGRAM_LOOP });
  m.write(PSW.restartNew, EA_BA, BigInt(CODE + 0x100));
  m.give(LOCAL.RESTART);
  m.runUntil(() => m.exits.length === 2);
  expect(m.exits[1].psw).toEqual(END_PSW);
});

test('stop ends a loop, restart goes on at the restart new PSW and keeps the old one', () => {
  const m = machine({ code: [LOOP, END] });
  m.write(PSW.restartNew, EA_BA, BigInt(CODE + 0x100));
  m.start();
  m.runUntil(() => m.vcpus[0].cpu.instructions > 100);
  m.give(LOCAL.STOP);
  m.runUntil(() => m.exits.length === 1);
  expect(m.exits[0]).toEqual({
    cpu: 0,
    reason: KVM_EXIT.SYSTEM_EVENT,
    event: SYSTEM_EVENT.STOPPED,
    psw: [EA_BA, 0x2000n],
  });
  const { instructions } = m.vcpus[0].cpu;
  m.requests.requestAll(KVM_REQ.INTERRUPT);
  expect(() => m.runUntil(() => m.handles[0].operating)).toThrow(/nothing can run/);
  expect(m.vcpus[0].cpu.instructions).toBe(instructions);
  m.give(LOCAL.RESTART);
  m.runUntil(() => m.exits.length === 2);
  expect([m.exits[1].psw, m.read(PSW.restartOld + 8)]).toEqual([END_PSW, 0x2000n]);
});

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  'an order is pending until its effect is there: nobody sees a CPU at rest that is about to run (seed %i)',
  (seed) => {
    const m = machine({ seed, code: [END, LOOP] });
    m.write(PSW.restartNew, EA_BA, BigInt(CODE + 0x100));
    const [handle] = m.handles;
    m.start();
    m.runUntil(() => m.exits.length === 1 && handle.atRest);
    m.give(LOCAL.RESTART);
    // Looked at after every step of any task.
    m.runUntil(() => {
      expect(handle.atRest).toBe(false);
      return m.vcpus[0].cpu.instructions > 5000;
    });
    m.give(LOCAL.STOP);
    m.runUntil(() => {
      if (!m.orders.busy(0)) expect([m.orders.state(0), handle.atRest]).toEqual(['stopped', true]);
      return m.exits.length === 2;
    });
  },
);

test('orders to a CPU that waits for the VMM do not hold up the VMM, and are performed after its answer', () => {
  const m = machine({ code: [`ae240001 ${LOOP}`] });
  m.script.answer = () => {
    m.script.held = true;
  };
  m.start();
  m.runUntil(() => m.script.held);
  for (const order of [m.orders.start(0), m.orders.stopAndStoreStatus(0), m.orders.reset(0, true)]) m.kernel(order);
  expect([m.orders.busy(0), m.orders.state(0)]).toEqual([true, 'operating']);
  m.script.held = false;
  m.handles[0].answer(RUN_ANSWER.CC, 0);
  m.performed();
  expect(m.orders.state(0)).toBe('stopped');
});

test('status goes to the address that was given, absolute 0 too, or with its stop to the own lowcore', () => {
  const m = machine();
  m.vcpus[0].cpu.setGpr(3, 0x1234_5678_9abcn);
  m.kernel(m.orders.storeStatus(0, 0));
  m.performed();
  expect(m.read(0x80 + 3 * 8)).toBe(0x1234_5678_9abcn);
  m.kernel(m.orders.storeStatus(0, 0x4200));
  m.performed();
  expect(m.read(0x4200 + 0x80 + 3 * 8)).toBe(0x1234_5678_9abcn);
  m.local(0).addPrefix(0x6000);
  m.give(LOCAL.SET_PREFIX);
  m.performed();
  m.start();
  m.kernel(m.orders.stopAndStoreStatus(0));
  m.performed();
  expect([m.orders.state(0), m.read(0x6000 + 0x1280 + 3 * 8)]).toEqual(['stopped', 0x1234_5678_9abcn]);
});

test('initial reset clears PSW, prefix and control registers, not general registers; CPU reset clears none', () => {
  const m = machine();
  const { cpu } = m.vcpus[0];
  m.local(0).addPrefix(0x6000);
  m.give(LOCAL.SET_PREFIX);
  m.performed();
  m.start();
  cpu.setGpr(9, 99n);
  cpu.setCr(9, 77n);
  m.local(0).addEmergency(0);
  m.kernel(m.orders.reset(0, false));
  m.performed();
  const state = () => [m.orders.state(0), cpu.gpr(9), cpu.cr(9), cpu.psw().mask, cpu.state.prefix];
  expect(state()).toEqual(['stopped', 99n, 77n, EA_BA, 0x6000]);
  expect(m.local(0).pending()).toBe(0);
  m.kernel(m.orders.reset(0, true));
  m.performed();
  expect(state()).toEqual(['stopped', 99n, 0n, 0n, 0]);
});

test('an enabled wait ends with an I/O interruption, and takes it', () => {
  const m = machine({ code: [END] });
  m.write(PSW.ioNew, EA_BA, BigInt(CODE));
  m.vcpus[0].cpu.setCr(6, 0xff00_0000n);
  m.start(0, 0x8888, EA_BA | WAIT | IO);
  m.runUntil(() => m.handles[0].run.idle === 1 && m.orders.state(0) === 'operating');
  expect(m.handles[0].atRest).toBe(false);
  new FloatingInterrupts(m.memory, m.map.floating).addIo(1, { subsystemId: 0x10005, intparm: 0xabc, word: 1 << 27 });
  m.requests.requestAll(KVM_REQ.INTERRUPT);
  m.runUntil(() => m.exits.length === 1);
  expect([m.exits[0].psw, m.read(PSW.ioOld + 8), m.read(0xb8)]).toEqual([END_PSW, 0x8888n, 0x0001_0005_0000_0abcn]);
});

test('an enabled wait ends when the clock comparator is reached, and not before', () => {
  const m = machine({ code: [END] });
  m.write(0x1b0, EA_BA, BigInt(CODE));
  const { cpu } = m.vcpus[0];
  cpu.setCr(0, 0x800n);
  cpu.state.clockComparator = (1n << 60n) + 4096n * 500n;
  m.start(0, 0x8888, EA_BA | WAIT | EXTERNAL);
  m.runUntil(() => m.exits.length === 1);
  expect(m.simulation.now).toBeGreaterThan(500_000);
  expect(m.simulation.now).toBeLessThan(600_000);
  expect(m.read(0x80) & 0xffffn).toBe(0x1004n);
});

test('a page that is being moved is waited for, and orders are heard meanwhile', () => {
  const m = machine({ code: [END] });
  const entry = m.mm.space.entryAddress(m.ram.start + CODE);
  m.memory.or(entry, PTE.MIGRATING);
  m.start();
  expect(() => m.runUntil(() => m.exits.length > 0)).toThrow(/page being moved/);
  m.give(LOCAL.STOP);
  m.runUntil(() => m.exits.length === 1);
  expect(m.exits[0].event).toBe(SYSTEM_EVENT.STOPPED);
  m.memory.and(entry, ~PTE.MIGRATING);
  m.start();
  m.runUntil(() => m.exits.length === 2);
  expect(m.exits[1].psw).toEqual(END_PSW);
});

test('a guest that loops lets its pages be moved and runs on in the new frame', () => {
  for (let seed = 0; seed < 20; seed++) {
    const m = machine({ seed, cpus: 2 });
    m.start(0);
    m.start(1);
    for (const page of [CODE, 0, CODE]) {
      const instructions = m.vcpus[1].cpu.instructions;
      const before = m.mm.space.lookup(m.ram.start + page, true);
      expect(m.kernel(migratePage(m.mm, m.memory, m.ram.start + page))).toBe(true);
      m.memory.u8.fill(0, before, before + PAGE_SIZE);
      m.runUntil(() => m.vcpus[1].cpu.instructions > instructions + 10_000);
    }
    expect(m.exits).toEqual([]);
  }
});

test('statistics tell instructions, PSW and the last of them', () => {
  const m = machine({ code: [END] });
  m.start();
  m.runUntil(() => m.exits.length === 1);
  const { instructions, psw, lastInstructions, missing } = m.vcpus[0].statistics();
  expect([instructions, psw, missing]).toEqual([2, '0002000180000000 0000000000000bad', []]);
  expect(lastInstructions[0]).toMatch(/^00002000: larl/);
});
