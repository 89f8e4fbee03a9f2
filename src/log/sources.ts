/**
 * What the log asks of the floors above it. They hand these in; the log never looks inside.
 */

/** What a page of a checkpoint says about itself beside its body. Reused: read it at once. */
export interface PageInfo {
  /** One of `PageKind`, but never root or sut. */
  kind: number;
  /** Records in the body. */
  entryCount: number;
  /** What the keys in the body are relative to, e.g. the branch, and the first LBA. */
  keyHigh: number;
  keyBase: number;
}

/**
 * State that a checkpoint stores. All of it is frozen at `beginCut`: the source keeps copies of
 * what changes after it until `endCut`.
 */
export interface CheckpointSource {
  /**
   * The most pages that a cut now would give. Cheap, and asked once per opened segment: the log
   * keeps so many free for the next checkpoint. It may grow by at most one page per block entry,
   * range or record piece that is logged.
   */
  pageCountMax(): number;
  /** Freezes the state after the last operation begun. Returns exactly how many pages follow. */
  beginCut(): number;
  /**
   * Fills the next page's `PAGE_BODY_BYTES`, which are zero, at byte `at` of both views of one
   * memory, and all of `info`.
   */
  encodePage(bytes: Uint8Array, view: DataView, at: number, info: PageInfo): void;
  /** The pages are done with, or were given up: copies may go. */
  endCut(): void;
  /**
   * Takes back a page, during open only, in the order in which they were encoded.
   *
   * @throws StoreError `pool_corrupt` if it makes no sense.
   */
  loadPage(bytes: Uint8Array, view: DataView, at: number, info: Readonly<PageInfo>): void;
}

/** State that is rebuilt from logged operations, during open only. */
export interface ReplayTarget {
  /**
   * Repeats one operation: the `OperationEntry` at byte `at`, then its entries. Its blocks lie at
   * `firstPba`, `firstPba + 1`, … in the order of its block entries. Places that lose their block
   * go to `places.release`, exactly as when it was first done.
   *
   * @throws StoreError `pool_corrupt` if it makes no sense.
   */
  replay(bytes: Uint8Array, view: DataView, at: number, firstPba: number, places: Places): void;
}

/** Where replay returns places to. `Log` is one as well. */
export interface Places {
  /** The block at `pba` is no longer mapped. */
  release(pba: number): void;
}

/** All that `openLog` needs from above. */
export interface LogClient extends CheckpointSource, ReplayTarget {}
