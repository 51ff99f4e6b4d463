/** Behaviour of the engine as a whole, on real machine code. */
import { expect, test } from 'vitest';
import type { CpuBus } from './config.ts';
import { SimpleMachine } from './simple_machine.ts';

const MASK = 0x1_8000_0000n;
const DISABLED_WAIT = '0002000180000000';
/** A machine whose program new PSW is a disabled wait at 0xbad and whose code at 0x1000 ends by loading a wait PSW. */
function machine(code: string, ram = 0x20000, bus: Partial<CpuBus> = {}): SimpleMachine {
  const m = new SimpleMachine(ram, { bus });
  m.load(0x1d0, `${DISABLED_WAIT} 0000000000000bad`);
  m.load(0x2000, `${DISABLED_WAIT} 0000000000000000`);
  m.load(0x1000, code);
  m.cpu.setPsw(MASK, 0x1000n);
  m.cpu.setGpr(12, 0x2000n);
  return m;
}
/** lpswe 0(%r12): the end of a program. */
const END = 'b2b2c000';
const word = (m: SimpleMachine, address: number) => m.memory.dv.getUint32(address);
const pgmCode = (m: SimpleMachine) => word(m, 0x8c) & 0xffff;

test('a loop runs to its end and the instructions are counted exactly', () => {
  // lghi 2,1000; agr 1,2; brctg 2,.-4
  const m = machine(`a72903e8 b9080012 a727fffe ${END}`);
  expect(m.cpu.run(1_000_000)).toBe('disabled_wait');
  expect(m.cpu.gpr(1)).toBe(500500n);
  expect(m.cpu.instructions).toBe(1 + 2000 + 1);
});

test('the number of instructions executed depends on the budget only', () => {
  const run = (budget: number) => {
    const m = machine(`a72903e8 b9080012 a727fffe ${END}`);
    const steps: number[] = [];
    while (m.cpu.run(budget) === 'budget') steps.push(m.cpu.instructions);
    return { steps, end: m.cpu.instructions, sum: m.cpu.gpr(1) };
  };
  for (const budget of [1, 7, 100]) {
    expect(run(budget)).toEqual(run(budget));
    expect(run(budget).sum).toBe(500500n);
    expect(run(budget).end).toBe(2002);
  }
});

test('attention leaves an endless loop', () => {
  const m = machine('a7f40000'); // j .
  expect(m.cpu.run(1000)).toBe('budget');
  m.memory.store(m.cpu.state.address + 500, 1);
  expect(m.cpu.run(1000)).toBe('attention');
  expect(m.cpu.run(1000)).toBe('budget');
});

test('a store that crosses into missing storage changes nothing', () => {
  const m = machine(`e310f0000024 ${END}`, 0x10000); // stg 1,0(15)
  m.cpu.setGpr(15, 0xfffcn);
  m.cpu.setGpr(1, 0x1122_3344_5566_7788n);
  expect(m.cpu.run(100)).toBe('disabled_wait');
  expect(pgmCode(m)).toBe(5);
  expect(word(m, 0xfffc)).toBe(0);
  // Suppressed: the old PSW points behind the instruction, length code 6.
  expect(m.memory.dv.getBigUint64(0x158)).toBe(0x1006n);
  expect(word(m, 0x8c) >>> 16).toBe(6);
});

test('a store that crosses a page stores all bytes', () => {
  const m = machine(`e310f0000024 e320f0000004 ${END}`); // stg 1,0(15); lg 2,0(15)
  m.cpu.setGpr(15, 0x4ffdn);
  m.cpu.setGpr(1, 0x1122_3344_5566_7788n);
  m.cpu.run(100);
  expect(m.cpu.gpr(2)).toBe(0x1122_3344_5566_7788n);
  expect(Buffer.from(m.memory.bytes(0x4ffd, 8)).toString('hex')).toBe('1122334455667788');
});

test('load multiple into missing storage leaves every register alone', () => {
  const m = machine(`eb09f0000004 ${END}`, 0x10000); // lmg 0,9,0(15)
  m.cpu.setGpr(15, 0xffe0n);
  for (let n = 0; n < 10; n++) m.cpu.setGpr(n, BigInt(n + 1));
  m.cpu.run(100);
  expect(pgmCode(m)).toBe(5);
  for (let n = 0; n < 10; n++) expect(m.cpu.gpr(n)).toBe(BigInt(n + 1));
});

