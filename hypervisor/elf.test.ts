import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkFree, readElf } from './elf.ts';
import { UserError } from './user_error.ts';

const MEMORY = 1 << 20;
const HEADER = 64;
const PHDR = 56;

interface Segment {
  type?: number;
  offset?: number;
  paddr?: number;
  filesz?: number;
  memsz?: number;
}
interface Options {
  magic?: number;
  class?: number;
  data?: number;
  type?: number;
  machine?: number;
  entry?: number | bigint;
  phoff?: number | bigint;
  phentsize?: number;
  phnum?: number;
  segments?: Segment[];
  length?: number;
}

/** An ELF64 file: header, program headers, then 256 bytes of content (0, 1, 2, ...). */
function elf(options: Options = {}): Uint8Array {
  const segments = options.segments ?? [{}];
  const data = HEADER + segments.length * PHDR;
  const bytes = new Uint8Array(data + 256);
  const dv = new DataView(bytes.buffer);
  dv.setUint32(0, options.magic ?? 0x7f454c46);
  bytes.set([options.class ?? 2, options.data ?? 2, 1], 4);
  dv.setUint16(16, options.type ?? 2);
  dv.setUint16(18, options.machine ?? 22);
  dv.setUint32(20, 1);
  dv.setBigUint64(24, BigInt(options.entry ?? 0x10000));
  dv.setBigUint64(32, BigInt(options.phoff ?? HEADER));
  dv.setUint16(52, HEADER);
  dv.setUint16(54, options.phentsize ?? PHDR);
  dv.setUint16(56, options.phnum ?? segments.length);
  segments.forEach((segment, i) => {
    const at = HEADER + i * PHDR;
    dv.setUint32(at, segment.type ?? 1);
    const { offset = data, paddr = 0x10000, filesz = 256, memsz = 512 } = segment;
    for (const [field, value] of [offset, 0xdead_0000, paddr, filesz, memsz].entries())
      dv.setBigUint64(at + 8 + field * 8, BigInt(value));
  });
  for (let i = 0; i < 256; i++) bytes[data + i] = i;
  return bytes.slice(0, options.length ?? bytes.length);
}

