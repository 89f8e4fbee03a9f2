import { assert } from '../base/assert.ts';

/** `take`, `peek`: the queue is empty. */
export const QUEUE_EMPTY = -1;

/** A first-in first-out queue of row numbers, in a ring as large as the table of rows. */
export class RowQueue {
  count = 0;
  readonly #rows: Int32Array;
  readonly #mask: number;
  #head = 0;

  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(capacity));
    this.#rows = new Int32Array(size);
    this.#mask = size - 1;
  }

  /** @hotpath */
  push(row: number): void {
    assert(this.count <= this.#mask, 'a queue of rows holds each at most once');
    this.#rows[(this.#head + this.count) & this.#mask] = row;
    this.count++;
  }

  /** @hotpath */
  take(): number {
    if (this.count === 0) return QUEUE_EMPTY;
    const row = this.#rows[this.#head] as number;
    this.#head = (this.#head + 1) & this.#mask;
    this.count--;
    return row;
  }

  peek(): number {
    return this.count === 0 ? QUEUE_EMPTY : (this.#rows[this.#head] as number);
  }
}
