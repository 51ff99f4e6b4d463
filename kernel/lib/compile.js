// The sources compiled into a few files, so that a thread does not load hundreds. They live in
// node_modules/.cache/minivisor, in a folder for each state of the sources, and are made again when a source is newer.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache/minivisor');
/** Which folder is current, and from which sources it was made. */
const CURRENT = join(CACHE, 'current.json');
/** Folders of older states are kept that long after a process began to use them: it may still do. */
const KEEP_MS = 24 * 60 * 60 * 1000;

/** Modules that a thread begins with, or that are loaded by their URL. */
const ENTRIES = [
  'hypervisor/cli/main.ts',
  'kernel/lib/worker.ts',
  'kernel/lib/actor_thread.ts',
  'kernel/lib/floor.ts',
  'kernel/start.ts',
  'devices/physical/power_on.ts',
  'devices/physical/start.ts',
  'hypervisor/vmm/start.ts',
  'guest/start.ts',
  'guest/cpu/mips.ts',
  'kernel/kvm/tce_bind_bench.ts',
  'kernel/kvm/tce_groups_bench.ts',
  'kernel/lib/trace_bench.ts',
  'kernel/ppc/iommu_bench.ts',
  'kernel/s390/cio/vfio_ccw_cp_bench.ts',
  'test/durability/main.ts',
  'test/fuzz/main.ts',
  'test/support/failing_actor.ts',
  'test/support/seed_run.ts',
  'test/support/tce_parties.ts',
  'test/support/thread_parties.ts',
];

/** A source's state: changed when its size or time of change is another. */
function stateOf(path) {
  const { mtimeMs, size } = statSync(join(ROOT, path));
  return `${mtimeMs} ${size}`;
}

/** The current folder's description when no source has changed since it was made. */
function upToDate() {
  try {
    const current = JSON.parse(readFileSync(CURRENT, 'utf8'));
    if (current.root !== ROOT) return undefined;
    for (const [path, state] of Object.entries(current.inputs)) if (stateOf(path) !== state) return undefined;
    // Its time says when it was last used: see KEEP_MS.
    const now = new Date();
    utimesSync(join(CACHE, current.folder), now, now);
    return current;
  } catch {
    return undefined;
  }
}

/** What a module calls its own URL stays that of its source: images and threads are found from there. */
const SOURCE_URLS = {
  name: 'source-urls',
  setup(build) {
    build.onLoad({ filter: /\.[jt]s$/ }, ({ path }) => {
      if (path.includes('node_modules')) return undefined;
      const text = readFileSync(path, 'utf8');
      const contents = text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href));
      return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
    });
  },
};

async function make() {
  const { build } = await import('esbuild');
  mkdirSync(CACHE, { recursive: true });
  const temporary = join(CACHE, `${process.pid}.tmp`);
  const began = Date.now();
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outbase: '.',
    outdir: temporary,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    metafile: true,
    define: { MINIVISOR_COMPILED: 'true' },
    plugins: [SOURCE_URLS],
    logLevel: 'silent',
  });
  // One that has changed since is not what was compiled: no state of it is this one.
  const state = (path) => (statSync(join(ROOT, path)).mtimeMs < began ? stateOf(path) : 'changed meanwhile');
  const inputs = Object.fromEntries(Object.keys(metafile.inputs).map((path) => [path, state(path)]));
  const folder = createHash('sha256')
    .update(JSON.stringify([ROOT, inputs]))
    .digest('hex')
    .slice(0, 16);
  const current = { root: ROOT, folder, inputs };
  // Another process may have made the same at the same time.
  try {
    renameSync(temporary, join(CACHE, folder));
  } catch {
    rmSync(temporary, { recursive: true, force: true });
  }
  const file = join(CACHE, `${process.pid}.json`);
  writeFileSync(file, JSON.stringify(current));
  renameSync(file, CURRENT);
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: began };
    if (path !== CURRENT && name !== folder && began - mtimeMs > KEEP_MS)
      rmSync(path, { recursive: true, force: true });
  }
  return current;
}

/**
 * The compiled modules by the URL of their source; made first when they are not up to date.
 * @returns {Promise<Record<string, string>>}
 * @throws when they cannot be made: a source that is no TypeScript, a folder that cannot be written
 */
export async function compiledModules() {
  const { folder } = upToDate() ?? (await make());
  const tree = join(CACHE, folder);
  return Object.fromEntries(
    ENTRIES.map((path) => [
      pathToFileURL(join(ROOT, path)).href,
      pathToFileURL(join(tree, path.replace(/\.ts$/, '.js'))).href,
    ]),
  );
}
