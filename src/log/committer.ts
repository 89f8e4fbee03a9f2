/**
 * Closed commits on their way to the disk.
 *
 *   durable | syncing … | written … | writing, closed … | (the open partial segment)
 *
 * Writes of several commits may be in flight, in any order; one fdatasync at a time covers the
 * written ones from the oldest on without a gap. Only that moves `durableTxn`, and with it the
 * bank's `retired` (R2).
 */
import { assert } from '../base/assert.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { firstPbaOf, type Geometry, positionOf } from '../formats/geometry.ts';
import type { Disk } from '../platform/disk.ts';
import type { Bank } from './bank.ts';
import {
  COMMIT_SLOT,
  COMMIT_WRITES_MAX,
  COMMITS_MAX,
  type LogLimits,
  SYNC_SLOT,
} from './limits.ts';

const CLOSED = 1;
const WRITING = 2;
const WRITTEN = 3;
const NO_COMMIT = -1;

export class Committer {
  readonly #disk: Disk;
  readonly #bank: Bank;
  readonly #geometry: Geometry;
  readonly #limits: LogLimits;
  // One row per commit, at its sequence modulo COMMITS_MAX.
  readonly #state = new Uint8Array(COMMITS_MAX);
  readonly #waited = new Uint8Array(COMMITS_MAX);
  readonly #segment = new Uint32Array(COMMITS_MAX);
  readonly #block = new Uint32Array(COMMITS_MAX);
  readonly #units = new Uint32Array(COMMITS_MAX);
  readonly #journalEnd = new Uint32Array(COMMITS_MAX);
  readonly #lastTxn = new Float64Array(COMMITS_MAX);
  readonly #openedAtUs = new Float64Array(COMMITS_MAX);
  /** Sequence of the commit that a write slot carries. */
  readonly #sequenceOfSlot = new Float64Array(COMMIT_WRITES_MAX).fill(NO_COMMIT);
  #durableSequence: number;
  #durableTxn: number;
  #closedSequence: number;
  #queuedSequence: number;
  #writtenSequence: number;
  #unsyncedBytes = 0;
  #waitedCount = 0;
  #syncing: boolean = false;
  #syncedSequence = 0;
  #hurry: boolean = false;
  commitCount = 0;
  syncCount = 0;
  loggedBytes = 0;

  /** `sequence` and `txn` are the last ones of what is durable. */
  constructor(
    disk: Disk,
    bank: Bank,
    geometry: Geometry,
    limits: LogLimits,
    sequence: number,
    txn: number,
  ) {
    this.#disk = disk;
    this.#bank = bank;
    this.#geometry = geometry;
    this.#limits = limits;
    this.#durableSequence = sequence;
    this.#closedSequence = sequence;
    this.#queuedSequence = sequence;
    this.#writtenSequence = sequence;
    this.#durableTxn = txn;
  }

  get durableSequence(): number {
    return this.#durableSequence;
  }
  get durableTxn(): number {
    return this.#durableTxn;
  }
  /** The last commit closed. */
  get closedSequence(): number {
    return this.#closedSequence;
  }
  /** All commits up to this are written, though not synced. */
  get writtenSequence(): number {
    return this.#writtenSequence;
  }
  get syncing(): boolean {
    return this.#syncing;
  }
  get hasRoom(): boolean {
    return this.#closedSequence - this.#durableSequence < COMMITS_MAX;
  }
  /** Commits for which somebody waits: one is synced, the next is written meanwhile. */
  get waitedCount(): number {
    return this.#waitedCount;
  }
  /** Nothing is closed that is not durable, and no sync is in flight. */
  get idle(): boolean {
    return this.#closedSequence === this.#durableSequence && !this.#syncing;
  }

  /** Takes a commit whose image is complete in the bank's buffer. */
  add(
    segment: number,
    block: number,
    units: number,
    lastTxn: number,
    openedAtUs: number,
    waited: boolean,
  ): void {
    assert(this.hasRoom, 'there is room for a commit');
    const row = ++this.#closedSequence & (COMMITS_MAX - 1);
    this.#state[row] = CLOSED;
    this.#waited[row] = waited ? 1 : 0;
    this.#segment[row] = segment;
    this.#block[row] = block;
    this.#units[row] = units;
    this.#journalEnd[row] = this.#bank.journal.published;
    this.#lastTxn[row] = lastTxn;
    this.#openedAtUs[row] = openedAtUs;
    this.#unsyncedBytes += units * BLOCK_BYTES;
    this.#waitedCount += waited ? 1 : 0;
    this.commitCount++;
    this.loggedBytes += units * BLOCK_BYTES;
  }

