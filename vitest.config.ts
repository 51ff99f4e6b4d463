import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{guest,hypervisor,devices,kernel,test}/**/*.test.ts'],
    // Real worker threads nest cleanly in processes of their own.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
