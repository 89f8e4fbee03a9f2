/**
 * The bank's journal: a ring of frames, each showing one turn's operations at once (R2).
 *
 *   retired --- in the bank, not surely on disk --- published --- free --- retired + journalUnits
 *
 * All three are free-running u32 counts of 32-byte units. A frame is complete before `published`
 * passes it, so whoever opens the bank next believes every frame below it, and none above.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import {
  BANK_JOURNAL_OFFSET,
  type BankGeometry,
  decodeFrame,
  type Frame,
  FrameKind,
  JOURNAL_UNIT_BYTES,
  PUBLISHED_WORD,
  putFrameHeader,
  RETIRED_WORD,
} from '../formats/bank.ts';
import type { Checksums } from '../formats/byte-strings.ts';
import { loadWord, storeWord } from '../platform/published-word.ts';

const WORDS_PER_UNIT = JOURNAL_UNIT_BYTES / 4;

export class Journal {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #unitCount: number;
  readonly #seed: number;
  readonly #checksums: Checksums;
  #published: number;
  #retired: number;

  /** Over a new bank whose header is written and whose two counts are equal: zero, but for tests. */
  constructor(bank: Uint8Array, geometry: BankGeometry, seed: number, checksums: Checksums) {
    this.#bytes = bank;
    this.#view = new DataView(bank.buffer, bank.byteOffset, bank.byteLength);
    this.#words = new Int32Array(bank.buffer, bank.byteOffset, bank.byteLength >>> 2);
    this.#unitCount = geometry.journalUnits;
    this.#seed = seed;
    this.#checksums = checksums;
    this.#published = loadWord(this.#words, PUBLISHED_WORD);
    this.#retired = this.#published;
  }

  /** A u32: everything below it is published. @hotpath */
  get published(): number {
    return this.#published;
  }

  /** Whether a frame of so many entries fits, wherever the ring's end is. @hotpath */
  hasRoomFor(entryCount: number): boolean {
    const usedUnits = (this.#published - this.#retired) >>> 0;
    return usedUnits + 2 * (entryCount + 1) <= this.#unitCount;
  }

  /**
   * Publishes `entryCount` entries that stand in `entries` (u32 words) from word `from` on.
   * Refers to `buffer`, which holds `segment`. There must be room. @hotpath
   */
  publish(
    entries: Uint32Array,
    from: number,
    entryCount: number,
    buffer: number,
    segment: number,
    firstBlock: number,
    commitSequence: number,
  ): void {
    assert(this.hasRoomFor(entryCount), 'the journal has room for the frame');
    let position = this.#published;
    const units = 1 + entryCount;
    const unitsToEnd = this.#unitCount - (position & (this.#unitCount - 1));
    if (unitsToEnd < units) {
      this.#putFrame(FrameKind.pad, buffer, unitsToEnd - 1, segment, 0, position, commitSequence);
      position = (position + unitsToEnd) >>> 0;
    }
    let word = this.#at(position) / 4 + WORDS_PER_UNIT;
    const words = this.#words;
    const end = from + entryCount * WORDS_PER_UNIT;
    for (let i = from; i < end; i++) words[word++] = entries[i] as number;
    this.#putFrame(
      FrameKind.entries,
      buffer,
      entryCount,
      segment,
      firstBlock,
      position,
      commitSequence,
    );
    this.#published = (position + units) >>> 0;
    storeWord(words, PUBLISHED_WORD, this.#published);
  }

  #putFrame(
    kind: number,
    buffer: number,
    entryCount: number,
    segment: number,
    firstBlock: number,
    position: number,
    commitSequence: number,
  ): void {
    putFrameHeader(
      this.#bytes,
      this.#view,
      this.#at(position),
      kind,
      buffer,
      entryCount,
      segment,
      firstBlock,
      position,
      commitSequence,
      this.#seed,
      this.#checksums,
    );
  }

  #at(position: number): number {
    return BANK_JOURNAL_OFFSET + (position & (this.#unitCount - 1)) * JOURNAL_UNIT_BYTES;
  }

  /** Everything below `position`, a value that `published` had, is on disk and synced. @hotpath */
  retire(position: number): void {
    assert(
      (position - this.#retired) >>> 0 <= (this.#published - this.#retired) >>> 0,
      'what is retired was published',
    );
    this.#retired = position;
    storeWord(this.#words, RETIRED_WORD, position);
  }
}

/**
 * The frames of a bank that was left behind, oldest first, pads left out.
 *
 * @throws StoreError `bank_lost` naming the frame, if one below the published count is damaged.
 */
export function readFrames(
  bank: Uint8Array,
  geometry: BankGeometry,
  seed: number,
  checksums: Checksums,
): Frame[] {
  const words = new Int32Array(bank.buffer, bank.byteOffset, bank.byteLength >>> 2);
  const published = loadWord(words, PUBLISHED_WORD);
  let position = loadWord(words, RETIRED_WORD);
  const unitCount = (published - position) >>> 0;
  if (unitCount > geometry.journalUnits) {
    const retired = position;
    throw new StoreError('bank_lost', { reason: 'impossible counts', published, retired });
  }
  const frames: Frame[] = [];
  while (position !== published) {
    const slot = position & (geometry.journalUnits - 1);
    const at = BANK_JOURNAL_OFFSET + slot * JOURNAL_UNIT_BYTES;
    const unitsLeft = (published - position) >>> 0;
    const unitsMax = Math.min(unitsLeft, geometry.journalUnits - slot);
    const end = at + unitsMax * JOURNAL_UNIT_BYTES;
    const frame = decodeFrame(bank, at, end, position, seed, checksums);
    if (typeof frame === 'string') {
      throw new StoreError('bank_lost', { reason: frame, frame: position, published });
    }
    if (frame.kind === FrameKind.entries) frames.push(frame);
    position = (position + 1 + frame.entryCount) >>> 0;
  }
  return frames;
}
