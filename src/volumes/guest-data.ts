/**
 * Copies between a command's extents and blocks. An extent may begin and end anywhere, so one
 * stretch of a block can take several jobs; with one extent, the usual case, it takes one.
 */
import { assert } from '../base/assert.ts';
import type { CopyBatch } from '../platform/copy-batch.ts';
import { REQUEST_EXTENTS_MAX, type RequestTable } from './request-table.ts';

/** Jobs of one stretch, at most, with one more for its sum. */
export const STRETCH_ROWS_MAX = REQUEST_EXTENTS_MAX + 1;

export class GuestData {
  readonly #requests: RequestTable;
  readonly #copies: CopyBatch;
  // Where the last stretch of a row ended: the next one usually begins there.
  #row = -1;
  #extent = 0;
  #extentStart = 0;

  constructor(requests: RequestTable, copies: CopyBatch) {
    this.#requests = requests;
    this.#copies = copies;
  }

  /** The row holds another command now. @hotpath */
  reset(row: number): void {
    if (this.#row === row) this.#row = -1;
  }

  /** Copies into the command's bytes [start, start + byteLength). @hotpath */
  put(
    row: number,
    start: number,
    byteLength: number,
    sourceMemory: number,
    sourceOffset: number,
  ): void {
    const memory = this.#requests.memory[row] as number;
    let at = start;
    const end = start + byteLength;
    while (at < end) {
      const offset = this.#offsetOf(row, at);
      const bytes = this.#bytesHere(row, at, end);
      this.#copies.copy(sourceMemory, sourceOffset + at - start, memory, offset, bytes);
      at += bytes;
    }
  }

  /** Zeroes the command's bytes [start, start + byteLength). @hotpath */
  zero(row: number, start: number, byteLength: number): void {
    const memory = this.#requests.memory[row] as number;
    let at = start;
    const end = start + byteLength;
    while (at < end) {
      const offset = this.#offsetOf(row, at);
      const bytes = this.#bytesHere(row, at, end);
      this.#copies.zero(memory, offset, bytes);
      at += bytes;
    }
  }

  /** Copies the command's bytes [start, start + byteLength) out. @hotpath */
  take(
    row: number,
    start: number,
    byteLength: number,
    targetMemory: number,
    targetOffset: number,
  ): void {
    const memory = this.#requests.memory[row] as number;
    let at = start;
    const end = start + byteLength;
    while (at < end) {
      const offset = this.#offsetOf(row, at);
      const bytes = this.#bytesHere(row, at, end);
      this.#copies.copy(memory, offset, targetMemory, targetOffset + at - start, bytes);
      at += bytes;
    }
  }

  /** The same for a whole block, with its sum; returns the row of the copies that has it. @hotpath */
  takeBlock(
    row: number,
    start: number,
    byteLength: number,
    targetMemory: number,
    targetOffset: number,
  ): number {
    const offset = this.#offsetOf(row, start);
    if (this.#bytesHere(row, start, start + byteLength) === byteLength) {
      const memory = this.#requests.memory[row] as number;
      return this.#copies.copyAndSum(memory, offset, targetMemory, targetOffset, byteLength);
    }
    this.take(row, start, byteLength, targetMemory, targetOffset);
    return this.#copies.sum(targetMemory, targetOffset, byteLength);
  }

  /** Where byte `at` of the command lies; remembers its extent for `#bytesHere`. @hotpath */
  #offsetOf(row: number, at: number): number {
    const { extentBytes, extentOffset } = this.#requests;
    const first = row * REQUEST_EXTENTS_MAX;
    if (row !== this.#row || at < this.#extentStart) {
      this.#row = row;
      this.#extent = 0;
      this.#extentStart = 0;
    }
    while (at >= this.#extentStart + (extentBytes[first + this.#extent] as number)) {
      this.#extentStart += extentBytes[first + this.#extent] as number;
      this.#extent++;
      assert(
        this.#extent < (this.#requests.extentCount[row] as number),
        'a stretch lies inside the extents of its command',
      );
    }
    return (extentOffset[first + this.#extent] as number) + at - this.#extentStart;
  }

  /** Bytes of [at, end) in the extent that `#offsetOf` found. @hotpath */
  #bytesHere(row: number, at: number, end: number): number {
    const extent = row * REQUEST_EXTENTS_MAX + this.#extent;
    const extentEnd = this.#extentStart + (this.#requests.extentBytes[extent] as number);
    return Math.min(end, extentEnd) - at;
  }
}
