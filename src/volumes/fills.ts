/**
 * Brings blocks from the disk into the cache.
 *
 *   want -> (turn's copies run) -> issue -> disk -> onDisk -> deliver: verified, then cached if the
 *   map still gives that place (R24), and handed to all who wait
 *
 * Bytes are verified in the private frame that the disk wrote. A first mismatch is read again into
 * another frame; only a second one is damage (R23). The segment is pinned meanwhile (R22).
 */
import { statusOf } from '../base/errors.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { positionOf } from '../formats/geometry.ts';
import { LOG_SLOTS } from '../log/limits.ts';
import { ENTRY_NONE } from '../maps/block-map.ts';
import type { CopyBatch } from '../platform/copy-batch.ts';
import { FRAME_NONE } from './block-cache.ts';
import { Counter } from './counters.ts';
import type { EngineParts } from './engine-parts.ts';
import { FILL_NONE, InFlightTable, WAITER_NONE } from './in-flight-table.ts';
import { RowQueue } from './row-queue.ts';

/** Enough to keep a fast disk busy with single blocks. Also the disk slots from LOG_SLOTS up. */
export const FILLS_MAX = 256;
/** Blocks that requests wait for. */
const WAITERS_MAX = 16_384;
/** Reads of one block before it counts as damaged. */
const READS_MAX = 2;
/** Damage that is kept for a report; more is only counted. */
const DAMAGE_MAX = 64;

const CHECKSUM_MISMATCH = statusOf('checksum_mismatch');
const MEDIA_ERROR = statusOf('media_error');

/** Told what came of the blocks that requests wait for. */
export interface FillClient {
  /** Bytes of the block, verified, in this frame of the cache until the end of the turn. */
  filled(row: number, block: number, frame: number): void;
  failed(row: number, block: number, status: number): void;
}

/** A block that could not be read. */
export interface Damage {
  readonly space: number;
  readonly lba: number;
  readonly pba: number;
  readonly code: 'checksum_mismatch' | 'media_error';
}

