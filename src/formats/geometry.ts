/**
 * Where things lie in a pool file (R13).
 *
 *   0         superblock group A, 4 copies of 4 KiB
 *   8 MiB     superblock group B
 *   16 MiB    segment 0, 1, 2, …
 *
 * Nothing lies at the end, so that a pool can grow. A block is addressed by its pba, the index of
 * its 4 KiB in the file: a u32, so a pool is at most 16 TiB.
 */
import { BLOCK_BYTES, GIB, MIB } from '../base/units.ts';

export const SUPERBLOCK_GROUP_COUNT = 2;
export const SUPERBLOCK_COPY_COUNT = 4;
export const SUPERBLOCK_GROUP_POSITIONS: readonly number[] = [0, 8 * MIB];

/** Fixed, whatever the segment size, so that a pool's geometry can be read before it is known. */
export const SEGMENTS_POSITION_BYTES = 16 * MIB;
/** The pba of segment 0. */
export const SEGMENTS_FIRST_PBA = SEGMENTS_POSITION_BYTES / BLOCK_BYTES;

export const SEGMENT_BYTES_MIN = 2 * MIB;
export const SEGMENT_BYTES_MAX = 32 * MIB;
/** One write of some milliseconds, and a table of 8 MiB per TiB. */
export const SEGMENT_BYTES_DEFAULT = 8 * MIB;
/** Head, two preallocated, a checkpoint and the next one, and something to store into. */
export const SEGMENT_COUNT_MIN = 8;
/** A pba has 32 bits. */
export const POOL_BYTES_MAX = 16 * 1024 * GIB;

/** Where a segment id says that there is none. */
export const NO_SEGMENT = 0xffff_ffff;

/** What is derived from a pool's segment size. Block counts are powers of two, hence the shift. */
export interface Geometry {
  readonly segmentBytes: number;
  readonly segmentBlocks: number;
  readonly segmentShift: number;
  readonly segmentCount: number;
}

/** `segmentBytes` must be a power of two in its bounds; `faultOfGeometry` says so for input. */
export function geometryOf(segmentBytes: number, segmentCount: number): Geometry {
  const segmentBlocks = segmentBytes / BLOCK_BYTES;
  return { segmentBytes, segmentBlocks, segmentShift: Math.log2(segmentBlocks), segmentCount };
}

/** What is wrong with a size read from a disk or a user; undefined if nothing. */
export function faultOfGeometry(segmentBytes: number, segmentCount: number): string | undefined {
  if (segmentBytes < SEGMENT_BYTES_MIN) return 'segment size below 2 MiB';
  if (segmentBytes > SEGMENT_BYTES_MAX) return 'segment size above 32 MiB';
  if ((segmentBytes & (segmentBytes - 1)) !== 0) return 'segment size is no power of two';
  if (segmentCount < SEGMENT_COUNT_MIN) return 'fewer than 8 segments';
  const endBytes = SEGMENTS_POSITION_BYTES + segmentCount * segmentBytes;
  return endBytes <= POOL_BYTES_MAX ? undefined : 'above 16 TiB';
}

/** The whole segments that fit a file of this size. */
export function segmentCountOf(poolBytes: number, segmentBytes: number): number {
  return Math.max(0, Math.floor((poolBytes - SEGMENTS_POSITION_BYTES) / segmentBytes));
}

/** @hotpath */
export function firstPbaOf(geometry: Geometry, segment: number): number {
  return SEGMENTS_FIRST_PBA + segment * geometry.segmentBlocks;
}

/** The segment of a pba; past the last segment for a pba outside. @hotpath */
export function segmentOf(geometry: Geometry, pba: number): number {
  return (pba - SEGMENTS_FIRST_PBA) >>> geometry.segmentShift;
}

/** The block's index within its segment. @hotpath */
export function blockOf(geometry: Geometry, pba: number): number {
  return (pba - SEGMENTS_FIRST_PBA) & (geometry.segmentBlocks - 1);
}

/** Position in the file, in bytes. @hotpath */
export function positionOf(pba: number): number {
  return pba * BLOCK_BYTES;
}
