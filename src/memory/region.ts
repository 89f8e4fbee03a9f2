/**
 * Memory that two threads or two processes see at once.
 *
 * Between threads of one process it is a SharedArrayBuffer. Between processes it is a mapped memfd,
 * an external ArrayBuffer: copies in and out of that are several times faster, and Atomics work on
 * it, except `Atomics.wait` (throws) and `Atomics.notify` (finds nobody), because V8 keeps those
 * waiters in the process. Rings cannot tell which one they lie in; only bells can (bell.ts).
 */
import { assert } from '../base/assert.ts';

/** The atomic words' size. Offsets of rings and pages are multiples of it. */
export const WORD_BYTES = 4;
/** Shifts a byte offset to a word index; on hot paths, where a division would leave the integers. */
export const WORD_SHIFT = 2;

export interface Region {
  /** The whole region as 32-bit words; every word that both sides touch goes through Atomics. */
  readonly words: Int32Array;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly byteLength: number;
}

/** Looks at all of `memory`, whose length is a multiple of 4. Takes no ownership. */
export function regionOver(memory: ArrayBufferLike): Region {
  assert(memory.byteLength % WORD_BYTES === 0, 'a region is whole words');
  return {
    words: new Int32Array(memory),
    view: new DataView(memory),
    bytes: new Uint8Array(memory),
    byteLength: memory.byteLength,
  };
}
