/**
 * The open partial segment: entries gather here, payload in the bank's buffer, until a commit
 * closes it.
 *
 *   0 --- published entries --- appended entries --- entriesMax
 *
 * Entries are complete only when they are published: the sums of their blocks come from the copy
 * batch, which runs once per turn.
 */
import { assert } from '../base/assert.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import type { Checksums } from '../formats/byte-strings.ts';
import {
  COMMIT_MARK_OFFSET,
  FIRST_UNIT_ENTRIES,
  PARTIAL_HEADER_BYTES,
  type PartialFacts,
  partialUnitsOf,
  putCommitMark,
  putPartialHeader,
} from '../formats/partial-segment.ts';
import {
  BlockEntry,
  ENTRY_BYTES,
  putBlockEntry,
  putOperationEntry,
  putRangeEntry,
} from '../formats/summary-entry.ts';

const WORDS_PER_ENTRY = ENTRY_BYTES / 4;
const SUM_WORD = BlockEntry.sum / 4;
/** The entry has no block, or its block's row is not known yet. */
const NO_ROW = -1;
const ROW_MISSING = -2;

/** Memory that holds segment images, seen in three ways. */
export interface ImageMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;
}

/** A commit's header. One object for all commits of a builder: a commit allocates nothing. */
export type CommitHeader = { -readonly [Name in keyof PartialFacts]: PartialFacts[Name] };

export class PartialBuilder {
  /** What the chain's part of it says is the caller's to set before `close`. */
  readonly header: CommitHeader;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  /** Per entry: the row of the copy batch that gives its sum. */
  readonly #rows: Int32Array;
  readonly #entriesMax: number;
  #segment = 0;
  #block = 0;
  #entryCount = 0;
  #publishedEntries = 0;
  #payloadBlocks = 0;
  #publishedBlocks = 0;
  #txnFirst = 0;
  #txnLast = 0;
  /** Entries that the operation begun last still lacks. */
  #missingEntries = 0;

  constructor(entriesMax: number, poolId: Uint8Array) {
    this.header = {
      poolId,
      segment: 0,
      block: 0,
      commitSequence: 0,
      durableSequence: 0,
      generation: 0,
      txnFirst: 0,
      txnLast: 0,
      nextSegment: 0,
      secondSegment: 0,
      previousChecksum: 0,
      entryCount: 0,
      payloadBlocks: 0,
      entriesChecksum: 0,
    };
    this.#entriesMax = entriesMax;
    this.#bytes = new Uint8Array(entriesMax * ENTRY_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
    this.#words = new Uint32Array(this.#bytes.buffer);
    this.#rows = new Int32Array(entriesMax);
  }

