import { assert } from './assert.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** What guests address. Fixed by every disk protocol that reaches us. */
export const SECTOR_BYTES = 512;
/** What the store keeps, checksums and caches. */
export const BLOCK_BYTES = 4096;
export const SECTORS_PER_BLOCK = BLOCK_BYTES / SECTOR_BYTES;

/** The least multiple of `alignment`, a power of two, that is not below `value`. */
export function alignUp(value: number, alignment: number): number {
  assert(alignment > 0 && (alignment & (alignment - 1)) === 0, 'alignment is a power of two');
  return Math.ceil(value / alignment) * alignment;
}
