/**
 * The host: opens a pool, lets guests in, serves them. The public face; everything beside it is
 * its own affair.
 */
import type { MessagePort } from 'node:worker_threads';
import type { AdminResult } from '../src/channel/control-schema.ts';
import { HostServer } from './host-server.ts';
import type { HostOptions } from './options.ts';

export { StoreError } from '../src/base/errors.ts';
export { DEFAULT_LIMITS, type HostLimits, type HostOptions } from './options.ts';

/** Live counters: what `logflume stat` shows. */
export type HostStats = AdminResult<'stat'>;

/** A running host. */
export interface Host {
  /** Path of the socket it listens on; undefined if it does not. */
  readonly address: string | undefined;
  /**
   * Settles when the host is over: after `close`, or rejected with what ended it, such as
   * `pool_failed` or a reactor that died again and again.
   */
  readonly ended: Promise<void>;
  /**
   * A way in for guests of this process: give it to `connect` as `host`, here or, transferred, in
   * a worker.
   */
  openPort(): MessagePort;
  /** @throws StoreError `host_lost` if the reactor dies meanwhile, `closed`. */
  stats(): Promise<HostStats>;
  /**
   * Ends every session with `shutting_down` after what it has in flight, flushes, and closes the
   * pool cleanly. A second call waits for the first.
   *
   * @throws StoreError `pool_failed` if the disk did not confirm; the pool recovers when reopened.
   */
  close(): Promise<void>;
  /**
   * Kills the reactor's thread where it stands, for rehearsals: guests lose the host and find the
   * next reactor. Resolves when that is open.
   */
  terminateReactor(): Promise<void>;
}

/**
 * Opens the pool, recovering it if need be, and lets guests in. Resolves when they can attach.
 * Without `pool` it is a channel to measure: NOP and INFO only; with ports alone it then runs
 * without the native addon.
 *
 * @throws StoreError `invalid_argument`, `in_use` if another host listens at the path,
 * `pool_locked`, `bank_lost`, `pool_corrupt`, `version_unsupported`, `addon_missing`,
 * `system_error`.
 */
export async function startHost(options: HostOptions = {}): Promise<Host> {
  return await HostServer.start(options);
}
