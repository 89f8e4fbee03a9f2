/**
 * Ranges whose clearing is decided and logged, and which the map is still losing, slice by slice,
 * so that a discard of a terabyte does not stop the reactor.
 *
 * Until a range is clear nobody may look at it: a command's blocks stay held, a removed volume has
 * no name, a shrunk one ends before it. A checkpoint is the state after an operation, so its cut
 * first finishes all that is left (R10); that costs about 10 ns for each block, once in a while.
 */
import { assert } from '../base/assert.ts';
import type { Places } from '../log/sources.ts';
import type { BlockMap } from '../maps/block-map.ts';

/** Told when a range is clear. */
export interface ClearClient {
  /** `owner` as given to `add`. */
  cleared(owner: number): void;
}

interface Clear {
  readonly space: number;
  readonly owner: number;
  nextLba: number;
  readonly endLba: number;
}

export class RangeClears {
  readonly #map: BlockMap;
  readonly #places: Places;
  readonly #client: ClearClient;
  readonly #clears: Clear[] = [];

  constructor(map: BlockMap, places: Places, client: ClearClient) {
    this.#map = map;
    this.#places = places;
    this.#client = client;
  }

  get count(): number {
    return this.#clears.length;
  }

  /** Whether blocks of this space are still being cleared. */
  isClearing(space: number): boolean {
    return this.#clears.some((clear) => clear.space === space);
  }

  /** Takes over the rest of a range. Long ranges only: this allocates. */
  add(space: number, nextLba: number, endLba: number, owner: number): void {
    assert(nextLba < endLba, 'there is something left to clear');
    this.#clears.push({ space, owner, nextLba, endLba });
  }

  /** Clears about `workMax` blocks. True if there was anything to do. */
  advance(workMax: number): boolean {
    const clear = this.#clears[0];
    if (clear === undefined) return false;
    const left = clear.endLba - clear.nextLba;
    clear.nextLba += this.#map.clearRange(clear.space, clear.nextLba, left, this.#places, workMax);
    if (clear.nextLba === clear.endLba) {
      this.#clears.shift();
      this.#client.cleared(clear.owner);
    }
    return true;
  }

  /** Clears all that is left, now. */
  finish(): void {
    while (this.advance(Number.MAX_SAFE_INTEGER));
  }
}
