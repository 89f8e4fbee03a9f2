/**
 * Follows the chain of commits from a checkpoint on (R7), and gives away the longest valid prefix.
 *
 *   cut --- known durable (some later header says so) --- payload checked --- end of the chain
 *
 * A commit that is bad is damage only if a later header says that its sync had returned; such a
 * header may lie behind it in its segment or in the two that were named as next. Otherwise it is
 * the tail that the crash cut off, and the chain ends before it.
 */
import { StoreError } from '../base/errors.ts';
import { getU8, getU16, getU53 } from '../base/record.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { firstPbaOf, type Geometry, NO_SEGMENT } from '../formats/geometry.ts';
import {
  decodePartial,
  FIRST_UNIT_ENTRIES,
  PARTIAL_HEADER_BYTES,
  type Partial,
  partialUnitsOf,
} from '../formats/partial-segment.ts';
import {
  ENTRY_BYTES,
  OperationEntry,
  ownsBlocks,
  shapeOfEntries,
  sumOfBlockEntry,
} from '../formats/summary-entry.ts';
import type { Superblock } from '../formats/superblock.ts';
import { isMediaError, type PoolReader } from './pool-reader.ts';

/** A commit of the chain, its entries out of the window. */
export interface ChainCommit {
  readonly header: Partial;
  readonly entries: Uint8Array;
  readonly entriesView: DataView;
  /** Where its first payload block lies. */
  readonly firstPba: number;
}

/** Where the chain ended. */
export interface ChainEnd {
  /** The last commit given away; the cut's if there was none. */
  readonly sequence: number;
  readonly txn: number;
  readonly commitCount: number;
  /** Newest sequence that is known to have been synced. */
  readonly durableSequence: number;
  /** Why the next commit does not count, and where it would lie. */
  readonly reason: string;
  readonly segment: number;
  readonly block: number;
}

interface Place {
  readonly segment: number;
  readonly block: number;
}

/** Walks one chain once. */
export class RollForward {
  readonly #reader: PoolReader;
  readonly #geometry: Geometry;
  readonly #superblock: Superblock;
  /** Valid so far, but only as durable as their payload proves. */
  #pending: ChainCommit[] = [];
  #durableSequence: number;
  #sequence: number;
  #txn: number;
  #commitCount = 0;
  // What the next header must say, and where it may lie.
  #expected: number;
  #previousChecksum: number;
  #place: Place;
  #nextSegment: number;
  #secondSegment: number;
  #walkedTxn: number;

  constructor(reader: PoolReader, geometry: Geometry, superblock: Superblock) {
    this.#reader = reader;
    this.#geometry = geometry;
    this.#superblock = superblock;
    this.#durableSequence = superblock.cutSequence;
    this.#sequence = superblock.cutSequence;
    this.#txn = superblock.cutTxn;
    this.#walkedTxn = superblock.cutTxn;
    this.#expected = superblock.headSequence;
    this.#previousChecksum = superblock.headPreviousChecksum;
    this.#place = { segment: superblock.headSegment, block: superblock.headBlock };
    this.#nextSegment = superblock.headNextSegment;
    this.#secondSegment = superblock.headSecondSegment;
  }

  /**
   * Calls `give` for every commit of the valid prefix, in order.
   *
   * @throws StoreError `pool_corrupt` naming segment and sequence; `media_error`.
   */
  async run(give: (commit: ChainCommit) => void): Promise<ChainEnd> {
    for (;;) {
      const found = await this.#findNext();
      if (typeof found === 'string') return this.#end(found, give);
      this.#accept(found);
      this.#giveDurable(give);
    }
  }

  /** The expected commit, right behind the one before or at the start of the next segment. */
  async #findNext(): Promise<ChainCommit | string> {
    let reason = 'the segment is full';
    if (this.#place.block < this.#geometry.segmentBlocks) {
      const here = await this.#readCommit(this.#place);
      if (typeof here !== 'string') return here;
      reason = here;
    }
    if (this.#nextSegment >= this.#geometry.segmentCount) return reason;
    const next = await this.#readCommit({ segment: this.#nextSegment, block: 0 });
    if (typeof next === 'string') return `${reason}; next segment: ${next}`;
    return next;
  }

