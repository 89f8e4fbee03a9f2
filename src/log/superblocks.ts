/**
 * Which superblock counts, and how a new one is written.
 *
 * Generation g lies in group g & 1. Copies 0 and 1 are synced before 2 and 3 are written, so:
 * the newest generation with two whole, equal copies counts. A single newer copy is an update that
 * was torn; nothing was stamped with it (R10), so the generation before is the whole truth. Should
 * copies rot away later, the log's stamps tell (roll-forward refuses them).
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import {
  SEGMENTS_POSITION_BYTES,
  SUPERBLOCK_COPY_COUNT,
  SUPERBLOCK_GROUP_COUNT,
  SUPERBLOCK_GROUP_POSITIONS,
} from '../formats/geometry.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  faultOfSuperblock,
  type Superblock,
  superblockVersionOf,
} from '../formats/superblock.ts';
import { KNOWN_FEATURES, requireVersion, SUPERBLOCK_VERSION } from '../formats/versions.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';

export const GROUP_BYTES = SUPERBLOCK_COPY_COUNT * BLOCK_BYTES;
/** Two of four: what one write and one sync guarantee. */
const COPIES_NEEDED = 2;
/** Written and synced first. */
export const FIRST_COPIES_BYTES = 2 * BLOCK_BYTES;

/** One of the eight places. */
export interface SuperblockCopy {
  readonly group: number;
  readonly copy: number;
  readonly positionBytes: number;
  /** What is wrong with it, else undefined. */
  readonly fault: string | undefined;
  readonly version: number;
  /** Undefined if there is a fault or the version is unknown. */
  readonly superblock: Superblock | undefined;
  readonly image: Uint8Array;
}

export interface ChosenSuperblock {
  readonly superblock: Superblock;
  /** Equal copies of it. */
  readonly copyCount: number;
  /** Generation of a newer copy that stands alone; undefined if there is none. */
  readonly tornGeneration: number | undefined;
}

/** Reads all copies. @throws StoreError `pool_corrupt` if the file is too short, `media_error`. */
export async function readSuperblocks(disk: Disk, kernels: Kernels): Promise<SuperblockCopy[]> {
  const { sizeBytes } = disk;
  if (sizeBytes < SEGMENTS_POSITION_BYTES) {
    throw new StoreError('pool_corrupt', { structure: 'file', sizeBytes, reason: 'no pool' });
  }
  const copies: SuperblockCopy[] = [];
  for (let group = 0; group < SUPERBLOCK_GROUP_COUNT; group++) {
    const groupPosition = SUPERBLOCK_GROUP_POSITIONS[group] as number;
    const bytes = kernels.allocate(GROUP_BYTES);
    await disk.read(bytes, groupPosition);
    for (let copy = 0; copy < SUPERBLOCK_COPY_COUNT; copy++) {
      const at = copy * BLOCK_BYTES;
      copies.push(readCopy(bytes, at, group, copy, groupPosition + at, kernels));
    }
  }
  return copies;
}

function readCopy(
  bytes: Uint8Array,
  at: number,
  group: number,
  copy: number,
  positionBytes: number,
  kernels: Kernels,
): SuperblockCopy {
  const image = bytes.subarray(at, at + BLOCK_BYTES);
  const fault = faultOfSuperblock(bytes, at, positionBytes, kernels);
  const place = { group, copy, positionBytes, image };
  if (fault !== undefined) return { ...place, fault, version: 0, superblock: undefined };
  const version = superblockVersionOf(bytes, at);
  if (version !== SUPERBLOCK_VERSION) return { ...place, fault, version, superblock: undefined };
  const superblock = decodeSuperblock(bytes, at);
  const misplaced = superblock.generation % SUPERBLOCK_GROUP_COUNT !== group;
  if (!misplaced) return { ...place, fault, version, superblock };
  return { ...place, fault: 'generation of the other group', version, superblock: undefined };
}

/** All but the checksum, which depends on the place. */
function equalImages(a: SuperblockCopy, b: SuperblockCopy): boolean {
  for (let i = 0; i < BLOCK_BYTES - 4; i++) {
    if (a.image[i] !== b.image[i]) return false;
  }
  return true;
}

