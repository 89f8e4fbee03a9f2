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
import { BLOCK_BYTES } from '../base/units.ts';
import { equalAt } from '../formats/byte-strings.ts';
import { blockOf, firstPbaOf, type Geometry, segmentOf } from '../formats/geometry.ts';
import { partialUnitsOf } from '../formats/partial-segment.ts';
import { OPERATION_BLOCKS_MAX } from '../formats/summary-entry.ts';
import { NO_ID, type Superblock, SuperblockFlag } from '../formats/superblock.ts';
import type { CopyBatch } from '../platform/copy-batch.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import type { Bank } from './bank.ts';
import { Checkpointer, type CheckpointRoot } from './checkpoint.ts';
import { Committer } from './committer.ts';
import { drain, drive } from './drive.ts';
import { HEAD_MOVED, HEAD_WAITS, Head } from './head.ts';
import { Ids } from './ids.ts';
import { COMMIT_SLOT, type LogLimits, PAGES_SLOT, SYNC_SLOT } from './limits.ts';
import { PartialBuilder } from './partial-builder.ts';
import type { SegmentTable } from './segment-table.ts';
import type { CheckpointSource, Places } from './sources.ts';

/** `roomFor`: go on, `beginOperation` will succeed. */
export const LOG_READY = 0;
/** `roomFor`: run the copies, publish, let `step` run, and ask again later. */
export const LOG_BUSY = -1;
/** `roomFor`: the pool is full (`pool_full`). Freeing space may help. */
export const LOG_FULL = -2;
/** `roomFor`: stopped for good (`pool_failed`, R6), or closing. */
export const LOG_FAILED = -3;

/** Not known yet; times are positive. */
const NEVER_US = -1;
/** A pool's log is at most this part of it, so that roll-forward never needs what was freed. */
const CHECKPOINT_POOL_PART = 4;
/** Spare segments below this part of the pool are few: dead ones are worth a checkpoint. */
const FEW_SPARE_PART = 16;

/** Counters since the pool was opened, for people. */
export interface LogStats {
  readonly segmentCount: number;
  readonly freeSegments: number;
  /** Nothing is mapped in them; a checkpoint makes them free. */
  readonly freeingSegments: number;
  readonly commits: number;
  readonly syncs: number;
  readonly checkpoints: number;
  /** Written to the chain: payload, headers and entries. */
  readonly loggedBytes: number;
  /** Written as checkpoint pages and superblocks. */
  readonly checkpointBytes: number;
  readonly unsyncedTxns: number;
}

