/**
 * A speed measurement: an integer loop of real machine code. The clock is
 * kernel/lib's or the caller's.
 */
import { stopwatch } from '../../kernel/lib/clock.ts';
import { SimpleMachine } from './simple_machine.ts';

/** What one measurement gave. */
export interface Mips {
  readonly instructions: number;
  readonly seconds: number;
}

const ENTRY = 0x1000;
/** xorshift loop: sllg/xgr/srlg/xgr/sllg/xgr/agr/nill-like mask/agr/brctg, 11 instructions. */
const ALU_LOOP = [
  'eb31000d000d', // sllg 3,1,13
  'b9820013', // xgr 1,3
  'eb310007000c', // srlg 3,1,7
  'b9820013', // xgr 1,3
  'eb310011000d', // sllg 3,1,17
  'b9820013', // xgr 1,3
  'b9080041', // agr 4,1
  'b9040054', // lgr 5,4
  'a5570fff', // nill 5,0xfff
  'b9080065', // agr 6,5
  'a727ffe9', // brctg 2,loop
].join('');

/** Runs the integer loop `iterations` times. @param now seconds from any origin */
export function measureLoop(now: () => number, iterations: number): Mips {
  const machine = new SimpleMachine(0x10000);
  const { cpu } = machine;
  // After the loop: a disabled wait.
  machine.load(ENTRY, `${ALU_LOOP} b2b27000`);
  machine.load(0x2000, '0002000180000000 0000000000000000');
  const prepare = (count: number) => {
    cpu.setPsw(0x1_8000_0000n, BigInt(ENTRY));
    cpu.setGpr(1, 0x1234_5678_9abc_def1n);
    cpu.setGpr(2, BigInt(count));
    cpu.setGpr(7, 0x2000n);
  };
  const finish = () => {
    while (cpu.run(10_000_000) === 'budget');
  };
  // Long enough for the host's compiler to tier up.
  prepare(3_000_000);
  finish();
  prepare(iterations);
  const before = cpu.instructions;
  const start = now();
  finish();
  return { instructions: cpu.instructions - before, seconds: now() - start };
}

/** Iterations of one timed run: some tens of milliseconds. */
const ITERATIONS = 10_000_000;
/** Millions of instructions a second, once per repeat; can be called by name on a pool thread. */
export function measureMips({ repeats }: { readonly repeats: number }): number[] {
  const elapsed = stopwatch();
  const seconds = () => elapsed() / 1000;
  return Array.from({ length: repeats }, () => {
    const { instructions, seconds: time } = measureLoop(seconds, ITERATIONS);
    return instructions / time / 1e6;
  });
}
