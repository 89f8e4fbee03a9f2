import { StoreError } from '../src/base/errors.ts';
import type { Platform } from '../src/platform/platform.ts';
import type { Store } from '../src/store/store.ts';
import type { CheckedHostOptions } from './options.ts';

/** Opens the host's pool, recovering it if need be; undefined if the host has none. */
export async function openPool(
  options: CheckedHostOptions,
  _platform: Platform,
): Promise<Store | undefined> {
  const { pool } = options;
  if (pool === undefined) return undefined;
  await Promise.resolve();
  throw new StoreError('unsupported', { pool });
}
