import { defineConfig } from 'vitest/config';
import { pathOfMachine } from './scripts/path-of-machine.mjs';

// Before any test starts a program; workers inherit it.
process.env['PATH'] = pathOfMachine(process.env['PATH']);

const SECOND = 1000;
/** Long campaigns that run by option only. */
const BY_OPTION =
  process.env['INSTAR_LINUX'] === 'all'
    ? []
    : ['tests/vmcore/linux-crash.test.ts', 'tests/vmcore/linux-machines.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'packages',
          include: ['packages/*/src/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
          testTimeout: 30 * SECOND,
          hookTimeout: 30 * SECOND,
        },
      },
      {
        // These start real programs (the CLI, qemu-img, npm), so they get minutes, not seconds.
        test: {
          name: 'end-to-end',
          include: ['tests/**/*.test.ts'],
          exclude: BY_OPTION,
          testTimeout: 300 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
    ],
  },
});
