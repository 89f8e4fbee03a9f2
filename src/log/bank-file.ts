/**
 * What an earlier process left in its bank (R2, R3), and how it goes back into the pool.
 */
import { StoreError } from '../base/errors.ts';
import { BLOCK_BYTES, MIB } from '../base/units.ts';
import {
  type BankGeometry,
  bankGeometryAt,
  bankIdentityAt,
  bankVersionAt,
  bufferOffsetOf,
  type Frame,
  faultOfBankHeader,
  frameSeedOf,
} from '../formats/bank.ts';
import { equalAt } from '../formats/byte-strings.ts';
import { firstPbaOf, type Geometry, positionOf } from '../formats/geometry.ts';
import { shapeOfEntries } from '../formats/summary-entry.ts';
import { bankNameOf, type Superblock } from '../formats/superblock.ts';
import { BANK_VERSION, requireVersion } from '../formats/versions.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels, MappedFile, Platform } from '../platform/platform.ts';
import { readFrames } from './journal.ts';
import { blockSumsOf } from './roll-forward.ts';

/** Payload goes to the disk in pieces of this size. */
const COPY_BYTES = MIB;

/** A bank that was found, all of its frames whole. Close `file` when done. */
export interface FoundBank {
  readonly name: string;
  readonly file: MappedFile;
  readonly geometry: BankGeometry;
  readonly frames: readonly Frame[];
}

/**
 * Opens the bank that a superblock names and checks it down to the last published frame and block.
 *
 * @throws StoreError `bank_lost` saying what is wrong with which frame; `version_unsupported`.
 */
export function requireBank(platform: Platform, superblock: Superblock, pool: Geometry): FoundBank {
  const name = bankNameOf(superblock.poolId, superblock.bankId);
  const file = platform.banks.open(name);
  if (file === undefined) throw new StoreError('bank_lost', { bank: name, reason: 'not there' });
  try {
    const { bytes } = file;
    requireHeader(bytes, superblock, name, platform.kernels);
    const geometry = bankGeometryAt(bytes);
    const seed = frameSeedOf(superblock.bankId);
    const frames = readFrames(bytes, geometry, seed, platform.kernels);
    for (const frame of frames) requireFrame(bytes, geometry, frame, pool, platform.kernels);
    return { name, file, geometry, frames };
  } catch (error) {
    file.close();
    throw error;
  }
}

function requireHeader(
  bytes: Uint8Array,
  superblock: Superblock,
  bank: string,
  kernels: Kernels,
): void {
  const fault = faultOfBankHeader(bytes, kernels);
  if (fault !== undefined) throw new StoreError('bank_lost', { bank, reason: fault });
  requireVersion('bank', bankVersionAt(bytes), BANK_VERSION);
  const identity = bankIdentityAt(bytes);
  const same =
    equalAt(identity.poolId, 0, superblock.poolId) &&
    equalAt(identity.bankId, 0, superblock.bankId) &&
    identity.bootId === superblock.bootId;
  if (!same) throw new StoreError('bank_lost', { bank, reason: 'of another pool, open or boot' });
}

/** Entries well formed, and every block there with its sum. */
function requireFrame(
  bytes: Uint8Array,
  geometry: BankGeometry,
  frame: Frame,
  pool: Geometry,
  kernels: Kernels,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lost = (reason: string) =>
    new StoreError('bank_lost', { reason, sequence: frame.commitSequence, at: frame.entriesAt });
  const shape = shapeOfEntries(view, frame.entriesAt, frame.entryCount);
  if (typeof shape === 'string') throw lost(shape);
  if (frame.buffer >= geometry.bufferCount) throw lost('names an unknown buffer');
  if (frame.segment >= pool.segmentCount) throw lost('names an unknown segment');
  if (frame.firstBlock + shape.blockCount > pool.segmentBlocks) throw lost('leaves its segment');
  const start = bufferOffsetOf(geometry, frame.buffer) + frame.firstBlock * BLOCK_BYTES;
  const entries = new DataView(
    view.buffer,
    view.byteOffset + frame.entriesAt,
    frame.entryCount * 32,
  );
  for (const [i, sum] of blockSumsOf(entries, frame.entryCount).entries()) {
    const at = start + i * BLOCK_BYTES;
    if (kernels.crc32c(bytes, at, at + BLOCK_BYTES, 0) !== sum) {
      throw lost(`block ${i} of the frame: checksum mismatch`);
    }
  }
}

/**
 * Copies payload blocks of a frame to where they belong in the pool. Repeating it changes nothing,
 * and no header is written: the commit there, whole or torn, means what it meant before.
 *
 * @throws StoreError `pool_failed`.
 */
export async function restorePayload(
  disk: Disk,
  kernels: Kernels,
  bank: FoundBank,
  pool: Geometry,
  frame: Frame,
  firstBlock: number,
  blockCount: number,
): Promise<void> {
  const source = bufferOffsetOf(bank.geometry, frame.buffer);
  const firstPba = firstPbaOf(pool, frame.segment);
  const blocksMax = COPY_BYTES / BLOCK_BYTES;
  for (let done = 0; done < blockCount; done += blocksMax) {
    const block = firstBlock + done;
    const count = Math.min(blocksMax, blockCount - done);
    const copy = kernels.allocate(count * BLOCK_BYTES);
    const at = source + block * BLOCK_BYTES;
    copy.set(bank.file.bytes.subarray(at, at + copy.byteLength));
    await disk.write(copy, positionOf(firstPba + block));
  }
}
