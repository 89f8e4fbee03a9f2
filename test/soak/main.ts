/**
 * `npm run soak`: every test that has a heavy count, with that count in full. `npm test` runs a
 * tenth of each. A test says so by reading LOGFLUME_SOAK; they are found by that, so that none is
 * forgotten here.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** dist/test/soak/main.js lies three folders below the checkout. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const SWITCH = 'LOGFLUME_SOAK';
/** In full a test takes up to an hour on two cores. */
const TIMEOUT_MS = 3_600_000;

function heavyTests(): string[] {
  const names = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map((name) => join('test', name))
    .filter((path) => readFileSync(join(ROOT, path), 'utf8').includes(SWITCH))
    .sort();
}

const wanted = process.argv.slice(2);
const paths = heavyTests().filter(
  (path) => wanted.length === 0 || wanted.some((part) => path.includes(part)),
);
process.stdout.write(`soak: ${paths.length} test files in full\n  ${paths.join('\n  ')}\n`);
const args = [VITEST, 'run', '--no-file-parallelism', `--testTimeout=${TIMEOUT_MS}`, ...paths];
const env = { ...process.env, [SWITCH]: '1' };
const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit', env });
process.exitCode = paths.length === 0 ? 1 : (status ?? 1);
