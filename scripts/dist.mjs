/** Builds what is run: the addon and dist/. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { addonIsStale, buildAddon, missingMessage, planHere } from './addon.mjs';
import { complain, isStale, ROOT, run, say } from './tools.mjs';

const SOURCES = ['src', 'guest', 'host', 'bench', 'test', 'tsconfig.json'];
const STAMP = 'dist/.built';
const LOCK = 'build.lock';
const LOCK_POLL_MS = 200;

/** Whether dist/ is missing or older than a source. */
export function distIsStale() {
  return isStale(
    join(ROOT, STAMP),
    SOURCES.map((name) => join(ROOT, name)),
  );
}

/**
 * Builds the addon where stale, then dist/ (always, or where stale). Returns an exit status. Two
 * builds in one checkout wait for each other.
 */
export function build({ werror = false, onlyIfStale = true } = {}) {
  takeLock();
  try {
    return buildAddonIfStale(werror) || (onlyIfStale && !distIsStale() ? 0 : buildDist());
  } finally {
    rmSync(join(ROOT, LOCK), { force: true });
  }
}

function buildAddonIfStale(werror) {
  if (!addonIsStale(ROOT, werror)) return 0;
  const { tool, missing } = planHere();
  if (tool === undefined) {
    complain(missingMessage(missing));
    return 1;
  }
  say(`building the native addon with ${tool}${werror ? ', warnings as errors' : ''}`);
  const { status, output } = buildAddon({ root: ROOT, tool, werror });
  if (status !== 0) complain(output.trimEnd());
  return status;
}

function buildDist() {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  if (!existsSync(tsc)) {
    if (existsSync(join(ROOT, STAMP))) {
      say('keeping dist/ as it is: TypeScript is not installed');
      return 0;
    }
    complain('dist/ is missing and TypeScript is not installed; run npm ci with dev dependencies');
    return 1;
  }
  say('compiling TypeScript to dist/');
  // Taken before the compiler reads, so that a source saved meanwhile counts as newer.
  const startedS = Date.now() / 1000;
  const status = run(process.execPath, [tsc]);
  if (status !== 0) return status;
  removeOrphans();
  makeExecutable();
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  writeFileSync(join(ROOT, STAMP), '');
  utimesSync(join(ROOT, STAMP), startedS, startedS);
  return 0;
}

/** Removes what was compiled from a source that is gone: it would still be found and run. */
function removeOrphans() {
  for (const folder of ['src', 'guest', 'host', 'bench', 'test']) {
    const from = join(ROOT, 'dist', folder);
    if (!existsSync(from)) continue;
    for (const name of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
      const source = name.replace(/\.(js|js\.map|d\.ts)$/, '.ts');
      if (source === name || existsSync(join(ROOT, folder, source))) continue;
      rmSync(join(from, name));
    }
  }
}

/** The compiler writes 0644, with which `npx logflume` says "Permission denied". */
function makeExecutable() {
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const path of Object.values(bin)) {
    if (existsSync(join(ROOT, path))) chmodSync(join(ROOT, path), 0o755);
  }
}

/** Waits while a living process holds the lock; that of a dead one is taken over. */
function takeLock() {
  const lock = join(ROOT, LOCK);
  if (tryLock(lock)) return;
  say('waiting for another build in this checkout');
  while (!tryLock(lock)) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
    if (!holderLives(lock)) rmSync(lock, { force: true });
  }
}

function tryLock(lock) {
  try {
    writeFileSync(lock, `${process.pid}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

function holderLives(lock) {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    return pid > 0 && existsSync(`/proc/${pid}`);
  } catch {
    return false;
  }
}
