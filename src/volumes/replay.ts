/**
 * Repeats logged operations on a catalog (R9): the same for roll-forward and for the bank. What an
 * operation says must fit what the catalog holds; the checksums were good, so if it does not, the
 * pool was written wrong.
 */
import { StoreError } from '../base/errors.ts';
import { getU8, getU16, getU32, getU53 } from '../base/record.ts';
import { decodeSession, decodeSessionClose } from '../formats/session-record.ts';
import {
  BlockEntry,
  ENTRY_BYTES,
  OperationEntry,
  OperationKind,
  RangeEntry,
} from '../formats/summary-entry.ts';
import { decodeVolume, decodeVolumeChange } from '../formats/volume-record.ts';
import type { Places } from '../log/sources.ts';
import { ENTRY_NONE, SPACE_NONE } from '../maps/block-map.ts';
import type { Catalog } from './catalog.ts';
import { faultOfStoredSession } from './session-table.ts';
import { faultOfSize, faultOfVolume } from './volume-table.ts';

/** Where an operation lies, and what it changes. */
interface Operation {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Of its first entry after the operation entry. */
  readonly at: number;
  readonly entryCount: number;
  readonly branch: number;
  readonly firstPba: number;
  readonly places: Places;
}

/** As `ReplayTarget.replay`. @throws StoreError `pool_corrupt`. */
export function replayOperation(
  catalog: Catalog,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  firstPba: number,
  places: Places,
): void {
  const operation: Operation = {
    bytes,
    view,
    at: at + ENTRY_BYTES,
    entryCount: getU16(view, at, OperationEntry.entryCount),
    branch: getU32(view, at, OperationEntry.branch),
    firstPba,
    places,
  };
  const kind = getU8(view, at, OperationEntry.kind);
  const fault = apply(catalog, kind, operation);
  if (fault !== undefined) {
    const txn = getU53(view, at, OperationEntry.txn);
    throw new StoreError('pool_corrupt', { operation: fault, kind, txn });
  }
  noteApplied(catalog, view, at);
}

/** What does not fit; undefined if all does. */
function apply(catalog: Catalog, kind: number, operation: Operation): string | undefined {
  switch (kind) {
    case OperationKind.write:
      return replayWrite(catalog, operation);
    case OperationKind.zero:
    case OperationKind.discard:
      return replayRanges(catalog, operation);
    case OperationKind.volumeCreate:
      return replayCreate(catalog, operation);
    case OperationKind.volumeResize:
    case OperationKind.volumeRemove:
      return replayChange(catalog, kind, operation);
    case OperationKind.sessionOpen:
      return replayOpen(catalog, operation);
    case OperationKind.sessionClose:
      return replayClose(catalog, operation);
    default:
      return 'unknown kind';
  }
}

function replayWrite(catalog: Catalog, operation: Operation): string | undefined {
  const { map } = catalog;
  const { view, firstPba, places } = operation;
  for (let i = 0; i < operation.entryCount; i++) {
    const at = operation.at + i * ENTRY_BYTES;
    const space = map.findSpace(operation.branch, getU53(view, at, BlockEntry.object));
    if (space === SPACE_NONE) return 'write to no volume';
    const lba = getU32(view, at, BlockEntry.lba);
    if (lba >= map.blocksOf(space)) return 'write past the end';
    const old = map.find(space, lba);
    const oldMba = old === ENTRY_NONE ? 0 : map.mbaAt(old);
    if (getU53(view, at, BlockEntry.oldMba) !== oldMba) return 'write over another block';
    const oldPba = old === ENTRY_NONE ? 0 : map.pbaAt(old);
    const sum = getU32(view, at, BlockEntry.sum);
    map.set(space, lba, firstPba + i, sum, getU53(view, at, BlockEntry.mba));
    if (oldPba !== 0) places.release(oldPba);
  }
  return undefined;
}

function replayRanges(catalog: Catalog, operation: Operation): string | undefined {
  const { map } = catalog;
  const { view, places } = operation;
  for (let i = 0; i < operation.entryCount; i++) {
    const at = operation.at + i * ENTRY_BYTES;
    const space = map.findSpace(operation.branch, getU53(view, at, RangeEntry.object));
    if (space === SPACE_NONE) return 'range of no volume';
    const firstLba = getU53(view, at, RangeEntry.firstLba);
    const blockCount = getU53(view, at, RangeEntry.blockCount);
    if (firstLba + blockCount > map.blocksOf(space)) return 'range past the end';
    map.clearRange(space, firstLba, blockCount, places, Number.MAX_SAFE_INTEGER);
  }
  return undefined;
}

function replayCreate(catalog: Catalog, operation: Operation): string | undefined {
  const volume = decodeVolume(operation.bytes, operation.at);
  if (typeof volume === 'string') return volume;
  if (catalog.volumes.findById(volume.id) >= 0) return 'volume id is taken';
  if (catalog.volumes.findByName(volume.name) >= 0) return 'volume name is taken';
  const fault = faultOfVolume(volume.name, volume.sizeBytes);
  if (fault === undefined) catalog.volumes.add(volume);
  return fault;
}

function replayChange(catalog: Catalog, kind: number, operation: Operation): string | undefined {
  const change = decodeVolumeChange(operation.bytes, operation.at);
  if (typeof change === 'string') return change;
  const slot = catalog.volumes.findById(change.id);
  if (slot < 0) return 'change of no volume';
  if (kind === OperationKind.volumeRemove) {
    if ((catalog.volumes.sessionCount[slot] as number) > 0) return 'removed volume has sessions';
    catalog.removeVolume(slot, operation.places);
    return undefined;
  }
  const fault = faultOfSize(change.sizeBytes);
  if (fault === undefined) catalog.resizeVolume(slot, change.sizeBytes, operation.places);
  return fault;
}

function replayOpen(catalog: Catalog, operation: Operation): string | undefined {
  const session = decodeSession(operation.bytes, operation.at);
  if (typeof session === 'string') return session;
  const fault = faultOfStoredSession(session);
  if (fault !== undefined) return fault;
  if (catalog.volumes.findById(session.volume) < 0) return 'session of no volume';
  if (catalog.sessions.findByGuest(session.guest) >= 0) return 'guest id is taken';
  if (!catalog.sessions.hasRoom) return 'too many sessions';
  catalog.addSession(session);
  return undefined;
}

function replayClose(catalog: Catalog, operation: Operation): string | undefined {
  const guest = decodeSessionClose(operation.bytes, operation.at);
  if (typeof guest === 'string') return guest;
  const session = catalog.sessions.findByGuest(guest);
  if (session < 0) return 'close of no session';
  catalog.removeSession(session);
  return undefined;
}

/** R25: whoever asks again is answered. A closed session has no window, and asks no more. */
function noteApplied(catalog: Catalog, view: DataView, at: number): void {
  const operation = getU53(view, at, OperationEntry.operation);
  if (operation === 0) return;
  const guest = getU32(view, at, OperationEntry.guest);
  const queue = getU16(view, at, OperationEntry.queue);
  const tag = getU16(view, at, OperationEntry.tag);
  if (catalog.windows.noteOf(guest, queue, tag, operation)) return;
  throw new StoreError('pool_corrupt', { operation: 'command of no session', guest, queue, tag });
}
