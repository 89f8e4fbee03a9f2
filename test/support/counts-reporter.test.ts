/** The counts that `npm test` adds up, from runs of vitest on planted test files. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'logflume-counts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('counts passed, failed and skipped tests, and files that do not load', () => {
  const plant = (name: string, text: string) => writeFileSync(join(folder, name), text);
  plant(
    'mixed.test.mjs',
    `import { expect, it } from ${JSON.stringify(resolve('node_modules/vitest/dist/index.js'))};
    it('passes', () => {});
    it('passes too', () => {});
    it('fails', () => expect(1).toBe(2));
    it.skip('is skipped', () => {});
    it.todo('is to be written');`,
  );
  plant('broken.test.mjs', 'import "./absent.mjs";');
  const config = `import { CountsReporter } from ${JSON.stringify(
    resolve('test/support/counts-reporter.ts'),
  )};
  export default { test: { reporters: [new CountsReporter()], include: ['*.test.mjs'] } };`;
  plant('vitest.config.mjs', config);

  const countsFile = join(folder, 'counts.json');
  const { status, stderr } = spawnSync(
    process.execPath,
    [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', folder],
    { cwd: folder, env: { ...process.env, LOGFLUME_COUNTS: countsFile }, encoding: 'utf8' },
  );
  expect(status, stderr).toBe(1);
  expect(JSON.parse(readFileSync(countsFile, 'utf8'))).toEqual({
    passed: 2,
    failed: 2,
    skipped: 2,
  });
});
