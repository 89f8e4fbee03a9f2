/**
 * Words of a mapped file that another process may read after this one died.
 *
 * What is stored before `storeWord` is in the file when the word is: neither the compiler nor the
 * processor moves the stores across it.
 */

/** @hotpath */
export function storeWord(words: Int32Array, index: number, value: number): void {
  Atomics.store(words, index, value | 0);
}

/** As a u32. @hotpath */
export function loadWord(words: Int32Array, index: number): number {
  return Atomics.load(words, index) >>> 0;
}
