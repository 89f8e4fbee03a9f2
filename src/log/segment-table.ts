/**
 * The segment usage table (SUT): what every segment is used for and how many of its blocks live.
 *
 *   free -> open -> sealed -> freeing -> freeable -> free
 *   free -> map (a checkpoint's pages) -> free, when the next checkpoint is durable
 *
 * A segment in which nothing is mapped is `freeing`. The next checkpoint's cut turns it into
 * `freeable`, and only when that checkpoint is durable is it free (R10): until then the pool could
 * fall back to a state that needs it. A pinned segment (R22) waits for one checkpoint more.
 */
import { assert } from '../base/assert.ts';
import { getU8, getU32, getU53 } from '../base/record.ts';
import type { Checksums } from '../formats/byte-strings.ts';
import { SUT_ENTRIES_PER_PAGE } from '../formats/checkpoint-page.ts';
import { NO_SEGMENT } from '../formats/geometry.ts';
import {
  encodeSutEntry,
  faultOfSutEntry,
  SegmentState,
  SUT_ENTRY_BYTES,
  SutEntry,
} from '../formats/sut-entry.ts';

const { free, open, sealed, map, freeing, quarantined } = SegmentState;
/** Dead at the cut of the checkpoint that is being written. Never stored: the cut says free. */
const FREEABLE = 6;

/** One struct of arrays; a second one holds the state at a cut. */
class Columns {
  readonly live: Uint32Array;
  readonly state: Uint8Array;
  readonly stream: Uint8Array;
  readonly generation: Float64Array;
  readonly writeTxnLow: Float64Array;
  readonly writeTxnHigh: Float64Array;
  readonly usageTxn: Float64Array;
  readonly placement: Uint32Array;

  constructor(count: number) {
    this.live = new Uint32Array(count);
    this.state = new Uint8Array(count);
    this.stream = new Uint8Array(count);
    this.generation = new Float64Array(count);
    this.writeTxnLow = new Float64Array(count);
    this.writeTxnHigh = new Float64Array(count);
    this.usageTxn = new Float64Array(count);
    this.placement = new Uint32Array(count);
  }

  copyFrom(other: Columns): void {
    this.live.set(other.live);
    this.state.set(other.state);
    this.stream.set(other.stream);
    this.generation.set(other.generation);
    this.writeTxnLow.set(other.writeTxnLow);
    this.writeTxnHigh.set(other.writeTxnHigh);
    this.usageTxn.set(other.usageTxn);
    this.placement.set(other.placement);
  }
}

export class SegmentTable {
  readonly segmentCount: number;
  readonly segmentBlocks: number;
  readonly #now: Columns;
  readonly #cut: Columns;
  readonly #pins: Uint32Array;
  #freeCount: number;
  #freeingCount = 0;
  #freeableCount = 0;
  #cursor = 0;

  /** All segments free. */
  constructor(segmentCount: number, segmentBlocks: number) {
    this.segmentCount = segmentCount;
    this.segmentBlocks = segmentBlocks;
    this.#now = new Columns(segmentCount);
    this.#cut = new Columns(segmentCount);
    this.#pins = new Uint32Array(segmentCount);
    this.#freeCount = segmentCount;
  }

