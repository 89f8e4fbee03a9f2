/**
 * A page of a checkpoint: a header of 64 bytes and a body of 4,032.
 *
 * Pages lie one after another in segments of their own, outside the log's chain (R8). The root,
 * page 0, lists those segments. A page's checksum is seeded with its place and its checkpoint, so
 * a page of an older checkpoint in the same place fails.
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
import { type Checksums, equalAt, ID_BYTES, zeroBetween } from './byte-strings.ts';
import { SUT_ENTRY_BYTES } from './sut-entry.ts';
import { CHECKPOINT_PAGE_MAGIC, CHECKPOINT_VERSION } from './versions.ts';

export const PAGE_BYTES = BLOCK_BYTES;
export const PAGE_HEADER_BYTES = 64;
export const PAGE_BODY_BYTES = PAGE_BYTES - PAGE_HEADER_BYTES;
export const SUT_ENTRIES_PER_PAGE = PAGE_BODY_BYTES / SUT_ENTRY_BYTES;

/** Stable numbers. */
export const PageKind = {
  root: 1,
  sut: 2,
  map: 3,
  volumes: 4,
  sessions: 5,
  windows: 6,
} as const;

/** Before each page's body. */
export const PageHeader = record('PageHeader', PAGE_HEADER_BYTES, {
  magic: u32(0),
  version: u16(4),
  /** One of `PageKind`. */
  kind: u8(6),
  reservedFlags: u8(7),
  poolId: bytes(8, ID_BYTES),
  /** The checkpoint's. */
  generation: u53(24),
  /** Of the page within the checkpoint. */
  index: u32(32),
  /** Records in the body. */
  entryCount: u32(36),
  /** What the keys in the body are relative to: e.g. branch and first LBA. */
  keyHigh: u53(40),
  keyBase: u53(48),
  reserved: u32(56),
  /** CRC-32C of the page without this field, seeded with place and generation. */
  checksum: u32(60),
});

/** Segments that one root page can name: 2 GiB of pages with the smallest segments. */
export const ROOT_SEGMENTS_MAX = 992;

/** Body of the root page. */
export const RootBody = record('RootBody', PAGE_BODY_BYTES, {
  pageCount: u32(0),
  sutPageCount: u32(4),
  segmentCount: u32(8),
  reservedCount: u32(12),
  cutSequence: u53(16),
  cutTxn: u53(24),
  reserved: bytes(32, 32),
  /** u32 each: the segments that hold the pages, in order. */
  segments: bytes(64, ROOT_SEGMENTS_MAX * 4),
});

export interface PageIdentity {
  readonly poolId: Uint8Array;
  readonly generation: number;
}

/** Both words matter: an old page in the same place, a new one in the wrong place. */
function seedOf(pba: number, generation: number): number {
  return (pba ^ Math.imul(generation >>> 0, 0x9e37_79b1)) >>> 0;
}

function sumOf(
  page: Uint8Array,
  at: number,
  pba: number,
  generation: number,
  checksums: Checksums,
): number {
  const field = at + PageHeader.checksum;
  const head = checksums.crc32c(page, at, field, seedOf(pba, generation));
  return checksums.crc32c(page, field + 4, at + PAGE_BYTES, head);
}

/** Writes the header of the page at `at`, over a body that is complete. */
export function sealPage(
  page: Uint8Array,
  view: DataView,
  at: number,
  pba: number,
  identity: PageIdentity,
  index: number,
  kind: number,
  entryCount: number,
  keyHigh: number,
  keyBase: number,
  checksums: Checksums,
): void {
  assert(at + PAGE_BYTES <= page.byteLength, 'the page lies in the buffer');
  page.fill(0, at, at + PAGE_HEADER_BYTES);
  setU32(view, at, PageHeader.magic, CHECKPOINT_PAGE_MAGIC);
  setU16(view, at, PageHeader.version, CHECKPOINT_VERSION);
  setU8(view, at, PageHeader.kind, kind);
  page.set(identity.poolId, at + PageHeader.poolId);
  setU53(view, at, PageHeader.generation, identity.generation);
  setU32(view, at, PageHeader.index, index);
  setU32(view, at, PageHeader.entryCount, entryCount);
  setU53(view, at, PageHeader.keyHigh, keyHigh);
  setU53(view, at, PageHeader.keyBase, keyBase);
  const sum = sumOf(page, at, pba, identity.generation, checksums);
  setU32(view, at, PageHeader.checksum, sum);
}

