/**
 * The tests of the bindings pass with the addon built under the address and undefined-behaviour
 * sanitizers. Leaves leaks out: Node keeps too much until it exits.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';

it.skipIf(!existsSync('test/bindings'))('the bindings are clean under the sanitizers', () => {
  // The counts of that run are not ours to report.
  const { LOGFLUME_COUNTS: _, ...env } = process.env;
  const args = ['scripts/sanitize.mjs'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  expect(status, stdout + stderr).toBe(0);
});
