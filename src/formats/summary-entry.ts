/**
 * What a commit did, in 32-byte entries: an operation entry, then the entries that belong to it.
 *
 * The bank's journal holds the same entries, so recovery replays both with one function. Entries
 * record what was decided (R9): branch, object, LBA, MBA, old MBA, txn. Replay decides nothing.
 */
import { assert } from '../base/assert.ts';
import {
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

export const ENTRY_BYTES = 32;

/** R21: an operation is whole in one partial segment and one bank entry, so it has a bound. */
export const OPERATION_BLOCKS_MAX = 1024;
/** Blocks and as many ranges or record pieces again; keeps `entryCount` well inside 16 bits. */
export const OPERATION_ENTRIES_MAX = 2048;

/** Stable numbers. Those without a writer yet are reserved by name. */
export const OperationKind = {
  write: 1,
  zero: 2,
  discard: 3,
  volumeCreate: 16,
  volumeResize: 17,
  volumeRemove: 18,
  sessionOpen: 32,
  sessionClose: 33,
  snapshot: 48,
  clone: 49,
  revert: 50,
  alias: 51,
  batch: 52,
  reply: 53,
} as const;

/** Starts every operation. Guest 0 is the host itself, which has no exactly-once window. */
export const OperationEntry = record('OperationEntry', ENTRY_BYTES, {
  /** One of `OperationKind`; never 0, so zeroed memory is no entry. */
  kind: u8(0),
  flags: u8(1),
  queue: u16(2),
  tag: u16(4),
  /** Entries that follow and belong to this operation. */
  entryCount: u16(6),
  guest: u32(8),
  branch: u32(12),
  /** The guest's operation number (R25). */
  operation: u53(16),
  txn: u53(24),
});

/** One stored block. Its payload is the next payload block of the partial segment, in order. */
export const BlockEntry = record('BlockEntry', ENTRY_BYTES, {
  object: u53(0),
  mba: u53(8),
  /** What the block was called before; 0 if nothing was mapped. */
  oldMba: u53(16),
  lba: u32(24),
  /** CRC-32C of the 4 KiB block. */
  sum: u32(28),
});

/** Blocks that became zero or unmapped. No payload. */
export const RangeEntry = record('RangeEntry', ENTRY_BYTES, {
  object: u53(0),
  firstLba: u53(8),
  blockCount: u53(16),
  reservedLow: u32(24),
  reservedHigh: u32(28),
});

/** Whether an operation's entries are block entries, which own payload blocks. @hotpath */
export function ownsBlocks(kind: number): boolean {
  return kind === OperationKind.write;
}

/** Whether an operation's entries are range entries. */
export function ownsRanges(kind: number): boolean {
  return kind === OperationKind.zero || kind === OperationKind.discard;
}

/** Stores an operation entry at `at`. Plain numbers: this is per request. @hotpath */
export function putOperationEntry(
  view: DataView,
  at: number,
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
  setU8(view, at, OperationEntry.kind, kind);
  setU8(view, at, OperationEntry.flags, flags);
  setU16(view, at, OperationEntry.queue, queue);
  setU16(view, at, OperationEntry.tag, tag);
  setU16(view, at, OperationEntry.entryCount, entryCount);
  setU32(view, at, OperationEntry.guest, guest);
  setU32(view, at, OperationEntry.branch, branch);
  setU53(view, at, OperationEntry.operation, operation);
  setU53(view, at, OperationEntry.txn, txn);
}

/** Stores a block entry whose sum is not known yet: it stays 0. @hotpath */
export function putBlockEntry(
  view: DataView,
  at: number,
  object: number,
  lba: number,
  mba: number,
  oldMba: number,
): void {
  setU53(view, at, BlockEntry.object, object);
  setU53(view, at, BlockEntry.mba, mba);
  setU53(view, at, BlockEntry.oldMba, oldMba);
  setU32(view, at, BlockEntry.lba, lba);
  setU32(view, at, BlockEntry.sum, 0);
}

/** @hotpath */
export function putRangeEntry(
  view: DataView,
  at: number,
  object: number,
  firstLba: number,
  blockCount: number,
): void {
  setU53(view, at, RangeEntry.object, object);
  setU53(view, at, RangeEntry.firstLba, firstLba);
  setU53(view, at, RangeEntry.blockCount, blockCount);
  setU32(view, at, RangeEntry.reservedLow, 0);
  setU32(view, at, RangeEntry.reservedHigh, 0);
}

/** What a run of entries holds, if it is well formed. */
export interface EntriesShape {
  readonly operationCount: number;
  readonly blockCount: number;
  readonly txnFirst: number;
  readonly txnLast: number;
}

/**
 * Walks `entryCount` entries from `at` and says what is in them, or what is wrong with them.
 * Txns must follow each other without a gap: the log is replayed in their order.
 */
export function shapeOfEntries(
  view: DataView,
  at: number,
  entryCount: number,
): EntriesShape | string {
  assert(at + entryCount * ENTRY_BYTES <= view.byteLength, 'entries lie in the view');
  let index = 0;
  let operationCount = 0;
  let blockCount = 0;
  let txnFirst = 0;
  let txnLast = 0;
  while (index < entryCount) {
    const start = at + index * ENTRY_BYTES;
    const fault = faultOfOperation(view, start, entryCount - index - 1);
    if (fault !== undefined) return `${fault} at entry ${index}`;
    const txn = getU53(view, start, OperationEntry.txn);
    if (operationCount === 0) txnFirst = txn;
    else if (txn !== txnLast + 1) return `txn out of order at entry ${index}`;
    txnLast = txn;
    operationCount++;
    const members = getU16(view, start, OperationEntry.entryCount);
    if (ownsBlocks(getU8(view, start, OperationEntry.kind))) blockCount += members;
    index += 1 + members;
  }
  return { operationCount, blockCount, txnFirst, txnLast };
}

function faultOfOperation(view: DataView, at: number, entriesLeft: number): string | undefined {
  const kind = getU8(view, at, OperationEntry.kind);
  const members = getU16(view, at, OperationEntry.entryCount);
  if (!KNOWN_KINDS.has(kind)) return `unknown operation kind ${kind}`;
  if (members > entriesLeft) return 'operation reaches past the entries';
  if (ownsBlocks(kind) && members > OPERATION_BLOCKS_MAX) return 'operation has too many blocks';
  if (!ownsRanges(kind)) return undefined;
  for (let i = 1; i <= members; i++) {
    const range = at + i * ENTRY_BYTES;
    const reserved =
      getU32(view, range, RangeEntry.reservedLow) | getU32(view, range, RangeEntry.reservedHigh);
    if (reserved !== 0) return 'reserved bytes are not zero';
  }
  return undefined;
}

/** The kinds that this version writes; a pool with others carries a feature bit as well. */
const KNOWN_KINDS: ReadonlySet<number> = new Set([
  OperationKind.write,
  OperationKind.zero,
  OperationKind.discard,
  OperationKind.volumeCreate,
  OperationKind.volumeResize,
  OperationKind.volumeRemove,
  OperationKind.sessionOpen,
  OperationKind.sessionClose,
]);

/** The sum that a block entry records. */
export function sumOfBlockEntry(view: DataView, at: number): number {
  return getU32(view, at, BlockEntry.sum);
}
