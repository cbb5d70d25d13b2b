import { describe, expect, it } from 'vitest';

import { countCargo, countVitest, emptyTally } from '../../scripts/test-tally.mjs';

describe('the sum that npm test prints', () => {
  it('counts a test file that could not be loaded as a failure', () => {
    const report = {
      testResults: [{ name: 'a.test.ts', status: 'failed', message: 'no b.js\n', assertionResults: [] }],
    };
    expect(countVitest(report, 1)).toEqual({ ...emptyTally(), failed: 1, failures: ['a.test.ts: no b.js'] });
  });

  it('counts a vitest run that died without a report as a failure', () => {
    expect(countVitest(undefined, 137).failed).toBe(1);
  });

  it('counts a run that ends badly although each test passed as a failure', () => {
    const report = { testResults: [{ status: 'passed', assertionResults: [{ status: 'passed', fullName: 'a' }] }] };
    const failures = ['vitest ended with status 1'];
    expect(countVitest(report, 1)).toEqual({ ...emptyTally(), passed: 1, failed: 1, failures });
  });

  it('names each failed test', () => {
    const failed = { status: 'failed', fullName: ' suite test', failureMessages: ['Error: 1 is not 2\n    at x'] };
    const report = { testResults: [{ name: 'a.test.ts', status: 'failed', assertionResults: [failed] }] };
    expect(countVitest(report, 1).failures).toEqual(['a.test.ts: suite test: Error: 1 is not 2']);
  });

  it('keeps the reason of a skipped test', () => {
    const skipped = { status: 'skipped', fullName: 'a', meta: { skipReason: 'no qemu-img' } };
    const report = { testResults: [{ status: 'passed', assertionResults: [skipped] }] };
    expect(countVitest(report, 0)).toEqual({ ...emptyTally(), skipped: 1, reasons: ['no qemu-img'] });
  });

  it('adds up every test binary of a cargo workspace, coloured or not', () => {
    const output = [
      'test a ... ok',
      'test b ... ignored, takes an hour',
      'test c ... FAILED',
      'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
      'test result: \u001b[31mFAILED\u001b[0m. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out',
    ].join('\n');
    expect(countCargo(output, 101, 'w')).toEqual({
      passed: 5,
      failed: 1,
      skipped: 1,
      reasons: ['w: takes an hour'],
      failures: ['w: c'],
    });
  });

  it('counts a crate that does not compile as a failure', () => {
    expect(countCargo('', 101, 'w').failed).toBe(1);
  });
});
