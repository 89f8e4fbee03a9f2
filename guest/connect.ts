import { createNodePlatform } from '../src/platform/node-platform.ts';
import type { Driver } from './api.ts';
import { GuestDriver } from './driver.ts';
import { type ConnectOptions, checkOptions } from './options.ts';

/**
 * Attaches to a volume. Makes one attempt: a caller that starts together with its host tries again
 * on `host_unreachable`.
 *
 * @throws StoreError `invalid_argument` naming the option; `host_unreachable` naming the socket;
 * `not_found`, `in_use`, `permission_denied` or `limit_exceeded` as the host says; `timed_out` if
 * it says nothing for `attachTimeoutMs`; `protocol_mismatch` naming the older side;
 * `addon_missing` for a socket where the addon is not built. Nothing is left behind.
 */
export async function connect(options: ConnectOptions): Promise<Driver> {
  const driver = createDriver(options);
  await driver.start();
  return driver;
}

/** `connect`, blocking the thread. Meant for worker threads; throws where `connect` rejects. */
export function connectSync(options: ConnectOptions): Driver {
  const driver = createDriver(options);
  driver.startSync();
  return driver;
}

function createDriver(options: ConnectOptions): GuestDriver {
  const checked = checkOptions(options);
  return new GuestDriver(checked, options.platform ?? createNodePlatform());
}
