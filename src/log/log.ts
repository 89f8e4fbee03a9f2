/**
 * The log of one pool: what is appended is in the bank after the turn, on disk after a commit, and
 * out of roll-forward's way after a checkpoint.
 *
 *   roomFor -> beginOperation -> appendBlock, sumRow … -> copies.run -> publish -> step
 *
 * Nothing here waits. What must wait is a returned constant, and `step` brings on what it waits
 * for. After a failed write or sync nothing more is believed or written (R6): the bank stays, and
 * the next open replays it.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { blockOf, type Geometry, segmentOf } from '../formats/geometry.ts';
import { partialUnitsOf } from '../formats/partial-segment.ts';
import { OPERATION_BLOCKS_MAX } from '../formats/summary-entry.ts';
import type { CopyBatch } from '../platform/copy-batch.ts';
import type { Bank } from './bank.ts';
import { CommitCycle } from './commit-cycle.ts';
import { drain, drive } from './drive.ts';
import type { LogParts, LogStats } from './log-parts.ts';
import type { PartialBuilder } from './partial-builder.ts';
import { Room } from './room.ts';
import type { SegmentTable } from './segment-table.ts';
import type { Places } from './sources.ts';

/** `roomFor`: go on, `beginOperation` will succeed. */
export const LOG_READY = Room.ready;
/** `roomFor`: run the copies, publish, let `step` run, and ask again later. */
export const LOG_BUSY = Room.busy;
/** `roomFor`: the pool is full (`pool_full`). Freeing space may help. */
export const LOG_FULL = Room.full;
/** `roomFor`: stopped for good (`pool_failed`, R6), or closing. */
export const LOG_FAILED = Room.failed;

export class Log implements Places {
  /** Shared with the volumes engine. Its owner runs it, calls `publish`, then clears it. */
  readonly copies: CopyBatch;
  readonly geometry: Geometry;
  readonly poolId: Uint8Array;
  /** R3. */
  readonly incarnation: number;
  /** Blocks of the largest operation: below `OPERATION_BLOCKS_MAX` if segments are small. */
  readonly operationBlocksMax: number;
  /** The bank's number in `CopyBatch` and `Disk`. */
  readonly bankMemory: number;
  readonly #parts: LogParts;
  readonly #table: SegmentTable;
  readonly #bank: Bank;
  readonly #builder: PartialBuilder;
  readonly #cycle: CommitCycle;

  /** By `openLog`, which writes a checkpoint before it gives the log away. */
  constructor(parts: LogParts) {
    const { platform, geometry, limits, table, bank, superblock } = parts;
    this.#parts = parts;
    this.#table = table;
    this.#bank = bank;
    this.geometry = geometry;
    this.poolId = superblock.poolId;
    this.incarnation = parts.incarnation;
    this.bankMemory = bank.memory;
    this.copies = platform.kernels.createCopyBatch(limits.copyRowsMax);
    this.operationBlocksMax = largestOperation(geometry);
    this.#cycle = new CommitCycle(parts);
    this.#builder = this.#cycle.builder;
  }

  /** How segments are used: for statistics, check and tests. Only the log changes it. */
  get table(): SegmentTable {
    return this.#table;
  }
  /** Every operation with a txn up to this is on disk and synced. @hotpath */
  get durableTxn(): number {
    return this.#cycle.committer.durableTxn;
  }
  /** Every operation with a txn up to this is in the bank. @hotpath */
  get publishedTxn(): number {
    return this.#cycle.publishedTxn;
  }
  /** The last txn given out. @hotpath */
  get lastTxn(): number {
    return this.#cycle.ids.lastTxn;
  }
  /** R6: why the log stopped for good. @hotpath */
  get failed(): StoreError | undefined {
    return this.#cycle.failed;
  }
  /** Of the newest durable checkpoint. */
  get checkpointGeneration(): number {
    return this.#cycle.superblock.generation;
  }

