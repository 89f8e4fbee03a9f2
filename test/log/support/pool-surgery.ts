/** Looks into a pool file behind the log's back, and damages it on purpose. */
import { crc32c } from '../../../src/base/crc32c.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../../../src/base/units.ts';
import { firstPbaOf, geometryOf, positionOf } from '../../../src/formats/geometry.ts';
import { decodePartial, type Partial } from '../../../src/formats/partial-segment.ts';
import type { Superblock } from '../../../src/formats/superblock.ts';
import { chooseSuperblock, readSuperblocks } from '../../../src/log/superblocks.ts';
import type { Disk } from '../../../src/platform/disk.ts';
import { type Harness, SEGMENT_BYTES } from './log-harness.ts';

/** Everything written so far survives. */
export function storeAll(h: Harness): void {
  h.file.reapAll();
  h.file.store(h.file.coverable());
}

/** The superblock that counts now, whoever has the pool open. */
export async function superblockOf(h: Harness): Promise<Superblock> {
  const { file } = h;
  const looker = {
    sizeBytes: file.sizeBytes,
    read: async (bytes: Uint8Array, positionBytes: number) => file.read(bytes, positionBytes),
  };
  const copies = await readSuperblocks(looker as unknown as Disk, h.process.kernels);
  return chooseSuperblock(copies).superblock;
}

/** Every whole first unit in the pool whose sequence is at least `first`, in order of sequence. */
export async function commitsOf(h: Harness, first = 0): Promise<Partial[]> {
  const { poolId, segmentBytes, segmentCount } = await superblockOf(h);
  const geometry = geometryOf(segmentBytes, segmentCount);
  const { segmentBlocks } = geometry;
  const unit = new Uint8Array(BLOCK_BYTES);
  const found: Partial[] = [];
  for (let segment = 0; segment < segmentCount; segment++) {
    for (let block = 0; block < segmentBlocks; block++) {
      const pba = firstPbaOf(geometry, segment) + block;
      h.file.read(unit, positionOf(pba));
      const partial = decodePartial(
        unit,
        0,
        { poolId, segment, block, pba, segmentBlocks },
        { crc32c },
      );
      if (typeof partial !== 'string' && partial.commitSequence >= first) found.push(partial);
    }
  }
  return found.sort((a, b) => a.commitSequence - b.commitSequence);
}

/** Position of unit `index` of a commit, in a pool of the harness. */
export function unitPosition(commit: Partial, index: number): number {
  const geometry = geometryOf(SEGMENT_BYTES, 1);
  return positionOf(firstPbaOf(geometry, commit.segment) + commit.block + index);
}

/** Overwrites a sector with what was never there, durably. */
export function ruinSector(h: Harness, positionBytes: number): void {
  h.file.write(new Uint8Array(SECTOR_BYTES).fill(0xee), positionBytes);
  storeAll(h);
}

/** What is stored there now. */
export function bytesAt(h: Harness, positionBytes: number, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  h.file.read(bytes, positionBytes);
  return bytes;
}
