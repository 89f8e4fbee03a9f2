/**
 * The bank (R2): what a pool's process leaves behind when it dies.
 *
 *   [header 4 KiB][control 4 KiB][journal][buffer 0][buffer 1]…
 *
 * A buffer is the image of one open segment. The journal is a ring of frames of 32-byte units;
 * frame positions, `published` and `retired` are free-running u32 counts of units. Below
 * `published` a bad frame is damage, from there on nothing exists; below `retired` everything is
 * on disk and synced. A frame never wraps: a pad frame fills the end of the ring.
 */
import { assert } from '../base/assert.ts';
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
import { type Checksums, ID_BYTES, putText, textAt, zeroBetween } from './byte-strings.ts';
import { ENTRY_BYTES } from './summary-entry.ts';
import { BOOT_ID_BYTES } from './superblock.ts';
import { BANK_MAGIC, BANK_VERSION, FRAME_MAGIC } from './versions.ts';

export const BANK_HEADER_BYTES = BLOCK_BYTES;
export const BANK_CONTROL_OFFSET = BANK_HEADER_BYTES;
export const BANK_JOURNAL_OFFSET = BANK_CONTROL_OFFSET + BLOCK_BYTES;
/** Unit of the journal: a frame header, or an entry. */
export const JOURNAL_UNIT_BYTES = ENTRY_BYTES;

/** First page of a bank file. Written once. */
export const BankHeader = record('BankHeader', BANK_HEADER_BYTES, {
  magic: u32(0),
  version: u32(4),
  poolId: bytes(8, ID_BYTES),
  bankId: bytes(24, ID_BYTES),
  bootId: bytes(40, BOOT_ID_BYTES),
  journalUnits: u32(88),
  bufferCount: u32(92),
  bufferBytes: u32(96),
  reservedSize: u32(100),
  reserved: bytes(104, 3988),
  checksum: u32(4092),
});

/** The two shared words, on lines of their own. Read and written as whole words, atomically. */
export const BankControl = record('BankControl', BLOCK_BYTES, {
  published: u32(0),
  reservedPublished: bytes(4, 124),
  retired: u32(128),
  reservedRetired: bytes(132, 3964),
});

/** Word indices of `BankControl` in an `Int32Array` over the bank file. */
export const PUBLISHED_WORD = (BANK_CONTROL_OFFSET + BankControl.published) / 4;
export const RETIRED_WORD = (BANK_CONTROL_OFFSET + BankControl.retired) / 4;

export const FrameKind = { entries: 1, pad: 2 } as const;

/** Starts a frame; `entryCount` units follow it. */
export const FrameHeader = record('FrameHeader', JOURNAL_UNIT_BYTES, {
  /** CRC-32C of all after it, entries included, seeded with bank id and position. */
  checksum: u32(0),
  magic: u16(4),
  kind: u8(6),
  /** Which buffer holds the segment. */
  buffer: u8(7),
  entryCount: u32(8),
  segment: u32(12),
  /** Where the payload of the frame's first block entry lies, in blocks of the segment. */
  firstBlock: u32(16),
  /** Where the frame belongs: the count of units before it, since the bank was made. */
  position: u32(20),
  /** The commit that will hold these entries. */
  commitSequence: u53(24),
});

export interface BankGeometry {
  readonly journalUnits: number;
  readonly bufferCount: number;
  readonly bufferBytes: number;
}

export interface BankIdentity {
  readonly poolId: Uint8Array;
  readonly bankId: Uint8Array;
  readonly bootId: string;
}

export function bankBytesOf(geometry: BankGeometry): number {
  return bufferOffsetOf(geometry, geometry.bufferCount);
}

/** Byte offset of a buffer in the bank file. */
export function bufferOffsetOf(geometry: BankGeometry, buffer: number): number {
  const journalBytes = geometry.journalUnits * JOURNAL_UNIT_BYTES;
  return BANK_JOURNAL_OFFSET + journalBytes + buffer * geometry.bufferBytes;
}

/** Writes the header and zero counts into a new bank file. */
export function encodeBankHeader(
  target: Uint8Array,
  identity: BankIdentity,
  geometry: BankGeometry,
  checksums: Checksums,
): void {
  assert(target.byteLength >= bankBytesOf(geometry), 'the bank file holds the bank');
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, 0, BANK_JOURNAL_OFFSET);
  setU32(view, 0, BankHeader.magic, BANK_MAGIC);
  setU32(view, 0, BankHeader.version, BANK_VERSION);
  target.set(identity.poolId, BankHeader.poolId);
  target.set(identity.bankId, BankHeader.bankId);
  putText(target, BankHeader.bootId, BOOT_ID_BYTES, identity.bootId);
  setU32(view, 0, BankHeader.journalUnits, geometry.journalUnits);
  setU32(view, 0, BankHeader.bufferCount, geometry.bufferCount);
  setU32(view, 0, BankHeader.bufferBytes, geometry.bufferBytes);
  setU32(view, 0, BankHeader.checksum, checksums.crc32c(target, 0, BankHeader.checksum, 0));
}

