import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, type Field } from './decode.ts';
import { MANUALS } from './manual/all.ts';
import { fieldDoc, rangeOf } from './manual/manual.ts';

const bytesOf = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });

/** The bytes again, from what was decoded; `seen` counts how often each bit was in a part. */
function reassemble(fields: readonly Field[], size: number, littleEndian: (field: Field) => boolean) {
  const bytes = new Uint8Array(size);
  const seen = new Uint8Array(size);
  for (const field of fields) {
    const length = field.bytes.length;
    for (let i = 0; i < length; i++) seen[field.at + i]++;
    if (field.value === undefined) {
      bytes.set(field.bytes, field.at);
      continue;
    }
    let value = field.value;
    if (field.parts.length > 0) {
      let next = 0;
      value = 0n;
      for (const part of field.parts) {
        expect(part.bit, `${field.name}.${part.name}`).toBe(next);
        next += part.width;
        value = (value << BigInt(part.width)) | part.value;
      }
      expect(next, field.name).toBe(length * 8);
    }
    for (let i = 0; i < length; i++) {
      const shift = BigInt(8 * (littleEndian(field) ? i : length - 1 - i));
      bytes[field.at + i] = Number((value >> shift) & 0xffn);
    }
  }
  return { bytes, seen };
}

/** Byte order of a field, that of the structure it is in. */
function isLittleEndian(manual: (typeof MANUALS)[number], { name }: Field): boolean {
  const [first, ...rest] = name.split('.');
  const held = fieldDoc(manual, first)?.holds;
  if (held === undefined || rest.length === 0) return manual.layout.endian === 'le';
  return isLittleEndian(held, { name: rest.join('.') } as Field);
}

test.each(MANUALS.map((manual) => [manual.name, manual] as const))(
  '%s: random bytes come back from the parts, each bit from one',
  (_, manual) => {
    const { size } = manual.layout;
    fc.assert(
      fc.property(bytesOf(size), (bytes) => {
        const fields = decode(manual, bytes);
        const again = reassemble(fields, size, (field) => isLittleEndian(manual, field));
        expect(again.bytes).toEqual(bytes);
        expect(again.seen.every((times) => times === 1)).toBe(true);
      }),
      { numRuns: 20 },
    );
  },
);

test.each(MANUALS.map((manual) => [manual.name, manual] as const))(
  '%s: every field and every bit that the layout names has words',
  (_, manual) => {
    for (const { name, title, parts } of decode(manual, new Uint8Array(manual.layout.size))) {
      expect(title, name).not.toBe('');
      for (const part of parts.filter((p) => p.name !== 'reserved'))
        expect(part.title, `${name}.${part.name}`).not.toBe('');
    }
  },
);

test('no word is for a bit that the layout does not have', () => {
  for (const manual of MANUALS)
    for (const name of Object.keys(manual.fields)) {
      const doc = fieldDoc(manual, name);
      const type = manual.layout.fields[name];
      const there = Object.keys({ ...(type.bits?.fields ?? doc.ranges), ...doc.masks });
      expect(there, `${manual.name}.${name}`).toEqual(expect.arrayContaining(Object.keys(doc.bits ?? {})));
    }
});

test('a mask is a run of bits', () => {
  expect(rangeOf(0x7000, 16)).toEqual([1, 3]);
  expect(rangeOf(0x8000_0000, 32)).toEqual([0, 1]);
  expect(() => rangeOf(0x5, 8)).toThrow('no run of bits');
});