/** A decoded header. */
export interface Page {
  readonly kind: number;
  readonly entryCount: number;
  readonly keyHigh: number;
  readonly keyBase: number;
  readonly checksum: number;
}

/** Decodes page `index`, read from `pba`, or says what is wrong. Looks for `version N` first. */
export function decodePage(
  page: Uint8Array,
  at: number,
  pba: number,
  identity: PageIdentity,
  index: number,
  checksums: Checksums,
): Page | string {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  if (getU32(view, at, PageHeader.magic) !== CHECKPOINT_PAGE_MAGIC) return 'no checkpoint page';
  const checksum = getU32(view, at, PageHeader.checksum);
  if (checksum !== sumOf(page, at, pba, identity.generation, checksums)) {
    return 'page checksum mismatch';
  }
  const version = getU16(view, at, PageHeader.version);
  if (version !== CHECKPOINT_VERSION) return `version ${version}`;
  if (!equalAt(page, at + PageHeader.poolId, identity.poolId)) return 'of another pool';
  if (getU53(view, at, PageHeader.generation) !== identity.generation) {
    return 'of another checkpoint';
  }
  if (getU32(view, at, PageHeader.index) !== index) return 'of another place in the checkpoint';
  if (page[at + PageHeader.reservedFlags] !== 0) return 'reserved bytes are not zero';
  if (!zeroBetween(page, at + PageHeader.reserved, at + PageHeader.checksum)) {
    return 'reserved bytes are not zero';
  }
  return {
    kind: getU8(view, at, PageHeader.kind),
    entryCount: getU32(view, at, PageHeader.entryCount),
    keyHigh: getU53(view, at, PageHeader.keyHigh),
    keyBase: getU53(view, at, PageHeader.keyBase),
    checksum,
  };
}

/** What the root page says. */
export interface Root {
  readonly pageCount: number;
  readonly sutPageCount: number;
  readonly cutSequence: number;
  readonly cutTxn: number;
  readonly segments: readonly number[];
}

/** Fills a root page's body at `body`. */
export function encodeRootBody(target: Uint8Array, body: number, root: Root): void {
  assert(root.segments.length <= ROOT_SEGMENTS_MAX, 'the root page names every segment');
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, body, body + PAGE_BODY_BYTES);
  setU32(view, body, RootBody.pageCount, root.pageCount);
  setU32(view, body, RootBody.sutPageCount, root.sutPageCount);
  setU32(view, body, RootBody.segmentCount, root.segments.length);
  setU53(view, body, RootBody.cutSequence, root.cutSequence);
  setU53(view, body, RootBody.cutTxn, root.cutTxn);
  for (const [i, segment] of root.segments.entries()) {
    setU32(view, body + RootBody.segments + 4 * i, RootBody.pageCount, segment);
  }
}

/** Decodes a root page's body, or says what is wrong with it. */
export function decodeRootBody(source: Uint8Array, body: number): Root | string {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const segmentCount = getU32(view, body, RootBody.segmentCount);
  if (segmentCount > ROOT_SEGMENTS_MAX) return 'names too many segments';
  const pageCount = getU32(view, body, RootBody.pageCount);
  const sutPageCount = getU32(view, body, RootBody.sutPageCount);
  if (sutPageCount >= pageCount) return 'page counts contradict each other';
  const rest = body + RootBody.segments + 4 * segmentCount;
  if (!zeroBetween(source, body + RootBody.reserved, body + RootBody.segments)) {
    return 'reserved bytes are not zero';
  }
  if (!zeroBetween(source, rest, body + PAGE_BODY_BYTES)) return 'reserved bytes are not zero';
  const segments: number[] = [];
  for (let i = 0; i < segmentCount; i++) {
    segments.push(getU32(view, body + RootBody.segments + 4 * i, RootBody.pageCount));
  }
  return {
    pageCount,
    sutPageCount,
    cutSequence: getU53(view, body, RootBody.cutSequence),
    cutTxn: getU53(view, body, RootBody.cutTxn),
    segments,
  };
}
