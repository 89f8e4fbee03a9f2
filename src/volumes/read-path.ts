/**
 * READ: each block from the bank, the cache or the disk, or zeros if it is not mapped.
 *
 * A read whose blocks are all in memory is done in the turn in which it is looked at. Others copy
 * what is there, wait for the rest, and are done when the last block came. Blocks of one read may
 * so be of different moments; each of them is of a moment after the read was submitted.
 */
import { BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';
import { ENTRY_NONE } from '../maps/block-map.ts';
import { FRAME_NONE } from './block-cache.ts';
import { Counter } from './counters.ts';
import type { EngineParts } from './engine-parts.ts';
import type { Fills } from './fills.ts';
import { type GuestData, STRETCH_ROWS_MAX } from './guest-data.ts';
import type { Turn } from './turn.ts';

export class ReadPath {
  readonly #parts: EngineParts;
  readonly #turn: Turn;
  readonly #fills: Fills;
  readonly #guest: GuestData;

  constructor(parts: EngineParts, turn: Turn, fills: Fills, guest: GuestData) {
    this.#parts = parts;
    this.#turn = turn;
    this.#fills = fills;
    this.#guest = guest;
  }

  /**
   * Goes on with a read from where it stopped. False if the tables of fills are full: call again
   * after some were delivered. @hotpath
   */
  run(row: number): boolean {
    const { work, map, log, cache } = this.#parts;
    const space = work.space[row] as number;
    const firstLba = work.firstLba[row] as number;
    const blockCount = work.blockCount[row] as number;
    for (let block = work.cursor[row] as number; block < blockCount; block++) {
      this.#turn.needRows(STRETCH_ROWS_MAX);
      const lba = firstLba + block;
      const entry = map.find(space, lba);
      if (entry === ENTRY_NONE) {
        this.#parts.count(Counter.UNMAPPED_READS, 1);
        this.#guest.zero(row, this.#startOf(row, block), this.#bytesOf(row, block));
        continue;
      }
      const pba = map.pbaAt(entry);
      const offset = log.bankOffsetOf(pba);
      if (offset >= 0) {
        this.#parts.count(Counter.BANK_HITS, 1);
        this.#copy(row, block, log.bankMemory, offset);
        continue;
      }
      const frame = cache.find(pba);
      if (frame !== FRAME_NONE) {
        this.#parts.count(Counter.CACHE_HITS, 1);
        this.#copy(row, block, cache.memory, frame * BLOCK_BYTES);
        continue;
      }
      if (!this.#fills.want(row, block, space, lba, entry)) {
        work.cursor[row] = block;
        return false;
      }
      this.#parts.count(Counter.CACHE_MISSES, 1);
    }
    work.cursor[row] = blockCount;
    if (work.pending[row] === 0) this.#turn.complete(row, work.fault[row] as number);
    return true;
  }

  /** A block that the row waited for is in this frame. */
  filled(row: number, block: number, frame: number): void {
    this.#turn.needRows(STRETCH_ROWS_MAX);
    this.#copy(row, block, this.#parts.cache.memory, frame * BLOCK_BYTES);
    this.#oneLess(row);
  }

  failed(row: number, status: number): void {
    this.#parts.work.fault[row] = status;
    this.#oneLess(row);
  }

  #oneLess(row: number): void {
    const { work } = this.#parts;
    const pending = (work.pending[row] as number) - 1;
    work.pending[row] = pending;
    // A read that stopped for want of room is complete in `run`, however many of its blocks came.
    if (pending > 0 || (work.cursor[row] as number) < (work.blockCount[row] as number)) return;
    this.#turn.complete(row, work.fault[row] as number);
  }

  /** @hotpath */
  #copy(row: number, block: number, memory: number, offset: number): void {
    const skip = block === 0 ? (this.#parts.work.headBytes[row] as number) : 0;
    const bytes = this.#bytesOf(row, block);
    this.#guest.put(row, this.#startOf(row, block), bytes, memory, offset + skip);
  }

  /** Where the block's bytes begin in the command's data. @hotpath */
  #startOf(row: number, block: number): number {
    return block === 0 ? 0 : block * BLOCK_BYTES - (this.#parts.work.headBytes[row] as number);
  }

  /** How many of the block's bytes the command asks for. @hotpath */
  #bytesOf(row: number, block: number): number {
    const { work, requests } = this.#parts;
    const headBytes = work.headBytes[row] as number;
    const endBytes = headBytes + (requests.sectorCount[row] as number) * SECTOR_BYTES;
    const first = block === 0 ? headBytes : 0;
    return Math.min(BLOCK_BYTES, endBytes - block * BLOCK_BYTES) - first;
  }
}
