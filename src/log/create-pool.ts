/** Makes a new pool: an empty checkpoint and eight copies of a superblock that names it. */
import { StoreError } from '../base/errors.ts';
import { ID_BYTES } from '../formats/byte-strings.ts';
import {
  decodePage,
  encodeRootBody,
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PageKind,
  sealPage,
} from '../formats/checkpoint-page.ts';
import {
  faultOfGeometry,
  firstPbaOf,
  type Geometry,
  geometryOf,
  NO_SEGMENT,
  positionOf,
  SEGMENT_BYTES_DEFAULT,
  segmentCountOf,
} from '../formats/geometry.ts';
import { NO_ID, type Superblock, SuperblockFlag } from '../formats/superblock.ts';
import { SegmentState } from '../formats/sut-entry.ts';
import { KNOWN_FEATURES } from '../formats/versions.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import { PAGES_PER_WRITE } from './limits.ts';
import { SegmentTable } from './segment-table.ts';
import { writeSuperblock } from './superblocks.ts';

export interface CreatePoolOptions {
  readonly sizeBytes: number;
  /** 2 to 32 MiB, a power of two. Default 8 MiB. */
  readonly segmentBytes?: number;
  /** Write zeros through the whole file, so that later syncs need no file system journal. */
  readonly writeThrough?: boolean;
}

/** Ids start here; 0 means none everywhere. */
const FIRST_ID = 1;
/** One per group, the newer one counts. */
const FIRST_GENERATIONS = [1, 2] as const;
const LOCK_WAIT_MS = 0;

/**
 * Makes the file and the pool in it; durable when it resolves. Returns the pool's id.
 *
 * @throws StoreError `invalid_argument` saying which size is wrong, `already_exists`,
 * `system_error`, `pool_failed`. After the last two the file may be there, and is no pool.
 */
export async function createPool(
  platform: Platform,
  path: string,
  options: CreatePoolOptions,
): Promise<Uint8Array> {
  const { sizeBytes, segmentBytes = SEGMENT_BYTES_DEFAULT, writeThrough = false } = options;
  const segmentCount = segmentCountOf(sizeBytes, segmentBytes);
  const fault = faultOfGeometry(segmentBytes, segmentCount);
  if (fault !== undefined) {
    throw new StoreError('invalid_argument', { sizeBytes, segmentBytes, reason: fault });
  }
  await platform.pools.create(path, { sizeBytes, writeThrough });
  const disk = await platform.pools.open(path, { lockWaitMs: LOCK_WAIT_MS });
  try {
    const geometry = geometryOf(segmentBytes, segmentCount);
    return await format(platform, disk, geometry, writeThrough);
  } finally {
    await disk.close();
  }
}

async function format(
  platform: Platform,
  disk: Disk,
  geometry: Geometry,
  writeThrough: boolean,
): Promise<Uint8Array> {
  const poolId = new Uint8Array(ID_BYTES);
  platform.entropy.fill(poolId);
  const generation = FIRST_GENERATIONS[1];
  const checkpoint = await writeEmptyCheckpoint(platform, disk, geometry, poolId, generation);
  await disk.sync();
  const superblock = firstSuperblock(platform, disk, geometry, poolId, writeThrough);
  for (const each of FIRST_GENERATIONS) {
    const named = { ...superblock, ...checkpoint, generation: each };
    await writeSuperblock(disk, platform.kernels, named);
  }
  return poolId;
}

/** The segment table and a root, in the first segments. */
async function writeEmptyCheckpoint(
  platform: Platform,
  disk: Disk,
  geometry: Geometry,
  poolId: Uint8Array,
  generation: number,
): Promise<Pick<Superblock, 'rootPba' | 'rootChecksum' | 'pageCount' | 'checkpointGeneration'>> {
  const { kernels } = platform;
  const { segmentBlocks, segmentCount } = geometry;
  const table = new SegmentTable(segmentCount, segmentBlocks);
  const sutPageCount = table.pageCount;
  const pageCount = 1 + sutPageCount;
  const segments: number[] = [];
  for (let page = 0; page < pageCount; page += segmentBlocks) {
    segments.push(table.allocate(SegmentState.map, generation));
  }
  table.freeze([], segments, pageCount);
  // The segments of an empty table follow each other, and so do the pages.
  const rootPba = firstPbaOf(geometry, segments[0] as number);
  const identity = { poolId, generation };
  let rootChecksum = 0;
  for (let first = 0; first < pageCount; first += PAGES_PER_WRITE) {
    const count = Math.min(PAGES_PER_WRITE, pageCount - first);
    const bytes = kernels.allocate(count * PAGE_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < count; i++) {
      const index = first + i;
      const at = i * PAGE_BYTES;
      const body = at + PAGE_HEADER_BYTES;
      let entryCount = segments.length;
      if (index > 0) entryCount = table.encodePage(bytes, view, body, index - 1, kernels);
      else
        encodeRootBody(bytes, body, {
          pageCount,
          sutPageCount,
          cutSequence: 0,
          cutTxn: 0,
          segments,
        });
      const kind = index > 0 ? PageKind.sut : PageKind.root;
      sealPage(bytes, view, at, rootPba + index, identity, index, kind, entryCount, 0, 0, kernels);
    }
    if (first === 0) rootChecksum = checksumOfPage(bytes, rootPba, identity, platform);
    await disk.write(bytes, positionOf(rootPba + first));
  }
  return { rootPba, rootChecksum, pageCount, checkpointGeneration: generation };
}

function checksumOfPage(
  bytes: Uint8Array,
  pba: number,
  identity: { poolId: Uint8Array; generation: number },
  platform: Platform,
): number {
  const page = decodePage(bytes, 0, pba, identity, 0, platform.kernels);
  if (typeof page === 'string') throw new StoreError('pool_failed', { reason: page });
  return page.checksum;
}

function firstSuperblock(
  platform: Platform,
  disk: Disk,
  geometry: Geometry,
  poolId: Uint8Array,
  writeThrough: boolean,
) {
  return {
    compatFeatures: KNOWN_FEATURES.compat,
    roCompatFeatures: KNOWN_FEATURES.roCompat,
    incompatFeatures: KNOWN_FEATURES.incompat,
    flags: SuperblockFlag.clean | (writeThrough ? SuperblockFlag.writtenThrough : 0),
    segmentBytes: geometry.segmentBytes,
    segmentCount: geometry.segmentCount,
    poolBytes: disk.sizeBytes,
    incarnation: 1,
    bootId: platform.bootId(),
    poolId,
    bankId: NO_ID,
    previousBankId: NO_ID,
    nextBankId: NO_ID,
    cutSequence: 0,
    cutTxn: 0,
    headSegment: NO_SEGMENT,
    headBlock: 0,
    headSequence: FIRST_ID,
    headPreviousChecksum: 0,
    headNextSegment: NO_SEGMENT,
    headSecondSegment: NO_SEGMENT,
    txnReserve: FIRST_ID,
    mbaReserve: FIRST_ID,
    sequenceReserve: FIRST_ID,
    snapshotReserve: FIRST_ID,
    guestReserve: FIRST_ID,
    volumeReserve: FIRST_ID,
    createdMs: platform.clock.wallMs(),
  };
}
