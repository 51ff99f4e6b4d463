import { beforeEach, describe, expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { FakeMachine } from '../fake_machine.ts';
import { SpaprHypercalls } from './spapr_hcall.ts';
import { calendar } from './spapr_rtas_platform.ts';

const BUFFER = 0x4000;
const H_PARAMETER = -4n;
const NO_BRIDGE = [0x0800_0000, 0x2000_0000];

let machine: FakeMachine;
let hypercalls: SpaprHypercalls;
let terms: string[];

beforeEach(() => {
  machine = new FakeMachine();
  terms = [];
  hypercalls = new SpaprHypercalls(machine, {
    tier: 'vmm',
    mark: () => {},
    cpus: 2,
    platform: { tod: () => 0n, osTerm: (message) => terms.push(message) },
  });
});

/** Writes a buffer and calls; returns the return code and the result words, signed. */
function call(token: number, args: readonly number[], nret: number, at = BUFFER): [bigint, number[]] {
  const dv = new DataView(machine.memory.bytes.buffer);
  const words = [token, args.length, nret, ...args, ...new Array(nret).fill(0x7777_7777)];
  words.forEach((word, i) => {
    dv.setUint32(at + 4 * i, word >>> 0);
  });
  const { ret } = machine.run(hypercalls.hypercall(HCALL.H_RTAS, [BigInt(at)]));
  return [ret, Array.from({ length: nret }, (_, i) => dv.getInt32(at + 4 * (3 + args.length + i)))];
}
const raw = (buffer: bigint) => machine.run(hypercalls.hypercall(HCALL.H_RTAS, [buffer])).ret;

describe('the buffer', () => {
  test.each([
    ['outside memory', 0x20000n],
    ['far away', 0xffff_ffff_ffff_fff0n],
    ['with its head across the end', 0x1fff8n],
  ])('%s is H_PARAMETER', (_, buffer) => {
    expect(raw(buffer)).toBe(H_PARAMETER);
  });
  test('with its words across the end is H_PARAMETER', () => {
    const dv = new DataView(machine.memory.bytes.buffer);
    const at = machine.memory.size - 16;
    [0x200b, 1, 3].forEach((word, i) => {
      dv.setUint32(at + 4 * i, word);
    });
    expect(raw(BigInt(at))).toBe(H_PARAMETER);
  });
  // CVE-2021-37576: more words than the structure has were written behind it.
  test.each([
    [16, 1],
    [17, 0],
    [0xffff_ffff, 1],
    [1, 16],
    [0, 0xffff_ffff],
    [0x8000_0000, 0x8000_0000],
  ])('with %i arguments and %i results is H_PARAMETER, and nothing is written', (nargs, nret) => {
    const dv = new DataView(machine.memory.bytes.buffer);
    machine.memory.bytes.fill(0x77);
    [0x200b, nargs, nret].forEach((word, i) => {
      dv.setUint32(BUFFER + 4 * i, word);
    });
    const before = machine.memory.bytes.slice();
    expect(raw(BigInt(BUFFER))).toBe(H_PARAMETER);
    expect(Buffer.compare(machine.memory.bytes, before)).toBe(0);
  });
  test('may be anywhere, aligned or not, and right up to the end', () => {
    expect(call(0x200b, [0x1200], 3, 0x4001)).toEqual([0n, [-3, 0x7777_7777, 0x7777_7777]]);
    expect(call(0x200b, [0x1200], 3, machine.memory.size - 28)[1][0]).toBe(-3);
  });
});

test('an unknown token is H_PARAMETER, and the status says so too', () => {
  expect(call(0x2000, [1], 2)).toEqual([H_PARAMETER, [-3, 0x7777_7777]]);
  expect(call(0xffff_ffff, [], 0)).toEqual([H_PARAMETER, []]);
});

test('every call has its token once, and refuses a wrong number of arguments or results by its status', () => {
  const { rows } = hypercalls.rtas;
  expect(rows.map(({ token }) => token)).toEqual([...new Set(rows.map(({ token }) => token))]);
  for (const { token, name, nargs, nret, refusal = -3 } of rows) {
    const wrong = (good: readonly number[]) => [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((n) => !good.includes(n));
    for (const n of wrong(nargs))
      expect([name, n, call(token, new Array(n).fill(0), 1)[1]]).toEqual([name, n, [refusal]]);
    for (const n of wrong(nret).filter((one) => one > 0))
      expect([name, n, call(token, new Array(nargs[0]).fill(0), n)[1][0]]).toEqual([name, n, refusal]);
  }
});

test('a bridge that is not there is refused by every call that names one', () => {
  const [high, low] = NO_BRIDGE;
  const statuses = [
    [0x2014, [0, 4], 2],
    [0x2015, [0, 4, 0], 1],
    [0x2016, [0, high, low, 4], 2],
    [0x2017, [0, high, low, 4, 0], 1],
    [0x2018, [0, high, low, 0], 3],
    [0x2019, [0, high, low, 1, 1, 0], 3],
    [0x2020, [0, high, low, 1], 1],
    [0x2021, [0, high, low, 0], 2],
    [0x2022, [0, high, low], 4],
    [0x2023, [0, high, low, 1], 1],
    [0x2024, [0, high, low], 1],
    [0x2025, [0, high, low, 0, 0, 0, 0, 1], 1],
    [0x2026, [0, high, low], 5],
    [0x2027, [0, high, low, 12, 30], 4],
    [0x2028, [0x8000_0000], 1],
    [0x2029, [0, high, low], 1],
  ] as const;
  expect(statuses.map(([token, args, nret]) => call(token, args, nret)[1][0])).toEqual([
    ...[-1, -1, -1, -1],
    ...new Array(12).fill(-3),
  ]);
});

describe('interrupt sources', () => {
  const NUMBER = 0x1234;
  beforeEach(() => hypercalls.irq.claimLsi(NUMBER, function* () {}));
  test('are routed, asked, masked and unmasked', () => {
    expect(call(0x200a, [NUMBER, 1, 7], 1)[1]).toEqual([0]);
    expect(call(0x200b, [NUMBER], 3)[1]).toEqual([0, 1, 7]);
    expect(call(0x200c, [NUMBER], 1)[1]).toEqual([0]);
    expect(call(0x200b, [NUMBER], 3)[1]).toEqual([0, 1, 0xff]);
    expect(call(0x200d, [NUMBER], 1)[1]).toEqual([0]);
    expect(call(0x200b, [NUMBER], 3)[1]).toEqual([0, 1, 7]);
  });
  test.each([
    ['a source there is not', 0x200a, [NUMBER + 1, 0, 5], 1],
    ['a server there is not', 0x200a, [NUMBER, 2, 5], 1],
    ['a priority there is not', 0x200a, [NUMBER, 0, 0x100], 1],
    ['get of a source there is not', 0x200b, [0], 3],
    ['off of a source there is not', 0x200c, [0xffff_ffff], 1],
    ['on of a source there is not', 0x200d, [NUMBER + 1], 1],
  ] as const)('%s is refused', (_, token, args, nret) => {
    expect(call(token, args, nret)[1][0]).toBe(-3);
  });
  test('a rising line is one adapter interruption of subclass 2, until the guest has asked', () => {
    call(0x200a, [NUMBER, 0, 7], 1);
    const hcall = (token: number, ...args: number[]) => machine.run(hypercalls.hypercall(token, args.map(BigInt), 0));
    hcall(HCALL.H_CPPR, 0xff);
    machine.run(hypercalls.irq.setLevel(NUMBER, true));
    machine.run(hypercalls.irq.setLevel(NUMBER, true));
    expect(machine.adapter).toEqual([2]);
    expect(hcall(HCALL.H_XIRR).out).toEqual([BigInt(0xff00_0000 + NUMBER)]);
    hcall(HCALL.H_EOI, 0xff00_0000 + NUMBER);
    expect(machine.adapter).toEqual([2, 2]);
    expect(hcall(HCALL.H_IPOLL, 0).out).toEqual([BigInt(0xff00_0000 + NUMBER), 0xffn]);
    expect([hcall(HCALL.H_IPOLL, 2).ret, hcall(HCALL.H_IPI, 2, 5).ret]).toEqual([H_PARAMETER, H_PARAMETER]);
  });
});

describe('the platform', () => {
  test.each([
    [0n, [1900, 1, 1, 0, 0, 0, 0]],
    // 1970-01-01 (X'7D91048BCA000000'), and the leap day of 2000.
    [0x7d91_048b_ca00_0000n, [1970, 1, 1, 0, 0, 0, 0]],
    [0x7d91_048b_ca00_0000n + 951_827_696n * 4_096_000_000n, [2000, 2, 29, 12, 34, 56, 0]],
    [0x7d91_048b_ca00_0000n + 1_795_132_799n * 4_096_000_000n + 4096n, [2026, 11, 19, 23, 59, 59, 1000]],
  ])('TOD 0x%s', (tod, expected) => {
    expect(calendar(tod)).toEqual(expected);
  });
  test('get-time-of-day', () => {
    expect(call(0x2001, [], 8)[1]).toEqual([0, 1900, 1, 1, 0, 0, 0, 0]);
  });
  test('ibm,os-term says the last words, wherever they are', () => {
    machine.memory.bytes.set(new TextEncoder().encode('panic\x01\0rest'), 0x5000);
    for (const address of [0x5000, machine.memory.size - 2, machine.memory.size, 0xffff_ffff])
      expect(call(0x201f, [address], 1)).toEqual([0n, [0]]);
    expect(terms).toEqual(['panic.', '', '', '']);
  });
});
