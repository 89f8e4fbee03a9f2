/**
 * The log's turns: what was appended is published, closed into commits, synced and checkpointed.
 *
 *   open partial segment -> commit -> written -> synced ; every so often a cut and a checkpoint
 *
 * `Log` is the face of this; the parts below it each do one of the steps.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { equalAt } from '../formats/byte-strings.ts';
import { firstPbaOf } from '../formats/geometry.ts';
import { NO_ID, type Superblock, SuperblockFlag } from '../formats/superblock.ts';
import { Checkpointer, type CheckpointRoot } from './checkpoint.ts';
import { CheckpointPacer } from './checkpoint-pacer.ts';
import { Committer } from './committer.ts';
import { HEAD_MOVED, HEAD_WAITS, Head } from './head.ts';
import { Ids } from './ids.ts';
import { COMMIT_SLOT, PAGES_SLOT, SYNC_SLOT } from './limits.ts';
import type { CutHead, LogParts } from './log-parts.ts';
import { PartialBuilder } from './partial-builder.ts';
import { Room } from './room.ts';

/** Not known yet; times are positive. */
const NEVER_US = -1;
/** Spare segments below this part of the pool are few: dead ones are worth a checkpoint. */
const FEW_SPARE_PART = 16;

export class CommitCycle {
  readonly ids: Ids;
  readonly builder: PartialBuilder;
  readonly committer: Committer;
  readonly checkpointer: Checkpointer;
  readonly head: Head;
  /** Set by `close`: commits at once, and in the end writes a superblock that says clean. */
  closing: boolean = false;
  clean: boolean = false;
  readonly #parts: LogParts;
  readonly #pacer: CheckpointPacer;
  /** The newest durable one. */
  #superblock: Superblock;
  #failed: StoreError | undefined;
  #publishedTxn: number;
  #headFirstPba: number;
  #previousChecksum = 0;
  #nowUs = 0;
  /** When the open partial got its first entry. */
  #openedAtUs = NEVER_US;
  #openWaited: boolean = false;
  #closeWanted: boolean = false;
  #cutHead: CutHead;

  constructor(parts: LogParts) {
    const { disk, geometry, limits, table, bank, superblock, source } = parts;
    this.#parts = parts;
    this.#superblock = superblock;
    this.ids = new Ids(superblock, limits);
    const lastSequence = superblock.sequenceReserve - 1;
    const { lastTxn } = this.ids;
    this.#publishedTxn = lastTxn;
    this.#pacer = new CheckpointPacer(limits, geometry, lastTxn);
    this.builder = new PartialBuilder(limits.entriesMax, superblock.poolId);
    this.committer = new Committer(disk, bank, geometry, limits, lastSequence, lastTxn);
    this.head = new Head(table, bank, geometry, superblock.generation, () => source.pageCountMax());
    this.builder.open(this.head.segment, 0);
    this.#headFirstPba = firstPbaOf(geometry, this.head.segment);
    this.#cutHead = this.#headNow();
    this.checkpointer = new Checkpointer(
      {
        ...parts,
        kernels: parts.platform.kernels,
        poolId: superblock.poolId,
        superblockFor: (root) => this.#superblockFor(root),
        durable: (durable) => this.#checkpointDurable(durable),
      },
      parts.mapSegments,
    );
  }

  get failed(): StoreError | undefined {
    return this.#failed;
  }
  get publishedTxn(): number {
    return this.#publishedTxn;
  }
  get superblock(): Superblock {
    return this.#superblock;
  }
  /** The pba of the head's block 0. @hotpath */
  get headFirstPba(): number {
    return this.#headFirstPba;
  }

  /** A checkpoint as soon as the open commit can be closed. */
  wantCheckpoint(): void {
    this.#pacer.wanted = true;
  }

  /** R6: the first reason stays. */
  fail(error: StoreError): void {
    this.#failed ??= error;
  }

  waitForCommit(): number {
    this.#closeWanted = true;
    this.committer.hurry();
    return Room.busy;
  }

  /** Closes the open partial segment, and moves on to the next segment if that is not enough. */
  makeRoom(blockCount: number, entries: number): number {
    const builder = this.builder;
    const { segmentBlocks } = this.#parts.geometry;
    if (builder.entryCount > 0) {
      // Sums come with the turn's end; until then the commit cannot be closed.
      if (builder.unpublishedEntries > 0 || !this.committer.hasRoom) return this.waitForCommit();
      this.#closePartial();
      if (builder.hasRoomFor(blockCount, entries, segmentBlocks)) return Room.ready;
    }
    const { closedSequence, durableSequence } = this.committer;
    const { generation } = this.#superblock;
    const moved = this.head.advance(blockCount > 0, closedSequence, durableSequence, generation);
    if (moved === HEAD_WAITS) return this.waitForCommit();
    if (moved !== HEAD_MOVED) return this.#fullOrBusy();
    builder.open(this.head.segment, 0);
    this.#headFirstPba = firstPbaOf(this.#parts.geometry, this.head.segment);
    assert(builder.hasRoomFor(blockCount, entries, segmentBlocks), 'a segment fits an operation');
    return Room.ready;
  }

