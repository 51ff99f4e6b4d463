/** Two CPUs under the simulated scheduler: what one withdraws, the other does not use any more. */
import { expect, test } from 'vitest';
import { VcpuHandle } from '../../hypervisor/vmm/vcpu_handle.ts';
import {
  KVM_EXIT,
  KVM_REQ,
  KVM_RUN,
  RUN_ANSWER,
  RUN_LOCAL_INTERRUPTS,
  STATE_ATTENTION,
} from '../../kernel/include/uapi/kvm_run.ts';
import { VcpuRequests } from '../../kernel/kvm/vcpu_requests.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { LOCAL, LocalInterrupts, type ProgramInformation } from '../../kernel/lib/local_interrupts.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';
import { Simulation } from '../../kernel/lib/simulated.ts';
import { sleep, type Task } from '../../kernel/lib/task.ts';
import { migratePage } from '../../kernel/mm/migrate.ts';
import { Mm } from '../../kernel/mm/mm.ts';
import { PageAllocator } from '../../kernel/mm/page.ts';
import { smallMachine } from '../../test/support/small_machine.ts';
import { TOY_MODEL } from '../model.ts';
import { VcpuThread } from './vcpu.ts';

const RAM = 32 * PAGE_SIZE;
const EA_BA = 0x1_8000_0000n;
const DAT = 1n << 58n;
const key = (n: number) => BigInt(n) << 52n;
const DATA = 0x5000;
const WAIT = 0x0002_0001_8000_0000n;
/** lpswe 0(%r12), where R12 is 3000. */
const END = 'b2b2c000';

/** A guest with code for each CPU at 2000 and 2800; runs until both CPUs wait. */
class Pair {
  readonly machine = smallMachine(80, 2);
  readonly mm = new Mm(
    this.machine.memory,
    this.machine.map,
    1000,
    new PageAllocator(this.machine.memory, this.machine.map),
  );
  readonly ram = this.mm.mmapAnonymous('ram', RAM, true);
  readonly simulation: Simulation;
  readonly vcpus: readonly VcpuThread[];
  ended = 0;
  /** What the answer to an intercepted instruction is. */
  found: ProgramInformation | undefined;

  constructor(seed: number, programs: readonly string[], masks: readonly bigint[] = [EA_BA, EA_BA]) {
    const { memory, map } = this.machine;
    new Memslots(memory, map.memslots).set(0, { gpa: 0, size: RAM, hva: this.ram.start });
    this.simulation = new Simulation(seed);
    const requests = new VcpuRequests(memory, map, STATE_ATTENTION);
    this.mm.notifiers.add(() => requests.flushAll('vCPUs'));
    this.mm.settled = () => requests.requestAll(KVM_REQ.INTERRUPT);
    this.store64(0x1d0, WAIT, 0xbadn);
    this.store64(0x3000, WAIT, 0n);
    this.vcpus = programs.map((text, index) => {
      const bytes = Buffer.from(text.replaceAll(' ', ''), 'hex');
      memory.u8.set(bytes, this.hpa(0x2000 + index * 0x800));
      const actor = this.simulation.actor(`vcpu${index}`);
      const vcpu = new VcpuThread({ actor, memory, map, index, model: TOY_MODEL, todBase: 0n, log: () => {} });
      actor.spawn('run', vcpu.task());
      vcpu.cpu.setGpr(4, BigInt(DATA));
      vcpu.cpu.setGpr(12, 0x3000n);
      return vcpu;
    });
    const vmm = this.simulation.actor('vmm');
    this.vcpus.forEach((_, index) => {
      const handle = new VcpuHandle(memory, map, { size: RAM } as never, index);
      handle.setPsw(masks[index], BigInt(0x2000 + index * 0x800));
      const local = new LocalInterrupts(memory, map.vcpus[index].run + RUN_LOCAL_INTERRUPTS);
      local.add(LOCAL.START);
      requests.request(index, KVM_REQ.SIGP);
      vmm.spawn('answers', this.#answer(handle, local));
    });
  }
  *#answer(handle: VcpuHandle, local: LocalInterrupts): Task {
    for (;;) {
      yield handle.exit;
      if (handle.run.exit_reason === KVM_EXIT.S390_SIEIC) {
        if (this.found !== undefined) local.addProgram(this.found);
        handle.answer(RUN_ANSWER.NONE);
      } else {
        this.ended++;
        handle.answer(RUN_ANSWER.PARK);
      }
    }
  }
  hpa(gpa: number): number {
    return this.mm.space.lookup(this.ram.start + gpa, false) + (gpa % PAGE_SIZE);
  }
  store64(gpa: number, ...values: bigint[]): void {
    values.forEach((value, i) => {
      this.machine.memory.dv.setBigUint64(this.hpa(gpa + 8 * i), value);
    });
  }
  key(gpa: number): number {
    return this.mm.space.keys.get(this.hpa(gpa));
  }
  run(): this {
    this.simulation.run(() => this.ended === 2, this.simulation.steps + 20_000);
    return this;
  }
  /** Moves the pages all the time. */
  move(...pages: readonly number[]): { count: number } {
    const moves = { count: 0 };
    const { mm, simulation, ram } = this;
    const { memory } = this.machine;
    const kernel = simulation.actor('kernel');
    kernel.spawn(
      'mover',
      (function* (): Task {
        for (;;)
          for (const page of pages) {
            yield* sleep(kernel, 500);
            if (yield* migratePage(mm, memory, ram.start + page)) moves.count++;
          }
      })(),
    );
    return moves;
  }
}