/** What is wrong with a bank file's header; undefined if it is whole. Its version comes first. */
export function faultOfBankHeader(source: Uint8Array, checksums: Checksums): string | undefined {
  if (source.byteLength < BANK_JOURNAL_OFFSET) return 'shorter than its header';
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  if (getU32(view, 0, BankHeader.magic) !== BANK_MAGIC) return 'not a bank';
  const sum = checksums.crc32c(source, 0, BankHeader.checksum, 0);
  if (getU32(view, 0, BankHeader.checksum) !== sum) return 'header checksum mismatch';
  if (getU32(view, 0, BankHeader.version) !== BANK_VERSION) return undefined;
  if (!zeroBetween(source, BankHeader.reserved, BankHeader.checksum)) {
    return 'reserved bytes are not zero';
  }
  const geometry = bankGeometryAt(source);
  const { journalUnits } = geometry;
  if (journalUnits === 0 || (journalUnits & (journalUnits - 1)) !== 0) {
    return 'journal size is no power of two';
  }
  return bankBytesOf(geometry) <= source.byteLength ? undefined : 'shorter than its buffers';
}

/** Of a header without a fault. */
export function bankVersionAt(source: Uint8Array): number {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return getU32(view, 0, BankHeader.version);
}

/** Of a header without a fault. */
export function bankIdentityAt(source: Uint8Array): BankIdentity {
  return {
    poolId: source.slice(BankHeader.poolId, BankHeader.poolId + ID_BYTES),
    bankId: source.slice(BankHeader.bankId, BankHeader.bankId + ID_BYTES),
    bootId: textAt(source, BankHeader.bootId, BOOT_ID_BYTES),
  };
}

/** Of a header without a fault. */
export function bankGeometryAt(source: Uint8Array): BankGeometry {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return {
    journalUnits: getU32(view, 0, BankHeader.journalUnits),
    bufferCount: getU32(view, 0, BankHeader.bufferCount),
    bufferBytes: getU32(view, 0, BankHeader.bufferBytes),
  };
}

/** Seeds every frame of a bank, so that frames of an earlier bank in the same memory fail. */
export function frameSeedOf(bankId: Uint8Array): number {
  const view = new DataView(bankId.buffer, bankId.byteOffset, bankId.byteLength);
  return getU32(view, 0, 0 as typeof FrameHeader.checksum);
}

/** Writes a frame header whose entries already stand behind it. @hotpath */
export function putFrameHeader(
  target: Uint8Array,
  view: DataView,
  at: number,
  kind: number,
  buffer: number,
  entryCount: number,
  segment: number,
  firstBlock: number,
  position: number,
  commitSequence: number,
  seed: number,
  checksums: Checksums,
): void {
  setU16(view, at, FrameHeader.magic, FRAME_MAGIC);
  setU8(view, at, FrameHeader.kind, kind);
  setU8(view, at, FrameHeader.buffer, buffer);
  setU32(view, at, FrameHeader.entryCount, entryCount);
  setU32(view, at, FrameHeader.segment, segment);
  setU32(view, at, FrameHeader.firstBlock, firstBlock);
  setU32(view, at, FrameHeader.position, position);
  setU53(view, at, FrameHeader.commitSequence, commitSequence);
  const end = frameEndOf(at, kind, entryCount);
  const sum = checksums.crc32c(target, at + 4, end, (seed ^ position) >>> 0);
  setU32(view, at, FrameHeader.checksum, sum);
}

/** A pad's body is whatever the ring held before: it is not covered. @hotpath */
function frameEndOf(at: number, kind: number, entryCount: number): number {
  return at + JOURNAL_UNIT_BYTES * (kind === FrameKind.pad ? 1 : 1 + entryCount);
}

/** A decoded frame header; its entries follow at `entriesAt`. */
export interface Frame {
  readonly kind: number;
  readonly buffer: number;
  readonly entryCount: number;
  readonly segment: number;
  readonly firstBlock: number;
  readonly commitSequence: number;
  readonly entriesAt: number;
}

/** Decodes the frame at `at`, which must end before `end`, or says what is wrong with it. */
export function decodeFrame(
  source: Uint8Array,
  at: number,
  end: number,
  position: number,
  seed: number,
  checksums: Checksums,
): Frame | string {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  if (getU16(view, at, FrameHeader.magic) !== FRAME_MAGIC) return 'no frame';
  const kind = getU8(view, at, FrameHeader.kind);
  const entryCount = getU32(view, at, FrameHeader.entryCount);
  if (kind !== FrameKind.entries && kind !== FrameKind.pad) return 'unknown frame kind';
  if (at + (1 + entryCount) * JOURNAL_UNIT_BYTES > end) return 'frame reaches past its end';
  const covered = frameEndOf(at, kind, entryCount);
  const sum = checksums.crc32c(source, at + 4, covered, (seed ^ position) >>> 0);
  if (getU32(view, at, FrameHeader.checksum) !== sum) return 'frame checksum mismatch';
  if (getU32(view, at, FrameHeader.position) !== position) return 'frame of another place';
  return {
    kind,
    buffer: getU8(view, at, FrameHeader.buffer),
    entryCount,
    segment: getU32(view, at, FrameHeader.segment),
    firstBlock: getU32(view, at, FrameHeader.firstBlock),
    commitSequence: getU53(view, at, FrameHeader.commitSequence),
    entriesAt: at + JOURNAL_UNIT_BYTES,
  };
}
