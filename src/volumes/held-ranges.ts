/**
 * Requests that wait, in the order of their arrival, and the blocks they will touch (R14).
 *
 * A request may not overtake a held one that touches the same block if either of them changes it.
 * It then becomes a dependent of the newest such request, and looks again when that one is done:
 * chains per block, without a node per block.
 *
 * When nothing waits, which is how a warm pool runs, the question costs one comparison. Otherwise
 * counts by region of 1 MiB answer most of it without a walk through the list.
 */
import { assert } from '../base/assert.ts';

/** No such request. */
export const HELD_NONE = -1;

const REGION_SHIFT = 8;
const REGION_BUCKETS = 4096;
/** A range over more regions than this is counted once for all. */
const REGIONS_MAX = 16;
const SPACE_FACTOR = 0x9e3779b1;

export class HeldRanges {
  count = 0;

  readonly #space: Int32Array;
  readonly #firstLba: Float64Array;
  readonly #endLba: Float64Array;
  readonly #mutates: Uint8Array;
  readonly #held: Uint8Array;
  // The list, oldest first.
  readonly #earlier: Int32Array;
  readonly #later: Int32Array;
  #newest = HELD_NONE;
  // Dependents of a row, in the order of their arrival.
  readonly #firstDependent: Int32Array;
  readonly #lastDependent: Int32Array;
  readonly #nextDependent: Int32Array;

  readonly #regions = new Uint16Array(REGION_BUCKETS);
  #wideCount = 0;

  constructor(capacity: number) {
    this.#space = new Int32Array(capacity);
    this.#firstLba = new Float64Array(capacity);
    this.#endLba = new Float64Array(capacity);
    this.#mutates = new Uint8Array(capacity);
    this.#held = new Uint8Array(capacity);
    this.#earlier = new Int32Array(capacity);
    this.#later = new Int32Array(capacity);
    this.#firstDependent = new Int32Array(capacity).fill(HELD_NONE);
    this.#lastDependent = new Int32Array(capacity).fill(HELD_NONE);
    this.#nextDependent = new Int32Array(capacity).fill(HELD_NONE);
  }

  isHeld(row: number): boolean {
    return this.#held[row] === 1;
  }

  /** The newest held request that a new one on these blocks may not overtake. @hotpath */
  findConflict(space: number, firstLba: number, endLba: number, mutates: boolean): number {
    if (this.count === 0) return HELD_NONE;
    if (this.#wideCount === 0 && !this.#mayTouch(space, firstLba, endLba)) return HELD_NONE;
    return this.#search(this.#newest, space, firstLba, endLba, mutates);
  }

  /** The same for a held request, among those that arrived before it. */
  findEarlierConflict(row: number): number {
    assert(this.isHeld(row), 'the request is held');
    const firstLba = this.#firstLba[row] as number;
    const endLba = this.#endLba[row] as number;
    const mutates = this.#mutates[row] === 1;
    const from = this.#earlier[row] as number;
    return this.#search(from, this.#space[row] as number, firstLba, endLba, mutates);
  }

  /** Holds a request that touches [firstLba, endLba). */
  hold(row: number, space: number, firstLba: number, endLba: number, mutates: boolean): void {
    assert(!this.isHeld(row), 'a request is held once');
    this.#space[row] = space;
    this.#firstLba[row] = firstLba;
    this.#endLba[row] = endLba;
    this.#mutates[row] = mutates ? 1 : 0;
    this.#held[row] = 1;
    this.#earlier[row] = this.#newest;
    this.#later[row] = HELD_NONE;
    if (this.#newest !== HELD_NONE) this.#later[this.#newest] = row;
    this.#newest = row;
    this.count++;
    this.#countRegions(space, firstLba, endLba, 1);
  }

  /** Makes a held request wait until `other`, held too, lets go. */
  waitFor(row: number, other: number): void {
    assert(this.isHeld(row), 'a dependent is held');
    assert(this.isHeld(other), 'what it waits for is held');
    this.#nextDependent[row] = HELD_NONE;
    const last = this.#lastDependent[other] as number;
    if (last === HELD_NONE) this.#firstDependent[other] = row;
    else this.#nextDependent[last] = row;
    this.#lastDependent[other] = row;
  }

  /**
   * Lets go of a request and returns the first of its dependents, which stay held and look again;
   * the others follow by `nextDependent`, read before anything else is done with the row.
   */
  letGo(row: number): number {
    assert(this.isHeld(row), 'only a held request is let go');
    const earlier = this.#earlier[row] as number;
    const later = this.#later[row] as number;
    if (earlier !== HELD_NONE) this.#later[earlier] = later;
    if (later !== HELD_NONE) this.#earlier[later] = earlier;
    else this.#newest = earlier;
    this.#held[row] = 0;
    this.count--;
    const firstLba = this.#firstLba[row] as number;
    this.#countRegions(this.#space[row] as number, firstLba, this.#endLba[row] as number, -1);
    const first = this.#firstDependent[row] as number;
    this.#firstDependent[row] = HELD_NONE;
    this.#lastDependent[row] = HELD_NONE;
    return first;
  }

  nextDependent(row: number): number {
    return this.#nextDependent[row] as number;
  }

  #search(
    newest: number,
    space: number,
    firstLba: number,
    endLba: number,
    mutates: boolean,
  ): number {
    for (let row = newest; row !== HELD_NONE; row = this.#earlier[row] as number) {
      if (this.#space[row] !== space) continue;
      if ((this.#firstLba[row] as number) >= endLba) continue;
      if ((this.#endLba[row] as number) <= firstLba) continue;
      if (mutates || this.#mutates[row] === 1) return row;
    }
    return HELD_NONE;
  }

  /** False only if no held range, wide ones left out, touches these blocks. */
  #mayTouch(space: number, firstLba: number, endLba: number): boolean {
    const first = Math.floor(firstLba / 2 ** REGION_SHIFT);
    const last = Math.floor((endLba - 1) / 2 ** REGION_SHIFT);
    if (last - first >= REGIONS_MAX) return true;
    for (let region = first; region <= last; region++) {
      if ((this.#regions[bucketOf(space, region)] as number) > 0) return true;
    }
    return false;
  }

  #countRegions(space: number, firstLba: number, endLba: number, by: number): void {
    const first = Math.floor(firstLba / 2 ** REGION_SHIFT);
    const last = Math.floor((endLba - 1) / 2 ** REGION_SHIFT);
    if (last - first >= REGIONS_MAX) {
      this.#wideCount += by;
      return;
    }
    for (let region = first; region <= last; region++) {
      const bucket = bucketOf(space, region);
      this.#regions[bucket] = (this.#regions[bucket] as number) + by;
    }
  }
}

function bucketOf(space: number, region: number): number {
  return (region ^ (Math.imul(space, SPACE_FACTOR) >>> 16)) & (REGION_BUCKETS - 1);
}
