/** The log of one pool. */
import { unreachable } from '../base/assert.ts';
import type { StoreError } from '../base/errors.ts';
import type { Geometry } from '../formats/geometry.ts';
import type { CopyBatch } from '../platform/copy-batch.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import type { LogLimits } from './limits.ts';
import type { LogClient, Places } from './sources.ts';

/** `roomFor`: go on, `beginOperation` will succeed. */
export const LOG_READY = 0;
/** `roomFor`: publish what was appended, let `step` run, and ask again later. */
export const LOG_BUSY = -1;
/** `roomFor`: the pool is full (`pool_full`). Freeing space may help. */
export const LOG_FULL = -2;
/** `roomFor`: stopped for good (`pool_failed`, R6). */
export const LOG_FAILED = -3;

const built = false as boolean;
function later(): never {
  return unreachable(built as never);
}

/** Counters for people. */
export interface LogStats {
  readonly segmentCount: number;
  readonly freeSegments: number;
  /** Nothing mapped in them; waiting for a checkpoint. */
  readonly freeingSegments: number;
  readonly commits: number;
  readonly syncs: number;
  readonly checkpoints: number;
  readonly loggedBytes: number;
  readonly payloadBytes: number;
  readonly checkpointBytes: number;
  readonly unsyncedTxns: number;
}

export class Log implements Places {
  /** Shared with the volumes engine. Its owner runs it, calls `publish`, then clears it. */
  readonly copies!: CopyBatch;
  readonly geometry!: Geometry;
  readonly poolId!: Uint8Array;
  /** R3. */
  readonly incarnation!: number;
  /** Blocks of the largest operation: below `OPERATION_BLOCKS_MAX` if segments are small. */
  readonly operationBlocksMax!: number;
  /** The bank's number in `CopyBatch` and `Disk`. */
  readonly bankMemory!: number;

  /** Every operation with a txn up to this is on disk and synced. @hotpath */
  get durableTxn(): number {
    return later();
  }
  /** Every operation with a txn up to this is in the bank. @hotpath */
  get publishedTxn(): number {
    return later();
  }
  /** The last txn given out. @hotpath */
  get lastTxn(): number {
    return later();
  }
  /** R6: why the log stopped for good. @hotpath */
  get failed(): StoreError | undefined {
    return later();
  }
  /** Of the newest durable checkpoint. */
  get checkpointGeneration(): number {
    return later();
  }
  /** When `step` should run although nothing happened; Infinity if never. @hotpath */
  get nextDeadlineUs(): number {
    return later();
  }
  /** Whether a `step` now would do something. @hotpath */
  get hasWork(): boolean {
    return later();
  }

  /**
   * `LOG_READY` if an operation with so many blocks and entries (`entryCount` as in
   * `beginOperation`) can be appended now. May close the open partial segment and go on in the
   * next one. Operations without blocks are accepted a little longer than those with. @hotpath
   */
  roomFor(_blockCount: number, _entryCount: number): number {
    return later();
  }
  /**
   * Starts an operation, after `roomFor` said `LOG_READY` in the same turn, and returns its txn.
   * Exactly `entryCount` entries must follow before anything else is called. @hotpath
   */
  beginOperation(
    _kind: number,
    _flags: number,
    _guest: number,
    _queue: number,
    _tag: number,
    _operation: number,
    _branch: number,
    _entryCount: number,
  ): number {
    return later();
  }
  /**
   * Adds a block and returns its pba. The image's place is `bankOffsetOf(pba)` in `bankMemory`:
   * queue copies into it in `copies`, then call `sumRow`. @hotpath
   */
  appendBlock(_object: number, _lba: number, _mba: number, _oldMba: number): number {
    return later();
  }
  /** The row of `copies` whose sum is that of the block just appended. @hotpath */
  sumRow(_row: number): void {
    later();
  }
  /** @hotpath */
  appendRange(_object: number, _firstLba: number, _blockCount: number): void {
    later();
  }
  /** A multiple of 32 bytes; each 32 count as one entry. Copied. */
  appendRaw(_bytes: Uint8Array): void {
    later();
  }
  /** The block at `pba` is no longer mapped. @hotpath */
  release(_pba: number): void {
    later();
  }
  /** A new name for a stored block. @hotpath */
  nextMba(): number {
    return later();
  }
  /** R11: ids that are never given out twice; 0 if a checkpoint must renew the reserve first. */
  nextGuestId(): number {
    return later();
  }
  nextVolumeId(): number {
    return later();
  }
  /** Byte offset of the block in `bankMemory` while its segment lies in a buffer, else -1. @hotpath */
  bankOffsetOf(_pba: number): number {
    return later();
  }
  /** R22: the block's segment is not reused before `unpin`. @hotpath */
  pin(_pba: number): void {
    later();
  }
  /** @hotpath */
  unpin(_pba: number): void {
    later();
  }
  /**
   * Shows all operations begun so far to whoever opens this bank next. Call after `copies.run`:
   * it takes the sums from there. Then plain writes are complete (R1). @hotpath
   */
  publish(): void {
    later();
  }
  /** Somebody waits until `txn` is durable: commit soon. @hotpath */
  requestDurable(_txn: number): void {
    later();
  }
  /**
   * Commits, syncs and writes checkpoints as far as is due. Call between `publish` and the next
   * operation, then `disk.submit`. True if it did something. @hotpath
   */
  step(_nowUs: number): boolean {
    return later();
  }
  /** A completion of a slot below `LOG_SLOTS`. @hotpath */
  onDisk(_slot: number, _result: number): void {
    later();
  }
  /** Asks for a checkpoint; done when `checkpointGeneration` has grown. */
  checkpointNow(): void {
    later();
  }
  /** The caller sees a disk failure of its own that must stop the pool (R6). */
  fail(_error: StoreError): void {
    later();
  }
  stats(): LogStats {
    return later();
  }
  /**
   * Makes everything durable, writes a checkpoint, marks the pool clean and removes the bank.
   * All operations must be published, and all slots but the log's reaped: it reaps by itself. The
   * disk stays open.
   *
   * @throws StoreError `pool_failed`; then the bank is kept for the next open.
   */
  async close(): Promise<void> {
    await later();
  }
}

export interface OpenLogOptions {
  /** R3: give up what only the bank held, if the bank is lost or damaged. */
  readonly discardBank?: boolean;
  readonly limits?: Partial<LogLimits>;
}

/**
 * Recovers a pool and starts its log. Nothing may be served before it resolves; then all that was
 * recovered is durable (R4). `client` gets its pages, then the operations that followed.
 *
 * @throws StoreError `pool_corrupt`, `bank_lost`, `bank_unavailable`, `version_unsupported`,
 * `media_error`, `pool_failed`, `pool_full`.
 */
export async function openLog(
  _platform: Platform,
  _disk: Disk,
  _client: LogClient,
  _options: OpenLogOptions = {},
): Promise<Log> {
  return later();
}