/** What `openLog` hands over: a pool that is recovered and synced. */
export interface LogParts {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly geometry: Geometry;
  readonly limits: LogLimits;
  readonly table: SegmentTable;
  readonly bank: Bank;
  readonly source: CheckpointSource;
  /** The durable superblock. Ids start at its reserves. */
  readonly superblock: Superblock;
  readonly incarnation: number;
  /** Segments of the checkpoint that it names. */
  readonly mapSegments: readonly number[];
}

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
  readonly #limits: LogLimits;
  readonly #table: SegmentTable;
  readonly #bank: Bank;
  readonly #ids: Ids;
  readonly #head: Head;
  readonly #builder: PartialBuilder;
  readonly #committer: Committer;
  readonly #checkpointer: Checkpointer;
  /** The newest durable one. */
  #superblock: Superblock;
  #failed: StoreError | undefined;
  #publishedTxn: number;
  #headFirstPba: number;
  #previousChecksum = 0;
  #nowUs = 0;
  /** When the open partial got its first entry, and when something changed after the last cut. */
  #openedAtUs = NEVER_US;
  #dirtyAtUs = NEVER_US;
  #openWaited: boolean = false;
  #closeWanted: boolean = false;
  #checkpointWanted: boolean = false;
  #closing: boolean = false;
  #clean: boolean = false;
  /** Of the newest cut. */
  #cutTxn: number;
  #cutLoggedBytes = 0;
  #cutAtUs = 0;
  #checkpointTookUs = 0;
  #cutHead: Pick<
    Superblock,
    | 'headSegment'
    | 'headBlock'
    | 'headSequence'
    | 'headPreviousChecksum'
    | 'headNextSegment'
    | 'headSecondSegment'
  >;

  /** By `openLog`, which writes a checkpoint before it gives the log away. */
  constructor(parts: LogParts) {
    const { platform, disk, geometry, limits, table, bank, superblock } = parts;
    this.#parts = parts;
    this.#limits = limits;
    this.#table = table;
    this.#bank = bank;
    this.#superblock = superblock;
    this.geometry = geometry;
    this.poolId = superblock.poolId;
    this.incarnation = parts.incarnation;
    this.bankMemory = bank.memory;
    this.copies = platform.kernels.createCopyBatch(limits.copyRowsMax);
    this.operationBlocksMax = largestOperation(geometry);
    this.#ids = new Ids(superblock, limits);
    const lastSequence = superblock.sequenceReserve - 1;
    const { lastTxn } = this.#ids;
    this.#publishedTxn = lastTxn;
    this.#cutTxn = lastTxn;
    this.#builder = new PartialBuilder(limits.entriesMax);
    this.#committer = new Committer(disk, bank, geometry, limits, lastSequence, lastTxn);
    this.#head = new Head(table, bank, geometry, superblock.generation, () =>
      parts.source.pageCountMax(),
    );
    this.#builder.open(this.#head.segment, 0);
    this.#headFirstPba = firstPbaOf(geometry, this.#head.segment);
    this.#cutHead = this.#headNow();
    this.#checkpointer = this.#makeCheckpointer();
  }

  #makeCheckpointer(): Checkpointer {
    const { platform, disk, source, mapSegments } = this.#parts;
    const { kernels } = platform;
    const { poolId, geometry } = this;
    const common = { disk, kernels, geometry, poolId, source, limits: this.#limits };
    const parts = {
      ...common,
      table: this.#table,
      superblockFor: (root: CheckpointRoot) => this.#superblockFor(root),
      durable: (superblock: Superblock) => this.#checkpointDurable(superblock),
    };
    return new Checkpointer(parts, mapSegments);
  }

  /** Every operation with a txn up to this is on disk and synced. @hotpath */
  get durableTxn(): number {
    return this.#committer.durableTxn;
  }
  /** Every operation with a txn up to this is in the bank. @hotpath */
  get publishedTxn(): number {
    return this.#publishedTxn;
  }
  /** The last txn given out. @hotpath */
  get lastTxn(): number {
    return this.#ids.lastTxn;
  }
  /** R6: why the log stopped for good. @hotpath */
  get failed(): StoreError | undefined {
    return this.#failed;
  }
  /** Of the newest durable checkpoint. */
  get checkpointGeneration(): number {
    return this.#superblock.generation;
  }

  /**
   * `LOG_READY` if an operation with so many blocks and entries (`entryCount` as in
   * `beginOperation`) can be appended now. May close the open partial segment and go on in the
   * next one. Operations without blocks are accepted a little longer than those with. @hotpath
   */
  roomFor(blockCount: number, entryCount: number): number {
    if (this.#failed !== undefined || this.#closing) return LOG_FAILED;
    assert(blockCount <= this.operationBlocksMax, 'an operation fits a segment (R21)');
    const builder = this.#builder;
    const entries = entryCount + 1;
    assert(entries <= this.#limits.entriesMax, 'an operation fits a partial segment');
    if (!this.#bank.journal.hasRoomFor(builder.unpublishedEntries + entries)) {
      return this.#waitForCommit();
    }
    if (!this.#ids.hasRoom(this.#committer.closedSequence)) {
      this.#checkpointWanted = true;
      return LOG_BUSY;
    }
    if (builder.hasRoomFor(blockCount, entries, this.geometry.segmentBlocks)) return LOG_READY;
    return this.#makeRoom(blockCount, entries);
  }

  #waitForCommit(): number {
    this.#closeWanted = true;
    this.#committer.hurry();
    return LOG_BUSY;
  }

  /** Closes the open partial segment, and moves on to the next segment if that is not enough. */
  #makeRoom(blockCount: number, entries: number): number {
    const builder = this.#builder;
    const { segmentBlocks } = this.geometry;
    if (builder.entryCount > 0) {
      // Sums come with the turn's end; until then the commit cannot be closed.
      if (builder.unpublishedEntries > 0 || !this.#committer.hasRoom) return this.#waitForCommit();
      this.#closePartial();
      if (builder.hasRoomFor(blockCount, entries, segmentBlocks)) return LOG_READY;
    }
    const { closedSequence, durableSequence } = this.#committer;
    const { generation } = this.#superblock;
    const moved = this.#head.advance(blockCount > 0, closedSequence, durableSequence, generation);
    if (moved === HEAD_WAITS) return this.#waitForCommit();
    if (moved !== HEAD_MOVED) return this.#fullOrBusy();
    builder.open(this.#head.segment, 0);
    this.#headFirstPba = firstPbaOf(this.geometry, this.#head.segment);
    assert(builder.hasRoomFor(blockCount, entries, segmentBlocks), 'a segment fits an operation');
    return LOG_READY;
  }

  /** Only what is kept back is left: is a checkpoint going to change that? */
  #fullOrBusy(): number {
    if (this.#table.freeableCount > 0) return LOG_BUSY;
    if (this.#table.freeingCount === 0) return LOG_FULL;
    if (this.#checkpointer.idle && !this.#checkpointer.canBegin) return LOG_FULL;
    this.#checkpointWanted = true;
    return LOG_BUSY;
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
    assert(this.#failed === undefined, 'a failed log takes no operation');
    const txn = this.#ids.takeTxn();
    this.#builder.addOperation(kind, flags, guest, queue, tag, operation, branch, txn, entryCount);
    return txn;
  }

  /**
   * Adds a block and returns its pba. The image's place is `bankOffsetOf(pba)` in `bankMemory`:
   * queue copies into it in `copies`, then call `sumRow`. @hotpath
   */
  appendBlock(object: number, lba: number, mba: number, oldMba: number): number {
    const block = this.#builder.addBlock(object, lba, mba, oldMba);
    this.#table.addBlock(this.#head.segment, this.#ids.lastTxn);
    return this.#headFirstPba + block;
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
    this.#table.removeBlock(segmentOf(this.geometry, pba), this.#ids.lastTxn);
  }

  /** A new name for a stored block; at most one per block that `roomFor` was asked for. @hotpath */
  nextMba(): number {
    return this.#ids.takeMba();
  }

  /** R11: never given out before. 0 if a checkpoint must renew the reserve: ask again later. */
  nextGuestId(): number {
    const guest = this.#ids.takeGuest();
    if (guest === 0) this.#checkpointWanted = true;
    return guest;
  }

  /** R11: never given out before. 0 if a checkpoint must renew the reserve: ask again later. */
  nextVolumeId(): number {
    const volume = this.#ids.takeVolume();
    if (volume === 0) this.#checkpointWanted = true;
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
    const builder = this.#builder;
    const entryCount = builder.unpublishedEntries;
    if (entryCount === 0) return;
    builder.takeSums(this.copies.sums);
    const { segment } = this.#head;
    this.#bank.journal.publish(
      builder.words,
      builder.firstUnpublishedWord,
      entryCount,
      this.#bank.bufferOf(segment),
      segment,
      builder.firstUnpublishedBlock,
      this.#committer.closedSequence + 1,
    );
    builder.markPublished();
    this.#publishedTxn = this.#ids.lastTxn;
  }

  /** Somebody waits until `txn` is durable: commit soon. @hotpath */
  requestDurable(txn: number): void {
    if (txn <= this.#committer.durableTxn || this.#committer.waitFor(txn)) return;
    this.#openWaited = true;
  }

  /**
   * Commits, syncs and writes checkpoints as far as is due. Call between `publish` and the next
   * operation, then `disk.submit`. True if it did something. @hotpath
   */
  step(nowUs: number): boolean {
    if (this.#failed !== undefined) return false;
    this.#nowUs = nowUs;
    if (this.#openedAtUs === NEVER_US && this.#builder.entryCount > 0) this.#openedAtUs = nowUs;
    if (this.#dirtyAtUs === NEVER_US && this.#ids.lastTxn > this.#cutTxn) this.#dirtyAtUs = nowUs;
    const checkpointDue = this.#checkpointIsDue();
    let did = false;
    if (this.#closeIsDue(checkpointDue)) {
      this.#closePartial();
      did = true;
    }
    if (checkpointDue && this.#builder.entryCount === 0) {
      this.#beginCheckpoint();
      did = true;
    }
    if (this.#checkpointer.step()) did = true;
    return this.#stepCommitter(nowUs) || did;
  }

  #stepCommitter(nowUs: number): boolean {
    const committer = this.#committer;
    const { writtenSequence } = committer;
    const wanted = this.#checkpointer.wantsSync(writtenSequence);
    const wasSyncing = committer.syncing;
    const did = committer.step(nowUs, wanted);
    if (committer.syncing && !wasSyncing) this.#checkpointer.syncQueued(writtenSequence);
    return did;
  }

  /** Whether `step` would do something, without waiting for disk or clock. @hotpath */
  get hasWork(): boolean {
    if (this.#failed !== undefined) return false;
    const { writtenSequence } = this.#committer;
    const wanted = this.#checkpointer.wantsSync(writtenSequence);
    return (
      this.#checkpointer.hasWork ||
      this.#committer.hasWork(this.#nowUs, wanted) ||
      this.#checkpointIsDue() ||
      this.#closeIsDue(false)
    );
  }

  /** When `step` should run although nothing happened; Infinity if never. @hotpath */
  get nextDeadlineUs(): number {
    if (this.#failed !== undefined) return Number.POSITIVE_INFINITY;
    let deadlineUs = this.#committer.deadlineUs;
    if (this.#builder.entryCount > 0) {
      const openedAtUs = this.#openedAtUs === NEVER_US ? this.#nowUs : this.#openedAtUs;
      deadlineUs = Math.min(deadlineUs, openedAtUs + this.#limits.unsyncedUs);
    }
    if (this.#dirtyAtUs !== NEVER_US && this.#checkpointer.idle) {
      deadlineUs = Math.min(deadlineUs, this.#dirtyAtUs + this.#checkpointAgeUs());
    }
    return deadlineUs;
  }

  /**
   * A commit is closed when somebody waits for it and at most one waited commit is ahead of it,
   * when it is large or old enough, or when a cut or the end of the segment asks for it.
   */
  #closeIsDue(checkpointDue: boolean): boolean {
    const builder = this.#builder;
    if (builder.entryCount === 0 || builder.unpublishedEntries > 0) return false;
    if (!this.#committer.hasRoom) return false;
    if (this.#closeWanted || this.#closing || checkpointDue) return true;
    if (this.#openWaited && this.#committer.waitedCount < 2) return true;
    if (builder.units * BLOCK_BYTES >= this.#limits.commitBytes) return true;
    return (
      this.#openedAtUs !== NEVER_US && this.#nowUs - this.#openedAtUs >= this.#limits.unsyncedUs
    );
  }

  #closePartial(): void {
    const builder = this.#builder;
    const { segment, block, units, txnLast } = builder;
    const sequence = this.#committer.closedSequence + 1;
    const facts = {
      poolId: this.poolId,
      generation: this.#superblock.generation,
      durableSequence: this.#committer.durableSequence,
      previousChecksum: this.#previousChecksum,
      nextSegment: this.#head.next,
      secondSegment: this.#head.second,
      segmentFirstPba: this.#headFirstPba,
    };
    const { bytes } = this.#bank;
    const { kernels } = this.#parts.platform;
    const at = this.#bank.offsetOf(segment, block);
    this.#previousChecksum = builder.close(bytes, at, sequence, facts, kernels);
    const openedAtUs = this.#openedAtUs === NEVER_US ? this.#nowUs : this.#openedAtUs;
    this.#committer.add(segment, block, units, txnLast, openedAtUs, this.#openWaited);
    builder.open(segment, block + units);
    this.#openedAtUs = NEVER_US;
    this.#openWaited = false;
    this.#closeWanted = false;
  }

  #checkpointAgeUs(): number {
    const { checkpointUs, checkpointRestFactor } = this.#limits;
    return Math.max(checkpointUs, checkpointRestFactor * this.#checkpointTookUs);
  }

  #checkpointIsDue(): boolean {
    if (!this.#checkpointer.idle) return false;
    return this.#checkpointIsWanted() && this.#checkpointer.canBegin;
  }

  #checkpointIsWanted(): boolean {
    if (this.#checkpointWanted) return true;
    const { segmentCount, segmentBytes } = this.geometry;
    const loggedBytes = this.#committer.loggedBytes - this.#cutLoggedBytes;
    const part = (segmentCount * segmentBytes) / CHECKPOINT_POOL_PART;
    if (loggedBytes >= Math.min(this.#limits.checkpointBytes, part)) return true;
    if (this.#ids.halfUsed(this.#committer.closedSequence)) return true;
    if (this.#dirtyAtUs !== NEVER_US && this.#nowUs - this.#dirtyAtUs >= this.#checkpointAgeUs()) {
      return true;
    }
    if (this.#head.spareCount >= segmentCount / FEW_SPARE_PART) return false;
    // A checkpoint takes as many segments as it has pages; it should free more than that.
    const pagesInSegments = this.#checkpointer.pageCount / this.geometry.segmentBlocks;
    return this.#table.freeingCount > 1 + 2 * pagesInSegments;
  }

  #beginCheckpoint(): void {
    const { generation } = this.#superblock;
    const { closedSequence, loggedBytes } = this.#committer;
    this.#cutTxn = this.#ids.lastTxn;
    this.#cutHead = this.#headNow();
    this.#cutLoggedBytes = loggedBytes;
    this.#cutAtUs = this.#nowUs;
    this.#dirtyAtUs = NEVER_US;
    this.#checkpointWanted = false;
    this.#checkpointer.begin(generation + 1, closedSequence, this.#cutTxn);
  }

  /** Where the next commit goes, and what its header will say. */
  #headNow() {
    return {
      headSegment: this.#builder.segment,
      headBlock: this.#builder.block,
      headSequence: this.#committer.closedSequence + 1,
      headPreviousChecksum: this.#previousChecksum,
      headNextSegment: this.#head.next,
      headSecondSegment: this.#head.second,
    };
  }

  #superblockFor(root: CheckpointRoot): Superblock {
    const old = this.#superblock;
    const { bankId } = this.#bank;
    // The first checkpoint of an open names the bank of before, which is removed after it.
    const previousBankId = equalAt(old.bankId, 0, bankId) ? NO_ID : old.bankId;
    return {
      ...old,
      ...root,
      ...this.#cutHead,
      ...this.#ids.reservesFor(this.#committer.closedSequence, this.#clean),
      flags: this.#clean ? old.flags | SuperblockFlag.clean : old.flags & ~SuperblockFlag.clean,
      checkpointGeneration: root.generation,
      incarnation: this.incarnation,
      bootId: this.#parts.platform.bootId(),
      bankId: this.#clean ? NO_ID : bankId,
      previousBankId: this.#clean ? bankId : previousBankId,
      nextBankId: NO_ID,
    };
  }

  #checkpointDurable(superblock: Superblock): void {
    this.#superblock = superblock;
    this.#ids.renew(superblock);
    this.#checkpointTookUs = this.#nowUs - this.#cutAtUs;
  }

  /** A completion of a slot below `LOG_SLOTS`. @hotpath */
  onDisk(slot: number, result: number): void {
    if (this.#failed !== undefined) return;
    if (slot === SYNC_SLOT) {
      if (result < 0) {
        this.#failDisk('sync', slot, result);
        return;
      }
      this.#committer.synced();
      this.#checkpointer.synced();
      return;
    }
    const isCommit = slot >= COMMIT_SLOT && slot < PAGES_SLOT;
    const bytes = isCommit ? this.#committer.bytesOf(slot) : this.#checkpointer.bytesOf(slot);
    if (result !== bytes) {
      this.#failDisk('write', slot, result);
      return;
    }
    if (isCommit) this.#committer.written(slot);
    else this.#checkpointer.written(slot);
  }

  #failDisk(what: string, slot: number, result: number): void {
    this.fail(new StoreError('pool_failed', { what, slot, result }));
  }

  /** Stops for good (R6); also for failures that only the caller sees. The bank is kept. */
  fail(error: StoreError): void {
    this.#failed ??= error;
  }

  /**
   * For `openLog`, once: writes the checkpoint from which the next open starts.
   *
   * @throws StoreError `pool_failed`, `pool_full`.
   */
  async start(): Promise<void> {
    if (!this.#checkpointer.canBegin) throw new StoreError('pool_full', { what: 'checkpoint' });
    await this.#checkpoint();
  }

  async #checkpoint(): Promise<void> {
    const { platform, disk } = this.#parts;
    const { generation } = this.#superblock;
    this.#checkpointWanted = true;
    await drive(this, disk, platform.clock, () => this.#superblock.generation > generation);
  }

  /** Asks for a checkpoint; it is done when `checkpointGeneration` has grown. */
  checkpointNow(): void {
    this.#checkpointWanted = true;
  }

  stats(): LogStats {
    const committer = this.#committer;
    const checkpointer = this.#checkpointer;
    return {
      segmentCount: this.geometry.segmentCount,
      freeSegments: this.#table.freeCount,
      freeingSegments: this.#table.freeingCount + this.#table.freeableCount,
      commits: committer.commitCount,
      syncs: committer.syncCount,
      checkpoints: checkpointer.checkpointCount,
      loggedBytes: committer.loggedBytes,
      checkpointBytes: checkpointer.writtenBytes,
      unsyncedTxns: this.#ids.lastTxn - committer.durableTxn,
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
    this.#closing = true;
    try {
      await drive(this, disk, platform.clock, () => this.#settled());
      if (!this.#checkpointer.canBegin) throw new StoreError('pool_full', { what: 'checkpoint' });
      this.#clean = true;
      await this.#checkpoint();
    } finally {
      this.#failed ??= new StoreError('closed', {});
      // What is in flight after a failure still reads from the memory that goes now.
      await drain(disk, platform.clock);
      this.#checkpointer.close();
      this.#bank.close();
    }
    platform.banks.remove(this.#bank.name);
  }

  #settled(): boolean {
    this.#committer.hurry();
    return this.#builder.entryCount === 0 && this.#committer.idle && this.#checkpointer.idle;
  }
}

/** Blocks of an operation that leaves room for its own first unit and overflow. */
function largestOperation(geometry: Geometry): number {
  let blocks = Math.min(OPERATION_BLOCKS_MAX, geometry.segmentBlocks);
  while (partialUnitsOf(blocks, blocks + 1) > geometry.segmentBlocks) blocks--;
  return blocks;
}