  /** Somebody waits for `txn`; false if it is in no closed commit. @hotpath */
  waitFor(txn: number): boolean {
    for (let s = this.#durableSequence + 1; s <= this.#closedSequence; s++) {
      const row = s & (COMMITS_MAX - 1);
      if ((this.#lastTxn[row] as number) < txn) continue;
      if (this.#waited[row] === 0) this.#waitedCount++;
      this.#waited[row] = 1;
      return true;
    }
    return false;
  }

  /** Sync whatever is written: the log waits for buffers or for its own end. */
  hurry(): void {
    this.#hurry = true;
  }

  /** Queues writes and, if it is due, the sync. True if it did something. @hotpath */
  step(nowUs: number, syncWanted: boolean): boolean {
    let did = false;
    while (this.#queuedSequence < this.#closedSequence && this.#queueNext()) did = true;
    if (this.#syncing || !this.#syncIsDue(nowUs, syncWanted)) return did;
    if (!this.#disk.queueSync(SYNC_SLOT)) return did;
    this.#syncing = true;
    this.#syncedSequence = this.#writtenSequence;
    return true;
  }

  /** Whether `step` would queue something now. @hotpath */
  hasWork(nowUs: number, syncWanted: boolean): boolean {
    if (this.#queuedSequence < this.#closedSequence && this.#freeSlot() !== NO_COMMIT) return true;
    return !this.#syncing && this.#syncIsDue(nowUs, syncWanted);
  }

  #syncIsDue(nowUs: number, syncWanted: boolean): boolean {
    if (syncWanted) return true;
    const oldest = this.#durableSequence + 1;
    if (this.#writtenSequence < oldest) return false;
    if (this.#hurry || this.#unsyncedBytes >= this.#limits.syncBytes) return true;
    if (2 * (this.#closedSequence - this.#durableSequence) >= COMMITS_MAX) return true;
    const openedAtUs = this.#openedAtUs[oldest & (COMMITS_MAX - 1)] as number;
    if (nowUs - openedAtUs >= this.#limits.unsyncedUs) return true;
    return this.#waitedCount > 0 && this.#isWaitedUpTo(this.#writtenSequence);
  }

  #isWaitedUpTo(sequence: number): boolean {
    for (let s = this.#durableSequence + 1; s <= sequence; s++) {
      if (this.#waited[s & (COMMITS_MAX - 1)] === 1) return true;
    }
    return false;
  }

  /** When the oldest commit must be synced; Infinity if nothing waits for that. @hotpath */
  get deadlineUs(): number {
    if (this.#syncing || this.#writtenSequence === this.#durableSequence) return Infinity;
    const row = (this.#durableSequence + 1) & (COMMITS_MAX - 1);
    return (this.#openedAtUs[row] as number) + this.#limits.unsyncedUs;
  }

  #freeSlot(): number {
    for (let slot = 0; slot < COMMIT_WRITES_MAX; slot++) {
      if (this.#sequenceOfSlot[slot] === NO_COMMIT) return slot;
    }
    return NO_COMMIT;
  }

  /** Queues the write of the next closed commit; false if slots or queue are full. */
  #queueNext(): boolean {
    const slot = this.#freeSlot();
    if (slot === NO_COMMIT) return false;
    const sequence = this.#queuedSequence + 1;
    const row = sequence & (COMMITS_MAX - 1);
    const segment = this.#segment[row] as number;
    const block = this.#block[row] as number;
    const queued = this.#disk.queueWrite(
      COMMIT_SLOT + slot,
      this.#bank.memory,
      this.#bank.offsetOf(segment, block),
      (this.#units[row] as number) * BLOCK_BYTES,
      positionOf(firstPbaOf(this.#geometry, segment) + block),
    );
    if (!queued) return false;
    this.#state[row] = WRITING;
    this.#sequenceOfSlot[slot] = sequence;
    this.#queuedSequence = sequence;
    return true;
  }

  /** Bytes that the write in a slot must have written. */
  bytesOf(slot: number): number {
    const sequence = this.#sequenceOfSlot[slot - COMMIT_SLOT] as number;
    assert(sequence !== NO_COMMIT, 'a completion belongs to a commit');
    return (this.#units[sequence & (COMMITS_MAX - 1)] as number) * BLOCK_BYTES;
  }

  /** The write in a slot is done. @hotpath */
  written(slot: number): void {
    const sequence = this.#sequenceOfSlot[slot - COMMIT_SLOT] as number;
    this.#sequenceOfSlot[slot - COMMIT_SLOT] = NO_COMMIT;
    this.#state[sequence & (COMMITS_MAX - 1)] = WRITTEN;
    while (this.#writtenSequence < this.#closedSequence) {
      if (this.#state[(this.#writtenSequence + 1) & (COMMITS_MAX - 1)] !== WRITTEN) break;
      this.#writtenSequence++;
    }
  }

  /** The sync is done: what it covered is durable, and the bank may forget it. @hotpath */
  synced(): void {
    assert(this.#syncing, 'a sync was in flight');
    this.#syncing = false;
    this.#hurry = false;
    this.syncCount++;
    while (this.#durableSequence < this.#syncedSequence) {
      const row = ++this.#durableSequence & (COMMITS_MAX - 1);
      this.#durableTxn = this.#lastTxn[row] as number;
      this.#unsyncedBytes -= (this.#units[row] as number) * BLOCK_BYTES;
      this.#waitedCount -= this.#waited[row] as number;
      this.#state[row] = 0;
      this.#bank.journal.retire(this.#journalEnd[row] as number);
    }
  }
}
