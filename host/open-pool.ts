import type { Platform } from '../src/platform/platform.ts';
import { openStore } from '../src/store/open-store.ts';
import type { Store } from '../src/store/store.ts';
import type { CheckedHostOptions } from './options.ts';

/**
 * Opens the host's pool, recovering it if need be; undefined if the host has none.
 *
 * @throws StoreError as `openStore`.
 */
export async function openPool(
  options: CheckedHostOptions,
  platform: Platform,
): Promise<Store | undefined> {
  const { pool, lockWaitMs, discardBank, cacheBytes } = options;
  if (pool === undefined) return undefined;
  return await openStore(platform, pool, { lockWaitMs, discardBank, cacheBytes });
}
