/** A temporary folder with a pool in it, gone after the test. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '../../../src/base/units.ts';
import { createPool } from '../../../src/log/create-pool.ts';
import { createNodePlatform } from '../../../src/platform/node-platform.ts';

export interface Place {
  readonly folder: string;
  readonly socket: string;
  readonly pool: string;
  readonly bankDir: string;
  remove(): void;
}

/** Pools need direct I/O, which a temporary folder in memory does not have. */
const ROOT = process.env['LOGFLUME_TEST_DIR'] ?? tmpdir();

export function makePlace(): Place {
  const folder = mkdtempSync(join(ROOT, 'lf-host-'));
  const bankDir = join(folder, 'bank');
  mkdirSync(bankDir, { mode: 0o700 });
  return {
    folder,
    socket: join(folder, 'host.sock'),
    pool: join(folder, 'pool'),
    bankDir,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A pool of 128 MiB with segments of 2 MiB. */
export async function makePool(place: Place, sizeBytes = 128 * MIB): Promise<void> {
  await createPool(createNodePlatform(), place.pool, { sizeBytes, segmentBytes: 2 * MIB });
}
