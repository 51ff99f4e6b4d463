// Loads modules by the URL of their TypeScript source: compiled where that could be done, else the source itself, which
// Node before 22.18 needs tsx for.
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

/** Environment data of every thread: URLs of compiled modules by the URL of their source. */
const MODULES = 'minivisor: compiled modules';

let registered = false;

/** Compiles what has changed; every thread started from now on loads the compiled modules. */
export async function compile() {
  const { compiledModules } = await import('./compile.js');
  // Where they cannot be made, in a folder that cannot be written or of a source that is no TypeScript, sources are loaded.
  setEnvironmentData(MODULES, await compiledModules().catch(() => ({})));
}

/**
 * Imports a module.
 * @param {string} url of its source
 * @param {boolean} compiled false in the main thread of the tests, whose runner loads sources itself
 * @returns {Promise<any>}
 */
export async function load(url, compiled = !isMainThread || typeof MINIVISOR_COMPILED !== 'undefined') {
  if (!compiled) return await import(url);
  const module = getEnvironmentData(MODULES)?.[url];
  if (module !== undefined) return await import(module);
  if (!process.features.typescript && !registered) {
    const { register } = await import('tsx/esm/api');
    register();
    registered = true;
  }
  return await import(url);
}
