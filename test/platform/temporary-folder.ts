import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder for the tests of one file, removed after them. Pools need a file system on a disk. */
export function makeTemporaryFolder(parent: string = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'logflume-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