test('a page being moved leaves the instruction unexecuted and is tried again', () => {
  const m = machine(`a7190007 e310f0000024 a719000b ${END}`);
  m.cpu.setGpr(15, 0x5000n);
  m.moving.add(0x5000);
  expect(m.cpu.run(100)).toBe('retry');
  expect(m.cpu.psw().address).toBe(0x1004n);
  expect(m.cpu.instructions).toBe(1);
  expect(m.cpu.run(100)).toBe('retry');
  m.moving.clear();
  expect(m.cpu.run(100)).toBe('disabled_wait');
  expect(m.memory.dv.getBigUint64(0x5000)).toBe(7n);
  expect(m.cpu.instructions).toBe(4);
});

test('an interruption waits for a lowcore that is being moved', () => {
  const m = machine('a7f40000');
  m.load(0x1b0, `${DISABLED_WAIT} 0000000000000e0e`);
  m.moving.add(0);
  m.cpu.externalInterruption(0x1004);
  expect(m.cpu.run(10)).toBe('retry');
  m.moving.clear();
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect(m.cpu.psw().address).toBe(0xe0en);
});

test('a store into the code ahead takes effect at once', () => {
  // mvhhi 0x10(3),0x2 ; j .+4 ; lghi 1,1 -> lghi 1,2 ; end. The immediate of LGHI is at 0x100c.
  const m = machine(`e5443000 0002 a7f40002 a7190001 ${END}`);
  m.cpu.setGpr(3, 0x100cn);
  m.cpu.run(100);
  expect(m.cpu.gpr(1)).toBe(2n);
});

test('a move into the code ahead takes effect at once', () => {
  // mvc 0(2,3),0(4); lghi 1,1 -> lghi 1,2: its immediate is at 0x1008
  const m = machine(`d20130004000 a7190001 ${END}`);
  m.load(0x3000, '0002');
  m.cpu.setGpr(3, 0x1008n);
  m.cpu.setGpr(4, 0x3000n);
  m.cpu.run(100);
  expect(m.cpu.gpr(1)).toBe(2n);
  expect(m.cpu.instructions).toBe(3);
});

test('a loop that rewrites its own instruction sees each new version', () => {
  // loop: lhi 1,0 (immediate at 0x1002); ahi 5,1; sth 5,0(3); ar 6,1; brct 2,loop
  const m = machine(`a7180000 a75a0001 40503000 1a61 a726fff9 ${END}`);
  m.cpu.setGpr(3, 0x1002n);
  m.cpu.setGpr(2, 5n);
  while (m.cpu.run(1000) === 'budget');
  expect(m.cpu.gpr(6)).toBe(10n); // 0 + 1 + 2 + 3 + 4
});

test('data on a code page can be written without losing the code', () => {
  const m = machine(`e310f0000024 a727fffd ${END}`); // stg 1,0(15); brctg 2,.-6
  m.cpu.setGpr(15, 0x1800n);
  m.cpu.setGpr(2, 1000n);
  while (m.cpu.run(100) === 'budget');
  expect(m.cpu.instructions).toBe(2001);
});

test('code written by somebody else is used after invalidatePage', () => {
  const m = machine(`a7190001 ${END}`);
  m.cpu.run(10);
  m.memory.u8[0x1003] = 9;
  m.cpu.invalidatePage(0x1000);
  m.cpu.setPsw(MASK, 0x1000n);
  m.cpu.run(10);
  expect(m.cpu.gpr(1)).toBe(9n);
});

test('an instruction that crosses a page is executed, and again after either half changed', () => {
  const m = machine('a7f407ff'); // j 0x1ffe
  m.load(0x1ffe, `c011 00000005 ${'b2b2d000'}`); // lgfi 1,5; lpswe 0(13)
  m.load(0x3000, `${DISABLED_WAIT} 0000000000000000`);
  m.cpu.setGpr(13, 0x3000n);
  m.cpu.run(100);
  expect(m.cpu.gpr(1)).toBe(5n);
  m.load(0x2003, '06');
  m.cpu.setPsw(MASK, 0x1000n);
  m.cpu.run(100);
  expect(m.cpu.gpr(1)).toBe(6n);
});

