/**
 * The part of `check` that looks at every mapped block: the table counts it (I1), and its bytes
 * have its checksum (I2).
 */

import { BLOCK_BYTES } from '../base/units.ts';
import { firstPbaOf, type Geometry, segmentOf } from '../formats/geometry.ts';
import { SegmentState } from '../formats/sut-entry.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';
import type { Finding } from './check.ts';
import { isMediaError, PoolReader } from './pool-reader.ts';
import type { SegmentTable } from './segment-table.ts';

/** Blocks looked at in one pass over the maps: 64 MiB of memory for it. */
const BLOCKS_PER_PASS = 8 * 1024 * 1024;
/** Segments handed to the verifier and not yet back. */
const SEGMENTS_IN_FLIGHT_MAX = 8;
/** Damaged blocks named one by one; the rest is counted. */
const NAMED_BLOCKS_MAX = 1000;

/** The mapped blocks of one segment, in no order. */
export interface SegmentBlocks {
  readonly segment: number;
  readonly pbas: Uint32Array;
  readonly sums: Uint32Array;
}

/** Reads the blocks and returns the pbas of those whose bytes do not have their sum. */
export type SegmentVerifier = (blocks: SegmentBlocks) => Promise<readonly number[]>;

/** Who knows what is mapped. */
export interface MappedBlocks {
  /** Visits every mapped block once, each time in the same order. */
  forEachMapped(
    visit: (pba: number, sum: number, branch: number, object: number, lba: number) => void,
  ): void;
}

/** The checkpoint's own pages. */
interface CheckpointPlaces {
  readonly segments: readonly number[];
  readonly pageCount: number;
}

/** Adds findings; returns how many blocks are mapped. */
export async function checkBlocks(
  geometry: Geometry,
  table: SegmentTable,
  mapped: MappedBlocks,
  pages: CheckpointPlaces,
  verify: SegmentVerifier,
  findings: Finding[],
): Promise<number> {
  const counts = countBlocks(geometry, mapped, findings);
  checkCounts(table, counts, pages, findings);
  const bad = new Set<number>();
  for (let first = 0; first < geometry.segmentCount; ) {
    const end = endOfPass(counts, first);
    await verifyPass(geometry, counts, mapped, verify, bad, first, end);
    first = end;
  }
  if (bad.size > 0) nameBadBlocks(mapped, bad, findings);
  return counts.reduce((sum, count) => sum + count, 0);
}

function damage(structure: string, text: string): Finding {
  return { severity: 'damage', structure, text };
}

function countBlocks(geometry: Geometry, mapped: MappedBlocks, findings: Finding[]): Uint32Array {
  const counts = new Uint32Array(geometry.segmentCount);
  const seen = new Uint8Array(Math.ceil((geometry.segmentCount * geometry.segmentBlocks) / 8));
  const base = firstPbaOf(geometry, 0);
  mapped.forEachMapped((pba, _sum, branch, object, lba) => {
    const segment = segmentOf(geometry, pba);
    const where = `branch=${branch} object=${object} lba=${lba} pba=${pba}`;
    if (pba < base || segment >= geometry.segmentCount) {
      findings.push(damage('block', `mapped outside the pool ${where}`));
      return;
    }
    const index = pba - base;
    const bit = 1 << (index & 7);
    if (((seen[index >>> 3] as number) & bit) !== 0) {
      findings.push(damage('block', `mapped twice ${where}`));
      return;
    }
    seen[index >>> 3] = (seen[index >>> 3] as number) | bit;
    counts[segment] = (counts[segment] as number) + 1;
  });
  return counts;
}

/** I1. */
function checkCounts(
  table: SegmentTable,
  counts: Uint32Array,
  pages: CheckpointPlaces,
  findings: Finding[],
): void {
  const pagesOf = new Map<number, number>();
  for (const [i, segment] of pages.segments.entries()) {
    const left = pages.pageCount - i * table.segmentBlocks;
    pagesOf.set(segment, Math.min(left, table.segmentBlocks));
  }
  for (let segment = 0; segment < table.segmentCount; segment++) {
    const state = table.stateOf(segment);
    const live = table.liveOf(segment);
    const pageCount = pagesOf.get(segment);
    const expected = (counts[segment] as number) + (pageCount ?? 0);
    if (live !== expected) {
      const text = `segment ${segment} counts ${live} live blocks, ${expected} are mapped`;
      findings.push(damage('segment table', text));
    }
    if (pageCount !== undefined && state !== SegmentState.map) {
      findings.push(damage('segment table', `segment ${segment} holds pages and is not a map`));
    } else if (state === SegmentState.free && expected > 0) {
      findings.push(damage('segment table', `segment ${segment} is free and in use`));
    }
  }
}

