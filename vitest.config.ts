import { defineConfig } from 'vitest/config';
import { CountsReporter } from './test/support/counts-reporter.ts';

const SLOW = 'test/**/*.slow.test.ts';

export default defineConfig({
  test: {
    // Child processes: the addon's life cycle and worker threads are part of what is tested.
    pool: 'forks',
    reporters: ['default', new CountsReporter()],
    globalSetup: ['test/support/warn-if-stale.ts'],
    // Above vitest's 5 s: a loaded machine is no failure. Tests that know better set their own.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: [SLOW, '**/node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Left out on the second Node: compilers, soaks, whatever takes more than seconds.
        extends: true,
        test: {
          name: 'slow',
          include: [SLOW],
          exclude: ['**/node_modules/**'],
          testTimeout: 600_000,
          // One at a time, after the fast ones: they load the machine themselves.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
