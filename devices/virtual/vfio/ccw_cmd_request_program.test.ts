import { expect, test } from 'vitest';
import { CCW_FLAG, CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_CCW_CHAIN } from '../../../kernel/include/uapi/vfio.ts';
import { FAKE_RAM_VA, FakeMachine } from '../fake_machine.ts';
import { ARENA_SIZE, UserChannelProgram } from './ccw_cmd_request_program.ts';

const { CC, SKIP, IDA } = CCW_FLAG;
const { F, P, H, T } = ORB_CTRL0.mask;
const ARENA = 0x3ff_9000_0000;
const RAM_END = 0x20000;
type Ccw = readonly [cmd: number, flags: number, count: number, cda: number];

function guest(programs: Readonly<Record<number, readonly Ccw[]>>): FakeMachine {
  const machine = new FakeMachine();
  const dv = new DataView(machine.memory.bytes.buffer);
  for (const [at, ccws] of Object.entries(programs))
    for (const [i, [cmd, flags, count, cda]] of ccws.entries())
      Object.assign(CCW1.at(dv, Number(at) + 8 * i), { cmd, flags, count, cda });
  return machine;
}
function translate(machine: FakeMachine, ctrl0: number = F | P | H, cpa = 0x1000): UserChannelProgram {
  return machine.run(UserChannelProgram.translate(machine.memory, ORB.make({ ctrl0, cpa }), ARENA));
}
/** Name of the error a translation ends with. */
function refusal(machine: FakeMachine, ctrl0?: number, cpa?: number): string {
  try {
    translate(machine, ctrl0, cpa);
    return 'none';
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    return error.code;
  }
}
/** What is in the buffer: the CCWs, with the address behind each offset. */
function written({ bytes, ccws }: UserChannelProgram) {
  const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: ccws }, (_, i) => {
    const { cmd, flags, count, cda } = CCW1.at(dv, 8 * i);
    const address = cmd === 0x08 || cmd === 0 ? cda : Number(dv.getBigUint64(VFIO_CCW_CHAIN.CDA_OFFSET + cda, true));
    return [cmd, flags, count, address];
  });
}
/** IDAWs of the VMM's own list at a VMM address. */
function list({ bytes }: UserChannelProgram, address: number, count: number): number[] {
  const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => Number(dv.getBigUint64(address - ARENA + 8 * i)) - FAKE_RAM_VA);
}

test('a program of direct addresses gets the VMM’s addresses, one entry for each CCW', () => {
  const program = translate(
    guest({
      4096: [
        [0x63, CC, 16, 0x2004],
        [0x86, 0, 4096, 0x3800],
      ],
    }),
  );
  expect(written(program)).toEqual([
    [0x63, CC, 16, FAKE_RAM_VA + 0x2004],
    [0x86, 0, 4096, FAKE_RAM_VA + 0x3800],
  ]);
  expect([program.ccws, program.idaws, program.bytes.length]).toEqual([2, 0, VFIO_CCW_CHAIN.SIZE]);
});

test('a program of format 0 is written as one of format 1', () => {
  const machine = guest({});
  machine.memory.bytes.set([0x31, 0, 0x20, 8, CC, 0, 0, 5, 0xf8, 0, 0x10, 0, 0xff, 0, 0xff, 0xff], 0x1000);
  machine.memory.bytes.set([0x06, 0, 0x30, 0, 0, 0, 1, 0], 0x1010);
  const program = translate(machine, P);
  expect(written(program)).toEqual([
    [0x31, CC, 5, FAKE_RAM_VA + 0x2008],
    [0x08, 0, 0, 0],
    [0x06, 0, 256, FAKE_RAM_VA + 0x3000],
  ]);
  expect(program.ctrl0 & (F | H | T)).toBe(F | H | T);
});

test.each([
  ['format-1 words of 2K', F | P, 4, [0x5100, 0x7800, 0x6000], 4096 - 0x100 + 1],
  ['format-2 words of 2K', F | P | H | T, 8, [0x5100, 0x7800, 0x6000], 4096 - 0x100 + 1],
  ['format-2 words of 4K', F | P | H, 8, [0x5100, 0x8000], 4096],
])('an IDAL of %s is copied with the VMM’s addresses, as format 2', (_what, ctrl0, size, words, count) => {
  const machine = guest({ 4096: [[0x86, IDA, count, 0x4000]] });
  const dv = new DataView(machine.memory.bytes.buffer);
  for (const [i, word] of words.entries()) dv.setUint32(0x4000 + size * i + size - 4, word);
  const program = translate(machine, ctrl0);
  const [[, flags, , address]] = written(program);
  expect([flags, program.idaws]).toEqual([IDA, words.length]);
  expect(list(program, address, words.length)).toEqual(words);
});

