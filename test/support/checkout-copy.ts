/** Copies of this checkout in a temporary folder, for tests that build. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Copies these paths to a folder of their own, with a link to node_modules. The caller owns it
 * and calls `remove`.
 */
export class CheckoutCopy {
  readonly folder: string;

  constructor(paths: readonly string[]) {
    this.folder = mkdtempSync(join(tmpdir(), 'logflume-copy-'));
    for (const path of paths) {
      cpSync(path, join(this.folder, path), {
        recursive: true,
        filter: (source) => !source.includes('node_modules'),
      });
    }
    symlinkSync(resolve('node_modules'), join(this.folder, 'node_modules'));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