  /** Only what is kept back is left: is a checkpoint going to change that? */
  #fullOrBusy(): number {
    if (this.#parts.table.freeableCount > 0) return Room.busy;
    if (this.#parts.table.freeingCount === 0) return Room.full;
    if (this.checkpointer.idle && !this.checkpointer.canBegin) return Room.full;
    this.#pacer.wanted = true;
    return Room.busy;
  }

  /**
   * Shows all operations begun so far to whoever opens this bank next. Call after `copies.run`:
   * it takes the sums from there. Then plain writes are complete (R1). @hotpath
   */
  publish(sums: Uint32Array): void {
    const builder = this.builder;
    const entryCount = builder.unpublishedEntries;
    if (entryCount === 0) return;
    builder.takeSums(sums);
    const { segment } = this.head;
    this.#parts.bank.journal.publish(
      builder.words,
      builder.firstUnpublishedWord,
      entryCount,
      this.#parts.bank.bufferOf(segment),
      segment,
      builder.firstUnpublishedBlock,
      this.committer.closedSequence + 1,
    );
    builder.markPublished();
    this.#publishedTxn = this.ids.lastTxn;
  }

  /** Somebody waits until `txn` is durable: commit soon. @hotpath */
  requestDurable(txn: number): void {
    if (txn <= this.committer.durableTxn || this.committer.waitFor(txn)) return;
    this.#openWaited = true;
  }