  async #readCommit(place: Place): Promise<ChainCommit | string> {
    const header = await this.#readHeader(place);
    if (typeof header === 'string') return header;
    if (header.commitSequence !== this.#expected) return `sequence ${header.commitSequence}`;
    if (header.previousChecksum !== this.#previousChecksum) return 'follows another commit';
    const { generation } = this.#superblock;
    if (header.generation > generation) {
      throw this.#corrupt(
        place,
        `stamped with generation ${header.generation}, after the superblock`,
      );
    }
    const entries = await this.#readEntries(header);
    if (typeof entries === 'string') return entries;
    const entriesView = new DataView(entries.buffer);
    this.#requireShape(header, entriesView);
    const firstPba = firstPbaOf(this.#geometry, header.segment) + header.block + 1;
    return { header, entries, entriesView, firstPba };
  }

  async #readHeader(place: Place): Promise<Partial | string> {
    const { segmentBlocks } = this.#geometry;
    const pba = firstPbaOf(this.#geometry, place.segment) + place.block;
    const at = await this.#reader.read(pba, segmentBlocks - place.block);
    const { poolId } = this.#superblock;
    const { bytes, kernels } = this.#reader;
    return decodePartial(bytes, at, { ...place, poolId, pba, segmentBlocks }, kernels);
  }

  /** The entries of a header just decoded, out of first unit and overflow, checked by their sum. */
  async #readEntries(header: Partial): Promise<Uint8Array | string> {
    const { segmentBlocks } = this.#geometry;
    const entries = new Uint8Array(header.entryCount * ENTRY_BYTES);
    const firstPba = firstPbaOf(this.#geometry, header.segment);
    let at = await this.#reader.read(firstPba + header.block, segmentBlocks - header.block);
    const firstBytes = Math.min(header.entryCount, FIRST_UNIT_ENTRIES) * ENTRY_BYTES;
    const start = at + PARTIAL_HEADER_BYTES;
    entries.set(this.#reader.bytes.subarray(start, start + firstBytes));
    let done = firstBytes;
    for (let unit = 0; unit < header.overflowUnits; unit++) {
      const block = header.block + 1 + header.payloadBlocks + unit;
      at = await this.#reader.read(firstPba + block, segmentBlocks - block);
      const length = Math.min(BLOCK_BYTES, entries.byteLength - done);
      entries.set(this.#reader.bytes.subarray(at, at + length), done);
      done += length;
    }
    const sum = this.#reader.kernels.crc32c(entries, 0, entries.byteLength, 0);
    return sum === header.entriesChecksum ? entries : 'entries checksum mismatch';
  }

  /** Checksums agree, so what does not fit here was written so, by us or by somebody like us. */
  #requireShape(header: Partial, view: DataView): void {
    const shape = shapeOfEntries(view, 0, header.entryCount);
    if (typeof shape === 'string') throw this.#corrupt(header, shape);
    if (shape.blockCount !== header.payloadBlocks) throw this.#corrupt(header, 'payload count');
    if (shape.txnFirst !== header.txnFirst || shape.txnLast !== header.txnLast) {
      throw this.#corrupt(header, 'txns contradict the header');
    }
    if (shape.txnFirst !== this.#walkedTxn + 1) throw this.#corrupt(header, 'txns are missing');
  }

  #accept(commit: ChainCommit): void {
    const { header } = commit;
    this.#pending.push(commit);
    this.#durableSequence = Math.max(this.#durableSequence, header.durableSequence);
    this.#expected = header.commitSequence + 1;
    this.#previousChecksum = header.headerChecksum;
    const units = partialUnitsOf(header.payloadBlocks, header.entryCount);
    this.#place = { segment: header.segment, block: header.block + units };
    this.#nextSegment = header.nextSegment;
    this.#secondSegment = header.secondSegment;
    this.#walkedTxn = header.txnLast;
  }

  #giveDurable(give: (commit: ChainCommit) => void): void {
    while (this.#pending.length > 0) {
      const commit = this.#pending[0] as ChainCommit;
      if (commit.header.commitSequence > this.#durableSequence) return;
      this.#give(commit, give);
      this.#pending.shift();
    }
  }

  #give(commit: ChainCommit, give: (commit: ChainCommit) => void): void {
    give(commit);
    this.#sequence = commit.header.commitSequence;
    this.#txn = commit.header.txnLast;
    this.#commitCount++;
  }

  /** The chain broke at `#expected`. */
  async #end(reason: string, give: (commit: ChainCommit) => void): Promise<ChainEnd> {
    await this.#scanForLater();
    this.#giveDurable(give);
    if (this.#expected <= this.#durableSequence) throw this.#corrupt(this.#place, reason);
    for (const commit of this.#pending) {
      const bad = await this.#badBlock(commit);
      if (bad === undefined) {
        this.#give(commit, give);
        continue;
      }
      return this.#endAt(commit.header, `payload block ${bad} checksum mismatch`);
    }
    return this.#endAt(this.#place, reason);
  }

  #endAt(place: Place, reason: string): ChainEnd {
    return {
      sequence: this.#sequence,
      txn: this.#txn,
      commitCount: this.#commitCount,
      durableSequence: this.#durableSequence,
      reason,
      segment: place.segment,
      block: place.block,
    };
  }

