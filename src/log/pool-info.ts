/** What a pool says about itself without being opened, for `pool info`. Cold, changes nothing. */
import { hexOf } from '../formats/byte-strings.ts';
import { SuperblockFlag } from '../formats/superblock.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';
import { chooseSuperblock, readSuperblocks, requireFeatures } from './superblocks.ts';

export interface PoolInfo {
  readonly poolId: string;
  readonly poolBytes: number;
  readonly fileBytes: number;
  readonly segmentBytes: number;
  readonly segmentCount: number;
  readonly generation: number;
  readonly checkpointGeneration: number;
  readonly incarnation: number;
  readonly bootId: string;
  /** Closed in order; otherwise the next open recovers it. */
  readonly clean: boolean;
  readonly writtenThrough: boolean;
  readonly thin: boolean;
  readonly createdMs: number;
  /** Of eight. */
  readonly wholeSuperblockCopies: number;
  readonly nextTxn: number;
}

/**
 * Reads the superblocks of a pool, also of one that a host has open (then it is of a moment ago).
 *
 * @throws StoreError `pool_corrupt`, `version_unsupported`, `media_error`.
 */
export async function readPoolInfo(disk: Disk, kernels: Kernels): Promise<PoolInfo> {
  const copies = await readSuperblocks(disk, kernels);
  const { superblock } = chooseSuperblock(copies);
  requireFeatures(superblock, true);
  const { flags } = superblock;
  return {
    poolId: hexOf(superblock.poolId),
    poolBytes: superblock.poolBytes,
    fileBytes: disk.sizeBytes,
    segmentBytes: superblock.segmentBytes,
    segmentCount: superblock.segmentCount,
    generation: superblock.generation,
    checkpointGeneration: superblock.checkpointGeneration,
    incarnation: superblock.incarnation,
    bootId: superblock.bootId,
    clean: (flags & SuperblockFlag.clean) !== 0,
    writtenThrough: (flags & SuperblockFlag.writtenThrough) !== 0,
    thin: (flags & SuperblockFlag.thin) !== 0,
    createdMs: superblock.createdMs,
    wholeSuperblockCopies: copies.filter((copy) => copy.fault === undefined).length,
    nextTxn: superblock.txnReserve,
  };
}
