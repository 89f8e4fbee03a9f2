/**
 * Where the log writes: the head segment, and the one or two that are preallocated after it so
 * that a header can name them before they are needed (R7).
 *
 * Free segments are kept back for the next checkpoint. Without them a full pool could neither be
 * closed nor give space back.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { type Geometry, NO_SEGMENT } from '../formats/geometry.ts';
import { SegmentState } from '../formats/sut-entry.ts';
import type { Bank } from './bank.ts';
import type { SegmentTable } from './segment-table.ts';

/** `advance`: the log goes on in a new segment. */
export const HEAD_MOVED = 0;
/** `advance`: no buffer is free; a sync must return first. */
export const HEAD_WAITS = -1;
/** `advance`: only what is kept back is left. */
export const HEAD_FULL = -2;

/**
 * Kept back from user data beyond the next checkpoint's pages: those grow while the segment is
 * filled, and discards must still be logged when writes are refused, or nothing would ever help.
 */
const DATA_RESERVE_SEGMENTS = 3;

export class Head {
  readonly #table: SegmentTable;
  readonly #bank: Bank;
  readonly #geometry: Geometry;
  readonly #checkpointPagesMax: () => number;
  #segment: number;
  #next: number;
  #second: number;
  #reserve = 0;

  /**
   * Opens the first head of a log, in a bank that is new.
   *
   * @throws StoreError `pool_full` if there are no two free segments.
   */
  constructor(
    table: SegmentTable,
    bank: Bank,
    geometry: Geometry,
    generation: number,
    checkpointPagesMax: () => number,
  ) {
    this.#table = table;
    this.#bank = bank;
    this.#geometry = geometry;
    this.#checkpointPagesMax = checkpointPagesMax;
    this.#segment = table.allocate(SegmentState.open, generation);
    this.#next = table.allocate(SegmentState.open, generation);
    this.#second = NO_SEGMENT;
    if (this.#next === NO_SEGMENT) throw new StoreError('pool_full', { what: 'log' });
    const attached = bank.attach(this.#segment, 0);
    assert(attached, 'a new bank has a free buffer');
    this.#prepare(generation);
  }

  get segment(): number {
    return this.#segment;
  }
  get next(): number {
    return this.#next;
  }
  get second(): number {
    return this.#second;
  }
  /** Segments that user data may still go on in. */
  get spareCount(): number {
    return this.#availableCount - this.#reserve;
  }

  get #availableCount(): number {
    return this.#table.freeCount + (this.#second === NO_SEGMENT ? 0 : 1);
  }

  /** Whether the head could move on now, for user data or for what frees space. */
  canAdvance(forData: boolean): boolean {
    if (forData) return this.spareCount > 0;
    return this.#availableCount > this.#checkpointSegments();
  }

  #checkpointSegments(): number {
    const pages = this.#checkpointPagesMax() + this.#table.pageCount + 1;
    return Math.ceil(pages / this.#geometry.segmentBlocks);
  }

  /** Seals the head, whose last commit is `lastSequence`, and goes on in the next segment. */
  advance(
    forData: boolean,
    lastSequence: number,
    durableSequence: number,
    generation: number,
  ): number {
    if (!this.canAdvance(forData)) return HEAD_FULL;
    if (!this.#bank.attach(this.#next, durableSequence)) return HEAD_WAITS;
    this.#table.seal(this.#segment);
    this.#bank.seal(this.#segment, lastSequence);
    this.#segment = this.#next;
    this.#next = this.#second;
    this.#second = NO_SEGMENT;
    if (this.#next === NO_SEGMENT) {
      this.#next = this.#table.allocate(SegmentState.open, generation);
    }
    assert(this.#next !== NO_SEGMENT, 'a spare segment was free');
    this.#prepare(generation);
    return HEAD_MOVED;
  }

  /** Computes what is kept back, and preallocates a second segment if more than that is free. */
  #prepare(generation: number): void {
    this.#reserve = this.#checkpointSegments() + DATA_RESERVE_SEGMENTS;
    if (this.#table.freeCount <= this.#reserve) return;
    this.#second = this.#table.allocate(SegmentState.open, generation);
  }
}