/**
 * Applies the rule.
 *
 * @throws StoreError `pool_corrupt` if no generation has two equal copies, `version_unsupported`.
 */
export function chooseSuperblock(copies: readonly SuperblockCopy[]): ChosenSuperblock {
  const whole = copies.filter((copy) => copy.fault === undefined);
  const foreign = whole.filter((copy) => copy.superblock === undefined);
  if (foreign.length >= COPIES_NEEDED) {
    requireVersion('superblock', foreign[0]?.version ?? 0, SUPERBLOCK_VERSION);
  }
  let chosen: Superblock | undefined;
  let copyCount = 0;
  let newest = 0;
  for (const copy of whole) {
    const { superblock } = copy;
    if (superblock === undefined) continue;
    newest = Math.max(newest, superblock.generation);
    const equal = whole.filter((other) => other.group === copy.group && equalImages(copy, other));
    if (equal.length < COPIES_NEEDED) continue;
    if (chosen !== undefined && chosen.generation >= superblock.generation) continue;
    chosen = superblock;
    copyCount = equal.length;
  }
  if (chosen === undefined) {
    const wholeCopies = whole.length;
    throw new StoreError('pool_corrupt', { structure: 'superblock', wholeCopies, newest });
  }
  const tornGeneration = newest > chosen.generation ? newest : undefined;
  return { superblock: chosen, copyCount, tornGeneration };
}

/** @throws StoreError `pool_corrupt` if the file was cut short since the pool was made. */
export function requireSize(superblock: Superblock, sizeBytes: number): void {
  const { poolBytes } = superblock;
  if (poolBytes <= sizeBytes) return;
  const details = { structure: 'file', sizeBytes, poolBytes };
  throw new StoreError('pool_corrupt', { ...details, reason: 'shorter than the pool' });
}

/** @throws StoreError `version_unsupported` if the pool needs a feature that is unknown here. */
export function requireFeatures(superblock: Superblock, readOnly: boolean): void {
  const incompat = superblock.incompatFeatures & ~KNOWN_FEATURES.incompat;
  const roCompat = superblock.roCompatFeatures & ~KNOWN_FEATURES.roCompat;
  if (incompat === 0 && (readOnly || roCompat === 0)) return;
  throw new StoreError('version_unsupported', { structure: 'pool features', incompat, roCompat });
}

/**
 * The generation to write next: never in the chosen one's group, and never one of which a torn
 * copy may still lie somewhere.
 */
export function nextGenerationOf(chosen: ChosenSuperblock): number {
  const { generation } = chosen.superblock;
  if (chosen.tornGeneration === undefined) return generation + 1;
  const next = chosen.tornGeneration + 1;
  return (next - generation) % SUPERBLOCK_GROUP_COUNT === 1 ? next : next + 1;
}

/** Where the copies of a generation lie. */
export function groupPositionOf(generation: number): number {
  return SUPERBLOCK_GROUP_POSITIONS[generation % SUPERBLOCK_GROUP_COUNT] as number;
}

/** Encodes the four copies, one after another, into `target`. */
export function encodeCopies(superblock: Superblock, target: Uint8Array, kernels: Kernels): void {
  assert(target.byteLength === GROUP_BYTES, 'the buffer holds one group');
  const position = groupPositionOf(superblock.generation);
  for (let at = 0; at < GROUP_BYTES; at += BLOCK_BYTES) {
    encodeSuperblock(superblock, target, at, position + at, kernels);
  }
}

/** Writes a superblock with its two syncs; durable when it resolves. Nothing may be in flight. */
export async function writeSuperblock(
  disk: Disk,
  kernels: Kernels,
  superblock: Superblock,
): Promise<void> {
  const position = groupPositionOf(superblock.generation);
  const copies = kernels.allocate(GROUP_BYTES);
  encodeCopies(superblock, copies, kernels);
  // Halves of their own, because what is handed to the disk must be allocated for it.
  const half = kernels.allocate(FIRST_COPIES_BYTES);
  for (let at = 0; at < GROUP_BYTES; at += FIRST_COPIES_BYTES) {
    half.set(copies.subarray(at, at + FIRST_COPIES_BYTES));
    await disk.write(half, position + at);
    await disk.sync();
  }
}
