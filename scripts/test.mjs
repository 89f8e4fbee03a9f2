/**
 * `npm test`: everything that CI runs, from a fresh checkout if need be. The last line is
 * `N passed, N failed, N skipped`, both Nodes together.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countsOfStep, readCounts, sumCounts, sumLine } from './counts.mjs';
import { build } from './dist.mjs';
import { installPackages } from './setup.mjs';
import { complain, ROOT, requireNode, run, say } from './tools.mjs';

const NODE24 = `test/node24/node_modules/node-linux-${process.arch}/bin/node`;
const VITEST = 'node_modules/vitest/vitest.mjs';
const strictPeers = process.env.CI === 'true' || process.env.CI === '1';

const folder = mkdtempSync(join(tmpdir(), 'logflume-test-'));
const steps = [];
const failures = [];

/** Runs one step, keeps its counts, and returns whether it passed. */
function step(name, action) {
  say(`${name} …`);
  const countsFile = join(folder, `${steps.length}.json`);
  const status = action(countsFile);
  const counts = readCounts(countsFile);
  steps.push(countsOfStep(status, counts));
  if (status !== 0) failures.push(`${name} (exit status ${status})`);
  if (counts !== undefined) say(`${name}: ${sumLine(counts)}`);
  return status === 0;
}

/** Missing peers fail in CI; elsewhere the tests that need them are skipped. */
function peers() {
  const status = run(join(ROOT, 'scripts/provide-peers.sh'), []);
  if (status === 0 || strictPeers) return status;
  say('going on without; tests that need what is missing are skipped');
  return 0;
}

function vitest(node, args, countsFile) {
  const env = {
    ...process.env,
    LOGFLUME_COUNTS: countsFile,
    LOGFLUME_PEERS: strictPeers ? 'required' : 'optional',
  };
  return run(node, [VITEST, 'run', ...args], { env });
}

function runAll() {
  // Strict from the first build on; npm ci hands it to scripts/install.mjs.
  process.env.LOGFLUME_WERROR = '1';
  if (!step('tools and peers', peers)) return;
  if (!step('packages', () => installPackages())) return;
  if (!step('build', () => build({ werror: true }))) return;
  const node = process.execPath;
  step('types', () => run(node, ['node_modules/typescript/bin/tsc', '--noEmit']));
  step('lint', () => run(node, ['node_modules/@biomejs/biome/bin/biome', 'check', '.']));
  step(`all tests on Node ${process.versions.node}`, (counts) => vitest(node, [], counts));
  if (!step('packages of Node 24', () => installPackages('test/node24'))) return;
  step('fast tests on Node 24', (counts) => {
    if (existsSync(join(ROOT, NODE24))) return vitest(NODE24, ['--project', 'fast'], counts);
    complain(`${NODE24} is not there`);
    return 1;
  });
}

requireNode();
try {
  runAll();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const sum = sumCounts(steps);
for (const failure of failures) complain(`failed: ${failure}`);
console.log(sumLine(sum));
process.exitCode = sum.failed === 0 ? 0 : 1;