const refusal = (content: Uint8Array): string => {
  try {
    readElf('guest.elf', content, MEMORY);
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
};

test('an executable is read: physical addresses, bytes, memory size, entry', () => {
  const file = elf({
    segments: [{}, { type: 6 }, { paddr: 0x20000, filesz: 16 }, { paddr: 0x30000, memsz: 0, filesz: 0 }],
  });
  const image = readElf('guest.elf', file, MEMORY);
  expect(image.entry).toBe(0x10000n);
  expect(image.segments.map((s) => [s.address, s.bytes.length, s.memorySize])).toEqual([
    [0x10000, 256, 512],
    [0x20000, 16, 512],
  ]);
  expect([...image.segments[1].bytes]).toEqual(Array.from({ length: 16 }, (_, i) => i));
});

test('segments may end exactly where the memory ends, and the file may lie anywhere in its buffer', () => {
  const file = elf({ entry: MEMORY - 2, segments: [{ paddr: MEMORY - 512 }] });
  const inside = new Uint8Array(file.length + 7);
  inside.set(file, 7);
  expect(readElf('x', inside.subarray(7), MEMORY).segments[0].bytes[255]).toBe(255);
});

const REFUSALS: [why: string, content: Uint8Array, message: RegExp][] = [
  ['empty', new Uint8Array(0), /not an ELF file/],
  ['text', new TextEncoder().encode('#!/bin/sh\n'), /not an ELF file/],
  ['magic', elf({ magic: 0x7f454c47 }), /not an ELF file/],
  ['32 bits', elf({ class: 1 }), /ELF class 32-bit; link a 64-bit/],
  ['unknown class', elf({ class: 9 }), /ELF class 9/],
  ['little-endian', elf({ data: 1 }), /little-endian ELF; s390x is big-endian/],
  ['x86-64', elf({ machine: 62 }), /ELF for x86-64/],
  ['another machine', elf({ machine: 9999 }), /ELF for machine 9999/],
  ['object file', elf({ type: 1 }), /ELF type 1; link a static executable/],
  ['shared object', elf({ type: 3 }), /ELF type 3/],
  ['no segments', elf({ segments: [] }), /no loadable segment/],
  ['nothing to load', elf({ segments: [{ type: 2 }] }), /no loadable segment/],
  ['program headers far away', elf({ phoff: 2n ** 64n - 1n }), /program headers beyond the end/],
  ['too many program headers', elf({ phnum: 0xffff }), /program headers beyond the end/],
  ['program headers of another size', elf({ phentsize: 32 }), /program headers/],
  ['segment larger in the file than in memory', elf({ segments: [{ memsz: 255 }] }), /segment 0 lies beyond/],
  ['segment beyond the file', elf({ segments: [{ filesz: 257 }] }), /segment 0 lies beyond the end of the file/],
  ['segment far beyond the file', elf({ segments: [{ offset: 2 ** 60 }] }), /segment 0 lies beyond/],
  [
    'segment beyond memory',
    elf({ segments: [{ paddr: MEMORY - 511 }] }),
    /segment 0 needs 0xffe01..0x100001; the guest/,
  ],
  ['segment far beyond memory', elf({ segments: [{ paddr: 2 ** 63 }] }), /segment 0 needs/],
  ['huge segment', elf({ segments: [{ memsz: 2 ** 62 }] }), /segment 0 needs/],
  ['overlapping segments', elf({ segments: [{}, { paddr: 0x101ff }] }), /segment 1 at 0x101ff overlaps/],
  ['entry before the segment', elf({ entry: 0xfffe }), /entry point 0xfffe in no segment/],
  ['entry behind the segment', elf({ entry: 0x10200 }), /entry point 0x10200 in no segment/],
  ['odd entry', elf({ entry: 0x10001 }), /entry point 0x10001/],
  ['entry far away', elf({ entry: 2n ** 64n - 2n }), /entry point/],
];
test.each(REFUSALS)('%s: refused in one line that names the file', (_why, content, message) => {
  const line = refusal(content);
  expect(line).toMatch(message);
  expect(line).toMatch(/^--kernel guest\.elf: [^\n]+; [^\n]+$/);
});

test('a file cut off anywhere is refused', () => {
  const whole = elf({ segments: [{}, { paddr: 0x20000 }] });
  expect(refusal(whole)).toBe('accepted');
  for (let length = 0; length < whole.length; length++)
    expect(refusal(whole.slice(0, length)), `${length} bytes`).toMatch(length < 4 ? /not an ELF/ : /truncated/);
});

test('arbitrary bytes, and arbitrary damage to a good file, are accepted or refused, never anything else', () => {
  const whole = elf({ segments: [{}, { paddr: 0x20000 }] });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, magic) => {
      if (magic && bytes.length >= 4) bytes.set([0x7f, 0x45, 0x4c, 0x46]);
      refusal(bytes);
    }),
  );
  const damage = fc.array(fc.tuple(fc.nat(HEADER + 2 * PHDR - 1), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(damage, (changes) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      if (refusal(bytes) !== 'accepted') return;
      const { segments, entry } = readElf('x', bytes, MEMORY);
      for (const s of segments) {
        expect(s.address + s.memorySize).toBeLessThanOrEqual(MEMORY);
        expect(s.bytes.length).toBeLessThanOrEqual(s.memorySize);
      }
      expect(entry < BigInt(MEMORY)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ['ends before it', 0x10000, '01'.repeat(0x480), undefined],
  ['begins behind it', 0x10490, '01'.repeat(8), undefined],
  ['has zeros there', 0x10000, `${'01'.repeat(0x480)}${'00'.repeat(16)}01`, undefined],
  ['has its last byte there', 0x10000, '01'.repeat(0x481), 'segment 0 at 0x10000'],
  ['has a byte there, the last one', 0x1048f, '01', 'segment 0 at 0x1048f'],
])('a program that %s: room for a command line of 16 bytes', (_, address, content, problem) => {
  const bytes = Buffer.from(content, 'hex');
  const image = { segments: [{ address, bytes, memorySize: bytes.length }], entry: 0n };
  const check = () => checkFree('a.elf', image, 0x10480, 16, 'the command line');
  if (problem === undefined) return check();
  expect(check).toThrow(
    new UserError(
      `--kernel a.elf: ${problem} has code or data at 0x10480, where the command line goes; leave that place free in the linker script`,
    ),
  );
});
