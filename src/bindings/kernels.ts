/**
 * Checksums and copies by the processor's own instructions, and the table of memories that the
 * batched calls know by number. A number belongs to the thread that registered it.
 */
import { assert } from '../base/assert.ts';
import { addon } from './load.ts';
import { requireResult } from './system-error.ts';

/**
 * CRC-32C (Castagnoli) of bytes [start, end) continued from `seed`, 0 at the start. The call alone
 * costs about 45 ns, 4 KiB about 130 ns more; for many blocks use `runCopies`.
 *
 * @hotpath
 */
export function crc32c(bytes: Uint8Array, start: number, end: number, seed: number): number {
  assertRange(bytes, start, end);
  return addon().crc32c(bytes, start, end, seed);
}

/** The table-driven twin of `crc32c`, whatever the processor can do. For tests. */
export function crc32cPortable(
  bytes: Uint8Array,
  start: number,
  end: number,
  seed: number,
): number {
  assertRange(bytes, start, end);
  return addon().crc32cPortable(bytes, start, end, seed);
}

/** `sse4.2`, `armv8` or `portable`: what `crc32c` runs here. */
export function crc32cImplementation(): string {
  return addon().crc32cImplementation();
}

/**
 * A number for these bytes, for `runCopies` and disk queues. Keeps the buffer alive, and a mapping
 * mapped, until `unregisterMemory`. The buffer must not be transferred or resized meanwhile.
 *
 * @throws StoreError `system_error` with ENOSPC if 65,536 are registered.
 */
export function registerMemory(bytes: Uint8Array): number {
  return requireResult('register memory', addon().registerMemory(bytes));
}

/**
 * Frees the number. It will be given out again.
 *
 * @throws StoreError `system_error`: EBUSY while a disk operation uses the memory, EINVAL if the
 * number is free already.
 */
export function unregisterMemory(memory: number): void {
  requireResult('unregister memory', addon().unregisterMemory(memory), { memory });
}

/**
 * Runs the first `count` rows of `jobs` in order; `kinds.ts` has the row. Rows that sum put their
 * CRC-32C, from seed 0, at their index in `crcs`; the other elements stay as they are. Offsets are
 * 32 bits: larger memory is registered in parts. One call costs about 75 ns, whatever it does.
 *
 * All rows are checked first; a row outside its memories, or one that copies between overlapping
 * ranges, is our own mistake and fails an assertion before any byte has moved.
 *
 * @hotpath
 */
export function runCopies(jobs: Uint32Array, count: number, crcs: Uint32Array): void {
  const result = addon().runCopies(jobs, count, crcs);
  assert(result === 0, 'copy jobs lie within their memories and do not overlap');
}

function assertRange(bytes: Uint8Array, start: number, end: number): void {
  assert(start >= 0 && start <= end, 'a range does not end before its start');
  assert(end <= bytes.byteLength, 'a range ends within its bytes');
}