  /**
   * Looks for headers of later commits, for what they know to be durable: in the rest of this
   * segment and in the two that were to follow it. The one after those is named in the first
   * header that is found there.
   */
  async #scanForLater(): Promise<void> {
    await this.#scanSegment(this.#place);
    for (const segment of [this.#nextSegment, this.#secondSegment]) {
      if (segment === NO_SEGMENT || segment >= this.#geometry.segmentCount) continue;
      await this.#scanSegment({ segment, block: 0 });
    }
  }

  async #scanSegment(from: Place): Promise<void> {
    const { segment } = from;
    let { block } = from;
    while (block < this.#geometry.segmentBlocks) {
      // What cannot be read here knows nothing; it is no part of the chain.
      const header = await this.#readHeader({ segment, block }).catch((error: unknown) => {
        if (isMediaError(error)) return 'unreadable';
        throw error;
      });
      if (typeof header === 'string' || header.commitSequence <= this.#expected) {
        block++;
        continue;
      }
      this.#durableSequence = Math.max(this.#durableSequence, header.durableSequence);
      // Payload is user data and might look like anything: it is not searched for headers.
      block += partialUnitsOf(header.payloadBlocks, header.entryCount);
    }
  }

  /** The first payload block whose sum is wrong. */
  async #badBlock(commit: ChainCommit): Promise<number | undefined> {
    const { header, entriesView } = commit;
    const sums = blockSumsOf(entriesView, header.entryCount);
    for (const [i, sum] of sums.entries()) {
      const at = await this.#reader.read(commit.firstPba + i, sums.length - i);
      const { bytes, kernels } = this.#reader;
      if (kernels.crc32c(bytes, at, at + BLOCK_BYTES, 0) !== sum) return i;
    }
    return undefined;
  }

  #corrupt(place: Place, reason: string): StoreError {
    const { segment, block } = place;
    const sequence = this.#expected;
    // A commit that cannot be read may as well have been the first of the next segment.
    const nextSegment = this.#nextSegment;
    const details = { structure: 'log', segment, block, nextSegment, sequence, reason };
    return new StoreError('pool_corrupt', details);
  }
}

/**
 * Whether a later life of the pool left commits behind. The log of a life starts in the segment
 * that is free first, with a sequence above the reserve of before. If superblocks of that life rot
 * away, the one before would silently bring the past back; these commits tell (R10).
 *
 * @throws StoreError `pool_corrupt` naming segment and sequence.
 */
export async function requireNoLaterLog(
  reader: PoolReader,
  geometry: Geometry,
  superblock: Superblock,
  segment: number,
): Promise<void> {
  if (segment === NO_SEGMENT) return;
  const { poolId, sequenceReserve } = superblock;
  const { segmentBlocks } = geometry;
  const pba = firstPbaOf(geometry, segment);
  const at = await reader.read(pba, segmentBlocks);
  const place = { segment, block: 0, pba, poolId, segmentBlocks };
  const header = decodePartial(reader.bytes, at, place, reader.kernels);
  if (typeof header === 'string' || header.commitSequence < sequenceReserve) return;
  const sequence = header.commitSequence;
  const reason = `the log went on under a later superblock, of generation ${header.generation}`;
  throw new StoreError('pool_corrupt', { structure: 'log', segment, sequence, reason });
}

/** The sums of the blocks that entries of a checked shape store, in order. */
export function blockSumsOf(view: DataView, entryCount: number): number[] {
  const sums: number[] = [];
  for (let index = 0; index < entryCount; ) {
    const at = index * ENTRY_BYTES;
    const members = getU16(view, at, OperationEntry.entryCount);
    if (ownsBlocks(getU8(view, at, OperationEntry.kind))) {
      for (let i = 1; i <= members; i++) sums.push(sumOfBlockEntry(view, at + i * ENTRY_BYTES));
    }
    index += 1 + members;
  }
  return sums;
}

/** Calls `visit` for each operation: byte offset of its entry, its txn, its blocks' first index. */
export function forEachOperation(
  view: DataView,
  start: number,
  entryCount: number,
  visit: (at: number, txn: number, firstBlock: number, blockCount: number) => void,
): void {
  let firstBlock = 0;
  for (let index = 0; index < entryCount; ) {
    const at = start + index * ENTRY_BYTES;
    const members = getU16(view, at, OperationEntry.entryCount);
    const blockCount = ownsBlocks(getU8(view, at, OperationEntry.kind)) ? members : 0;
    visit(at, getU53(view, at, OperationEntry.txn), firstBlock, blockCount);
    firstBlock += blockCount;
    index += 1 + members;
  }
}
