/**
 * Disk reads in flight, one for each place, and who waits for them (R24).
 *
 * A fill brings one block from its place into a private frame. Whoever needs the same place joins
 * it, so that no block is read twice at a time and no two copies of it live. Fills and waiters are
 * rows of fixed tables: when either is used up, the request waits and tries again.
 */
import { assert } from '../base/assert.ts';

/** `find`: nobody reads there. `start`: the table is full. */
export const FILL_NONE = -1;
/** `firstWaiter`, `nextWaiter`: the end. */
export const WAITER_NONE = -1;
/** Block index of a waiter that changes the block, and so waits for it whole. */
export const EDGE = -1;

export class InFlightTable {
  readonly fillCountMax: number;
  fillCount = 0;

  // By fill. Set by `start`; the rest of the engine reads them.
  readonly pba: Uint32Array;
  readonly frame: Int32Array;
  /** The checksum that the map gave for the place. */
  readonly sum: Uint32Array;
  readonly space: Int32Array;
  readonly lba: Uint32Array;
  /** Reads of this fill that failed. */
  readonly failures: Uint8Array;

  // By waiter.
  readonly waiterRow: Int32Array;
  /** Block of the request, from its first, or `EDGE`. */
  readonly waiterBlock: Int32Array;

  readonly #first: Int32Array;
  readonly #last: Int32Array;
  readonly #next: Int32Array;
  readonly #freeFills: Int32Array;
  #freeFillCount: number;
  readonly #freeWaiters: Int32Array;
  #freeWaiterCount: number;
  /** Fill + 1 by hash of the place, chained. */
  readonly #heads: Int32Array;
  readonly #chain: Int32Array;

  constructor(fillCountMax: number, waiterCountMax: number) {
    this.fillCountMax = fillCountMax;
    this.pba = new Uint32Array(fillCountMax);
    this.frame = new Int32Array(fillCountMax);
    this.sum = new Uint32Array(fillCountMax);
    this.space = new Int32Array(fillCountMax);
    this.lba = new Uint32Array(fillCountMax);
    this.failures = new Uint8Array(fillCountMax);
    this.waiterRow = new Int32Array(waiterCountMax);
    this.waiterBlock = new Int32Array(waiterCountMax);
    this.#first = new Int32Array(fillCountMax);
    this.#last = new Int32Array(fillCountMax);
    this.#next = new Int32Array(waiterCountMax);
    this.#freeFills = new Int32Array(fillCountMax).map((_, i) => fillCountMax - 1 - i);
    this.#freeFillCount = fillCountMax;
    this.#freeWaiters = new Int32Array(waiterCountMax).map((_, i) => waiterCountMax - 1 - i);
    this.#freeWaiterCount = waiterCountMax;
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(2 * fillCountMax))).fill(FILL_NONE);
    this.#chain = new Int32Array(fillCountMax);
  }

  get roomForFills(): number {
    return this.#freeFillCount;
  }

  get roomForWaiters(): number {
    return this.#freeWaiterCount;
  }

  find(pba: number): number {
    let fill = this.#heads[this.#bucketOf(pba)] as number;
    while (fill !== FILL_NONE && this.pba[fill] !== pba) fill = this.#chain[fill] as number;
    return fill;
  }

  /** A new fill of a place that nobody reads, or `FILL_NONE` if the table is full. */
  start(pba: number, sum: number, space: number, lba: number, frame: number): number {
    assert(this.find(pba) === FILL_NONE, 'one fill for each place');
    if (this.#freeFillCount === 0) return FILL_NONE;
    this.#freeFillCount--;
    const fill = this.#freeFills[this.#freeFillCount] as number;
    this.pba[fill] = pba;
    this.sum[fill] = sum;
    this.space[fill] = space;
    this.lba[fill] = lba;
    this.frame[fill] = frame;
    this.failures[fill] = 0;
    this.#first[fill] = WAITER_NONE;
    this.#last[fill] = WAITER_NONE;
    const bucket = this.#bucketOf(pba);
    this.#chain[fill] = this.#heads[bucket] as number;
    this.#heads[bucket] = fill;
    this.fillCount++;
    return fill;
  }

  /** Adds a waiter behind the others. The caller made sure of `roomForWaiters`. */
  join(fill: number, row: number, block: number): void {
    assert(this.#freeWaiterCount > 0, 'there is room for the waiter');
    this.#freeWaiterCount--;
    const waiter = this.#freeWaiters[this.#freeWaiterCount] as number;
    this.waiterRow[waiter] = row;
    this.waiterBlock[waiter] = block;
    this.#next[waiter] = WAITER_NONE;
    const last = this.#last[fill] as number;
    if (last === WAITER_NONE) this.#first[fill] = waiter;
    else this.#next[last] = waiter;
    this.#last[fill] = waiter;
  }

  /** In the order in which they joined. */
  firstWaiter(fill: number): number {
    return this.#first[fill] as number;
  }

  nextWaiter(waiter: number): number {
    return this.#next[waiter] as number;
  }

  /** Ends a fill and forgets its waiters, which the caller has served. */
  end(fill: number): void {
    let waiter = this.firstWaiter(fill);
    while (waiter !== WAITER_NONE) {
      this.#freeWaiters[this.#freeWaiterCount] = waiter;
      this.#freeWaiterCount++;
      waiter = this.nextWaiter(waiter);
    }
    this.#unchain(fill);
    this.#freeFills[this.#freeFillCount] = fill;
    this.#freeFillCount++;
    this.fillCount--;
  }

  #bucketOf(pba: number): number {
    return pba & (this.#heads.length - 1);
  }

  #unchain(fill: number): void {
    const bucket = this.#bucketOf(this.pba[fill] as number);
    const after = this.#chain[fill] as number;
    let at = this.#heads[bucket] as number;
    if (at === fill) {
      this.#heads[bucket] = after;
      return;
    }
    while (this.#chain[at] !== fill) at = this.#chain[at] as number;
    this.#chain[at] = after;
  }
}
