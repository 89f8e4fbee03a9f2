/**
 * Where every stored block of a pool is: (branch, object, LBA) -> MBA, PBA, checksum.
 *
 * A *space* is one object of one branch, under a small number, so that a probe needs no search by
 * branch. An *entry* is a number for one mapped block; it stays valid until that block is cleared,
 * and no longer. What is here belongs to one turn of the reactor: a caller that slept probes again
 * (R14).
 *
 * This interface is what the flat map offers and what run maps will: `find` may then say that it
 * must wait for a page.
 */

import type { PageInfo, Places } from '../log/sources.ts';

/** `find`: nothing is mapped there, the block reads as zeros. */
export const ENTRY_NONE = -1;
/** `findSpace`: the branch has no such object. */
export const SPACE_NONE = -1;

/** Sees every mapped block of a space, ascending. */
export type EntryVisitor = (lba: number, pba: number, sum: number, mba: number) => void;

export interface BlockMap {
  /** Blocks that the spaces could hold, together. Bounded; see the implementation. */
  readonly provisionedBlocks: number;
  /** Blocks that are mapped. */
  readonly mappedBlocks: number;
  /** Blocks that can still be provisioned. */
  readonly roomBlocks: number;

  /** Makes an empty space. @throws StoreError `limit_exceeded` if it does not fit the map. */
  addSpace(branch: number, object: number, blockCount: number): number;
  findSpace(branch: number, object: number): number;
  /** What lies past a smaller count must be cleared before. @throws StoreError `limit_exceeded`. */
  resizeSpace(space: number, blockCount: number): void;
  /** The space must be empty; its number may be given to another one. */
  removeSpace(space: number): void;
  blocksOf(space: number): number;
  mappedOf(space: number): number;

  /** The entry of a mapped block, or `ENTRY_NONE`. @hotpath */
  find(space: number, lba: number): number;
  /** Never 0. @hotpath */
  pbaAt(entry: number): number;
  /** CRC-32C of the block. @hotpath */
  sumAt(entry: number): number;
  /** @hotpath */
  mbaAt(entry: number): number;
  /** Maps a block, or maps it elsewhere; returns its entry. @hotpath */
  set(space: number, lba: number, pba: number, sum: number, mba: number): number;
  /** Sets the sum of an entry, its 32 bits signed or not, if it is still at this place. @hotpath */
  setSum(entry: number, pba: number, sum: number): void;
  /**
   * Unmaps [firstLba, firstLba + blockCount), at most about `workMax` blocks of it in this call,
   * and tells `places` each one that is free now. Returns how many blocks, from the first, are now clear.
   */
  clearRange(
    space: number,
    firstLba: number,
    blockCount: number,
    places: Places,
    workMax: number,
  ): number;
  /** Visits every mapped block of a space. Cold. */
  forEach(space: number, visit: EntryVisitor): void;

  /** The most pages that a cut now would give. */
  pageCountMax(): number;
  /** Freezes the state as it is for `encodePage`; returns how many pages that takes. */
  beginCut(): number;
  /** Encodes the next page of the frozen state into a zeroed body of 4,032 bytes at `at`. */
  encodePage(view: DataView, at: number, info: PageInfo): void;
  /** Lets go of what the cut kept, whether or not all pages were encoded. */
  endCut(): void;
  /** Adds a page to the spaces, which exist. @throws StoreError `pool_corrupt` if it is nonsense. */
  loadPage(view: DataView, at: number): void;
}
