/**
 * The body of a MAP page of a checkpoint: entries of one stretch of one object's address space.
 *
 *   [header 32 B][entry 16 B] x entryCount [zeros]
 *
 * Entries ascend. Each says how far it lies behind `firstLba` in the bits that an MBA leaves free
 * in 8 bytes, so that a sparse stretch costs no more than a dense one of as many blocks.
 */
import { bytes, getU32, record, setU32, u32, u53 } from '../base/record.ts';

export const MapPageHeader = record('MapPageHeader', 32, {
  branch: u32(0),
  entryCount: u32(4),
  object: u53(8),
  firstLba: u53(16),
  reserved: bytes(24, 8),
});

export const MapPageEntry = record('MapPageEntry', 16, {
  /** Never 0: block 0 of a pool holds its superblock. */
  pba: u32(0),
  /** CRC-32C of the block. */
  sum: u32(4),
  mbaLow: u32(8),
  /** Bits 0-20: high bits of the MBA; bits 21-31: blocks behind `firstLba`. */
  mbaHighAndStep: u32(12),
});

/** Blocks that a page may span: what 11 bits can say. */
export const MAP_PAGE_SPAN_BLOCKS = 2048;
/** Entries of a page's body of 4,032 bytes. */
export const MAP_PAGE_ENTRIES_MAX = 250;

const MBA_HIGH_BITS = 21;
const MBA_HIGH_MASK = (1 << MBA_HIGH_BITS) - 1;
const TWO_POW_32 = 0x1_0000_0000;

/**
 * Writes an entry at `at`. Its pba, sum, MBA low and MBA high are four words of `words` from
 * `word`; `step` is below `MAP_PAGE_SPAN_BLOCKS`. Plain numbers: a checkpoint writes millions.
 */
export function encodeMapEntry(
  view: DataView,
  at: number,
  words: Uint32Array,
  word: number,
  step: number,
): void {
  const mbaHigh = words[word + 3] as number;
  setU32(view, at, MapPageEntry.pba, words[word] as number);
  setU32(view, at, MapPageEntry.sum, words[word + 1] as number);
  setU32(view, at, MapPageEntry.mbaLow, words[word + 2] as number);
  setU32(view, at, MapPageEntry.mbaHighAndStep, ((step << MBA_HIGH_BITS) | mbaHigh) >>> 0);
}

export function mapEntryMba(view: DataView, at: number): number {
  const high = getU32(view, at, MapPageEntry.mbaHighAndStep) & MBA_HIGH_MASK;
  return high * TWO_POW_32 + getU32(view, at, MapPageEntry.mbaLow);
}

export function mapEntryStep(view: DataView, at: number): number {
  return getU32(view, at, MapPageEntry.mbaHighAndStep) >>> MBA_HIGH_BITS;
}
