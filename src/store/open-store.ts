import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import type { LogLimits } from '../log/limits.ts';
import { openLog } from '../log/recovery.ts';
import { FLAT_MAP_BLOCKS_MAX, FlatMap } from '../maps/flat-map.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import { CACHE_BYTES_DEFAULT, CACHE_BYTES_MAX, CACHE_BYTES_MIN } from '../volumes/block-cache.ts';
import { Catalog } from '../volumes/catalog.ts';
import { CatalogPages } from '../volumes/checkpoint-pages.ts';
import { Engine } from '../volumes/engine.ts';
import { REQUESTS_MAX } from '../volumes/request-table.ts';
import { PoolStore } from './pool-store.ts';
import type { OpenStoreOptions, Store } from './store.ts';

const LOCK_WAIT_MS_DEFAULT = 5000;

/** Bounds that tests shrink; nothing else should. */
export interface StoreLimits {
  readonly log?: Partial<LogLimits>;
  readonly mapBlocksMax?: number;
}

/**
 * Opens a pool for one owner, recovers it, and makes what was recovered durable before anybody is
 * served (R4, R5). Sessions of before are away, and their grace begins now.
 *
 * @throws StoreError `pool_locked`, `pool_corrupt`, `bank_lost`, `bank_unavailable`,
 * `version_unsupported`, `media_error`, `pool_failed`, `pool_full`, `invalid_argument`.
 */
export async function openStore(
  platform: Platform,
  path: string,
  options: OpenStoreOptions = {},
  limits: StoreLimits = {},
): Promise<Store> {
  const { lockWaitMs = LOCK_WAIT_MS_DEFAULT, cacheBytes = CACHE_BYTES_DEFAULT } = options;
  if (cacheBytes < CACHE_BYTES_MIN || cacheBytes > CACHE_BYTES_MAX) {
    const bounds = { cacheBytesMin: CACHE_BYTES_MIN, cacheBytesMax: CACHE_BYTES_MAX };
    throw new StoreError('invalid_argument', { cacheBytes, ...bounds });
  }
  const disk = await platform.pools.open(path, { lockWaitMs });
  try {
    return await openOn(platform, disk, { ...options, cacheBytes }, limits);
  } catch (error) {
    await disk.close();
    throw error;
  }
}

async function openOn(
  platform: Platform,
  disk: Disk,
  options: OpenStoreOptions & { readonly cacheBytes: number },
  limits: StoreLimits,
): Promise<Store> {
  const catalog = new Catalog(new FlatMap(limits.mapBlocksMax ?? FLAT_MAP_BLOCKS_MAX));
  const pages = new CatalogPages(catalog);
  const { discardBank = false, requestsMax = REQUESTS_MAX, cacheBytes } = options;
  const logOptions = { discardBank, ...(limits.log && { limits: limits.log }) };
  const { log, report } = await openLog(platform, disk, pages, logOptions);
  assert(log.failed === undefined, 'an opened log works');
  const { kernels } = platform;
  const engine = new Engine({ kernels, disk, log, catalog, requestsMax, cacheBytes });
  // A cut must not find a range that is logged as cleared and still half there (R10).
  pages.beforeCut = () => engine.clears.finish();
  return new PoolStore({ platform, disk, log, catalog, engine, report });
}