test('segments follow each other with a word of zeros between, and transfers lead to offsets', () => {
  const program = translate(
    guest({
      4096: [
        [0x03, CC, 1, 0],
        [0x08, 0, 0, 0x2000],
      ],
      8192: [
        [0x03, CC, 1, 0],
        [0x08, 0, 0, 0x1008],
      ],
    }),
  );
  expect(written(program)).toEqual([
    [0x03, CC, 1, 0],
    [0x08, 0, 0, 24],
    [0, 0, 0, 0],
    [0x03, CC, 1, 0],
    [0x08, 0, 0, 8],
  ]);
  expect([0, 8, 16, 24, 32, 40, 48, 56].map((offset) => program.guestAddress(offset))).toEqual([
    0x1000, 0x1008, 0x1010, 0x1018, 0x2008, 0x2010, 0x2018, 0,
  ]);
});

test.each<[string, Ccw]>([
  ['a no-operation', [0x03, 0, 8, 0x7fff_0000]],
  ['an empty write', [0x01, 0, 0, 0x7fff_0000]],
  ['a skipped read', [0x02, SKIP, 100, 0x7fff_0000]],
])('%s may name any address', (_what, ccw) => {
  expect(written(translate(guest({ 4096: [ccw] })))).toEqual([[...ccw.slice(0, 3), 0]]);
});

test('256 CCWs fill the buffer; one more is refused, in one segment or in several', () => {
  const chain = (length: number): Ccw[] => Array.from({ length }, (_, i): Ccw => [0x03, i + 1 < length ? CC : 0, 1, 0]);
  const machine = guest({ 4096: chain(256) });
  expect(translate(machine).ccws).toBe(256);
  expect(refusal(guest({ 4096: chain(257) }))).toBe('EINVAL');
  const two = (second: number) =>
    guest({ 4096: [...chain(100).slice(0, 99), [0x03, CC, 1, 0], [0x08, 0, 0, 0x4000]], 16384: chain(second) });
  expect(translate(two(154)).ccws).toBe(256);
  expect(refusal(two(155))).toBe('EINVAL');
});

test('a short program at the very end of RAM is taken; one that goes on behind it is not', () => {
  expect(translate(guest({ [RAM_END - 8]: [[0x03, 0, 1, 0]] }), undefined, RAM_END - 8).ccws).toBe(1);
  expect(refusal(guest({ [RAM_END - 8]: [[0x03, CC, 1, 0]] }), undefined, RAM_END - 8)).toBe('EFAULT');
});

test.each<[string, readonly Ccw[], number?]>([
  ['a program outside RAM', [], 0x7fff_fff8],
  ['data outside RAM', [[0x02, 0, 100, RAM_END]]],
  ['data that ends outside RAM', [[0x02, 0, 100, RAM_END - 99]]],
  ['an IDAL outside RAM', [[0x02, IDA, 100, RAM_END]]],
  ['an IDAL that ends outside RAM', [[0x02, IDA, 4097, RAM_END - 8]]],
  [
    'an IDAW that leads outside RAM',
    [
      [0x02, IDA, 100, 0x1008],
      [0, 0, 0, 0],
    ],
  ],
  ['a transfer outside RAM', [[0x08, 0, 0, 0x7fff_0000]]],
])('refused: %s', (_what, ccws, cpa) => {
  const machine = guest({ 4096: ccws });
  new DataView(machine.memory.bytes.buffer).setUint32(0x1008, 1);
  expect(refusal(machine, undefined, cpa)).toBe('EFAULT');
});

test('the largest program fits the arena: 256 CCWs of 65535 bytes, each by 2K words from the middle of a block', () => {
  const ccws = Array.from({ length: 256 }, (_, i): Ccw => [0x02, IDA | (i < 255 ? CC : 0), 65535, 0x4000]);
  const machine = guest({ 4096: ccws });
  const dv = new DataView(machine.memory.bytes.buffer);
  for (let i = 0; i < 33; i++) dv.setUint32(0x4000 + 4 * i, i === 0 ? 0x57ff : 0x5000 + 0x800 * i);
  const program = translate(machine, F | P);
  expect([program.idaws, program.bytes.length]).toEqual([256 * 33, ARENA_SIZE]);
});
