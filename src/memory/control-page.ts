/**
 * Pages of a region that one side rewrites while the other reads: a sequence word that is odd
 * during an update tells the reader to try again.
 *
 *   (V) writer stores an odd sequence, fills, stores an even one
 *       reader loads the sequence, copies, loads it again: equal and even, or the copy is void
 */
import { assert } from '../base/assert.ts';
import { type Region, WORD_BYTES } from './region.ts';

/** A writer that dies halfway leaves the sequence odd for good: a reader must give up some time. */
const READ_ATTEMPTS_MAX = 1000;

/** Opens the page for writing; `sequenceOffset` is the byte offset of its sequence word. */
export function beginUpdate(region: Region, sequenceOffset: number): void {
  assert(sequenceOffset % WORD_BYTES === 0, 'the sequence is a word');
  const word = sequenceOffset / WORD_BYTES;
  // Not an increment: after a writer that died halfway the next one must start from odd as well.
  Atomics.store(region.words, word, Atomics.load(region.words, word) | 1); // (V)
}

export function endUpdate(region: Region, sequenceOffset: number): void {
  Atomics.add(region.words, sequenceOffset / WORD_BYTES, 1); // (V)
}

/**
 * Copies `byteLength` bytes from `offset` into new private memory, all of one moment. Undefined if
 * the writer never was between two updates, as when it died in one.
 */
export function readConsistent(
  region: Region,
  sequenceOffset: number,
  offset: number,
  byteLength: number,
): Uint8Array | undefined {
  const word = sequenceOffset / WORD_BYTES;
  for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
    const before = Atomics.load(region.words, word); // (V)
    const copy = new Uint8Array(byteLength);
    copy.set(region.bytes.subarray(offset, offset + byteLength));
    if ((before & 1) === 0 && Atomics.load(region.words, word) === before) return copy; // (V)
  }
  return undefined;
}
