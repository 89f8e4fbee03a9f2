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

/** Segments beyond the next checkpoint's pages: it grows while its cut is waited for. */
const RESERVE_SLACK_SEGMENTS = 2;
/** Kept back from user data, so that discards can still be logged when writes are refused. */
const RESERVE_FOR_FREEING_SEGMENTS = 1;

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
  /** Free segments beyond those kept back, the second preallocated one included. */
  get spareCount(): number {
    const preallocated = this.#second === NO_SEGMENT ? 0 : 1;
    return this.#table.freeCount + preallocated - this.#reserve;
  }

  /** Whether the head could move on now, for user data or for what frees space. */
  canAdvance(forData: boolean): boolean {
    return this.spareCount > (forData ? RESERVE_FOR_FREEING_SEGMENTS : 0);
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
    const pages = this.#checkpointPagesMax() + this.#table.pageCount + 1;
    const segments = Math.ceil(pages / this.#geometry.segmentBlocks);
    this.#reserve = segments + RESERVE_SLACK_SEGMENTS;
    if (this.#table.freeCount <= this.#reserve) return;
    this.#second = this.#table.allocate(SegmentState.open, generation);
  }
}