function endOfPass(counts: Uint32Array, first: number): number {
  let end = first;
  for (let blocks = 0; end < counts.length; end++) {
    blocks += counts[end] as number;
    if (end > first && blocks > BLOCKS_PER_PASS) break;
  }
  return end;
}

/** Sorts the mapped blocks of segments [first, end) by segment and has them verified. */
async function verifyPass(
  geometry: Geometry,
  counts: Uint32Array,
  mapped: MappedBlocks,
  verify: SegmentVerifier,
  bad: Set<number>,
  first: number,
  end: number,
): Promise<void> {
  const starts = new Uint32Array(end - first + 1);
  for (let s = first; s < end; s++) {
    starts[s - first + 1] = (starts[s - first] as number) + (counts[s] as number);
  }
  const total = starts[end - first] as number;
  const pbas = new Uint32Array(total);
  const sums = new Uint32Array(total);
  const next = starts.slice();
  const base = firstPbaOf(geometry, 0);
  mapped.forEachMapped((pba, sum) => {
    const segment = segmentOf(geometry, pba);
    if (pba < base || segment < first || segment >= end) return;
    const row = next[segment - first] as number;
    // A block that is mapped twice was counted once: there is no row for it here.
    if (row >= (starts[segment - first + 1] as number)) return;
    next[segment - first] = row + 1;
    pbas[row] = pba;
    sums[row] = sum;
  });
  const inFlight = new Set<Promise<void>>();
  for (let segment = first; segment < end; segment++) {
    const from = starts[segment - first] as number;
    const to = starts[segment - first + 1] as number;
    if (from === to) continue;
    const blocks = { segment, pbas: pbas.slice(from, to), sums: sums.slice(from, to) };
    const job: Promise<void> = verify(blocks).then((found) => {
      for (const pba of found) bad.add(pba);
      inFlight.delete(job);
    });
    inFlight.add(job);
    if (inFlight.size >= SEGMENTS_IN_FLIGHT_MAX) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
}

function nameBadBlocks(mapped: MappedBlocks, bad: Set<number>, findings: Finding[]): void {
  let named = 0;
  mapped.forEachMapped((pba, _sum, branch, object, lba) => {
    if (!bad.has(pba) || named === NAMED_BLOCKS_MAX) return;
    named++;
    const position = pba * BLOCK_BYTES;
    const text = `checksum mismatch branch=${branch} object=${object} lba=${lba} position=${position}`;
    findings.push(damage('block', text));
  });
  const unnamed = bad.size - named;
  if (unnamed > 0) findings.push(damage('block', `${unnamed} more blocks with wrong checksums`));
}

/** A verifier that reads in this thread, one segment after another. */
export function readingVerifier(disk: Disk, kernels: Kernels): SegmentVerifier {
  let before: Promise<unknown> = Promise.resolve();
  const reader = new PoolReader(disk, kernels);
  return (blocks) => {
    // One window serves all segments, so they take turns.
    const turn = before.then(() => badBlocksOf(blocks, reader));
    before = turn.catch(() => undefined);
    return turn;
  };
}

async function badBlocksOf(blocks: SegmentBlocks, reader: PoolReader): Promise<number[]> {
  const bad: number[] = [];
  const order = Array.from(blocks.pbas.keys()).sort((a, b) => pbaAt(blocks, a) - pbaAt(blocks, b));
  const lastPba = pbaAt(blocks, order.at(-1) ?? 0);
  for (const row of order) {
    const pba = pbaAt(blocks, row);
    try {
      const at = await reader.read(pba, lastPba - pba + 1);
      const sum = reader.kernels.crc32c(reader.bytes, at, at + BLOCK_BYTES, 0);
      if (sum !== blocks.sums[row]) bad.push(pba);
    } catch (error) {
      if (!isMediaError(error)) throw error;
      bad.push(pba);
    }
  }
  return bad;
}

function pbaAt(blocks: SegmentBlocks, row: number): number {
  return blocks.pbas[row] ?? 0;
}
