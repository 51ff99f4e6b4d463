/** Runs vectors on minivisor's CPU. */
import { SimpleMachine } from '../../guest/cpu/simple_machine.ts';
import { AREA_A, AREA_B, AREA_SIZE, CODE_SIZE, CR0, SLOT, ZONE_END } from './layout.ts';
import { after, before, bytesOf, type Form, type Machine, type Side } from './vectors.ts';

/** Program old and new PSW, and the program-interruption identification (SA22-7832 figure 3-2). */
const PROGRAM_OLD_PSW = 0x150n;
const PROGRAM_NEW_PSW = 0x1d0;
const PROGRAM_ID = 0x8cn;
/** Disabled wait in 64-bit mode at an address of our own. */
const CAUGHT = '0002000180000000000000000000ca00';
/** More instructions than any case executes, the repetitions of interruptible ones included. */
const BUDGET = 10_000;

/** What a vector expects, or what the CPU did, in comparable lines. */
function lines(machine: Machine, pgm: string): string[] {
  const hex = (v: bigint) => v.toString(16).padStart(16, '0');
  const area = (bytes: Uint8Array, start: number) =>
    Array.from(
      { length: AREA_SIZE / 16 },
      (_, n) => `m${(start + 16 * n).toString(16)} ${Buffer.from(bytes.subarray(16 * n, 16 * n + 16)).toString('hex')}`,
    );
  return [
    pgm,
    `psw ${hex(machine.pswMask)} ${machine.address.toString(16)}`,
    `fpc ${machine.fpc.toString(16)}`,
    ...machine.gprs.map((v, n) => `r${n} ${hex(v)}`),
    ...machine.fprs.map((v, n) => `f${n} ${hex(v)}`),
    ...area(machine.areaA, AREA_A),
    ...area(machine.areaB, AREA_B),
  ];
}

/** minivisor's CPU with the conformance machine's storage. */
export class Conformance {
  private readonly machine = new SimpleMachine(ZONE_END);

  constructor() {
    this.machine.cpu.reset();
    this.machine.load(PROGRAM_NEW_PSW, bytesOf(CAUGHT));
  }

  /** Puts a form's code in the slot. */
  load(form: Form): void {
    const code = new Uint8Array(CODE_SIZE);
    code.set(bytesOf(form.code));
    this.machine.load(SLOT, code);
    this.machine.cpu.invalidateAll();
  }

  /** Runs one case of the loaded form. Returns the lines that differ, expected and found; none when it agrees. */
  run(form: Form, input: Side, output: Side): string[] {
    const { cpu } = this.machine;
    const start = before(input);
    const { state } = cpu;
    state.cr[0] = CR0;
    state.fpc = 0;
    start.fprs.forEach((v, n) => {
      state.fpr[n] = v;
    });
    start.gprs.forEach((v, n) => {
      cpu.setGpr(n, v);
    });
    this.machine.load(AREA_A, start.areaA);
    this.machine.load(AREA_B, start.areaB);
    cpu.setPsw(start.pswMask, start.address);
    const reason = cpu.run(BUDGET);
    if (reason !== 'disabled_wait')
      return [`expected disabled_wait, found ${reason} at ${cpu.psw().address.toString(16)}`];
    const expected = lines(
      after(form, input, output),
      output.pgm ? `pgm ${output.pgm} ilc ${output.ilc} dxc ${output.dxc ?? 0}` : 'pgm none',
    );
    const found = this.found(output.pgm === undefined);
    return expected.flatMap((line, n) => (line === found[n] ? [] : [`expected ${line}, found ${found[n]}`]));
  }

  /** Reads what the program interruption left. `completed`: it is the operation exception on the zeros. */
  private found(completed: boolean): string[] {
    const { cpu } = this.machine;
    const view = (address: bigint, length: number) => {
      const bytes = cpu.readGuest(address, length);
      return new DataView(bytes.buffer, bytes.byteOffset, length);
    };
    const psw = view(PROGRAM_OLD_PSW, 16);
    const id = view(PROGRAM_ID, 8);
    const [ilc, code, dxc] = [id.getUint8(1), id.getUint16(2), id.getUint32(4)];
    const numbers = [...Array(16).keys()];
    let pgm = `pgm ${code.toString(16)} ilc ${ilc} dxc ${code === 7 ? dxc.toString(16) : 0}`;
    let address = psw.getBigUint64(8);
    if (completed && code === 1 && ilc === 2) {
      pgm = 'pgm none';
      address -= 2n;
    }
    const machine: Machine = {
      pswMask: psw.getBigUint64(0),
      address,
      gprs: numbers.map((n) => cpu.gpr(n)),
      fprs: numbers.map((n) => cpu.state.fpr[n]!),
      fpc: cpu.state.fpc,
      areaA: cpu.readGuest(BigInt(AREA_A), AREA_SIZE),
      areaB: cpu.readGuest(BigInt(AREA_B), AREA_SIZE),
    };
    return lines(machine, pgm);
  }
}
