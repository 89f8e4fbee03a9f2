/**
 * The superblock: where the last checkpoint is, where the log went on after it, and what a next
 * open must know before it believes either.
 *
 * Generation g lies in group g & 1, in four copies, each with a checksum seeded by its own place.
 * The rule that chooses among the copies is in `src/log/superblocks.ts`.
 */
import {
  bytes,
  getU32,
  getU53,
  record,
  setU32,
  setU53,
  type U32,
  type U53,
  u32,
  u53,
} from '../base/record.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { type Checksums, hexOf, ID_BYTES, putText, textAt, zeroBetween } from './byte-strings.ts';
import { faultOfGeometry } from './geometry.ts';
import { SUPERBLOCK_MAGIC, SUPERBLOCK_VERSION } from './versions.ts';

/** Room for a boot id: Linux gives 36 characters. */
export const BOOT_ID_BYTES = 48;

/** One copy. */
export const SuperblockRecord = record('SuperblockRecord', BLOCK_BYTES, {
  magic: u32(0),
  version: u32(4),
  poolId: bytes(8, ID_BYTES),
  compatFeatures: u32(24),
  roCompatFeatures: u32(28),
  incompatFeatures: u32(32),
  /** Of `SuperblockFlag`. */
  flags: u32(36),
  generation: u53(40),
  segmentBytes: u32(48),
  segmentCount: u32(52),
  poolBytes: u53(56),
  /** Counts the times that completed writes may have been lost (R3). */
  incarnation: u53(64),
  bootId: bytes(72, BOOT_ID_BYTES),
  /** The bank in use; zero in a clean pool. */
  bankId: bytes(120, ID_BYTES),
  /** A bank that was replayed and is to be removed, and one that is about to be made. */
  previousBankId: bytes(136, ID_BYTES),
  nextBankId: bytes(152, ID_BYTES),
  /** The checkpoint's root page. */
  rootPba: u32(168),
  rootChecksum: u32(172),
  pageCount: u32(176),
  reservedPages: u32(180),
  /** What the checkpoint's pages are stamped with. An open repeats them under a new generation. */
  checkpointGeneration: u53(184),
  /** The checkpoint is the state after this commit and this txn. */
  cutSequence: u53(192),
  cutTxn: u53(200),
  /** Where roll-forward starts, and what the first header there must say. */
  headSegment: u32(208),
  headBlock: u32(212),
  headSequence: u53(216),
  headPreviousChecksum: u32(224),
  headNextSegment: u32(228),
  headSecondSegment: u32(232),
  reservedHead: u32(236),
  /** R11: every id given out under this superblock is below these; an open starts at them. */
  txnReserve: u53(240),
  mbaReserve: u53(248),
  sequenceReserve: u53(256),
  snapshotReserve: u53(264),
  guestReserve: u53(272),
  volumeReserve: u53(280),
  /** Milliseconds since 1970, for people. */
  createdMs: u53(288),
  reserved: bytes(296, 3796),
  /** CRC-32C of all before, seeded with the copy's position in blocks. */
  checksum: u32(4092),
});

export const SuperblockFlag = {
  /** Every block of the file was written once, so no sync has extents to convert. */
  writtenThrough: 1,
  /** Made with holes; then ENOSPC of the file system is `pool_full`. */
  thin: 2,
  /** Closed in order: the checkpoint is all there is, and no bank is needed. */
  clean: 4,
} as const;

const U32_FIELDS = {
  compatFeatures: SuperblockRecord.compatFeatures,
  roCompatFeatures: SuperblockRecord.roCompatFeatures,
  incompatFeatures: SuperblockRecord.incompatFeatures,
  flags: SuperblockRecord.flags,
  segmentBytes: SuperblockRecord.segmentBytes,
  segmentCount: SuperblockRecord.segmentCount,
  rootPba: SuperblockRecord.rootPba,
  rootChecksum: SuperblockRecord.rootChecksum,
  pageCount: SuperblockRecord.pageCount,
  headSegment: SuperblockRecord.headSegment,
  headBlock: SuperblockRecord.headBlock,
  headPreviousChecksum: SuperblockRecord.headPreviousChecksum,
  headNextSegment: SuperblockRecord.headNextSegment,
  headSecondSegment: SuperblockRecord.headSecondSegment,
} as const;

const U53_FIELDS = {
  generation: SuperblockRecord.generation,
  poolBytes: SuperblockRecord.poolBytes,
  incarnation: SuperblockRecord.incarnation,
  checkpointGeneration: SuperblockRecord.checkpointGeneration,
  cutSequence: SuperblockRecord.cutSequence,
  cutTxn: SuperblockRecord.cutTxn,
  headSequence: SuperblockRecord.headSequence,
  txnReserve: SuperblockRecord.txnReserve,
  mbaReserve: SuperblockRecord.mbaReserve,
  sequenceReserve: SuperblockRecord.sequenceReserve,
  snapshotReserve: SuperblockRecord.snapshotReserve,
  guestReserve: SuperblockRecord.guestReserve,
  volumeReserve: SuperblockRecord.volumeReserve,
  createdMs: SuperblockRecord.createdMs,
} as const;

