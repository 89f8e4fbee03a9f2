/**
 * The segment usage table's entry, one per segment, in the pages of a checkpoint (R13).
 */
import {
  bytes,
  getU8,
  getU32,
  getU53,
  record,
  setU8,
  setU32,
  setU53,
  u8,
  u16,
  u32,
  u53,
} from '../base/record.ts';
import { type Checksums, zeroBetween } from './byte-strings.ts';

export const SUT_ENTRY_BYTES = 64;

/** Stable numbers. */
export const SegmentState = {
  free: 0,
  /** The log's head, or preallocated as one of the next heads. */
  open: 1,
  /** Full, or left behind: it only loses blocks. */
  sealed: 2,
  /** Holds pages of a checkpoint. */
  map: 3,
  /** Nothing in it is mapped; reusable when a checkpoint says so. In memory only. */
  freeing: 4,
  /** The media failed there: never used again. */
  quarantined: 5,
} as const;

/** One segment. */
export const SutEntry = record('SutEntry', SUT_ENTRY_BYTES, {
  /** Mapped blocks, or live pages. */
  live: u32(0),
  state: u8(4),
  stream: u8(5),
  reservedFlags: u16(6),
  /** Of the superblock under which it was opened last. */
  generation: u53(8),
  /** The txns of the blocks written to it: first and last. */
  writeTxnLow: u53(16),
  writeTxnHigh: u53(24),
  /** The last txn that changed `live`. */
  usageTxn: u53(32),
  /** Index of a group for erasure coding; 0 until there is one. */
  placement: u32(40),
  reserved: bytes(44, 16),
  /** CRC-32C of all before, seeded with the segment's id. */
  checksum: u32(60),
});

/** Writes the entry of `segment` at `at`. Plain numbers: a checkpoint writes all of them. */
export function encodeSutEntry(
  target: Uint8Array,
  view: DataView,
  at: number,
  segment: number,
  live: number,
  state: number,
  stream: number,
  generation: number,
  writeTxnLow: number,
  writeTxnHigh: number,
  usageTxn: number,
  placement: number,
  checksums: Checksums,
): void {
  target.fill(0, at, at + SUT_ENTRY_BYTES);
  setU32(view, at, SutEntry.live, live);
  setU8(view, at, SutEntry.state, state);
  setU8(view, at, SutEntry.stream, stream);
  setU53(view, at, SutEntry.generation, generation);
  setU53(view, at, SutEntry.writeTxnLow, writeTxnLow);
  setU53(view, at, SutEntry.writeTxnHigh, writeTxnHigh);
  setU53(view, at, SutEntry.usageTxn, usageTxn);
  setU32(view, at, SutEntry.placement, placement);
  const sum = checksums.crc32c(target, at, at + SutEntry.checksum, segment);
  setU32(view, at, SutEntry.checksum, sum);
}

/** What is wrong with the entry of `segment` at `at`; undefined if nothing. */
export function faultOfSutEntry(
  source: Uint8Array,
  view: DataView,
  at: number,
  segment: number,
  segmentBlocks: number,
  checksums: Checksums,
): string | undefined {
  const sum = checksums.crc32c(source, at, at + SutEntry.checksum, segment);
  if (getU32(view, at, SutEntry.checksum) !== sum) return 'checksum mismatch';
  const state = getU8(view, at, SutEntry.state);
  if (state > SegmentState.quarantined || state === SegmentState.freeing) return 'unknown state';
  const live = getU32(view, at, SutEntry.live);
  if (live > segmentBlocks) return 'more live blocks than blocks';
  if (state === SegmentState.free && live !== 0) return 'a free segment has live blocks';
  const latest = Math.max(
    getU53(view, at, SutEntry.generation),
    getU53(view, at, SutEntry.writeTxnHigh),
    getU53(view, at, SutEntry.usageTxn),
  );
  if (latest > Number.MAX_SAFE_INTEGER) return 'a number is too large';
  return zeroBetween(source, at + SutEntry.reserved, at + SutEntry.checksum)
    ? undefined
    : 'reserved bytes are not zero';
}