test('EXECUTE ORs the length in and keeps its own address', () => {
  // ex 4,0(5): mvc 0(1,1),0(2)
  const m = machine(`44405000 ${END}`);
  m.load(0x3000, 'd20010002000');
  m.load(0x4000, '0102030405060708');
  m.cpu.setGpr(1, 0x5000n);
  m.cpu.setGpr(2, 0x4000n);
  m.cpu.setGpr(4, 4n);
  m.cpu.setGpr(5, 0x3000n);
  expect(m.cpu.run(100)).toBe('disabled_wait');
  expect(Buffer.from(m.memory.bytes(0x5000, 6)).toString('hex')).toBe('010203040500');
  expect(m.cpu.instructions).toBe(2);
});

test('a fault of an executed instruction reports the EXECUTE', () => {
  const m = machine(`44405000 ${END}`, 0x10000);
  m.load(0x3000, 'd20010002000');
  m.cpu.setGpr(1, 0x20_0000n);
  m.cpu.setGpr(2, 0x4000n);
  m.cpu.setGpr(4, 4n);
  m.cpu.setGpr(5, 0x3000n);
  m.cpu.run(100);
  expect(pgmCode(m)).toBe(5);
  expect(m.memory.dv.getBigUint64(0x158)).toBe(0x1004n);
});

test('overlapping MOVE propagates a byte, also across a page', () => {
  const m = machine(`d2fe80018000 ${END}`); // mvc 1(255,8),0(8)
  m.cpu.setGpr(8, 0x4f80n);
  m.memory.u8[0x4f80] = 0xaa;
  m.cpu.run(10);
  expect(m.memory.bytes(0x4f80, 256).every((byte) => byte === 0xaa)).toBe(true);
  expect(m.memory.u8[0x5080]).toBe(0);
});

test('supervisor call stores its number and swaps the PSW', () => {
  const m = machine('0a2a');
  m.load(0x1c0, `${DISABLED_WAIT} 00000000000050c0`);
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect(word(m, 0x88)).toBe(0x0002_002a);
  expect(m.memory.dv.getBigUint64(0x148)).toBe(0x1002n);
  expect(m.cpu.psw().address).toBe(0x50c0n);
});

test('problem state may not execute privileged instructions', () => {
  const m = machine(`b2023000 ${END}`); // stidp
  m.cpu.setPsw(MASK | (1n << 48n), 0x1000n);
  m.cpu.run(10);
  expect(pgmCode(m)).toBe(2);
});

test('an invalid PSW is refused when it is used', () => {
  const m = machine(END);
  m.load(0x2000, '8000000180000000 0000000000004000');
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect(pgmCode(m)).toBe(6);
  expect(m.memory.dv.getBigUint64(0x158)).toBe(0x4000n);
  expect(word(m, 0x8c) >>> 16).toBe(0);
});

test('opening an interruption mask returns to the owner', () => {
  const m = machine(`ad0340ff a7190001 ${END}`); // stosm 0xff(4),3
  m.cpu.setGpr(4, 0x4000n);
  expect(m.cpu.run(10)).toBe('attention');
  expect(m.cpu.psw().address).toBe(0x1004n);
  expect(m.cpu.run(10)).toBe('disabled_wait');
});

test('I/O instructions leave with text and operand', () => {
  const m = machine(`b2334010 ${END}`); // ssch 16(4)
  m.cpu.setGpr(4, 0x4000n);
  expect(m.cpu.run(10)).toBe('intercept');
  expect(m.cpu.exitMnemonic).toBe('SSCH');
  expect(Buffer.from(m.cpu.exitText).toString('hex')).toBe('b2334010');
  expect(m.cpu.exitOperand).toBe(0x4010n);
  expect(m.cpu.psw().address).toBe(0x1004n);
  m.cpu.programInterruption(0x15);
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect(pgmCode(m)).toBe(0x15);
});

