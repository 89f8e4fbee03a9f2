/**
 * A partial segment: what one commit wrote, contiguous in a segment, in 4 KiB units (R7, R12).
 *
 *   [header | first 122 entries | commit mark][payload block]…[overflow unit: 128 entries]…
 *
 * The first unit holds all that a small commit needs, so the smallest is 8 KiB. Entries that do
 * not fit follow the payload, because the payload's places must be known while it still grows.
 * The mark repeats the checksums at the other end of the unit: a unit torn between sectors shows.
 * No checksum covers the payload; every block's own sum is in its entry.
 */
import {
  bytes,
  getU8,
  getU16,
  getU32,
  getU53,
  record,
  setU8,
  setU16,
  setU32,
  setU53,
  u8,
  u16,
  u32,
  u53,
} from '../base/record.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { type Checksums, equalAt, ID_BYTES, zeroBetween } from './byte-strings.ts';
import { ENTRY_BYTES } from './summary-entry.ts';
import { COMMIT_MARK_MAGIC, PARTIAL_MAGIC, PARTIAL_VERSION } from './versions.ts';

export const PARTIAL_HEADER_BYTES = 128;
export const COMMIT_MARK_BYTES = 64;
export const COMMIT_MARK_OFFSET = BLOCK_BYTES - COMMIT_MARK_BYTES;
/** Entries beside header and mark in the first unit. */
export const FIRST_UNIT_ENTRIES = (COMMIT_MARK_OFFSET - PARTIAL_HEADER_BYTES) / ENTRY_BYTES;
export const OVERFLOW_UNIT_ENTRIES = BLOCK_BYTES / ENTRY_BYTES;

/** Opens the first unit. */
export const PartialHeader = record('PartialHeader', PARTIAL_HEADER_BYTES, {
  magic: u32(0),
  version: u16(4),
  /** 0: new writes. Streams for relocated data come later. */
  stream: u8(6),
  /** A commit is valid only if all its parts are. One stream, hence one part, for now. */
  partIndex: u8(7),
  partCount: u8(8),
  reservedFlags: u8(9),
  reservedHalf: u16(10),
  segment: u32(12),
  poolId: bytes(16, ID_BYTES),
  /** Position in the chain: the previous commit's, plus one. */
  commitSequence: u53(32),
  /** The newest commit whose sync had returned when this one was closed (R7). */
  durableSequence: u53(40),
  /** Of the newest durable superblock (R10). */
  generation: u53(48),
  txnFirst: u53(56),
  txnLast: u53(64),
  /** Where the chain goes when this segment is full, and where from there; or `NO_SEGMENT`. */
  nextSegment: u32(72),
  secondSegment: u32(76),
  /** `headerChecksum` of the commit before. */
  previousChecksum: u32(80),
  entryCount: u32(84),
  payloadBlocks: u32(88),
  overflowUnits: u32(92),
  /** Of the first unit within the segment. */
  block: u32(96),
  /** CRC-32C of all entries, wherever they lie. */
  entriesChecksum: u32(100),
  reserved: bytes(104, 20),
  /** CRC-32C of all before, seeded with the pba of the first unit. */
  headerChecksum: u32(124),
});

/** Ends the first unit. */
export const CommitMark = record('CommitMark', COMMIT_MARK_BYTES, {
  magic: u32(0),
  headerChecksum: u32(4),
  commitSequence: u53(8),
  entriesChecksum: u32(16),
  reserved: bytes(20, 40),
  /** CRC-32C of all before, seeded with the pba of the first unit. */
  checksum: u32(60),
});

/** Units behind the payload for this many entries. @hotpath */
export function overflowUnitsOf(entryCount: number): number {
  if (entryCount <= FIRST_UNIT_ENTRIES) return 0;
  return Math.ceil((entryCount - FIRST_UNIT_ENTRIES) / OVERFLOW_UNIT_ENTRIES);
}

/** Units of a whole partial segment. @hotpath */
export function partialUnitsOf(payloadBlocks: number, entryCount: number): number {
  return 1 + payloadBlocks + overflowUnitsOf(entryCount);
}

/** What a writer says in header and mark. */
export interface PartialFacts {
  readonly poolId: Uint8Array;
  readonly segment: number;
  readonly block: number;
  readonly commitSequence: number;
  readonly durableSequence: number;
  readonly generation: number;
  readonly txnFirst: number;
  readonly txnLast: number;
  readonly nextSegment: number;
  readonly secondSegment: number;
  readonly previousChecksum: number;
  readonly entryCount: number;
  readonly payloadBlocks: number;
  readonly entriesChecksum: number;
}