  /** Pages of a checkpoint that hold this table. */
  get pageCount(): number {
    return Math.ceil(this.segmentCount / SUT_ENTRIES_PER_PAGE);
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  /** Dead segments that a checkpoint cut now would free. */
  get freeingCount(): number {
    return this.#freeingCount;
  }

  /** Dead segments that the running checkpoint will free. */
  get freeableCount(): number {
    return this.#freeableCount;
  }

  liveOf(segment: number): number {
    return this.#now.live[segment] as number;
  }

  /** One of `SegmentState`; a segment that the running checkpoint frees is still `freeing`. */
  stateOf(segment: number): number {
    const state = this.#now.state[segment] as number;
    return state === FREEABLE ? freeing : state;
  }

  /** A free segment, now `open` or `map`; `NO_SEGMENT` if there is none. */
  allocate(state: typeof open | typeof map, generation: number): number {
    if (this.#freeCount === 0) return NO_SEGMENT;
    const segment = this.nextFree;
    this.#cursor = segment + 1 < this.segmentCount ? segment + 1 : 0;
    this.#reset(segment, state, generation);
    this.#freeCount--;
    return segment;
  }

  /** What the next `allocate` gives, in an opened table that is not changed meanwhile. */
  get nextFree(): number {
    if (this.#freeCount === 0) return NO_SEGMENT;
    let segment = this.#cursor;
    while (this.#now.state[segment] !== free) {
      segment = segment + 1 < this.segmentCount ? segment + 1 : 0;
    }
    return segment;
  }

  #reset(segment: number, state: number, generation: number): void {
    const now = this.#now;
    assert(this.#pins[segment] === 0, 'a free segment is not pinned');
    assert(now.live[segment] === 0, 'a free segment has no live blocks');
    now.state[segment] = state;
    now.generation[segment] = generation;
    now.writeTxnLow[segment] = 0;
    now.writeTxnHigh[segment] = 0;
    now.usageTxn[segment] = 0;
  }

  /** A block of this txn went into an open segment. @hotpath */
  addBlock(segment: number, txn: number): void {
    const now = this.#now;
    const live = now.live[segment] as number;
    assert(live < this.segmentBlocks, 'a segment has no more live blocks than blocks');
    now.live[segment] = live + 1;
    if (now.writeTxnLow[segment] === 0) now.writeTxnLow[segment] = txn;
    now.writeTxnHigh[segment] = txn;
    now.usageTxn[segment] = txn;
  }

  /** A block of the segment is no longer mapped. @hotpath */
  removeBlock(segment: number, txn: number): void {
    const now = this.#now;
    assert(segment < this.segmentCount, 'a released block lies in the pool');
    const live = now.live[segment] as number;
    assert(live > 0, 'a released block was live');
    now.live[segment] = live - 1;
    now.usageTxn[segment] = txn;
    if (live === 1 && now.state[segment] === sealed) this.#setFreeing(segment);
  }

  #setFreeing(segment: number): void {
    this.#now.state[segment] = freeing;
    this.#freeingCount++;
  }

  /** The log goes on elsewhere: this segment only loses blocks from now on. */
  seal(segment: number): void {
    assert(this.#now.state[segment] === open, 'an open segment is sealed');
    this.#now.state[segment] = sealed;
    if (this.#now.live[segment] === 0) this.#setFreeing(segment);
  }

  /** Recovery: the log went on in this segment after the checkpoint. False if it cannot have. */
  touch(segment: number, generation: number): boolean {
    const state = this.#now.state[segment];
    if (state === open) return true;
    if (state !== free) return false;
    this.#reset(segment, open, generation);
    this.#freeCount--;
    return true;
  }

  /** Recovery is through: open segments are sealed if the log was there, else free. */
  settle(touched: ReadonlySet<number>): void {
    for (const segment of this.segmentsIn(open)) {
      if (touched.has(segment) || this.liveOf(segment) > 0) this.seal(segment);
      else this.#setFree(segment);
    }
  }

  /** @hotpath */
  pin(segment: number): void {
    this.#pins[segment] = (this.#pins[segment] as number) + 1;
  }

  /** @hotpath */
  unpin(segment: number): void {
    const pins = this.#pins[segment] as number;
    assert(pins > 0, 'a pinned segment is unpinned');
    this.#pins[segment] = pins - 1;
  }

  /**
   * Freezes the table for the pages of a checkpoint, as it will be when that is durable: dead
   * segments and those of the old checkpoint are free, those of the new one hold its pages.
   */
  freeze(oldMap: readonly number[], newMap: readonly number[], pageCount: number): void {
    const now = this.#now;
    assert(this.#freeableCount === 0, 'one checkpoint at a time');
    for (let segment = 0; segment < this.segmentCount; segment++) {
      if (now.state[segment] === freeing) now.state[segment] = FREEABLE;
    }
    this.#freeableCount = this.#freeingCount;
    this.#freeingCount = 0;
    let pagesLeft = pageCount;
    for (const segment of newMap) {
      assert(now.state[segment] === map, 'pages go to map segments');
      now.live[segment] = Math.min(pagesLeft, this.segmentBlocks);
      pagesLeft -= now.live[segment] as number;
    }
    const cut = this.#cut;
    cut.copyFrom(now);
    for (let segment = 0; segment < this.segmentCount; segment++) {
      if (cut.state[segment] === FREEABLE) cut.state[segment] = free;
    }
    for (const segment of oldMap) {
      cut.state[segment] = free;
      cut.live[segment] = 0;
    }
  }

  /** The frozen checkpoint is durable: what it calls free is free, but for what is pinned. */
  freeCut(oldMap: readonly number[]): void {
    const now = this.#now;
    for (const segment of oldMap) {
      now.live[segment] = 0;
      this.#setFree(segment);
    }
    for (let segment = 0; segment < this.segmentCount; segment++) {
      if (now.state[segment] !== FREEABLE) continue;
      this.#freeableCount--;
      if (this.#pins[segment] === 0) this.#setFree(segment);
      else this.#setFreeing(segment);
    }
    assert(this.#freeableCount === 0, 'every freeable segment was visited');
  }

  #setFree(segment: number): void {
    this.#now.state[segment] = free;
    this.#freeCount++;
  }

  /** Fills the body of SUT page `page` from the frozen table; returns its entries. */
  encodePage(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    page: number,
    checksums: Checksums,
  ): number {
    const first = page * SUT_ENTRIES_PER_PAGE;
    const count = Math.min(SUT_ENTRIES_PER_PAGE, this.segmentCount - first);
    const cut = this.#cut;
    for (let i = 0; i < count; i++) {
      const segment = first + i;
      encodeSutEntry(
        bytes,
        view,
        at + i * SUT_ENTRY_BYTES,
        segment,
        cut.live[segment] as number,
        cut.state[segment] as number,
        cut.stream[segment] as number,
        cut.generation[segment] as number,
        cut.writeTxnLow[segment] as number,
        cut.writeTxnHigh[segment] as number,
        cut.usageTxn[segment] as number,
        cut.placement[segment] as number,
        checksums,
      );
    }
    return count;
  }

  /** Takes back SUT page `page`, during open; says what is wrong with it, if anything. */
  loadPage(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    page: number,
    entryCount: number,
    checksums: Checksums,
  ): string | undefined {
    const first = page * SUT_ENTRIES_PER_PAGE;
    const count = Math.min(SUT_ENTRIES_PER_PAGE, this.segmentCount - first);
    if (entryCount !== count) return `has ${entryCount} entries instead of ${count}`;
    for (let i = 0; i < count; i++) {
      const entry = at + i * SUT_ENTRY_BYTES;
      const segment = first + i;
      const fault = faultOfSutEntry(bytes, view, entry, segment, this.segmentBlocks, checksums);
      if (fault !== undefined) return `${fault} in the entry of segment ${segment}`;
      this.#load(view, entry, segment);
    }
    return undefined;
  }

  #load(view: DataView, at: number, segment: number): void {
    const now = this.#now;
    const state = getU8(view, at, SutEntry.state);
    now.live[segment] = getU32(view, at, SutEntry.live);
    now.state[segment] = state;
    now.stream[segment] = getU8(view, at, SutEntry.stream);
    now.generation[segment] = getU53(view, at, SutEntry.generation);
    now.writeTxnLow[segment] = getU53(view, at, SutEntry.writeTxnLow);
    now.writeTxnHigh[segment] = getU53(view, at, SutEntry.writeTxnHigh);
    now.usageTxn[segment] = getU53(view, at, SutEntry.usageTxn);
    now.placement[segment] = getU32(view, at, SutEntry.placement);
    if (state !== free) this.#freeCount--;
  }

  /** Segments in a state, for recovery, check and tests. */
  segmentsIn(state: number): number[] {
    const found: number[] = [];
    for (let segment = 0; segment < this.segmentCount; segment++) {
      if (this.stateOf(segment) === state) found.push(segment);
    }
    return found;
  }

  /** Never used again: its media failed. It must be free. */
  quarantine(segment: number): void {
    assert(this.#now.state[segment] === free, 'a free segment is quarantined');
    this.#now.state[segment] = quarantined;
    this.#freeCount--;
  }
}
