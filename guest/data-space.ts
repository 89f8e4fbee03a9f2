/**
 * Hands out pieces of the data area: a buddy allocator in units of a block, whose lists lie in
 * preallocated tables, so that a command's piece costs a few array accesses.
 *
 * Free blocks are 2^order units long and start at a multiple of that. What a caller does not need
 * of a block goes back at once, so a piece is exactly as many units as were asked for; giving it
 * back splits it into blocks again and joins each with its buddy while that is free.
 */
import { assert } from '../src/base/assert.ts';
import { BLOCK_BYTES } from '../src/base/units.ts';

/** What `take` returns while no free piece is long enough. */
export const NO_SPACE = -1;

const NOT_FREE = 0xff;
const NONE = -1;

export class DataSpace {
  readonly #unitCount: number;
  /** By unit: the order of the free block that starts there, or `NOT_FREE`. */
  readonly #orders: Uint8Array;
  /** By unit that starts a free block: its neighbours in the list of its order. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** By order: the first free block. */
  readonly #heads: Int32Array;
  #freeUnits = 0;

  /** All of an area of `dataBytes`, a multiple of 4096, is free. */
  constructor(dataBytes: number) {
    assert(dataBytes % BLOCK_BYTES === 0, 'the data area is whole units');
    this.#unitCount = dataBytes / BLOCK_BYTES;
    this.#orders = new Uint8Array(this.#unitCount).fill(NOT_FREE);
    this.#next = new Int32Array(this.#unitCount);
    this.#previous = new Int32Array(this.#unitCount);
    this.#heads = new Int32Array(orderFor(this.#unitCount) + 1).fill(NONE);
    this.#giveUnits(0, this.#unitCount);
  }

  get freeBytes(): number {
    return this.#freeUnits * BLOCK_BYTES;
  }

  /** Offset of a piece of at least `byteLength` bytes, a multiple of 4096, or `NO_SPACE`. @hotpath */
  take(byteLength: number): number {
    const units = unitsOf(byteLength);
    const { length } = this.#heads;
    for (let order = orderFor(units); order < length; order++) {
      const start = this.#heads[order] as number;
      if (start === NONE) continue;
      this.#unlink(start, order);
      this.#giveUnits(start + units, start + 2 ** order);
      return start * BLOCK_BYTES;
    }
    return NO_SPACE;
  }

  /** As `take`, but finds a run that spans several blocks too, at the cost of a look at them all. */
  takeAnywhere(byteLength: number): number {
    const quick = this.take(byteLength);
    if (quick !== NO_SPACE) return quick;
    const units = unitsOf(byteLength);
    let start = 0;
    let end = 0;
    while (end < this.#unitCount) {
      const order = this.#orders[end] as number;
      if (order === NOT_FREE) {
        end++;
        start = end;
        continue;
      }
      end += 2 ** order;
      if (end - start < units) continue;
      for (let at = start; at < end; ) {
        const blockOrder = this.#orders[at] as number;
        this.#unlink(at, blockOrder);
        at += 2 ** blockOrder;
      }
      this.#giveUnits(start + units, end);
      return start * BLOCK_BYTES;
    }
    return NO_SPACE;
  }

  /** Frees a piece, with the length it was taken with. @hotpath */
  give(offset: number, byteLength: number): void {
    const start = offset / BLOCK_BYTES;
    this.#giveUnits(start, start + unitsOf(byteLength));
  }

  #giveUnits(start: number, end: number): void {
    assert(end <= this.#unitCount, 'a piece lies in the data area');
    let at = start;
    while (at < end) {
      // The longest block that may start here and does not reach past the end.
      let order = 0;
      while ((at & (2 ** (order + 1) - 1)) === 0 && at + 2 ** (order + 1) <= end) order++;
      this.#giveBlock(at, order);
      at += 2 ** order;
    }
  }

  #giveBlock(start: number, order: number): void {
    assert(this.#orders[start] === NOT_FREE, 'a piece is given back once');
    this.#freeUnits += 2 ** order;
    let first = start;
    let size = order;
    for (;;) {
      const length = 2 ** size;
      const buddy = first ^ length;
      // A buddy may be cut off by the end of the area, or be split.
      if (buddy + length > this.#unitCount || this.#orders[buddy] !== size) break;
      this.#unlink(buddy, size);
      this.#freeUnits += length;
      if (buddy < first) first = buddy;
      size++;
    }
    const head = this.#heads[size] as number;
    this.#orders[first] = size;
    this.#next[first] = head;
    this.#previous[first] = NONE;
    if (head !== NONE) this.#previous[head] = first;
    this.#heads[size] = first;
  }

  #unlink(start: number, order: number): void {
    assert(this.#orders[start] === order, 'a listed block is free');
    const next = this.#next[start] as number;
    const previous = this.#previous[start] as number;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous === NONE) this.#heads[order] = next;
    else this.#next[previous] = next;
    this.#orders[start] = NOT_FREE;
    this.#freeUnits -= 2 ** order;
  }
}

function unitsOf(byteLength: number): number {
  assert(byteLength > 0, 'a piece is not empty');
  return Math.ceil(byteLength / BLOCK_BYTES);
}

/** The least order whose blocks hold `units`. */
function orderFor(units: number): number {
  return units <= 1 ? 0 : 32 - Math.clz32(units - 1);
}
