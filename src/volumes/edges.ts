/**
 * The blocks that a command changes only in part: at most its first and its last. Their old bytes
 * must be at hand in the turn in which the command is appended (R14, R24).
 */
import { assert } from '../base/assert.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { ENTRY_NONE } from '../maps/block-map.ts';
import { FRAME_NONE } from './block-cache.ts';
import type { EngineParts } from './engine-parts.ts';
import type { Fills } from './fills.ts';
import { EDGE } from './in-flight-table.ts';

/** An edge that does not exist. */
export const EDGE_NONE = -1;

/** `prepare`: both edges are at hand. */
export const EDGES_READY = 0;
/** They are being read: the row is told by `filled`. */
export const EDGES_PENDING = 1;
/** They cannot be read now, for want of room: try again after fills were delivered. */
export const EDGES_STALLED = 2;

/** Instead of a memory: the block is not mapped. */
const ZEROS = -1;

export class Edges {
  readonly #parts: EngineParts;
  readonly #fills: Fills;
  // What `locate` found.
  #sourceMemory = ZEROS;
  #sourceOffset = 0;

  constructor(parts: EngineParts, fills: Fills) {
    this.#parts = parts;
    this.#fills = fills;
  }

  /** Whether the old bytes of the block are in memory, or known to be zeros. @hotpath */
  isAtHand(space: number, lba: number): boolean {
    const { map, log, cache } = this.#parts;
    const entry = map.find(space, lba);
    if (entry === ENTRY_NONE) return true;
    const pba = map.pbaAt(entry);
    return log.bankOffsetOf(pba) >= 0 || cache.find(pba) !== FRAME_NONE;
  }

  /**
   * Sees to it that the edges, each an lba or `EDGE_NONE`, are at hand. If one is not, both are
   * asked for at once and kept: waiting for one while holding the other could wait for ever.
   */
  prepare(row: number, headLba: number, tailLba: number): number {
    const space = this.#parts.work.space[row] as number;
    const headReady = headLba === EDGE_NONE || this.isAtHand(space, headLba);
    const tailReady = tailLba === EDGE_NONE || this.isAtHand(space, tailLba);
    if (headReady && tailReady) return EDGES_READY;
    this.letGo(row);
    if (!this.#fills.hasRoomForTwo()) return EDGES_STALLED;
    if (headReady) this.#keep(row, headLba);
    else this.#want(row, space, headLba);
    if (tailReady) this.#keep(row, tailLba);
    else this.#want(row, space, tailLba);
    return EDGES_PENDING;
  }

  /** An edge that the row waited for is in this frame. True if it was the last. */
  filled(row: number, frame: number): boolean {
    this.#pin(row, frame);
    return this.oneLess(row);
  }

  oneLess(row: number): boolean {
    const { work } = this.#parts;
    const pending = (work.pending[row] as number) - 1;
    assert(pending >= 0, 'a row is told of each edge once');
    work.pending[row] = pending;
    return pending === 0;
  }

  /** Unpins what the row kept. @hotpath */
  letGo(row: number): void {
    const { work, cache } = this.#parts;
    const head = work.headFrame[row] as number;
    const tail = work.tailFrame[row] as number;
    if (head !== FRAME_NONE) cache.unpin(head);
    if (tail !== FRAME_NONE) cache.unpin(tail);
    work.headFrame[row] = FRAME_NONE;
    work.tailFrame[row] = FRAME_NONE;
  }

  /** Finds an edge's old bytes, which are at hand, before the block is mapped anew. @hotpath */
  locate(space: number, lba: number): void {
    const { map, log, cache } = this.#parts;
    const entry = map.find(space, lba);
    if (entry === ENTRY_NONE) {
      this.#sourceMemory = ZEROS;
      return;
    }
    const pba = map.pbaAt(entry);
    const offset = log.bankOffsetOf(pba);
    if (offset >= 0) {
      this.#sourceMemory = log.bankMemory;
      this.#sourceOffset = offset;
      return;
    }
    const frame = cache.find(pba);
    assert(frame !== FRAME_NONE, 'an edge is at hand when it is changed');
    this.#sourceMemory = cache.memory;
    this.#sourceOffset = frame * BLOCK_BYTES;
  }

  /** Queues the copy of the located bytes to the block's new image. @hotpath */
  copyLocated(targetOffset: number): void {
    const { copies, bankMemory } = this.#parts.log;
    const source = this.#sourceMemory;
    if (source === ZEROS) copies.zero(bankMemory, targetOffset, BLOCK_BYTES);
    else copies.copy(source, this.#sourceOffset, bankMemory, targetOffset, BLOCK_BYTES);
  }

  #want(row: number, space: number, lba: number): void {
    const entry = this.#parts.map.find(space, lba);
    const wanted = this.#fills.want(row, EDGE, space, lba, entry);
    assert(wanted, 'there was room for two fills');
  }

  #keep(row: number, lba: number): void {
    if (lba === EDGE_NONE) return;
    const { map, cache, work } = this.#parts;
    const entry = map.find(work.space[row] as number, lba);
    if (entry === ENTRY_NONE) return;
    const frame = cache.find(map.pbaAt(entry));
    if (frame !== FRAME_NONE) this.#pin(row, frame);
  }

  #pin(row: number, frame: number): void {
    const { work, cache } = this.#parts;
    cache.pin(frame);
    if (work.headFrame[row] === FRAME_NONE) {
      work.headFrame[row] = frame;
    } else {
      assert(work.tailFrame[row] === FRAME_NONE, 'a row keeps two frames at most');
      work.tailFrame[row] = frame;
    }
  }
}
