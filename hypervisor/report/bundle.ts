/** The page's script and style, made for browsers at the time of the report: nothing built has to be kept in step. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { PageParts } from './page.ts';

const SCRIPT = fileURLToPath(new URL('page/main.ts', import.meta.url));
const STYLE = fileURLToPath(new URL('page/page.css', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Browsers that know light-dark() and container queries. */
const TARGET = ['chrome123', 'firefox120', 'safari17.5'];

/** What a package in the page wants to be named with. */
export interface Licence {
  /** `d3-array 3.2.4` */
  readonly name: string;
  readonly text: string;
}

/** The licences of the packages that files of a bundle come from. @param inputs paths below {@link ROOT} */
function licencesOf(inputs: readonly string[]): Licence[] {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  return [...folders].sort().map((folder) => {
    const where = join(ROOT, folder);
    const { name, version, license } = JSON.parse(readFileSync(join(where, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const file = readdirSync(where).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? `${license}` : readFileSync(join(where, file), 'utf8').trim();
    return { name: `${name} ${version}`, text };
  });
}

/** Bundles both. @throws Error of esbuild, where the sources are broken */
export async function pageParts(): Promise<PageParts> {
  const common = { bundle: true, minify: true, write: false, target: TARGET, logLevel: 'silent' } as const;
  const [script, style] = await Promise.all([
    build({
      ...common,
      entryPoints: [SCRIPT],
      absWorkingDir: ROOT,
      metafile: true,
      platform: 'browser',
      format: 'iife',
      charset: 'utf8',
    }),
    build({ ...common, entryPoints: [STYLE] }),
  ]);
  return {
    script: script.outputFiles[0].text,
    style: style.outputFiles[0].text,
    licences: licencesOf(Object.keys(script.metafile.inputs)),
  };
}
