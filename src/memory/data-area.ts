/**
 * The guest's allocator for the data area: a binary buddy system over granules, all of its state in
 * typed arrays of the guest's own memory, so a host or an accident in the region cannot break it.
 *
 * A block of order k is 2^k granules at a multiple of 2^k. Free blocks of one order form a doubly
 * linked list; the state byte of a block's first granule says what it is:
 *
 *   INNER: not the start of a block · FREE + k: free block of order k · USED + k: given out
 *
 * Sizes that are no power of two waste up to half their block; commands are mostly 4 KiB to 1 MiB
 * and so mostly exact. Claiming and releasing are O(orders).
 */
import { assert } from '../base/assert.ts';

/** What `claim` returns when no block is large enough: wait for releases, or ask for less. */
export const AREA_FULL = -1;

/** The least block: a sector, so that the smallest transfer wastes nothing. */
export const GRANULE_BYTES = 512;
const GRANULE_SHIFT = 9;

const INNER = 0;
const FREE = 64;
const USED = 128;
const KIND_MASK = 192;
const ORDER_MASK = 63;
const NONE = -1;

export class DataArea {
  readonly byteLength: number;
  readonly #orderMax: number;
  readonly #states: Uint8Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** First free block by order, or NONE. */
  readonly #heads: Int32Array;
  #freeGranules = 0;

  /** `byteLength` is a multiple of 512. Takes about 9 bytes of memory per granule. */
  constructor(byteLength: number) {
    assert(byteLength > 0 && byteLength % GRANULE_BYTES === 0, 'the area is whole granules');
    const granuleCount = byteLength / GRANULE_BYTES;
    this.byteLength = byteLength;
    this.#orderMax = 31 - Math.clz32(granuleCount);
    this.#states = new Uint8Array(granuleCount);
    this.#next = new Int32Array(granuleCount);
    this.#previous = new Int32Array(granuleCount);
    this.#heads = new Int32Array(this.#orderMax + 1).fill(NONE);
    // An area that is no power of two starts as several blocks, each as large as its place allows.
    for (let granule = 0; granule < granuleCount; ) {
      const alignment = granule === 0 ? this.#orderMax : 31 - Math.clz32(granule & -granule);
      const fitting = 31 - Math.clz32(granuleCount - granule);
      const order = Math.min(alignment, fitting);
      this.#addFree(granule, order);
      granule += 1 << order;
    }
  }

  /** Bytes in free blocks. A claim can fail although they would suffice: they may lie apart. */
  get freeBytes(): number {
    return this.#freeGranules * GRANULE_BYTES;
  }

  /** Bytes that a claim of this size takes: the next power of two of granules. */
  static blockBytes(byteLength: number): number {
    return GRANULE_BYTES << orderOf(byteLength);
  }

  /**
   * Reserves at least `byteLength` bytes (1 or more) and returns their offset in the area, or
   * `AREA_FULL`. A block of 4 KiB or more starts at a multiple of 4 KiB. @hotpath
   */
  claim(byteLength: number): number {
    assert(byteLength > 0, 'a block holds something');
    if (byteLength > this.byteLength) return AREA_FULL;
    const order = orderOf(byteLength);
    let found = order;
    while (found <= this.#orderMax && this.#heads[found] === NONE) found++;
    if (found > this.#orderMax) return AREA_FULL;

    const granule = this.#heads[found] as number;
    this.#removeFree(granule, found);
    while (found > order) {
      found--;
      this.#addFree(granule + (1 << found), found);
    }
    this.#states[granule] = USED + order;
    return granule << GRANULE_SHIFT;
  }

  /** Gives back a block by the offset that `claim` returned. @hotpath */
  release(offset: number): void {
    assert(offset >= 0 && offset % GRANULE_BYTES === 0, 'blocks start at granules');
    let granule = offset >>> GRANULE_SHIFT;
    const state = this.#states[granule];
    assert(state !== undefined && (state & KIND_MASK) === USED, 'a block is released once');
    let order = state & ORDER_MASK;
    this.#states[granule] = INNER;
    while (order < this.#orderMax) {
      const buddy = granule ^ (1 << order);
      // Past the end of an area that is no power of two this is undefined, and no buddy.
      if (this.#states[buddy] !== FREE + order) break;
      this.#removeFree(buddy, order);
      if (buddy < granule) granule = buddy;
      order++;
    }
    this.#addFree(granule, order);
  }

  #addFree(granule: number, order: number): void {
    const head = this.#heads[order] as number;
    this.#states[granule] = FREE + order;
    this.#next[granule] = head;
    this.#previous[granule] = NONE;
    if (head !== NONE) this.#previous[head] = granule;
    this.#heads[order] = granule;
    this.#freeGranules += 1 << order;
  }

  #removeFree(granule: number, order: number): void {
    const next = this.#next[granule] as number;
    const previous = this.#previous[granule] as number;
    if (previous === NONE) this.#heads[order] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
    this.#states[granule] = INNER;
    this.#freeGranules -= 1 << order;
  }
}

function orderOf(byteLength: number): number {
  const granules = (byteLength + GRANULE_BYTES - 1) >>> GRANULE_SHIFT;
  return granules <= 1 ? 0 : 32 - Math.clz32(granules - 1);
}
