import { availableParallelism } from 'node:os';

import { defineConfig } from 'vitest/config';
import { pathOfMachine } from './scripts/path-of-machine.mjs';

// Before any test starts a program; workers inherit it.
process.env['PATH'] = pathOfMachine(process.env['PATH']);
// Node reads the file at every start, which takes longer than all else that a command does; only npm asks a server of others.
const certificates = process.env['NODE_EXTRA_CA_CERTS'];
if (certificates !== undefined && process.env['INSTAR_REHEARSAL'] !== '1') {
  process.env['INSTAR_NPM_CA_CERTS'] = certificates;
  delete process.env['NODE_EXTRA_CA_CERTS'];
}

const SECOND = 1000;
/** Long campaigns that run by option only. */
const BY_OPTION = [
  ...(process.env['INSTAR_LINUX'] === 'all'
    ? []
    : ['tests/vmcore/linux-{crash,machines,vmlinux}.test.ts', 'tests/abi/kernel-types.test.ts']),
  ...(process.env['INSTAR_DOCS'] === '1' ? [] : ['tests/workspace/docs-site.test.ts']),
  ...(process.env['INSTAR_REHEARSAL'] === '1' ? [] : ['tests/packaging/registry-rehearsal.test.ts']),
];

/**
 * Tests that measure time or memory, count what the process or the machine has, or want an answer within milliseconds. One
 * that only waits for programs is none of them: it would leave a core idle.
 */
const ALONE = [
  'tests/hostile-guest/{attacks,limits,pool,sessions}.test.ts',
  'tests/{faults,sandbox-choice,workers}/**/*.test.ts',
  'tests/guest-dump/native-dumps.test.ts',
  'tests/interruption/habits.test.ts',
  'tests/looking/kept-sandboxes.test.ts',
  'tests/vmcore-cli/{large-lies,output}.test.ts',
  'tests/vmcore/{btf-hostile,kernel-hostile,page-types}.test.ts',
];
/** Tests that start servers and wait for what becomes overdue: two of them leave each other the time that they need. */
const TWO = ['tests/jobs/**/*.test.ts'];
/** Tests mostly wait for a program, one core each. More workers than these need more memory than they save time. */
const WORKERS = Math.min(availableParallelism(), 4);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'packages',
          include: ['packages/*/src/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
          maxWorkers: WORKERS,
          testTimeout: 120 * SECOND,
          hookTimeout: 120 * SECOND,
        },
      },
      {
        // These start real programs (the CLI, qemu-img, npm), so they get minutes, not seconds.
        test: {
          name: 'end-to-end',
          include: ['tests/**/*.test.ts'],
          exclude: [...BY_OPTION, ...TWO, ...ALONE],
          maxWorkers: WORKERS,
          testTimeout: 300 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
      {
        test: {
          name: 'two at a time',
          include: TWO,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 300 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
      {
        test: {
          name: 'one at a time',
          include: ALONE,
          exclude: BY_OPTION,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: 300 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
    ],
  },
});
