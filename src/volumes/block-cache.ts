/**
 * Blocks as they lie on the disk, kept in memory by place: pba -> frame.
 *
 *   free --claimFrame--> private --admit--> cached --drop or eviction--> free
 *
 * A private frame is what a disk read fills: no probe finds it, so nobody sees bytes that were not
 * verified (R23). A frame with pins is never given to somebody else. Eviction is a clock that
 * starts frames cold: a block must be hit once before it outlives one sweep, so that a long scan
 * cycles through the frames that nobody hits.
 *
 * A frame may be dropped and claimed again while a queued copy still reads it: whoever fills
 * frames does so only after the copies of the turn have run.
 */
import { assert } from '../base/assert.ts';
import { BLOCK_BYTES, GIB, MIB } from '../base/units.ts';
import type { Kernels } from '../platform/platform.ts';

/** `find`, `claimFrame`: there is none. */
export const FRAME_NONE = -1;

export const CACHE_BYTES_DEFAULT = 256 * MIB;
/** Enough for two edges of some waiting writes; less would only wait. */
export const CACHE_BYTES_MIN = 64 * BLOCK_BYTES;
/** Offsets of copy jobs have 32 bits. */
export const CACHE_BYTES_MAX = 4 * GIB - MIB;

/** Fibonacci hashing: runs of neighbouring places spread over the index. */
const HASH_FACTOR = 0x9e3779b1;

export class BlockCache {
  readonly frameCount: number;
  readonly bytes: Uint8Array;
  /** The frames' number for copies and disk reads; frame f starts at f x BLOCK_BYTES. */
  readonly memory: number;
  cachedCount = 0;

  /** Place of a cached frame; 0 if it is free or private. */
  readonly #pba: Uint32Array;
  readonly #pins: Uint16Array;
  readonly #hit: Uint8Array;
  readonly #free: Int32Array;
  #freeCount: number;
  #hand = 0;
  /** Frame + 1 by hash of its place, linear probing; 0 is empty. At most half full. */
  readonly #index: Int32Array;
  readonly #mask: number;
  readonly #shift: number;
  readonly #kernels: Kernels;

  constructor(kernels: Kernels, cacheBytes: number) {
    assert(cacheBytes >= CACHE_BYTES_MIN, 'the cache has its least size');
    assert(cacheBytes <= CACHE_BYTES_MAX, 'offsets in the cache fit 32 bits');
    this.#kernels = kernels;
    this.frameCount = Math.floor(cacheBytes / BLOCK_BYTES);
    this.bytes = kernels.allocate(this.frameCount * BLOCK_BYTES);
    this.memory = kernels.registerMemory(this.bytes);
    this.#pba = new Uint32Array(this.frameCount);
    this.#pins = new Uint16Array(this.frameCount);
    this.#hit = new Uint8Array(this.frameCount);
    this.#free = new Int32Array(this.frameCount).map((_, i) => this.frameCount - 1 - i);
    this.#freeCount = this.frameCount;
    const bits = Math.ceil(Math.log2(this.frameCount * 2));
    this.#index = new Int32Array(2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
  }

  /** The frame that holds the block at this place, or `FRAME_NONE`. Counts as use. @hotpath */
  find(pba: number): number {
    let at = Math.imul(pba, HASH_FACTOR) >>> this.#shift;
    for (;;) {
      const frame = (this.#index[at] as number) - 1;
      if (frame < 0) return FRAME_NONE;
      if (this.#pba[frame] === pba) {
        this.#hit[frame] = 1;
        return frame;
      }
      at = (at + 1) & this.#mask;
    }
  }

  /** A private frame with one pin, evicting if it must; `FRAME_NONE` if all are pinned. */
  claimFrame(): number {
    if (this.#freeCount > 0) {
      this.#freeCount--;
      const frame = this.#free[this.#freeCount] as number;
      this.#pins[frame] = 1;
      return frame;
    }
    // Twice around: the first round may only clear marks.
    for (let i = 2 * this.frameCount; i > 0; i--) {
      const frame = this.#hand;
      this.#hand = frame + 1 === this.frameCount ? 0 : frame + 1;
      if ((this.#pins[frame] as number) > 0) continue;
      if (this.#hit[frame] === 1) {
        this.#hit[frame] = 0;
        continue;
      }
      this.#forget(frame);
      this.#pins[frame] = 1;
      return frame;
    }
    return FRAME_NONE;
  }

  /** Lets probes find a private frame whose bytes were verified. Pins stay as they are. */
  admit(frame: number, pba: number): void {
    assert(pba !== 0, 'a place is never 0');
    assert(this.#pba[frame] === 0, 'only a private frame is admitted');
    assert((this.#pins[frame] as number) > 0, 'a private frame is pinned');
    let at = Math.imul(pba, HASH_FACTOR) >>> this.#shift;
    for (;;) {
      const other = (this.#index[at] as number) - 1;
      if (other < 0) break;
      assert(this.#pba[other] !== pba, 'a place is cached once');
      at = (at + 1) & this.#mask;
    }
    this.#index[at] = frame + 1;
    this.#pba[frame] = pba;
    this.#hit[frame] = 0;
    this.cachedCount++;
  }

  /** Forgets the block at this place, which is no longer mapped. Its pins keep the bytes. @hotpath */
  drop(pba: number): void {
    const frame = this.find(pba);
    if (frame === FRAME_NONE) return;
    this.#forget(frame);
    if (this.#pins[frame] === 0) this.#giveBack(frame);
  }

  pin(frame: number): void {
    this.#pins[frame] = (this.#pins[frame] as number) + 1;
    assert((this.#pins[frame] as number) > 0, 'pins do not overflow');
  }

  unpin(frame: number): void {
    const pins = this.#pins[frame] as number;
    assert(pins > 0, 'a frame is unpinned as often as it was pinned');
    this.#pins[frame] = pins - 1;
    if (pins === 1 && this.#pba[frame] === 0) this.#giveBack(frame);
  }

  /** Frames that are pinned, for tests and statistics. Cold. */
  pinnedCount(): number {
    return this.#pins.reduce((count, pins) => count + (pins > 0 ? 1 : 0), 0);
  }

  close(): void {
    this.#kernels.unregisterMemory(this.memory);
  }

  #giveBack(frame: number): void {
    this.#free[this.#freeCount] = frame;
    this.#freeCount++;
  }

  /** Takes a cached frame out of the index and closes the gap that this leaves in its probes. */
  #forget(frame: number): void {
    let gap = Math.imul(this.#pba[frame] as number, HASH_FACTOR) >>> this.#shift;
    while ((this.#index[gap] as number) - 1 !== frame) gap = (gap + 1) & this.#mask;
    this.#pba[frame] = 0;
    this.cachedCount--;
    let at = gap;
    for (;;) {
      at = (at + 1) & this.#mask;
      const other = (this.#index[at] as number) - 1;
      if (other < 0) break;
      const home = Math.imul(this.#pba[other] as number, HASH_FACTOR) >>> this.#shift;
      // It may move into the gap unless its own probes start behind the gap.
      if (((at - home) & this.#mask) < ((at - gap) & this.#mask)) continue;
      this.#index[gap] = other + 1;
      gap = at;
    }
    this.#index[gap] = 0;
  }
}
