/** New pools: of every size that is allowed, and none other. */
import { describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { createPool } from '../../src/log/create-pool.ts';
import { readPoolInfo } from '../../src/log/pool-info.ts';
import { openLog } from '../../src/log/recovery.ts';
import { SimMachine } from '../sim/sim-machine.ts';
import { SMALL_LIMITS } from './support/log-harness.ts';
import { ModelClient } from './support/model-client.ts';

describe('createPool', () => {
  it.each([
    { segmentBytes: 2 * MIB, segmentCount: 8 },
    { segmentBytes: 8 * MIB, segmentCount: 100 },
    { segmentBytes: 32 * MIB, segmentCount: 9 },
    // The table alone takes more than one segment.
    { segmentBytes: 2 * MIB, segmentCount: 40_000 },
  ])(
    'R13: makes $segmentCount segments of $segmentBytes that can be opened and closed',
    async (each) => {
      const process = new SimMachine({ seed: 1 }).startProcess();
      const sizeBytes = 16 * MIB + each.segmentCount * each.segmentBytes;
      await createPool(process, 'pool', { sizeBytes, segmentBytes: each.segmentBytes });
      const disk = await process.pools.open('pool', { lockWaitMs: 0 });
      expect(await readPoolInfo(disk, process.kernels)).toMatchObject({
        ...each,
        poolBytes: sizeBytes,
        clean: true,
        incarnation: 1,
        wholeSuperblockCopies: 8,
        nextTxn: 1,
      });
      const limits = { ...SMALL_LIMITS, bufferCount: 2, pagesPerStep: 64 };
      const { log } = await openLog(process, disk, new ModelClient(), { limits });
      await log.close();
    },
  );

  it.each([
    { sizeBytes: 20 * MIB, reason: 'fewer than 8 segments' },
    { sizeBytes: 1024 * MIB, segmentBytes: MIB, reason: 'segment size below 2 MiB' },
    { sizeBytes: 1024 * MIB, segmentBytes: 64 * MIB, reason: 'segment size above 32 MiB' },
    { sizeBytes: 1024 * MIB, segmentBytes: 3 * MIB, reason: 'segment size is no power of two' },
    { sizeBytes: 17 * 1024 * 1024 * MIB, reason: 'above 16 TiB' },
  ])('R13: refuses $sizeBytes bytes with $reason', async ({ reason, ...options }) => {
    const process = new SimMachine({ seed: 1 }).startProcess();
    const refusal = { code: 'invalid_argument', details: { reason } };
    await expect(createPool(process, 'pool', options)).rejects.toMatchObject(refusal);
  });
});
