import { configDefaults, defineConfig } from 'vitest/config';

/** Tests that put something else in the place of a module: only a process of their own has not loaded it yet. */
const MOCKING = ['devices/physical/dasd/cache.test.ts'];

export default defineConfig({
  test: {
    // Real worker threads nest cleanly in processes of their own.
    pool: 'forks',
    maxWorkers: 2,
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: ['{guest,hypervisor,devices,kernel,test}/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...MOCKING],
          // Nothing in a module outlives a test: files share a process and what it has loaded, or loading takes longest.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'mocking', include: MOCKING } },
    ],
  },
});
