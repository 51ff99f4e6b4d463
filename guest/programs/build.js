/**
 * Builds every guest program: each folder here with a `link.ld` becomes `guest/images/NAME.elf`.
 *
 *   node guest/programs/build.js [--out FOLDER]
 *
 * The result depends on the sources and the compiler's version only (no paths, no times, no build id), so that a
 * rebuild can be compared with the committed file byte by byte.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const PREFIX = 's390x-linux-gnu-';

/** z196 is the oldest level Debian's s390x code needs, and has no vector facility; FPRs would need CR0's AFP bit. */
const COMPILE = [
  '-O2 -march=z196 -mzarch -m64 -mno-vx -msoft-float -std=gnu11',
  '-ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables',
  // memset must not be compiled into a call of memset.
  '-fno-tree-loop-distribute-patterns',
  '-Wall -Wextra -Werror',
].flatMap((line) => line.split(' '));

const LINK = '-nostdlib -static -no-pie -Wl,--build-id=none -Wl,--fatal-warnings'.split(' ');

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { out: { type: 'string' } } });
const out = resolve(values.out ?? join(here, '..', 'images'));

/** Runs a tool in a program's folder with its output shown; ends the build when it fails. */
function run(tool, args, cwd) {
  const { status, error } = spawnSync(PREFIX + tool, args, { cwd, stdio: 'inherit' });
  if (error?.code === 'ENOENT') {
    console.error(`${PREFIX}${tool} not found: install the Debian package gcc-s390x-linux-gnu`);
    process.exit(1);
  }
  if (status !== 0) {
    console.error(`${PREFIX}${tool} ${args.join(' ')}: ${error?.message ?? `exit status ${status}`}`);
    process.exit(1);
  }
}

/** Compiles each source of a folder by itself; returns the objects in the order of the names. */
function compile(name, objects) {
  const folder = join(here, name);
  const sources = readdirSync(folder)
    .filter((file) => /\.[cS]$/.test(file))
    .sort();
  return sources.map((source) => {
    const object = join(objects, `${name}-${basename(source)}.o`);
    run('gcc', [...COMPILE, '-I', '../lib', '-c', source, '-o', object], folder);
    return object;
  });
}

/** Links a program, with the library unless it has a start of its own, and strips what is only for debuggers. */
function build(name, objects, library) {
  const folder = join(here, name);
  const own = existsSync(join(folder, 'start.S'));
  const compiled = [...(own ? [] : library), ...compile(name, objects)];
  const image = join(out, `${name}.elf`);
  run('gcc', [...LINK, '-T', 'link.ld', ...compiled, '-o', image], folder);
  run('objcopy', ['--strip-debug', '--remove-section=.comment', image], folder);
  console.log(image);
}

const programs = readdirSync(here)
  .filter((name) => existsSync(join(here, name, 'link.ld')))
  .sort();
const objects = mkdtempSync(join(tmpdir(), 'guests-'));
process.on('exit', () => rmSync(objects, { recursive: true, force: true }));
mkdirSync(out, { recursive: true });
const library = compile('lib', objects);
for (const name of programs) build(name, objects, library);
