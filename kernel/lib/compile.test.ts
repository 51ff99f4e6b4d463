import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
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

/** Modules whose URLs the sources hand to threads, in a folder's own files. */
function named(folder: string): string[] {
  const root = new URL(`../../${folder}/`, import.meta.url);
  return (readdirSync(root, { recursive: true }) as string[])
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => new URL(path, root))
    .flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/new URL\('([^']+\.ts)', import\.meta\.url\)/g)].map(
        ([, to]) => new URL(to, file).href,
      ),
    );
}

test('a module that is handed to a thread by its URL is compiled', async () => {
  const modules = Object.keys(await compiledModules());
  // The report page's script is bundled for browsers when a page is made.
  const threads = ['hypervisor', 'kernel', 'devices', 'guest'].flatMap(named).filter((url) => !url.includes('/page/'));
  expect(threads.length).toBeGreaterThan(5);
  for (const url of threads) expect(modules).toContain(url);
});

test('compiled and source modules export the same', () => {
  expect(exportsOf('await compile();')).toBe(exportsOf(''));
});
