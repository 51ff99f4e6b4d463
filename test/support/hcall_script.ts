/**
 * A guest that performs a list of hypercalls and waits for I/O interruptions, real instructions all of it: tests of the
 * sPAPR side on the whole machine. It runs with interruption subclass 2 only, and ends in a disabled wait at address 0.
 */

import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import type { MachineConfig } from '../../hypervisor/config.ts';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import { AddressSpace } from '../../kernel/lib/address_space.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';

const CODE = 0x1_0000;
const STEPS = 0x2_0000;
const RESULTS = 0x4_0000;
/** Where a script's own storage begins. */
const FREE = 0x10_0000;
/** Bytes of a step, and of its result. */
const STEP = 128;

/**
 * GR12: step, GR13: its result. A step begins with what to do: 0 end, 1 hypercall, 2 wait, 3 hypercall until GR3 masked
 * with the doubleword at 88 is the one at 96. Registers 1 to 10 of a hypercall follow it; its result is registers 2 to 9,
 * that of a wait what the interruption stored.
 */
const PROGRAM = [
  'c0b100010000 c0c100020000 c0d100040000', // LGFI 11, 12, 13
  'd20f01f0b080 eb66b0a0002f', // MVC to the I/O new PSW; LCTLG 6
  'e300c0000004 b9020000 a7840025', // loop: LG 0; LTGR; JZ end
  'a70f0002 a784001f', // CGHI 0,2; JE wait
  'eb1ac0080004 830005e0 eb29d0000024', // hcall: LMG 1,10; DIAG X'5E0'; STMG 2,9
  'e300c0000004 a70f0003 a774000a', // LG 0; CGHI 0,3; JNE next
  'e330c0580080 e330c0600020 a774ffeb', // NG 3; CG 3; JNE hcall
  'a7cb0080 a7db0080 a7f4ffda', // next: AGHI 12; AGHI 13; J loop
  'b2b2b090', // wait: LPSWE
  'b2b2b0b0', // end: LPSWE
  'd20bd00000b8 a7f4fff3', // I/O interruption: MVC; J next
  '0000000180000000 0000000000010076', // I/O new PSW
  '0202000180000000 000000000001006e', // enabled wait
  '0000000020000000 0000000000000000', // control register 6
  '0002000180000000 0000000000000000', // disabled wait
].join('');

/** `[register 2, ...]` after a hypercall, signed where it is the return code. */
export interface HcallOutcome {
  readonly ret: number;
  /** Register 3. */
  readonly value: bigint;
}

export class HcallScript {
  readonly #steps: bigint[][] = [];
  readonly #segments: { address: number; bytes: Uint8Array; memorySize: number }[] = [];
  #next = FREE;

  /** Storage of the script's own, with contents. */
  data(bytes: Uint8Array, align = 8): number {
    const address = Math.ceil(this.#next / align) * align;
    this.#next = address + bytes.length;
    this.#segments.push({ address, bytes, memorySize: bytes.length });
    return address;
  }
  #step(...words: (number | bigint)[]): number {
    this.#steps.push(words.map(BigInt));
    return this.#steps.length - 1;
  }
  /** One hypercall; returns its number, for {@link HcallRun.outcome}. */
  hcall(token: number, ...args: (number | bigint)[]): number {
    return this.#step(1, token, ...args);
  }
  /** The same until its value, masked, is `value`. */
  until(mask: number | bigint, value: number | bigint, token: number, ...args: (number | bigint)[]): number {
    const registers = [token, ...args, ...new Array(9).fill(0)].slice(0, 10);
    return this.#step(3, ...registers, mask, value);
  }
  /** An enabled wait for one I/O interruption. */
  wait(): number {
    return this.#step(2);
  }
  /** An RTAS call; returns the address of its results, for {@link HcallRun.words}. */
  rtas(token: number, args: readonly number[], nret: number): number {
    const dv = new DataView(new ArrayBuffer(4 * (3 + args.length + nret)));
    [token, args.length, nret, ...args].forEach((word, i) => {
      dv.setUint32(4 * i, word >>> 0);
    });
    const buffer = this.data(new Uint8Array(dv.buffer));
    this.hcall(0xf000, buffer);
    return buffer + 4 * (3 + args.length);
  }

  async config(words: readonly string[]): Promise<MachineConfig> {
    const { values, rest } = parseOptions('boot', BOOT_OPTIONS, ['--memory', '16M', ...words]);
    const config = await bootConfig(values, rest);
    const code = new Uint8Array(Buffer.from(PROGRAM.replaceAll(' ', ''), 'hex'));
    const steps = new DataView(new ArrayBuffer((this.#steps.length + 1) * STEP));
    for (const [i, words] of this.#steps.entries())
      for (const [j, word] of words.entries()) steps.setBigUint64(i * STEP + j * 8, BigInt.asUintN(64, word));
    const segment = (address: number, bytes: Uint8Array) => ({ address, bytes, memorySize: bytes.length });
    const segments = [segment(CODE, code), segment(STEPS, new Uint8Array(steps.buffer)), ...this.#segments];
    return { ...config, drives: [], kernel: { segments, entry: BigInt(CODE) } };
  }

  /** Boots under the simulated scheduler. @throws Error when the guest did not come to its end */
  async simulate(words: readonly string[] = [], change: Partial<MachineConfig> = {}): Promise<HcallRun> {
    const run = await simulate({ ...(await this.config(words)), ...change });
    if (run.result.status !== 0) throw new Error(`script: ${run.result.reason}\n${run.log.join('\n')}`);
    return new HcallRun(run);
  }
}

/** What a script left. */
export class HcallRun {
  readonly machine: SimulatedRun;
  readonly #space: AddressSpace;
  readonly #slots: Memslots;

  constructor(machine: SimulatedRun) {
    this.machine = machine;
    this.#space = new AddressSpace(machine.memory, machine.map);
    this.#slots = new Memslots(machine.memory, machine.map.memslots);
  }
  /** Guest storage, not across a page. */
  view(gpa: number, length: number): DataView {
    const page = this.#space.lookup(this.#slots.hva(gpa), false);
    return new DataView(this.machine.memory.bytes(page + (gpa % 4096), length).slice().buffer);
  }
  outcome(step: number): HcallOutcome {
    const dv = this.view(RESULTS + step * STEP, 16);
    return { ret: Number(dv.getBigInt64(0)), value: dv.getBigUint64(8) };
  }
  /** Subsystem-identification word, parameter and identification word of the interruption that a wait took. */
  interruption(step: number): readonly [number, number, number] {
    const dv = this.view(RESULTS + step * STEP, 12);
    return [dv.getUint32(0), dv.getUint32(4), dv.getUint32(8)];
  }
  /** 32-bit words, signed. */
  words(gpa: number, count: number): number[] {
    const dv = this.view(gpa, 4 * count);
    return Array.from({ length: count }, (_, i) => dv.getInt32(4 * i));
  }
}
