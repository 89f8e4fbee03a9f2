/** The disk's contract on this machine, over both of the addon's queues. */
import { join } from 'node:path';
import { describe } from 'vitest';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { CONTRACT_DISK_BYTES, describeDiskContract } from './disk-contract.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const folder = makeTemporaryFolder();

describe.each(['any', 'threads'] as const)('disk over %s', (diskBackend) => {
  let madeCount = 0;
  describeDiskContract(async () => {
    const platform = createNodePlatform({ diskBackend, bankDir: folder });
    madeCount += 1;
    const path = join(folder, `pool-${diskBackend}-${madeCount}`);
    const options = { sizeBytes: CONTRACT_DISK_BYTES, writeThrough: madeCount % 2 === 0 };
    await platform.pools.create(path, options);
    return { platform, disk: await platform.pools.open(path, { lockWaitMs: 0 }) };
  });
});
