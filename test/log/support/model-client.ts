/**
 * A small client of the log, and the model it is compared with: a map of (branch, object, LBA) to
 * a version. The stored block holds its name and version, so that the bytes prove themselves.
 */
import { getU8, getU16, getU32, getU53 } from '../../../src/base/record.ts';
import { BLOCK_BYTES } from '../../../src/base/units.ts';
import {
  BlockEntry,
  ENTRY_BYTES,
  OperationEntry,
  OperationKind,
  RangeEntry,
} from '../../../src/formats/summary-entry.ts';
import type { LogClient, PageInfo, Places } from '../../../src/log/sources.ts';

export interface Stored {
  readonly branch: number;
  readonly object: number;
  readonly lba: number;
  readonly pba: number;
  readonly sum: number;
  readonly mba: number;
  readonly txn: number;
}

const STORED_BYTES = 48;
/** Few, so that small states have several pages. */
const STORED_PER_PAGE = 8;
const MAP_PAGE = 3;

export function keyOf(branch: number, object: number, lba: number): string {
  return `${branch}/${object}/${lba}`;
}

/** What a block of this version holds. */
export function imageOf(branch: number, lba: number, version: number): Uint8Array {
  const words = new Uint32Array(BLOCK_BYTES / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(branch * 31 + lba, i + 1) ^ version;
  words[0] = branch;
  words[1] = lba;
  words[2] = version;
  return new Uint8Array(words.buffer);
}

/** The version that a block says it is; undefined if its bytes are not those of that version. */
export function versionOf(bytes: Uint8Array, branch: number, lba: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  const expected = imageOf(branch, lba, version);
  return expected.every((byte, i) => byte === bytes[i]) ? version : undefined;
}

export class ModelClient implements LogClient {
  readonly map = new Map<string, Stored>();
  /** Txns in the order in which they were replayed. */
  readonly replayed: number[] = [];
  #cut: Stored[] | undefined;
  #nextPage = 0;
  loadedPages = 0;

  pageCountMax(): number {
    return Math.ceil(this.map.size / STORED_PER_PAGE);
  }

  beginCut(): number {
    if (this.#cut !== undefined) throw new Error('one cut at a time');
    this.#cut = [...this.map.values()];
    this.#nextPage = 0;
    return Math.ceil(this.#cut.length / STORED_PER_PAGE);
  }

  encodePage(_bytes: Uint8Array, view: DataView, at: number, info: PageInfo): void {
    const first = this.#nextPage++ * STORED_PER_PAGE;
    const entries = (this.#cut ?? []).slice(first, first + STORED_PER_PAGE);
    info.kind = MAP_PAGE;
    info.entryCount = entries.length;
    info.keyHigh = first;
    for (const [i, entry] of entries.entries()) {
      const row = at + i * STORED_BYTES;
      view.setUint32(row, entry.branch, true);
      view.setUint32(row + 4, entry.lba, true);
      view.setUint32(row + 8, entry.pba, true);
      view.setUint32(row + 12, entry.sum, true);
      view.setFloat64(row + 16, entry.mba, true);
      view.setFloat64(row + 24, entry.txn, true);
      view.setFloat64(row + 32, entry.object, true);
    }
  }

  endCut(): void {
    if (this.#cut === undefined) throw new Error('a cut is ended once');
    this.#cut = undefined;
  }

  loadPage(_bytes: Uint8Array, view: DataView, at: number, info: Readonly<PageInfo>): void {
    this.loadedPages++;
    for (let i = 0; i < info.entryCount; i++) {
      const row = at + i * STORED_BYTES;
      const branch = view.getUint32(row, true);
      const lba = view.getUint32(row + 4, true);
      const object = view.getFloat64(row + 32, true);
      this.map.set(keyOf(branch, object, lba), {
        branch,
        object,
        lba,
        pba: view.getUint32(row + 8, true),
        sum: view.getUint32(row + 12, true),
        mba: view.getFloat64(row + 16, true),
        txn: view.getFloat64(row + 24, true),
      });
    }
  }

  replay(_bytes: Uint8Array, view: DataView, at: number, firstPba: number, places: Places): void {
    const kind = getU8(view, at, OperationEntry.kind);
    const branch = getU32(view, at, OperationEntry.branch);
    const txn = getU53(view, at, OperationEntry.txn);
    const entryCount = getU16(view, at, OperationEntry.entryCount);
    this.replayed.push(txn);
    for (let i = 0; i < entryCount; i++) {
      const entry = at + (1 + i) * ENTRY_BYTES;
      if (kind === OperationKind.write) {
        const object = getU53(view, entry, BlockEntry.object);
        const lba = getU32(view, entry, BlockEntry.lba);
        const mba = getU53(view, entry, BlockEntry.mba);
        const sum = getU32(view, entry, BlockEntry.sum);
        this.set({ branch, object, lba, pba: firstPba + i, sum, mba, txn }, places);
      } else if (kind === OperationKind.discard) {
        const object = getU53(view, entry, RangeEntry.object);
        const first = getU53(view, entry, RangeEntry.firstLba);
        const count = getU53(view, entry, RangeEntry.blockCount);
        for (let lba = first; lba < first + count; lba++) this.clear(branch, object, lba, places);
      }
    }
  }

  set(stored: Stored, places: Places): void {
    const key = keyOf(stored.branch, stored.object, stored.lba);
    const old = this.map.get(key);
    this.map.set(key, stored);
    if (old !== undefined) places.release(old.pba);
  }

  clear(branch: number, object: number, lba: number, places: Places): void {
    const key = keyOf(branch, object, lba);
    const old = this.map.get(key);
    if (old === undefined) return;
    this.map.delete(key);
    places.release(old.pba);
  }

  /** For `check`. */
  forEachMapped(
    visit: (pba: number, sum: number, branch: number, object: number, lba: number) => void,
  ): void {
    for (const { pba, sum, branch, object, lba } of this.map.values()) {
      visit(pba, sum, branch, object, lba);
    }
  }
}