test('DIAGNOSE 5E0 calls the owner, others leave', () => {
  const m = machine(`830005e0 83000044 ${END}`);
  m.hypercall = (cpu) => {
    cpu.setGprNumber(2, -2);
    return true;
  };
  expect(m.cpu.run(10)).toBe('intercept');
  expect(m.cpu.exitMnemonic).toBe('DIAG');
  expect(m.cpu.gpr(2)).toBe(0xffff_ffff_ffff_fffen);
});

/** A machine with a fast hypercall that answers `done` and, when it is 1, puts values into registers 2 and 3. */
function fastMachine(code: string, done: 0 | 1) {
  const calls: bigint[][] = [];
  const m: SimpleMachine = machine(code, 0x20000, {
    fastHypercall: () => {
      calls.push([1, 2, 3, 4, 5].map((n) => m.cpu.gpr(n)));
      if (done === 1) {
        m.cpu.setGpr(2, BigInt(calls.length));
        m.cpu.setGpr(3, 0x1234_5678_9abc_def0n);
      }
      return done;
    },
  });
  let slow = 0;
  m.hypercall = (cpu) => {
    slow++;
    cpu.setGpr(2, 0x77n);
    return true;
  };
  return { m, calls, slow: () => slow };
}

test('a fast hypercall sees the arguments, gives results and counts as one instruction', () => {
  // lghi 1,7; lghi 4,9; diag 0,0,0x5e0; agr 5,2; lgr 7,3; brctg 6,.-20
  const { m, calls, slow } = fastMachine(`a7190007 a7490009 830005e0 b9080052 b9040073 a767fff6 ${END}`, 1);
  m.cpu.setGpr(6, 3n);
  m.cpu.setGpr(3, 5n);
  expect(m.cpu.run(1000)).toBe('disabled_wait');
  const value = 0x1234_5678_9abc_def0n;
  expect(calls).toEqual([
    [7n, 0n, 5n, 9n, 0n],
    [7n, 1n, value, 9n, 1n],
    [7n, 2n, value, 9n, 3n],
  ]);
  expect([m.cpu.gpr(2), m.cpu.gpr(3), m.cpu.gpr(5), m.cpu.gpr(7)]).toEqual([3n, value, 6n, value]);
  expect(m.cpu.instructions).toBe(3 * 6 + 1);
  expect(slow()).toBe(0);
});

test('a hypercall that the fast way does not finish goes the whole way, with the same registers', () => {
  const { m, calls, slow } = fastMachine(`a7190007 830005e0 830005e0 ${END}`, 0);
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect([calls.length, slow(), m.cpu.gpr(2), m.cpu.instructions]).toEqual([2, 2, 0x77n, 4]);
  expect(calls[1]).toEqual([7n, 0x77n, 0n, 0n, 0n]);
  m.hypercall = () => false;
  m.cpu.setPsw(MASK, 0x1000n);
  expect(m.cpu.run(10)).toBe('hypercall');
  expect(m.cpu.psw().address).toBe(0x1008n);
  expect(m.cpu.instructions).toBe(6);
});

test('a fast hypercall leaves the condition code alone', () => {
  // ltgr 5,5; diag; brc 8,.+8; lghi 7,1
  const { m, calls } = fastMachine(`b9020055 830005e0 a7840004 a7790001 ${END}`, 1);
  m.cpu.run(10);
  expect([calls.length, m.cpu.gpr(7)]).toEqual([1, 0n]);
});

test('the function of DIAGNOSE comes from the operand address when it has a base', () => {
  for (const [base, fast] of [
    [0x1_0000n, 1],
    [0xffff_ffff_0000_0000n, 1],
    [1n, 0],
  ] as const) {
    const { m, calls } = fastMachine(`830085e0 ${END}`, 1); // diag 0,0,0x5e0(8)
    m.cpu.setGpr(8, base);
    expect(m.cpu.run(10)).toBe(fast ? 'disabled_wait' : 'intercept');
    expect(calls.length).toBe(fast);
  }
});

