// Reads the counts of passed, failed and skipped tests out of what the runners write.
import { existsSync, readFileSync } from 'node:fs';

export function emptyTally() {
  return { passed: 0, failed: 0, skipped: 0, reasons: [], failures: [] };
}

/** Counts a failure, with a line that says which it is. */
export function fail(tally, what) {
  tally.failed += 1;
  tally.failures.push(what);
}

function firstLine(text) {
  return (text ?? '').split('\n', 1)[0].trim();
}

/**
 * Vitest's JSON report. A file that could not be loaded has no test in it and counts as one failure; so does a run that
 * exits badly without naming a failed test (an unhandled rejection, a crash before the report was written).
 */
export function countVitest(report, status) {
  const tally = emptyTally();
  for (const file of report?.testResults ?? []) {
    if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
      fail(tally, `${file.name}: ${firstLine(file.message) || 'could not be loaded'}`);
    }
    for (const test of file.assertionResults) {
      if (test.status === 'passed') tally.passed += 1;
      else if (test.status === 'failed') {
        fail(tally, `${file.name}: ${test.fullName.trim()}: ${firstLine(test.failureMessages?.[0])}`);
      } else {
        tally.skipped += 1;
        tally.reasons.push(test.meta?.skipReason ?? `no reason given: ${test.fullName.trim()}`);
      }
    }
  }
  if (status !== 0 && tally.failed === 0) fail(tally, `vitest ended with status ${status}`);
  return tally;
}

/** The `test result:` lines of libtest, one for each test binary and each crate's doc tests. */
export function countCargo(output, status, workspace) {
  const tally = emptyTally();
  // eslint-disable-next-line no-control-regex -- cargo colours its output when told to
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '');
  for (const line of plain.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/gm)) {
    tally.passed += Number(line[1]);
    tally.failed += Number(line[2]);
    tally.skipped += Number(line[3]);
  }
  for (const line of plain.matchAll(/^test (.+?) \.\.\. ignored(?:, (.*))?$/gm)) {
    tally.reasons.push(`${workspace}: ${line[2] ?? `no reason given: ${line[1]}`}`);
  }
  for (const line of plain.matchAll(/^test (.+?) \.\.\. FAILED$/gm)) tally.failures.push(`${workspace}: ${line[1]}`);
  // A crate that does not compile prints no result line.
  if (status !== 0 && tally.failed === 0) fail(tally, `${workspace}: cargo test ended with status ${status}`);
  return tally;
}

/** Lines that Rust tests appended to the file named by INSTAR_SKIP_LOG: one reason for each skipped test. */
export function readSkipLog(path) {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
}