/** Writes a header over zeroed bytes at `at`, for the place `pba`; returns its checksum. */
export function putPartialHeader(
  target: Uint8Array,
  view: DataView,
  at: number,
  facts: PartialFacts,
  pba: number,
  checksums: Checksums,
): number {
  setU32(view, at, PartialHeader.magic, PARTIAL_MAGIC);
  setU16(view, at, PartialHeader.version, PARTIAL_VERSION);
  setU8(view, at, PartialHeader.partCount, 1);
  setU32(view, at, PartialHeader.segment, facts.segment);
  target.set(facts.poolId, at + PartialHeader.poolId);
  setU53(view, at, PartialHeader.commitSequence, facts.commitSequence);
  setU53(view, at, PartialHeader.durableSequence, facts.durableSequence);
  setU53(view, at, PartialHeader.generation, facts.generation);
  setU53(view, at, PartialHeader.txnFirst, facts.txnFirst);
  setU53(view, at, PartialHeader.txnLast, facts.txnLast);
  setU32(view, at, PartialHeader.nextSegment, facts.nextSegment);
  setU32(view, at, PartialHeader.secondSegment, facts.secondSegment);
  setU32(view, at, PartialHeader.previousChecksum, facts.previousChecksum);
  setU32(view, at, PartialHeader.entryCount, facts.entryCount);
  setU32(view, at, PartialHeader.payloadBlocks, facts.payloadBlocks);
  setU32(view, at, PartialHeader.overflowUnits, overflowUnitsOf(facts.entryCount));
  setU32(view, at, PartialHeader.block, facts.block);
  setU32(view, at, PartialHeader.entriesChecksum, facts.entriesChecksum);
  const sum = checksums.crc32c(target, at, at + PartialHeader.headerChecksum, pba);
  setU32(view, at, PartialHeader.headerChecksum, sum);
  return sum;
}

/** Writes the mark over zeroed bytes at `at`. */
export function putCommitMark(
  target: Uint8Array,
  view: DataView,
  at: number,
  facts: PartialFacts,
  headerChecksum: number,
  pba: number,
  checksums: Checksums,
): void {
  setU32(view, at, CommitMark.magic, COMMIT_MARK_MAGIC);
  setU32(view, at, CommitMark.headerChecksum, headerChecksum);
  setU53(view, at, CommitMark.commitSequence, facts.commitSequence);
  setU32(view, at, CommitMark.entriesChecksum, facts.entriesChecksum);
  setU32(
    view,
    at,
    CommitMark.checksum,
    checksums.crc32c(target, at, at + CommitMark.checksum, pba),
  );
}

/** What a reader expects of the place it looks at. */
export interface PartialPlace {
  readonly poolId: Uint8Array;
  readonly segment: number;
  /** Block of the first unit within the segment. */
  readonly block: number;
  readonly pba: number;
  readonly segmentBlocks: number;
}

/** A decoded header. Cold: recovery and check. */
export interface Partial {
  readonly segment: number;
  readonly block: number;
  readonly commitSequence: number;
  readonly durableSequence: number;
  readonly generation: number;
  readonly txnFirst: number;
  readonly txnLast: number;
  readonly nextSegment: number;
  readonly secondSegment: number;
  readonly previousChecksum: number;
  readonly entryCount: number;
  readonly payloadBlocks: number;
  readonly overflowUnits: number;
  readonly entriesChecksum: number;
  readonly headerChecksum: number;
}

/**
 * Decodes the first unit at `at`, or says what is wrong with it. The entries are not looked at:
 * they may lie elsewhere. An unknown version is a fault named `version N`.
 */
export function decodePartial(
  unit: Uint8Array,
  at: number,
  place: PartialPlace,
  checksums: Checksums,
): Partial | string {
  const view = new DataView(unit.buffer, unit.byteOffset, unit.byteLength);
  if (getU32(view, at, PartialHeader.magic) !== PARTIAL_MAGIC) return 'no partial segment';
  const stored = getU32(view, at, PartialHeader.headerChecksum);
  const sum = checksums.crc32c(unit, at, at + PartialHeader.headerChecksum, place.pba);
  if (stored !== sum) return 'header checksum mismatch';
  const version = getU16(view, at, PartialHeader.version);
  if (version !== PARTIAL_VERSION) return `version ${version}`;
  if (!equalAt(unit, at + PartialHeader.poolId, place.poolId)) return 'of another pool';
  const fault =
    faultOfHeader(unit, view, at, place) ?? faultOfMark(unit, view, at, place, checksums);
  return fault ?? readHeader(view, at);
}

