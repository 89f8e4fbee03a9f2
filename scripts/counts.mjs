/** Sums of test runs. A run writes `{ passed, failed, skipped }` to a file; see CountsReporter. */
import { readFileSync } from 'node:fs';

/**
 * What one step adds to the sum: its counts, and one failure more if the process failed without a
 * failed test to show for it. `counts` is undefined for a step that runs no tests.
 */
export function countsOfStep(status, counts) {
  const { passed = 0, failed = 0, skipped = 0 } = counts ?? {};
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed, skipped };
}

/** The sum. A whole run in which nothing passed has proved nothing: that is a failure too. */
export function sumCounts(steps) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const step of steps) {
    sum.passed += step.passed;
    sum.failed += step.failed;
    sum.skipped += step.skipped;
  }
  if (sum.passed === 0 && sum.failed === 0) sum.failed = 1;
  return sum;
}

/** The last line of `npm test`, without colour: others read it. */
export function sumLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** The counts that a run wrote, or undefined if it ended before it could. */
export function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
