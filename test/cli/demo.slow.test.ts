/** `npm start` on a small file set: every byte must come back although the host is killed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';

const DEMO = fileURLToPath(new URL('../../dist/src/cli/demo.js', import.meta.url));
const FILE_COUNT = 12;

it('stores and verifies a folder across kills of the host', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lf-demo-'));
  const random = new Prng(11);
  const bytes = new Uint8Array(4 * 1024 * 1024);
  for (let file = 0; file < FILE_COUNT; file++) {
    random.fill(bytes);
    writeFileSync(join(folder, `file-${file}`), bytes.subarray(0, random.below(bytes.length) + 1));
  }
  const demo = spawnSync(process.execPath, [DEMO, folder], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(demo.stderr).toBe('');
  expect(demo.stdout).toContain('every byte matched');
  expect(demo.status).toBe(0);
}, 120_000);

it('says what is wrong with an input that is not there', () => {
  const demo = spawnSync(process.execPath, [DEMO, '/nonexistent/input'], { encoding: 'utf8' });
  expect(demo.status).toBe(1);
  expect(demo.stderr).toContain('/nonexistent/input');
});