/** Counts in 5000 for ever: agsi 0(4),1; j .-6 */
const COUNT = 'eb014000007a a7f4fffd';
/** Waits until the other CPU counts, does `text`, and looks whether it still does: R2, R3 the count then and later. */
const withdraw = (text: string) =>
  // lg 2,0(4); cghi 2,50; jl .-10; TEXT; lg 2,0(5); lghi 6,9000; brctg 6,.; lg 3,0(5); lpswe
  `e32040000004 a72f0032 a744fffb ${text} e32050000004 a7692328 a7670000 e33050000004 ${END}`;

test('after SSKE no other CPU stores with the permission it had', () => {
  for (let seed = 0; seed < 60; seed++) {
    // sske 7,4
    const pair = new Pair(seed, [withdraw('b22b0074'), COUNT], [EA_BA, EA_BA | key(3)]);
    pair.mm.space.keys.set(pair.hpa(DATA), 0x30);
    const { cpu } = pair.vcpus[0];
    cpu.setGpr(5, BigInt(DATA));
    cpu.setGpr(7, 0x40n);
    pair.run();
    expect(cpu.gpr(2)).toBeGreaterThanOrEqual(50n);
    expect([seed, cpu.gpr(3)]).toEqual([seed, cpu.gpr(2)]);
    expect(pair.machine.memory.dv.getUint16(pair.hpa(0x8e))).toBe(4);
  }
});

test('after IPTE no other CPU stores through the page-table entry', () => {
  for (let seed = 0; seed < 40; seed++) {
    // CPU 0 looks at real 5000; ipte 8,4
    const pair = new Pair(seed, [withdraw('b2210084'), COUNT], [EA_BA, EA_BA | DAT]);
    // Identity: segment table at 6000, page table at 7000.
    pair.store64(0x6000, 0x7000n);
    for (let page = 0; page < 32; page++) pair.store64(0x7000 + 8 * page, BigInt(page * PAGE_SIZE));
    const [{ cpu }, other] = pair.vcpus;
    other.cpu.setCr(1, 0x6000n);
    cpu.setGpr(5, BigInt(DATA));
    cpu.setGpr(8, 0x7000n);
    pair.run();
    expect([seed, cpu.gpr(3)]).toEqual([seed, cpu.gpr(2)]);
    expect(pair.machine.memory.dv.getUint16(pair.hpa(0x8e))).toBe(0x11);
  }
});

test('a reference after RRBE is seen again, whichever CPU makes it', () => {
  for (let seed = 0; seed < 20; seed++) {
    // CPU 0: rrbe 0,4; lghi 6,9000; brctg 6,.; iske 3,4
    const pair = new Pair(seed, [withdraw(`b22a0004 a7692328 a7670000 b2290034 180b 1893`), COUNT]);
    const { cpu } = pair.vcpus[0];
    cpu.setGpr(5, BigInt(DATA));
    pair.simulation.run(() => pair.ended === 1, pair.simulation.steps + 20_000);
    // The change bit had been on all the time.
    expect(cpu.gpr(9) & 0xfen).toBe(6n);
  }
});

test('CPUs that withdraw from each other at the same time never wait for ever, nor with moving pages', () => {
  for (let seed = 0; seed < 20; seed++) {
    // lghi 6,200; LOOP: st 6,0(4); rrbe 0,4; sske 7,5; l 2,0(5); brctg 6,LOOP
    const program = `a76900c8 50604000 b22a0004 b22b0075 58205000 a767fff8 ${END}`;
    const pair = new Pair(seed, [program, program]);
    const moves = pair.move(DATA, 0x8000);
    for (const { cpu } of pair.vcpus) {
      cpu.setGpr(5, 0x8000n);
      cpu.setGpr(7, 0x50n);
    }
    pair.run();
    expect(pair.key(0x8000) & 0xf8).toBe(0x50);
    expect(pair.key(DATA) & 2).toBe(2);
    expect(moves.count).toBeGreaterThan(10);
  }
});

test.each([
  [4, 0x2004n],
  [0x11, 0x2000n],
])('a vCPU takes the program interruption %i that KVM found, with all that belongs to it', (code, address) => {
  // ssch 0(4)
  const pair = new Pair(1, [`b2334000 ${END}`]);
  pair.found = { code, teid: 0x1234_5001n, accessId: 4 };
  pair.simulation.run(() => pair.ended === 1, 5000);
  const { memory, map } = pair.machine;
  // KVM sees the control registers in the run page.
  expect(memory.dv.getBigUint64(map.vcpus[0].run + KVM_RUN.offset.crs, true)).toBe(0xe0n);
  expect(memory.dv.getBigUint64(pair.hpa(0xa8))).toBe(0x1234_5001n);
  expect(memory.dv.getBigUint64(pair.hpa(0x158))).toBe(address);
  expect([memory.u8[pair.hpa(0xa0)], memory.dv.getUint16(pair.hpa(0x8e))]).toEqual([4, code]);
});
