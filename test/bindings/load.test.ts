/**
 * Loading the addon: from the compiled package, and what is said when it is not built or broken.
 * The copies are of dist/, because a process that is started runs no TypeScript.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { addon, addonAvailable } from '../../src/bindings/load.ts';
import { ADDON_PATH, makeFolder } from './fixtures.ts';

const COMPILED = fileURLToPath(new URL('../../dist/src', import.meta.url));

/** Asks a copy of the compiled bindings for the addon that `build` holds. */
function askCopy(fill: (build: string) => void): string {
  const folder = makeFolder();
  for (const floor of ['base', 'bindings']) {
    cpSync(join(COMPILED, floor), join(folder.path, 'dist/src', floor), { recursive: true });
  }
  writeFileSync(join(folder.path, 'package.json'), '{ "type": "module" }');
  const build = join(folder.path, 'build/Release');
  mkdirSync(build, { recursive: true });
  fill(build);
  const load = pathToFileURL(join(folder.path, 'dist/src/bindings/load.js'));
  const code = `
    import { addon, addonAvailable } from ${JSON.stringify(load.href)};
    try { console.log(addonAvailable(), addon().crc32cImplementation().length > 0); }
    catch (error) { console.log(addonAvailable(), error.code, String(error.cause), error.details.path); }`;
  const args = ['--input-type=module', '-e', code];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  folder.remove();
  return stdout.replaceAll(folder.path, 'COPY') + stderr;
}

describe('the addon', () => {
  it('loads from the sources, once', () => {
    expect(addonAvailable()).toBe(true);
    expect(addon()).toBe(addon());
  });

  it.skipIf(!existsSync(COMPILED))('loads from the compiled package', () => {
    const answer = askCopy((build) => cpSync(ADDON_PATH, join(build, 'logflume.node')));
    expect(answer).toBe('true true\n');
  });

  it.skipIf(!existsSync(COMPILED))('is missing when it is not built, and says where', () => {
    const answer = askCopy(() => {});
    expect(answer).toMatch(/^false addon_missing Error: Cannot find module/);
    expect(answer).toContain('COPY/build/Release/logflume.node');
  });

  it.skipIf(!existsSync(COMPILED))('is missing when it does not load, and says why', () => {
    const answer = askCopy((build) => writeFileSync(join(build, 'logflume.node'), 'rubbish'));
    expect(answer).toMatch(/^false addon_missing Error: .*COPY\/build\/Release\/logflume.node/);
  });
});