  /**
   * `LOG_READY` if an operation with so many blocks and entries (`entryCount` as in
   * `beginOperation`) can be appended now. May close the open partial segment and go on in the
   * next one. Operations without blocks are accepted a little longer than those with. @hotpath
   */
  roomFor(blockCount: number, entryCount: number): number {
    if (this.#cycle.failed !== undefined || this.#cycle.closing) return LOG_FAILED;
    assert(blockCount <= this.operationBlocksMax, 'an operation fits a segment (R21)');
    const builder = this.#builder;
    const entries = entryCount + 1;
    assert(entries <= this.#parts.limits.entriesMax, 'an operation fits a partial segment');
    if (!this.#bank.journal.hasRoomFor(builder.unpublishedEntries + entries)) {
      return this.#cycle.waitForCommit();
    }
    if (!this.#cycle.ids.hasRoom(this.#cycle.committer.closedSequence)) {
      this.#cycle.wantCheckpoint();
      return LOG_BUSY;
    }
    if (builder.hasRoomFor(blockCount, entries, this.geometry.segmentBlocks)) return LOG_READY;
    return this.#cycle.makeRoom(blockCount, entries);
  }

  /**
   * Starts an operation, after `roomFor` said `LOG_READY` in the same turn, and returns its txn.
   * Exactly `entryCount` entries must follow before anything else is called. @hotpath
   */
  beginOperation(
    kind: number,
    flags: number,
    guest: number,
    queue: number,
    tag: number,
    operation: number,
    branch: number,
    entryCount: number,
  ): number {
    assert(this.#cycle.failed === undefined, 'a failed log takes no operation');
    const txn = this.#cycle.ids.takeTxn();
    this.#builder.addOperation(kind, flags, guest, queue, tag, operation, branch, txn, entryCount);
    return txn;
  }

  /**
   * Adds a block and returns its pba. The image's place is `bankOffsetOf(pba)` in `bankMemory`:
   * queue copies into it in `copies`, then call `sumRow`. @hotpath
   */
  appendBlock(object: number, lba: number, mba: number, oldMba: number): number {
    const block = this.#builder.addBlock(object, lba, mba, oldMba);
    this.#table.addBlock(this.#cycle.head.segment, this.#cycle.ids.lastTxn);
    return this.#cycle.headFirstPba + block;
  }

  /** The row of `copies` whose sum is that of the block just appended. @hotpath */
  sumRow(row: number): void {
    this.#builder.setRow(row);
  }

  /** @hotpath */
  appendRange(object: number, firstLba: number, blockCount: number): void {
    this.#builder.addRange(object, firstLba, blockCount);
  }

  /** A multiple of 32 bytes; each 32 count as one entry. Copied. */
  appendRaw(bytes: Uint8Array): void {
    this.#builder.addRaw(bytes);
  }

  /** The block at `pba` is no longer mapped. @hotpath */
  release(pba: number): void {
    this.#table.removeBlock(segmentOf(this.geometry, pba), this.#cycle.ids.lastTxn);
  }

  /** A new name for a stored block; at most one per block that `roomFor` was asked for. @hotpath */
  nextMba(): number {
    return this.#cycle.ids.takeMba();
  }

  /** R11: never given out before. 0 if a checkpoint must renew the reserve: ask again later. */
  nextGuestId(): number {
    const guest = this.#cycle.ids.takeGuest();
    if (guest === 0) this.#cycle.wantCheckpoint();
    return guest;
  }

  /** R11: never given out before. 0 if a checkpoint must renew the reserve: ask again later. */
  nextVolumeId(): number {
    const volume = this.#cycle.ids.takeVolume();
    if (volume === 0) this.#cycle.wantCheckpoint();
    return volume;
  }

  /** Byte offset of the block in `bankMemory` while its segment lies in a buffer, else -1. @hotpath */
  bankOffsetOf(pba: number): number {
    const { geometry } = this;
    return this.#bank.offsetOf(segmentOf(geometry, pba), blockOf(geometry, pba));
  }

  /** R22: the block's segment is not reused before `unpin`. @hotpath */
  pin(pba: number): void {
    this.#table.pin(segmentOf(this.geometry, pba));
  }

  /** @hotpath */
  unpin(pba: number): void {
    this.#table.unpin(segmentOf(this.geometry, pba));
  }

  /**
   * Shows all operations begun so far to whoever opens this bank next. Call after `copies.run`:
   * it takes the sums from there. Then plain writes are complete (R1). @hotpath
   */
  publish(): void {
    this.#cycle.publish(this.copies.sums);
  }

  /** Somebody waits until `txn` is durable: commit soon. @hotpath */
  requestDurable(txn: number): void {
    this.#cycle.requestDurable(txn);
  }

  /**
   * Commits, syncs and writes checkpoints as far as is due. Call between `publish` and the next
   * operation, then `disk.submit`. True if it did something. @hotpath
   */
  step(nowUs: number): boolean {
    return this.#cycle.step(nowUs);
  }

  /** Whether `step` would do something, without waiting for disk or clock. @hotpath */
  get hasWork(): boolean {
    return this.#cycle.hasWork;
  }

  /** When `step` should run although nothing happened; Infinity if never. @hotpath */
  get nextDeadlineUs(): number {
    return this.#cycle.nextDeadlineUs;
  }

  /** A completion of a slot below `LOG_SLOTS`. @hotpath */
  onDisk(slot: number, result: number): void {
    this.#cycle.onDisk(slot, result);
  }

  /** Stops for good (R6); also for failures that only the caller sees. The bank is kept. */
  fail(error: StoreError): void {
    this.#cycle.fail(error);
  }

  /**
   * For `openLog`, once: writes the checkpoint from which the next open starts.
   *
   * @throws StoreError `pool_failed`, `pool_full`.
   */
  async start(): Promise<void> {
    if (!this.#cycle.checkpointer.canBegin)
      throw new StoreError('pool_full', { what: 'checkpoint' });
    await this.#checkpoint();
  }

  async #checkpoint(): Promise<void> {
    const { platform, disk } = this.#parts;
    const { generation } = this.#cycle.superblock;
    this.#cycle.wantCheckpoint();
    await drive(this, disk, platform.clock, () => this.#cycle.superblock.generation > generation);
  }

  /** Asks for a checkpoint; it is done when `checkpointGeneration` has grown. */
  checkpointNow(): void {
    this.#cycle.wantCheckpoint();
  }

  stats(): LogStats {
    const committer = this.#cycle.committer;
    const checkpointer = this.#cycle.checkpointer;
    return {
      segmentCount: this.geometry.segmentCount,
      freeSegments: this.#table.freeCount,
      freeingSegments: this.#table.freeingCount + this.#table.freeableCount,
      commits: committer.commitCount,
      syncs: committer.syncCount,
      checkpoints: checkpointer.checkpointCount,
      loggedBytes: committer.loggedBytes,
      checkpointBytes: checkpointer.writtenBytes,
      unsyncedTxns: this.#cycle.ids.lastTxn - committer.durableTxn,
    };
  }

  /**
   * Makes everything durable, writes a checkpoint, marks the pool clean and removes the bank.
   * All operations must be published, and all slots but the log's reaped: it reaps by itself. The
   * disk stays open. After it has thrown, the next open recovers from the bank.
   *
   * @throws StoreError `pool_failed`; `pool_full` if there is no room for the checkpoint.
   */
  async close(): Promise<void> {
    const { platform, disk } = this.#parts;
    assert(this.#builder.unpublishedEntries === 0, 'everything is published before a close');
    this.#cycle.closing = true;
    try {
      await drive(this, disk, platform.clock, () => this.#settled());
      if (!this.#cycle.checkpointer.canBegin)
        throw new StoreError('pool_full', { what: 'checkpoint' });
      this.#cycle.clean = true;
      await this.#checkpoint();
    } finally {
      this.#cycle.fail(new StoreError('closed', {}));
      // What is in flight after a failure still reads from the memory that goes now.
      await drain(disk, platform.clock);
      this.#cycle.checkpointer.close();
      this.#bank.close();
    }
    platform.banks.remove(this.#bank.name);
  }

  #settled(): boolean {
    this.#cycle.committer.hurry();
    return (
      this.#builder.entryCount === 0 && this.#cycle.committer.idle && this.#cycle.checkpointer.idle
    );
  }
}

/** Blocks of an operation that leaves room for its own first unit and overflow. */
function largestOperation(geometry: Geometry): number {
  let blocks = Math.min(OPERATION_BLOCKS_MAX, geometry.segmentBlocks);
  while (partialUnitsOf(blocks, blocks + 1) > geometry.segmentBlocks) blocks--;
  return blocks;
}