const ID_FIELDS = {
  poolId: SuperblockRecord.poolId,
  bankId: SuperblockRecord.bankId,
  previousBankId: SuperblockRecord.previousBankId,
  nextBankId: SuperblockRecord.nextBankId,
} as const;

type Names<Table> = keyof Table;

/** A superblock as the program holds it. Written and read a few times per open: plain objects. */
export type Superblock = {
  readonly [Name in Names<typeof U32_FIELDS> | Names<typeof U53_FIELDS>]: number;
} & { readonly [Name in Names<typeof ID_FIELDS>]: Uint8Array } & { readonly bootId: string };

/** All zero: no bank. */
export const NO_ID: Uint8Array = new Uint8Array(ID_BYTES);

/** The name under which a pool's bank lies. */
export function bankNameOf(poolId: Uint8Array, bankId: Uint8Array): string {
  return `${hexOf(poolId)}-${hexOf(bankId)}`;
}

/** Encodes one copy at `at`, for the place `positionBytes` of the pool file. */
export function encodeSuperblock(
  superblock: Superblock,
  target: Uint8Array,
  at: number,
  positionBytes: number,
  checksums: Checksums,
): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, at, at + SuperblockRecord.byteLength);
  setU32(view, at, SuperblockRecord.magic, SUPERBLOCK_MAGIC);
  setU32(view, at, SuperblockRecord.version, SUPERBLOCK_VERSION);
  for (const [name, field] of Object.entries(U32_FIELDS)) {
    setU32(view, at, field, superblock[name as Names<typeof U32_FIELDS>]);
  }
  for (const [name, field] of Object.entries(U53_FIELDS)) {
    setU53(view, at, field, superblock[name as Names<typeof U53_FIELDS>]);
  }
  for (const [name, field] of Object.entries(ID_FIELDS)) {
    target.set(superblock[name as Names<typeof ID_FIELDS>], at + field);
  }
  putText(target, at + SuperblockRecord.bootId, BOOT_ID_BYTES, superblock.bootId);
  setU32(view, at, SuperblockRecord.checksum, sumOf(target, at, positionBytes, checksums));
}

function sumOf(
  source: Uint8Array,
  at: number,
  positionBytes: number,
  checksums: Checksums,
): number {
  const end = at + SuperblockRecord.checksum;
  return checksums.crc32c(source, at, end, positionBytes / BLOCK_BYTES);
}

/** What is wrong with a copy read from `positionBytes`; undefined if it is whole. */
export function faultOfSuperblock(
  source: Uint8Array,
  at: number,
  positionBytes: number,
  checksums: Checksums,
): string | undefined {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  if (getU32(view, at, SuperblockRecord.magic) !== SUPERBLOCK_MAGIC) return 'not a superblock';
  const stored = getU32(view, at, SuperblockRecord.checksum);
  if (stored !== sumOf(source, at, positionBytes, checksums)) return 'checksum mismatch';
  // A later version may use what is reserved here, so only ours is looked into any further.
  if (getU32(view, at, SuperblockRecord.version) !== SUPERBLOCK_VERSION) return undefined;
  const reserved = at + SuperblockRecord.reserved;
  if (!zeroBetween(source, reserved, at + SuperblockRecord.checksum)) {
    return 'reserved bytes are not zero';
  }
  const segmentBytes = getU32(view, at, SuperblockRecord.segmentBytes);
  const fault = faultOfGeometry(segmentBytes, getU32(view, at, SuperblockRecord.segmentCount));
  if (fault !== undefined) return fault;
  for (const [name, field] of Object.entries(U53_FIELDS)) {
    if (getU53(view, at, field) > Number.MAX_SAFE_INTEGER) return `${name} is too large`;
  }
  return undefined;
}

/** Version of a copy without a fault; check it before `decodeSuperblock`. */
export function superblockVersionOf(source: Uint8Array, at: number): number {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return getU32(view, at, SuperblockRecord.version);
}

/** Decodes a copy in which `faultOfSuperblock` found nothing and whose version is ours. */
export function decodeSuperblock(source: Uint8Array, at: number): Superblock {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const entries: [string, unknown][] = [];
  for (const [name, field] of Object.entries(U32_FIELDS)) {
    entries.push([name, getU32(view, at, field as U32)]);
  }
  for (const [name, field] of Object.entries(U53_FIELDS)) {
    entries.push([name, getU53(view, at, field as U53)]);
  }
  for (const [name, field] of Object.entries(ID_FIELDS)) {
    entries.push([name, source.slice(at + field, at + field + ID_BYTES)]);
  }
  entries.push(['bootId', textAt(source, at + SuperblockRecord.bootId, BOOT_ID_BYTES)]);
  return Object.fromEntries(entries) as Record<keyof Superblock, unknown> as Superblock;
}