export class Fills {
  readonly #parts: EngineParts;
  readonly #table = new InFlightTable(FILLS_MAX, WAITERS_MAX);
  readonly #toRead = new RowQueue(FILLS_MAX);
  readonly #arrived = new RowQueue(FILLS_MAX);
  readonly #results = new Int32Array(FILLS_MAX);
  readonly #verify: CopyBatch;
  #damage: Damage[] = [];

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#verify = parts.kernels.createCopyBatch(FILLS_MAX);
  }

  /** Reads that are wanted or in flight. */
  get count(): number {
    return this.#table.fillCount;
  }

  /** Whether `deliver` or `issue` would do something. */
  get hasWork(): boolean {
    return this.#arrived.count > 0 || this.#toRead.count > 0;
  }

  takeDamage(): Damage[] {
    const damage = this.#damage;
    this.#damage = [];
    return damage;
  }

  /**
   * Makes a row wait for the block of a map entry. False if the tables or the cache are full: try
   * again after a `deliver`.
   */
  want(row: number, block: number, space: number, lba: number, entry: number): boolean {
    const { cache, map, log, work } = this.#parts;
    if (this.#table.roomForWaiters === 0) return false;
    const pba = map.pbaAt(entry);
    let fill = this.#table.find(pba);
    if (fill === FILL_NONE) {
      if (this.#table.roomForFills === 0) return false;
      const frame = cache.claimFrame();
      if (frame === FRAME_NONE) return false;
      fill = this.#table.start(pba, map.sumAt(entry), space, lba, frame);
      log.pin(pba);
      this.#toRead.push(fill);
    }
    this.#table.join(fill, row, block);
    work.pending[row] = (work.pending[row] as number) + 1;
    return true;
  }

  /** Whether two blocks can be wanted now, whatever they are: a write must not hold one and wait. */
  hasRoomForTwo(): boolean {
    const { cache } = this.#parts;
    if (this.#table.roomForWaiters < 2 || this.#table.roomForFills < 2) return false;
    const first = cache.claimFrame();
    if (first === FRAME_NONE) return false;
    const second = cache.claimFrame();
    cache.unpin(first);
    if (second === FRAME_NONE) return false;
    cache.unpin(second);
    return true;
  }

  /** Queues the reads that are wanted. The turn's copies have run: frames may change now. */
  issue(): void {
    const { cache, disk } = this.#parts;
    while (this.#toRead.count > 0) {
      const fill = this.#toRead.peek();
      const at = (this.#table.frame[fill] as number) * BLOCK_BYTES;
      const position = positionOf(this.#table.pba[fill] as number);
      const queued = disk.queueRead(LOG_SLOTS + fill, cache.memory, at, BLOCK_BYTES, position);
      if (!queued) return;
      this.#toRead.take();
    }
  }

  /** A completion of a slot from `LOG_SLOTS` up. */
  onDisk(slot: number, result: number): void {
    const fill = slot - LOG_SLOTS;
    this.#results[fill] = result;
    this.#arrived.push(fill);
  }

  /** Verifies what arrived and hands it out. True if anything arrived. */
  deliver(client: FillClient): boolean {
    const count = this.#arrived.count;
    if (count === 0) return false;
    for (let i = 0; i < count; i++) {
      const fill = this.#arrived.take();
      const at = (this.#table.frame[fill] as number) * BLOCK_BYTES;
      this.#verify.sum(this.#parts.cache.memory, at, BLOCK_BYTES);
      this.#arrived.push(fill);
    }
    this.#verify.run();
    for (let i = 0; i < count; i++) {
      const fill = this.#arrived.take();
      const whole = this.#results[fill] === BLOCK_BYTES;
      const good = whole && this.#verify.sums[i] === this.#table.sum[fill];
      if (good) this.#handOut(fill, client);
      else this.#retry(fill, whole, client);
    }
    this.#verify.clear();
    return true;
  }

  #handOut(fill: number, client: FillClient): void {
    const { cache, map, log } = this.#parts;
    const pba = this.#table.pba[fill] as number;
    const frame = this.#table.frame[fill] as number;
    const entry = map.find(this.#table.space[fill] as number, this.#table.lba[fill] as number);
    // A late fill: the block moved on, and its place may soon hold another block.
    if (entry !== ENTRY_NONE && map.pbaAt(entry) === pba) cache.admit(frame, pba);
    let waiter = this.#table.firstWaiter(fill);
    while (waiter !== WAITER_NONE) {
      const row = this.#table.waiterRow[waiter] as number;
      client.filled(row, this.#table.waiterBlock[waiter] as number, frame);
      waiter = this.#table.nextWaiter(waiter);
    }
    cache.unpin(frame);
    log.unpin(pba);
    this.#table.end(fill);
  }

  #retry(fill: number, whole: boolean, client: FillClient): void {
    const { cache } = this.#parts;
    const failures = (this.#table.failures[fill] as number) + 1;
    this.#table.failures[fill] = failures;
    if (failures >= READS_MAX) {
      this.#fail(fill, whole ? CHECKSUM_MISMATCH : MEDIA_ERROR, client);
      return;
    }
    const other = cache.claimFrame();
    if (other !== FRAME_NONE) {
      cache.unpin(this.#table.frame[fill] as number);
      this.#table.frame[fill] = other;
    }
    this.#toRead.push(fill);
  }

  #fail(fill: number, status: number, client: FillClient): void {
    const { cache, log } = this.#parts;
    const pba = this.#table.pba[fill] as number;
    const mismatch = status === CHECKSUM_MISMATCH;
    this.#parts.count(mismatch ? Counter.CHECKSUM_MISMATCHES : Counter.MEDIA_ERRORS, 1);
    if (this.#damage.length < DAMAGE_MAX) {
      const space = this.#table.space[fill] as number;
      const code = mismatch ? 'checksum_mismatch' : 'media_error';
      this.#damage.push({ space, lba: this.#table.lba[fill] as number, pba, code });
    }
    let waiter = this.#table.firstWaiter(fill);
    while (waiter !== WAITER_NONE) {
      const row = this.#table.waiterRow[waiter] as number;
      client.failed(row, this.#table.waiterBlock[waiter] as number, status);
      waiter = this.#table.nextWaiter(waiter);
    }
    cache.unpin(this.#table.frame[fill] as number);
    log.unpin(pba);
    this.#table.end(fill);
  }
}