function faultOfHeader(
  unit: Uint8Array,
  view: DataView,
  at: number,
  place: PartialPlace,
): string | undefined {
  if (getU32(view, at, PartialHeader.segment) !== place.segment) return 'of another segment';
  if (getU32(view, at, PartialHeader.block) !== place.block) return 'of another block';
  if (getU8(view, at, PartialHeader.stream) !== 0) return 'of an unknown stream';
  if (getU8(view, at, PartialHeader.partIndex) !== 0) return 'not the only part';
  if (getU8(view, at, PartialHeader.partCount) !== 1) return 'not the only part';
  if (!zeroBetween(unit, at + PartialHeader.reservedFlags, at + PartialHeader.segment)) {
    return 'reserved bytes are not zero';
  }
  if (!zeroBetween(unit, at + PartialHeader.reserved, at + PartialHeader.headerChecksum)) {
    return 'reserved bytes are not zero';
  }
  if (getU53(view, at, PartialHeader.commitSequence) > Number.MAX_SAFE_INTEGER) {
    return 'sequence is too large';
  }
  const entryCount = getU32(view, at, PartialHeader.entryCount);
  const payloadBlocks = getU32(view, at, PartialHeader.payloadBlocks);
  const overflowUnits = getU32(view, at, PartialHeader.overflowUnits);
  if (overflowUnits !== overflowUnitsOf(entryCount)) return 'overflow does not fit the entries';
  const end = place.block + 1 + payloadBlocks + overflowUnits;
  return end <= place.segmentBlocks ? undefined : 'reaches past its segment';
}

function faultOfMark(
  unit: Uint8Array,
  view: DataView,
  at: number,
  place: PartialPlace,
  checksums: Checksums,
): string | undefined {
  const mark = at + COMMIT_MARK_OFFSET;
  if (getU32(view, mark, CommitMark.magic) !== COMMIT_MARK_MAGIC) return 'no commit mark';
  const sum = checksums.crc32c(unit, mark, mark + CommitMark.checksum, place.pba);
  if (getU32(view, mark, CommitMark.checksum) !== sum) return 'commit mark checksum mismatch';
  const same =
    getU32(view, mark, CommitMark.headerChecksum) ===
      getU32(view, at, PartialHeader.headerChecksum) &&
    getU32(view, mark, CommitMark.entriesChecksum) ===
      getU32(view, at, PartialHeader.entriesChecksum) &&
    getU53(view, mark, CommitMark.commitSequence) ===
      getU53(view, at, PartialHeader.commitSequence);
  if (!same) return 'commit mark of another commit';
  const reserved = mark + CommitMark.reserved;
  return zeroBetween(unit, reserved, mark + CommitMark.checksum)
    ? undefined
    : 'reserved bytes are not zero';
}

function readHeader(view: DataView, at: number): Partial {
  return {
    segment: getU32(view, at, PartialHeader.segment),
    block: getU32(view, at, PartialHeader.block),
    commitSequence: getU53(view, at, PartialHeader.commitSequence),
    durableSequence: getU53(view, at, PartialHeader.durableSequence),
    generation: getU53(view, at, PartialHeader.generation),
    txnFirst: getU53(view, at, PartialHeader.txnFirst),
    txnLast: getU53(view, at, PartialHeader.txnLast),
    nextSegment: getU32(view, at, PartialHeader.nextSegment),
    secondSegment: getU32(view, at, PartialHeader.secondSegment),
    previousChecksum: getU32(view, at, PartialHeader.previousChecksum),
    entryCount: getU32(view, at, PartialHeader.entryCount),
    payloadBlocks: getU32(view, at, PartialHeader.payloadBlocks),
    overflowUnits: getU32(view, at, PartialHeader.overflowUnits),
    entriesChecksum: getU32(view, at, PartialHeader.entriesChecksum),
    headerChecksum: getU32(view, at, PartialHeader.headerChecksum),
  };
}
