/**
 * Finished commands of the batch face, oldest first, from the moment somebody drained the
 * completion ring until the caller reaps them. Its tags are still the caller's, so there are never
 * more entries than the queue is deep.
 */
import { assert } from '../src/base/assert.ts';

export class FinishedRing {
  readonly #tags: Uint16Array;
  readonly #statuses: Uint16Array;
  readonly #bytes: Uint32Array;
  readonly #mask: number;
  #head = 0;
  #count = 0;

  /** `capacity` is a power of two. */
  constructor(capacity: number) {
    assert((capacity & (capacity - 1)) === 0, 'the capacity is a power of two');
    this.#tags = new Uint16Array(capacity);
    this.#statuses = new Uint16Array(capacity);
    this.#bytes = new Uint32Array(capacity);
    this.#mask = capacity - 1;
  }

  get count(): number {
    return this.#count;
  }

  /** @hotpath */
  push(tag: number, status: number, resultBytes: number): void {
    assert(this.#count <= this.#mask, 'each tag finishes once');
    const at = (this.#head + this.#count) & this.#mask;
    this.#tags[at] = tag;
    this.#statuses[at] = status;
    this.#bytes[at] = resultBytes;
    this.#count++;
  }

  /** Moves the oldest `count` entries into the first places of the arrays. @hotpath */
  take(count: number, tags: Uint16Array, statuses: Uint16Array, resultBytes: Uint32Array): void {
    assert(count <= this.#count, 'takes what is there');
    for (let i = 0; i < count; i++) {
      const at = (this.#head + i) & this.#mask;
      tags[i] = this.#tags[at] as number;
      statuses[i] = this.#statuses[at] as number;
      resultBytes[i] = this.#bytes[at] as number;
    }
    this.#head = (this.#head + count) & this.#mask;
    this.#count -= count;
  }
}
