/** The set-up that `npm start`, `npm test` and the rest share: a fresh checkout becomes runnable. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { missingMessage, planHere } from './addon.mjs';
import { build } from './dist.mjs';
import { complain, isStale, ROOT, requireNode, run, say } from './tools.mjs';

/**
 * Installs the dependencies of `folder` by its lock, if they are missing or older than it. Returns
 * npm's exit status.
 */
export function installPackages(folder = '.', env = process.env) {
  const at = join(ROOT, folder);
  const installed = join(at, 'node_modules/.package-lock.json');
  if (!isStale(installed, [join(at, 'package-lock.json')])) return 0;
  const why = existsSync(installed) ? 'they are older than the lock' : 'they are missing';
  say(`installing the packages of ${folder === '.' ? 'this checkout' : folder}: ${why} (npm ci)`);
  return run('npm', ['ci', '--no-audit', '--no-fund', '--foreground-scripts'], { cwd: at, env });
}

/** Packages, addon and dist/, each only if missing or stale. Ends the process if one fails. */
export function setUp() {
  requireNode();
  const { tool, missing } = planHere();
  if (tool === undefined) {
    complain(missingMessage(missing));
    process.exit(1);
  }
  const status = installPackages() || build();
  if (status === 0) return;
  complain('the set-up failed; see above');
  process.exit(status);
}
