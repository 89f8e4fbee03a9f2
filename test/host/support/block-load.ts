/**
 * Writes, zeroes and flushes on the blocks of a volume, many in flight, and what must be there
 * afterwards. A block holds one version over and over, or zeros; at most one command per block is
 * in flight, so the order of what completes is the order of what is there.
 */
import type { Prng } from '../../../src/base/prng.ts';
import { BLOCK_BYTES, SECTORS_PER_BLOCK } from '../../../src/base/units.ts';
import type { GuestQueue } from '../../../src/channel/guest-queue.ts';
import { Opcode } from '../../../src/channel/protocol.ts';
import type { RawGuest } from './raw-guest.ts';

export const LOAD_DEPTH = 64;
export const LOAD_GEOMETRY = {
  queueCount: 1,
  queueDepth: LOAD_DEPTH,
  dataBytes: LOAD_DEPTH * BLOCK_BYTES,
};

/** A command in flight: `block` will hold `version`, 0 for zeros; -1 if it is a flush. */
export interface InFlight {
  readonly tag: number;
  readonly block: number;
  readonly version: number;
}

export class BlockLoad {
  /** Version of each block by what has completed. */
  readonly versions: Int32Array;
  readonly inFlight = new Map<number, InFlight>();
  completedCount = 0;
  #nextVersion: number;

  constructor(blockCount: number, firstVersion: number) {
    this.versions = new Int32Array(blockCount);
    this.#nextVersion = firstVersion;
  }

  /** Fills the queue with commands. */
  submit(guest: RawGuest, prng: Prng): void {
    const queue = guest.queues[0] as GuestQueue;
    const busy = new Set([...this.inFlight.values()].map(({ block }) => block));
    for (let tag = queue.claimTag(); tag >= 0; tag = queue.claimTag()) {
      const block = prng.below(this.versions.length);
      const kind = prng.below(20);
      if (kind === 0 || busy.has(block)) {
        queue.encode(tag, Opcode.FLUSH, 0, 0, 0);
        this.inFlight.set(tag, { tag, block: -1, version: 0 });
      } else {
        busy.add(block);
        this.#encode(guest, tag, block, kind);
      }
      queue.submit(tag);
    }
    queue.publish();
  }

  /** Takes what is completed; how many. Throws at a status that is not 0. */
  reap(guest: RawGuest): number {
    const queue = guest.queues[0] as GuestQueue;
    const count = queue.reap(LOAD_DEPTH);
    for (let i = 0; i < count; i++) {
      const tag = queue.reapedTags[i] as number;
      const status = queue.reapedStatuses[i] as number;
      const command = this.inFlight.get(tag);
      if (status !== 0 || command === undefined) throw new Error(`tag ${tag}: status ${status}`);
      if (command.block >= 0) this.versions[command.block] = command.version;
      this.inFlight.delete(tag);
      queue.releaseTag(tag);
    }
    this.completedCount += count;
    return count;
  }

  #encode(guest: RawGuest, tag: number, block: number, kind: number): void {
    const queue = guest.queues[0] as GuestQueue;
    const sector = block * SECTORS_PER_BLOCK;
    if (kind <= 2) {
      const opcode = kind === 1 ? Opcode.WRITE_ZEROES : Opcode.DISCARD;
      queue.encode(tag, opcode, 0, sector, SECTORS_PER_BLOCK);
      this.inFlight.set(tag, { tag, block, version: 0 });
      return;
    }
    const version = this.#nextVersion++;
    const offset = tag * BLOCK_BYTES;
    fillBlock(guest, offset, version);
    const forced = kind === 3 ? 1 : 0;
    queue.encodeTransfer(tag, Opcode.WRITE, forced, sector, offset, BLOCK_BYTES);
    this.inFlight.set(tag, { tag, block, version });
  }
}

/** Makes the block at this offset of the data area hold `version`. */
export function fillBlock(guest: RawGuest, offset: number, version: number): void {
  wordsAt(guest, offset).fill(version);
}

/** The version of the block at this offset; -1 if it holds more than one: a torn write. */
export function versionAt(guest: RawGuest, offset: number): number {
  const words = wordsAt(guest, offset);
  const version = words[0] as number;
  return words.every((word) => word === version) ? version : -1;
}

/** Reads one block, alone in the queue. */
export async function readVersion(guest: RawGuest, block: number): Promise<number> {
  const sector = block * SECTORS_PER_BLOCK;
  const { status } = await guest.run(Opcode.READ, sector, SECTORS_PER_BLOCK);
  if (status !== 0) throw new Error(`block ${block}: status ${status}`);
  return versionAt(guest, 0);
}

/** Versions of all blocks, read in commands as long as the data area. */
export async function readVersions(guest: RawGuest, blockCount: number): Promise<Int32Array> {
  const versions = new Int32Array(blockCount);
  const blocksPerRead = guest.memory.layout.dataBytes / BLOCK_BYTES;
  for (let first = 0; first < blockCount; first += blocksPerRead) {
    const count = Math.min(blocksPerRead, blockCount - first);
    const sectorCount = count * SECTORS_PER_BLOCK;
    const { status } = await guest.run(Opcode.READ, first * SECTORS_PER_BLOCK, sectorCount);
    if (status !== 0) throw new Error(`block ${first}: status ${status}`);
    for (let i = 0; i < count; i++) versions[first + i] = versionAt(guest, i * BLOCK_BYTES);
  }
  return versions;
}

function wordsAt(guest: RawGuest, offset: number): Int32Array {
  const { region, layout } = guest.memory;
  const at = (layout.dataOffset + offset) / 4;
  return region.words.subarray(at, at + BLOCK_BYTES / 4);
}
