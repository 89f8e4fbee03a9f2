/**
 * Reads the checkpoint that a superblock names. Cold: open and check.
 */
import { StoreError } from '../base/errors.ts';
import {
  decodePage,
  decodeRootBody,
  PAGE_HEADER_BYTES,
  type Page,
  PageKind,
  type Root,
} from '../formats/checkpoint-page.ts';
import { firstPbaOf, type Geometry } from '../formats/geometry.ts';
import type { Superblock } from '../formats/superblock.ts';
import type { PoolReader } from './pool-reader.ts';
import type { SegmentTable } from './segment-table.ts';
import type { CheckpointSource } from './sources.ts';

/**
 * Fills an empty table and an empty source. Returns the root, which names the segments.
 *
 * @throws StoreError `pool_corrupt` naming page and place, `version_unsupported`, `media_error`.
 */
export async function loadCheckpoint(
  reader: PoolReader,
  superblock: Superblock,
  geometry: Geometry,
  table: SegmentTable,
  source: CheckpointSource,
): Promise<Root> {
  const root = await readRoot(reader, superblock, geometry);
  if (root.sutPageCount !== table.pageCount) {
    throw corrupt(0, superblock.rootPba, `names ${root.sutPageCount} table pages`);
  }
  const { segmentBlocks } = geometry;
  for (let index = 1; index < root.pageCount; index++) {
    const segment = root.segments[Math.floor(index / segmentBlocks)] as number;
    const block = index % segmentBlocks;
    const pba = firstPbaOf(geometry, segment) + block;
    const pagesLeft = Math.min(root.pageCount - index, segmentBlocks - block);
    const at = await reader.read(pba, pagesLeft);
    const page = checkedPage(reader, at, pba, index, superblock);
    loadPage(reader, at, pba, index, page, root, table, source);
  }
  return root;
}

async function readRoot(
  reader: PoolReader,
  superblock: Superblock,
  geometry: Geometry,
): Promise<Root> {
  const { rootPba, rootChecksum, pageCount } = superblock;
  const at = await reader.read(rootPba, 1);
  const page = checkedPage(reader, at, rootPba, 0, superblock);
  if (page.kind !== PageKind.root) throw corrupt(0, rootPba, 'not a root');
  if (page.checksum !== rootChecksum) throw corrupt(0, rootPba, 'not the root that was written');
  const root = decodeRootBody(reader.bytes, at + PAGE_HEADER_BYTES);
  if (typeof root === 'string') throw corrupt(0, rootPba, root);
  if (root.pageCount !== pageCount) throw corrupt(0, rootPba, 'page count contradicts superblock');
  if (root.segments.length * geometry.segmentBlocks < pageCount) {
    throw corrupt(0, rootPba, 'names too few segments');
  }
  for (const segment of root.segments) {
    if (segment >= geometry.segmentCount) throw corrupt(0, rootPba, 'names an unknown segment');
  }
  return root;
}

function checkedPage(
  reader: PoolReader,
  at: number,
  pba: number,
  index: number,
  superblock: Superblock,
): Page {
  const { poolId, checkpointGeneration: generation } = superblock;
  const identity = { poolId, generation };
  const page = decodePage(reader.bytes, at, pba, identity, index, reader.kernels);
  if (typeof page !== 'string') return page;
  if (page.startsWith('version ')) {
    throw new StoreError('version_unsupported', { structure: 'checkpoint page', found: page });
  }
  throw corrupt(index, pba, page);
}

function loadPage(
  reader: PoolReader,
  at: number,
  pba: number,
  index: number,
  page: Page,
  root: Root,
  table: SegmentTable,
  source: CheckpointSource,
): void {
  const { bytes, view, kernels } = reader;
  const body = at + PAGE_HEADER_BYTES;
  if (index > root.sutPageCount) {
    if (page.kind === PageKind.root || page.kind === PageKind.sut) {
      throw corrupt(index, pba, 'of the wrong kind');
    }
    source.loadPage(bytes, view, body, page);
    return;
  }
  if (page.kind !== PageKind.sut) throw corrupt(index, pba, 'of the wrong kind');
  const fault = table.loadPage(bytes, view, body, index - 1, page.entryCount, kernels);
  if (fault !== undefined) throw corrupt(index, pba, fault);
}

function corrupt(page: number, pba: number, reason: string): StoreError {
  return new StoreError('pool_corrupt', { structure: 'checkpoint page', page, pba, reason });
}
