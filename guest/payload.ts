/**
 * The caller's memory and the data area. A buffer that lies in the data area is named to the host
 * where it is; of all others the bytes go through one block that is staged for the command.
 */
import { assert } from '../src/base/assert.ts';
import { AREA_FULL, type DataArea } from '../src/memory/data-area.ts';
import type { Region } from '../src/memory/region.ts';

/** In place of an offset: there is no such block. */
export const NOWHERE = -1;

/** Which bytes of which payload. */
export interface PayloadSlice {
  readonly payload: readonly Uint8Array[];
  readonly start: number;
  readonly byteLength: number;
}

/** Where a slice of a payload lies for one command. */
export interface Placement {
  /** The staged block, to be released afterwards, or `NOWHERE`. */
  readonly stageOffset: number;
  /** Offset and length of each extent in turn, from the start of the data area. */
  readonly extents: readonly number[];
}

/** What the functions below need to know about the region. */
export interface DataWindow {
  readonly region: Region;
  readonly area: DataArea;
  /** Bytes from the start of the region to the data area. */
  readonly dataOffset: number;
}

/** Claims what is needed; undefined if there is no room now, and then nothing is claimed. */
export function placeSlice(slice: PayloadSlice, window: DataWindow): Placement | undefined {
  const stagedBytes = stagedBytesOf(slice, window);
  let stageOffset = NOWHERE;
  if (stagedBytes > 0) {
    stageOffset = window.area.claim(stagedBytes);
    if (stageOffset === AREA_FULL) return undefined;
    if (stagedBytes === slice.byteLength)
      return { stageOffset, extents: [stageOffset, stagedBytes] };
  }
  const extents: number[] = [];
  let stagedEnd = stageOffset;
  visit(slice, (piece, from, byteLength) => {
    let offset = stagedEnd;
    if (isInPlace(piece, window)) offset = piece.byteOffset - window.dataOffset + from;
    else stagedEnd += byteLength;
    const last = extents.length - 1;
    // Staged neighbours lie together, and so may the caller's own: one extent for both.
    if (last > 0 && (extents[last - 1] as number) + (extents[last] as number) === offset) {
      extents[last] = (extents[last] as number) + byteLength;
    } else {
      extents.push(offset, byteLength);
    }
  });
  return { stageOffset, extents };
}

/** Copies what is not in place from the caller's memory to the staged block. */
export function copyToStage(slice: PayloadSlice, window: DataWindow, stageOffset: number): void {
  const target = window.region.bytes;
  let at = window.dataOffset + stageOffset;
  visit(slice, (piece, from, byteLength) => {
    if (isInPlace(piece, window)) return;
    target.set(sub(piece, from, byteLength), at);
    at += byteLength;
  });
}

/** The way back. A buffer that the caller has detached since is passed over. */
export function copyFromStage(slice: PayloadSlice, window: DataWindow, stageOffset: number): void {
  const source = window.region.bytes;
  let at = window.dataOffset + stageOffset;
  visit(slice, (piece, from, byteLength) => {
    if (isInPlace(piece, window)) return;
    if (piece.byteLength >= from + byteLength) piece.set(sub(source, at, byteLength), from);
    at += byteLength;
  });
}

/** Whether a piece of the data area is among the memory that the slice uses in place. */
export function touches(
  slice: PayloadSlice,
  window: DataWindow,
  offset: number,
  byteLength: number,
): boolean {
  let found = false;
  visit(slice, (piece, from, pieceBytes) => {
    if (!isInPlace(piece, window)) return;
    const start = piece.byteOffset - window.dataOffset + from;
    if (start < offset + byteLength && start + pieceBytes > offset) found = true;
  });
  return found;
}

function stagedBytesOf(slice: PayloadSlice, window: DataWindow): number {
  let stagedBytes = 0;
  visit(slice, (piece, _from, byteLength) => {
    if (!isInPlace(piece, window)) stagedBytes += byteLength;
  });
  return stagedBytes;
}

function isInPlace(piece: Uint8Array, { region, dataOffset }: DataWindow): boolean {
  return piece.buffer === region.bytes.buffer && piece.byteOffset >= dataOffset;
}

function sub(bytes: Uint8Array, start: number, byteLength: number): Uint8Array {
  if (start === 0 && byteLength === bytes.byteLength) return bytes;
  return bytes.subarray(start, start + byteLength);
}

/** Calls back for each buffer that the slice touches, with the part of it that is touched. */
function visit(
  { payload, start, byteLength }: PayloadSlice,
  callback: (piece: Uint8Array, from: number, byteLength: number) => void,
): void {
  const end = start + byteLength;
  let pieceStart = 0;
  for (const piece of payload) {
    const pieceEnd = pieceStart + piece.byteLength;
    const first = Math.max(start, pieceStart);
    const last = Math.min(end, pieceEnd);
    if (first < last) callback(piece, first - pieceStart, last - first);
    pieceStart = pieceEnd;
    if (pieceStart >= end) break;
  }
  assert(pieceStart >= end || payload.length === 0, 'a payload is as long as its request');
}
