import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const project = (name: string, testTimeout: number) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout },
});

export default defineConfig({
  test: {
    // Nothing of what tests do in buckets goes into the user's own cache; those that want one say where.
    env: { PEAT_CACHE_BYTES: 'off' },
    // Many tests wait: for processes, for a virtual minute of pauses, for a server.
    maxWorkers: availableParallelism() + 1,
    reporters: ['default', './.ci/tally.ts'],
    coverage: { include: ['src/**', 'compactor/**'], reporter: ['text'], reportsDirectory: 'node_modules/.coverage' },
    projects: [
      project('unit', 300_000),
      project('contract', 300_000),
      {
        test: {
          name: 's3',
          // On a real server, where this machine can start one.
          include: ['test/contract/**/*.test.ts', 'test/s3/**/*.test.ts'],
          globalSetup: ['test/support/s3/real-server.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      project('model', 300_000),
      project('process', 300_000),
      project('sweep', 300_000),
      project('crash', 600_000),
      project('simulation', 600_000),
      project('fuzz', 300_000),
    ],
  },
});
