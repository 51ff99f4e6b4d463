import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { dasd } from '../dasd.ts';

const folder = mkdtempSync(join(tmpdir(), 'dasd-listing-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What `minivisor dasd` prints. */
async function printed(...words: string[]): Promise<string> {
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  try {
    expect(await dasd.run(words)).toBe(0);
  } finally {
    write.mockRestore();
  }
  return out;
}

test.each([
  ['ldl', true],
  ['cdl', false],
  ['raw', false],
])('of a volume without a VTOC it is said that dasdls cannot list it: %s', async (layout, said) => {
  const file = join(folder, `${layout}.ckd`);
  const sentence = /no VTOC: Hercules' dasdls cannot list a volume of this layout/;
  const texts = [await printed('create', file, '--layout', layout, '--cylinders', '1'), await printed('ls', file)];
  for (const text of texts) expect(sentence.test(text)).toBe(said);
});