  /**
   * Commits, syncs and writes checkpoints as far as is due. Call between `publish` and the next
   * operation, then `disk.submit`. True if it did something. @hotpath
   */
  step(nowUs: number): boolean {
    if (this.#failed !== undefined) return false;
    this.#nowUs = nowUs;
    if (this.#openedAtUs === NEVER_US && this.builder.entryCount > 0) this.#openedAtUs = nowUs;
    this.#pacer.note(nowUs, this.ids.lastTxn);
    const checkpointDue = this.#checkpointIsDue();
    let did = false;
    if (this.#closeIsDue(checkpointDue)) {
      this.#closePartial();
      did = true;
    }
    if (checkpointDue && this.builder.entryCount === 0) {
      this.#beginCheckpoint();
      did = true;
    }
    if (this.checkpointer.step()) did = true;
    return this.#stepCommitter(nowUs) || did;
  }

  #stepCommitter(nowUs: number): boolean {
    const committer = this.committer;
    const { writtenSequence } = committer;
    const wanted = this.checkpointer.wantsSync(writtenSequence);
    const wasSyncing = committer.syncing;
    const did = committer.step(nowUs, wanted);
    if (committer.syncing && !wasSyncing) this.checkpointer.syncQueued(writtenSequence);
    return did;
  }

  /** Whether `step` would do something, without waiting for disk or clock. @hotpath */
  get hasWork(): boolean {
    if (this.#failed !== undefined) return false;
    const { writtenSequence } = this.committer;
    const wanted = this.checkpointer.wantsSync(writtenSequence);
    return (
      this.checkpointer.hasWork ||
      this.committer.hasWork(this.#nowUs, wanted) ||
      this.#checkpointIsDue() ||
      this.#closeIsDue(false)
    );
  }

  /** When `step` should run although nothing happened; Infinity if never. @hotpath */
  get nextDeadlineUs(): number {
    if (this.#failed !== undefined) return Number.POSITIVE_INFINITY;
    let deadlineUs = this.committer.deadlineUs;
    if (this.builder.entryCount > 0) {
      const openedAtUs = this.#openedAtUs === NEVER_US ? this.#nowUs : this.#openedAtUs;
      deadlineUs = Math.min(deadlineUs, openedAtUs + this.#parts.limits.unsyncedUs);
    }
    // Without room for its pages, time alone brings no checkpoint: nobody should wake up for it.
    if (this.checkpointer.idle && this.checkpointer.canBegin) {
      deadlineUs = Math.min(deadlineUs, this.#pacer.deadlineUs);
    }
    return deadlineUs;
  }

  /**
   * A commit is closed when somebody waits for it and at most one waited commit is ahead of it,
   * when it is large or old enough, or when a cut or the end of the segment asks for it.
   */
  #closeIsDue(checkpointDue: boolean): boolean {
    const builder = this.builder;
    if (builder.entryCount === 0 || builder.unpublishedEntries > 0) return false;
    if (!this.committer.hasRoom) return false;
    if (this.#closeWanted || this.closing || checkpointDue) return true;
    if (this.#openWaited && this.committer.waitedCount < 2) return true;
    if (builder.units * BLOCK_BYTES >= this.#parts.limits.commitBytes) return true;
    return (
      this.#openedAtUs !== NEVER_US &&
      this.#nowUs - this.#openedAtUs >= this.#parts.limits.unsyncedUs
    );
  }

  #closePartial(): void {
    const builder = this.builder;
    const { segment, block, units, txnLast } = builder;
    const { header } = builder;
    header.commitSequence = this.committer.closedSequence + 1;
    header.durableSequence = this.committer.durableSequence;
    header.generation = this.#superblock.generation;
    header.previousChecksum = this.#previousChecksum;
    header.nextSegment = this.head.next;
    header.secondSegment = this.head.second;
    const { bank, platform } = this.#parts;
    const at = bank.offsetOf(segment, block);
    this.#previousChecksum = builder.close(bank, at, this.#headFirstPba, platform.kernels);
    const openedAtUs = this.#openedAtUs === NEVER_US ? this.#nowUs : this.#openedAtUs;
    this.committer.add(segment, block, units, txnLast, openedAtUs, this.#openWaited);
    builder.open(segment, block + units);
    this.#openedAtUs = NEVER_US;
    this.#openWaited = false;
    this.#closeWanted = false;
  }

  #checkpointIsDue(): boolean {
    if (!this.checkpointer.idle) return false;
    return this.#checkpointIsWanted() && this.checkpointer.canBegin;
  }

  #checkpointIsWanted(): boolean {
    const { loggedBytes, closedSequence } = this.committer;
    if (this.#pacer.isDue(this.#nowUs, loggedBytes)) return true;
    if (this.ids.halfUsed(closedSequence)) return true;
    if (this.head.spareCount >= this.#parts.geometry.segmentCount / FEW_SPARE_PART) return false;
    // A checkpoint takes as many segments as it has pages; it should free more than that.
    const pagesInSegments = this.checkpointer.pageCount / this.#parts.geometry.segmentBlocks;
    return this.#parts.table.freeingCount > 1 + 2 * pagesInSegments;
  }

  #beginCheckpoint(): void {
    const { generation } = this.#superblock;
    const { closedSequence, loggedBytes } = this.committer;
    const { lastTxn } = this.ids;
    this.#cutHead = this.#headNow();
    this.#pacer.cut(this.#nowUs, lastTxn, loggedBytes);
    this.checkpointer.begin(generation + 1, closedSequence, lastTxn);
  }

  /** Where the next commit goes, and what its header will say. */
  #headNow(): CutHead {
    return {
      headSegment: this.builder.segment,
      headBlock: this.builder.block,
      headSequence: this.committer.closedSequence + 1,
      headPreviousChecksum: this.#previousChecksum,
      headNextSegment: this.head.next,
      headSecondSegment: this.head.second,
    };
  }

  #superblockFor(root: CheckpointRoot): Superblock {
    const old = this.#superblock;
    const { bankId } = this.#parts.bank;
    // The first checkpoint of an open names the bank of before, which is removed after it.
    const previousBankId = equalAt(old.bankId, 0, bankId) ? NO_ID : old.bankId;
    return {
      ...old,
      ...root,
      ...this.#cutHead,
      ...this.ids.reservesFor(this.committer.closedSequence, this.clean),
      flags: this.clean ? old.flags | SuperblockFlag.clean : old.flags & ~SuperblockFlag.clean,
      checkpointGeneration: root.generation,
      incarnation: this.#parts.incarnation,
      bootId: this.#parts.platform.bootId(),
      bankId: this.clean ? NO_ID : bankId,
      previousBankId: this.clean ? bankId : previousBankId,
      nextBankId: NO_ID,
    };
  }

  #checkpointDurable(superblock: Superblock): void {
    this.#superblock = superblock;
    this.ids.renew(superblock);
    this.#pacer.done(this.#nowUs);
  }

  /** A completion of a slot below `LOG_SLOTS`. @hotpath */
  onDisk(slot: number, result: number): void {
    if (this.#failed !== undefined) return;
    if (slot === SYNC_SLOT) {
      if (result < 0) {
        this.#failDisk('sync', slot, result);
        return;
      }
      this.committer.synced();
      this.checkpointer.synced();
      return;
    }
    const isCommit = slot >= COMMIT_SLOT && slot < PAGES_SLOT;
    const bytes = isCommit ? this.committer.bytesOf(slot) : this.checkpointer.bytesOf(slot);
    if (result !== bytes) {
      this.#failDisk('write', slot, result);
      return;
    }
    if (isCommit) this.committer.written(slot);
    else this.checkpointer.written(slot);
  }

  #failDisk(what: string, slot: number, result: number): void {
    this.fail(new StoreError('pool_failed', { what, slot, result }));
  }
}
