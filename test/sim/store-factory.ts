/** The real store under the harness, with bounds so small that runs reach them. */
import { Prng } from '../../src/base/prng.ts';
import { GIB, KIB, MIB } from '../../src/base/units.ts';
import { createPool } from '../../src/log/create-pool.ts';
import type { LogLimits } from '../../src/log/limits.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { StoreFactory } from './harness.ts';

/** Small: blocks leave the cache and come back. Large: what is wrong in it stays there. */
const CACHES_BYTES: readonly number[] = [MIB, 4 * MIB, 32 * MIB];

/** With few rows guests wait for each other's. */
const REQUESTS_MAX: readonly number[] = [4, 128];

function drawLimits(prng: Prng): Partial<LogLimits> {
  return {
    bufferCount: prng.pick([3, 4, 6]),
    journalUnits: prng.pick([8 * KIB, 32 * KIB]),
    commitBytes: prng.pick([16 * KIB, 128 * KIB, MIB]),
    syncBytes: prng.pick([64 * KIB, 8 * MIB]),
    unsyncedUs: prng.pick([200, 2000, 50_000]),
    checkpointBytes: prng.pick([128 * KIB, MIB, GIB]),
    checkpointUs: prng.pick([2000, 100_000, 30_000_000]),
    checkpointRestFactor: prng.pick([0, 20]),
    pagesPerStep: prng.pick([1, 32]),
  };
}

/** Draws anew at each open, as a pool meets other versions and other settings. */
export function storeFactory(seed: number): StoreFactory {
  const prng = new Prng(seed).fork();
  return {
    createPool: async (process, path, options) => {
      await createPool(process, path, options);
    },
    openStore: (process, path, options) => {
      const cacheBytes = prng.pick(CACHES_BYTES);
      const requestsMax = prng.pick(REQUESTS_MAX);
      const limits = { log: drawLimits(prng) };
      return openStore(process, path, { ...options, cacheBytes, requestsMax }, limits);
    },
  };
}
