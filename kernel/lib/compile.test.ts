import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { compiledModules } from './compile.js';

const LOADER = new URL('./typescript.js', import.meta.url).href;
const MODULE = new URL('../start.ts', import.meta.url).href;

/** Loads the kernel's first module in a process of its own; the names it exports. */
function exportsOf(prepare: string): string {
  const script = `const { compile, load } = await import('${LOADER}'); ${prepare}
    console.log(Object.keys(await load('${MODULE}', true)).join());`;
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim();
}

test('every module that a thread begins with is compiled, newer than nothing it was made from', async () => {
  const modules = await compiledModules();
  expect(Object.keys(modules)).toContain(MODULE);
  for (const file of Object.values(modules)) expect(statSync(fileURLToPath(file)).size).toBeGreaterThan(0);
  expect(await compiledModules()).toEqual(modules);
});

test('compiled and source modules export the same', () => {
  expect(exportsOf('await compile();')).toBe(exportsOf(''));
});