test('other functions of DIAGNOSE, and problem state, never reach the fast hypercall', () => {
  const other = fastMachine(`83000044 ${END}`, 1);
  expect(other.m.cpu.run(10)).toBe('intercept');
  const problem = fastMachine(`830005e0 ${END}`, 1);
  problem.m.cpu.setPsw(MASK | (1n << 48n), 0x1000n);
  problem.m.cpu.run(10);
  expect(pgmCode(problem.m)).toBe(2);
  expect([...other.calls, ...problem.calls]).toEqual([]);
  expect(problem.slow()).toBe(0);
});

test('the target of an EXECUTE may be a fast hypercall', () => {
  const { m, calls } = fastMachine(`44005000 b9040072 ${END}`, 1); // ex 0,0(5); lgr 7,2
  m.load(0x3000, '830005e0');
  m.cpu.setGpr(5, 0x3000n);
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect([calls.length, m.cpu.gpr(7), m.cpu.instructions]).toEqual([1, 1n, 3]);
});

test('prefixing exchanges the lowcore', () => {
  const m = machine(`b2105000 e31000000004 ${END}`); // spx 0(5); lg 1,0
  m.load(0x5000, '00008000');
  m.load(0x8000, '1234567800000000');
  // The code is below 8 KiB: it is fetched from the prefix area after SPX.
  m.load(0x9000, m.memory.bytes(0x1000, 16).slice());
  m.cpu.setGpr(5, 0x5000n);
  m.cpu.setGpr(12, 0x6000n);
  m.load(0x6000, `${DISABLED_WAIT} 0000000000000000`);
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect(m.cpu.gpr(1)).toBe(0x1234_5678_0000_0000n);
});

test('an unknown instruction is named and gives an operation exception', () => {
  const m = machine('b2140000'); // sie
  expect(m.cpu.run(10)).toBe('disabled_wait');
  expect(m.missing).toEqual(['SIE']);
  expect(pgmCode(m)).toBe(1);
});

test('a program-interruption loop that executes nothing is told apart from running', () => {
  const m = new SimpleMachine(0x10000);
  m.load(0x1d0, '0000000180000000 0000000000001000');
  m.cpu.setPsw(MASK, 0x1000n);
  expect(m.cpu.run(1000)).toBe('program_loop');
});

test('DAT translates through segment and page tables, and faults precisely', () => {
  // Segment table at 0x8000, page table at 0x9000: virtual 0x0000-0x7fff = real, 0x10000 -> 0x5000, 0x11000 invalid.
  const m = machine(`e310f0000004 e320e0000004 ${END}`, 0x40000);
  m.memory.u8.fill(0, 0x8000, 0xa000);
  for (let n = 0; n < 512; n++) m.memory.dv.setBigUint64(0x8000 + n * 8, 0x20n);
  m.memory.dv.setBigUint64(0x8000, 0x9000n);
  for (let n = 0; n < 256; n++) m.memory.dv.setBigUint64(0x9000 + n * 8, n < 16 ? BigInt(n * 4096) : 0x400n);
  m.memory.dv.setBigUint64(0x9000 + 16 * 8, 0x5000n);
  m.load(0x5008, '00000000000000aa');
  m.cpu.setCr(1, 0x8000n);
  m.cpu.setGpr(15, 0x10008n);
  m.cpu.setGpr(14, 0x11008n);
  m.cpu.setPsw(MASK | (1n << 58n), 0x1000n);
  while (m.cpu.run(100) === 'attention');
  expect(m.cpu.gpr(1)).toBe(0xaan);
  expect(pgmCode(m)).toBe(0x11);
  // Nullified: the old PSW points at the instruction; TEID names page and fetch.
  expect(m.memory.dv.getBigUint64(0x158)).toBe(0x1006n);
  expect(m.memory.dv.getBigUint64(0xa8)).toBe(0x11800n);
});

test('low-address protection stops stores to the first 512 bytes', () => {
  const m = machine(`50000100 50000200 ${END}`); // st 0,0x100; st 0,0x200
  m.cpu.setCr(0, 0x1000_00e0n);
  while (m.cpu.run(100) === 'attention');
  expect(pgmCode(m)).toBe(4);
  expect(m.memory.dv.getBigUint64(0x158)).toBe(0x1004n);
});