  get segment(): number {
    return this.#segment;
  }
  /** Of the first unit, in blocks of the segment. @hotpath */
  get block(): number {
    return this.#block;
  }
  get entryCount(): number {
    return this.#entryCount;
  }
  get unpublishedEntries(): number {
    return this.#entryCount - this.#publishedEntries;
  }
  get txnFirst(): number {
    return this.#txnFirst;
  }
  get txnLast(): number {
    return this.#txnLast;
  }
  get payloadBlocks(): number {
    return this.#payloadBlocks;
  }
  /** Units that it would have if it were closed now. @hotpath */
  get units(): number {
    return partialUnitsOf(this.#payloadBlocks, this.#entryCount);
  }
  /** The entries, as words of a frame; published ones come first. */
  get words(): Uint32Array {
    return this.#words;
  }
  /** Where in them the first entry that is not published starts. */
  get firstUnpublishedWord(): number {
    return this.#publishedEntries * WORDS_PER_ENTRY;
  }
  /** Where the first block that is not published yet lies, in blocks of the segment. */
  get firstUnpublishedBlock(): number {
    return this.#block + 1 + this.#publishedBlocks;
  }

  /** Starts an empty partial segment there. */
  open(segment: number, block: number): void {
    assert(this.#missingEntries === 0, 'an operation is whole in one partial segment');
    this.#segment = segment;
    this.#block = block;
    this.#entryCount = 0;
    this.#publishedEntries = 0;
    this.#payloadBlocks = 0;
    this.#publishedBlocks = 0;
    this.#txnFirst = 0;
    this.#txnLast = 0;
  }

  /** Whether it holds so many blocks and entries more in a segment of that size. @hotpath */
  hasRoomFor(blockCount: number, entryCount: number, segmentBlocks: number): boolean {
    const entries = this.#entryCount + entryCount;
    if (entries > this.#entriesMax) return false;
    const units = partialUnitsOf(this.#payloadBlocks + blockCount, entries);
    return this.#block + units <= segmentBlocks;
  }

  /** @hotpath */
  addOperation(
    kind: number,
    flags: number,
    guest: number,
    queue: number,
    tag: number,
    operation: number,
    branch: number,
    txn: number,
    entryCount: number,
  ): void {
    assert(this.#missingEntries === 0, 'the operation before is whole');
    const at = this.#claimEntry(NO_ROW);
    putOperationEntry(
      this.#view,
      at,
      kind,
      flags,
      guest,
      queue,
      tag,
      operation,
      branch,
      txn,
      entryCount,
    );
    if (this.#txnFirst === 0) this.#txnFirst = txn;
    this.#txnLast = txn;
    this.#missingEntries = entryCount;
  }

  /** Returns where the block's payload lies, in blocks of the segment. @hotpath */
  addBlock(object: number, lba: number, mba: number, oldMba: number): number {
    this.#countMember();
    putBlockEntry(this.#view, this.#claimEntry(ROW_MISSING), object, lba, mba, oldMba);
    return this.#block + 1 + this.#payloadBlocks++;
  }

  /** The row that gives the sum of the block added last. @hotpath */
  setRow(row: number): void {
    const entry = this.#entryCount - 1;
    assert(this.#rows[entry] === ROW_MISSING, 'a block has one sum');
    this.#rows[entry] = row;
  }

  /** @hotpath */
  addRange(object: number, firstLba: number, blockCount: number): void {
    this.#countMember();
    putRangeEntry(this.#view, this.#claimEntry(NO_ROW), object, firstLba, blockCount);
  }

  addRaw(bytes: Uint8Array): void {
    assert(bytes.byteLength % ENTRY_BYTES === 0, 'raw entries are whole');
    for (let at = 0; at < bytes.byteLength; at += ENTRY_BYTES) {
      this.#countMember();
      this.#bytes.set(bytes.subarray(at, at + ENTRY_BYTES), this.#claimEntry(NO_ROW));
    }
  }

  /** @hotpath */
  #countMember(): void {
    assert(this.#missingEntries > 0, 'the operation announced this entry');
    this.#missingEntries--;
  }

  /** @hotpath */
  #claimEntry(row: number): number {
    assert(this.#entryCount < this.#entriesMax, 'the partial segment has room for the entry');
    const entry = this.#entryCount++;
    this.#rows[entry] = row;
    return entry * ENTRY_BYTES;
  }

  /** Puts the sums of the batch that ran into the entries not published yet. @hotpath */
  takeSums(sums: Uint32Array): void {
    assert(this.#missingEntries === 0, 'only whole operations are published');
    const rows = this.#rows;
    for (let entry = this.#publishedEntries; entry < this.#entryCount; entry++) {
      const row = rows[entry] as number;
      if (row === NO_ROW) continue;
      assert(row !== ROW_MISSING, 'every block has a sum');
      this.#words[entry * WORDS_PER_ENTRY + SUM_WORD] = sums[row] as number;
    }
  }

  /** All entries are in the bank now. @hotpath */
  markPublished(): void {
    this.#publishedEntries = this.#entryCount;
    this.#publishedBlocks = this.#payloadBlocks;
  }

  /**
   * Writes first unit and overflow into `image` at byte `at`, around the payload, which is there
   * already, and returns the header's checksum. The caller has set what `header` says about the
   * chain; all else is set here. @hotpath
   */
  close(image: ImageMemory, at: number, segmentFirstPba: number, checksums: Checksums): number {
    assert(this.#entryCount > 0, 'a commit has entries');
    assert(this.unpublishedEntries === 0, 'a commit holds only what is published');
    const { header } = this;
    const entriesBytes = this.#entryCount * ENTRY_BYTES;
    header.segment = this.#segment;
    header.block = this.#block;
    header.txnFirst = this.#txnFirst;
    header.txnLast = this.#txnLast;
    header.entryCount = this.#entryCount;
    header.payloadBlocks = this.#payloadBlocks;
    header.entriesChecksum = checksums.crc32c(this.#bytes, 0, entriesBytes, 0);
    const { bytes, view } = image;
    bytes.fill(0, at, at + BLOCK_BYTES);
    const pba = segmentFirstPba + this.#block;
    const headerChecksum = putPartialHeader(bytes, view, at, header, pba, checksums);
    putCommitMark(bytes, view, at + COMMIT_MARK_OFFSET, header, headerChecksum, pba, checksums);
    this.#copyEntries(image, at);
    return headerChecksum;
  }

  #copyEntries(image: ImageMemory, at: number): void {
    const wordCount = this.#entryCount * WORDS_PER_ENTRY;
    const firstWords = Math.min(wordCount, FIRST_UNIT_ENTRIES * WORDS_PER_ENTRY);
    const source = this.#words;
    const target = image.words;
    let to = (at + PARTIAL_HEADER_BYTES) / 4;
    for (let i = 0; i < firstWords; i++) target[to++] = source[i] as number;
    if (firstWords === wordCount) return;
    const overflow = at + (1 + this.#payloadBlocks) * BLOCK_BYTES;
    image.bytes.fill(0, overflow, at + this.units * BLOCK_BYTES);
    to = overflow / 4;
    for (let i = firstWords; i < wordCount; i++) target[to++] = source[i] as number;
  }
}
