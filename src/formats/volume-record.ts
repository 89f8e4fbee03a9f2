/**
 * Volumes as stored: in operations (padded to entries of 32 bytes) and in checkpoint pages.
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
import { putText, textAt, zeroBetween } from './byte-strings.ts';
import { PAGE_BODY_BYTES } from './checkpoint-page.ts';
import { ENTRY_BYTES } from './summary-entry.ts';

/** UTF-8 bytes of a volume's name: what a file name may have. */
export const VOLUME_NAME_BYTES_MAX = 255;

/** A volume: the body of VOLUME_CREATE, 10 entries long, and of a VOLUMES page. */
export const VolumeRecord = record('VolumeRecord', 10 * ENTRY_BYTES, {
  /** Also its branch. Never 0, never used twice. */
  id: u32(0),
  nameBytes: u8(4),
  reservedKind: u8(5),
  reservedFlags: u16(6),
  sizeBytes: u53(8),
  createdTxn: u53(16),
  /** Names from here on belong to the volume alone (R15). */
  minMba: u53(24),
  reserved: bytes(32, 32),
  name: bytes(64, 256),
});

export const VOLUMES_PER_PAGE = Math.floor(PAGE_BODY_BYTES / VolumeRecord.byteLength);

/** The body of VOLUME_RESIZE (new size) and of VOLUME_REMOVE (size 0). */
export const VolumeChangeRecord = record('VolumeChangeRecord', ENTRY_BYTES, {
  id: u32(0),
  reservedId: u32(4),
  sizeBytes: u53(8),
  reserved: bytes(16, 16),
});

export interface StoredVolume {
  readonly id: number;
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdTxn: number;
  readonly minMba: number;
}

/** The name must have 1 to `VOLUME_NAME_BYTES_MAX` bytes of UTF-8. */
export function encodeVolume(volume: StoredVolume, target: Uint8Array, at: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, at, at + VolumeRecord.byteLength);
  setU32(view, at, VolumeRecord.id, volume.id);
  setU8(view, at, VolumeRecord.nameBytes, new TextEncoder().encode(volume.name).byteLength);
  setU53(view, at, VolumeRecord.sizeBytes, volume.sizeBytes);
  setU53(view, at, VolumeRecord.createdTxn, volume.createdTxn);
  setU53(view, at, VolumeRecord.minMba, volume.minMba);
  putText(target, at + VolumeRecord.name, VOLUME_NAME_BYTES_MAX, volume.name);
}

/** Decodes a volume, or says what is wrong. */
export function decodeVolume(source: Uint8Array, at: number): StoredVolume | string {
  if (at + VolumeRecord.byteLength > source.byteLength) return 'volume record is cut short';
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const id = getU32(view, at, VolumeRecord.id);
  const nameBytes = getU8(view, at, VolumeRecord.nameBytes);
  const sizeBytes = getU53(view, at, VolumeRecord.sizeBytes);
  if (id === 0) return 'volume id is 0';
  if (nameBytes === 0) return 'volume name is empty';
  if (sizeBytes > Number.MAX_SAFE_INTEGER) return 'volume size is too large';
  const nameEnd = at + VolumeRecord.name + nameBytes;
  const clean =
    zeroBetween(source, at + VolumeRecord.reservedKind, at + VolumeRecord.sizeBytes) &&
    zeroBetween(source, at + VolumeRecord.reserved, at + VolumeRecord.name) &&
    zeroBetween(source, nameEnd, at + VolumeRecord.byteLength);
  if (!clean) return 'reserved bytes are not zero';
  return {
    id,
    name: textAt(source, at + VolumeRecord.name, nameBytes),
    sizeBytes,
    createdTxn: getU53(view, at, VolumeRecord.createdTxn),
    minMba: getU53(view, at, VolumeRecord.minMba),
  };
}

export interface VolumeChange {
  readonly id: number;
  readonly sizeBytes: number;
}

export function encodeVolumeChange(change: VolumeChange, target: Uint8Array, at: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, at, at + VolumeChangeRecord.byteLength);
  setU32(view, at, VolumeChangeRecord.id, change.id);
  setU53(view, at, VolumeChangeRecord.sizeBytes, change.sizeBytes);
}

/** Decodes a change, or says what is wrong. */
export function decodeVolumeChange(source: Uint8Array, at: number): VolumeChange | string {
  if (at + VolumeChangeRecord.byteLength > source.byteLength) return 'volume change is cut short';
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const id = getU32(view, at, VolumeChangeRecord.id);
  const sizeBytes = getU53(view, at, VolumeChangeRecord.sizeBytes);
  if (id === 0) return 'volume id is 0';
  if (sizeBytes > Number.MAX_SAFE_INTEGER) return 'volume size is too large';
  const end = at + VolumeChangeRecord.byteLength;
  const clean =
    getU32(view, at, VolumeChangeRecord.reservedId) === 0 &&
    zeroBetween(source, at + VolumeChangeRecord.reserved, end);
  return clean ? { id, sizeBytes } : 'reserved bytes are not zero';
}
