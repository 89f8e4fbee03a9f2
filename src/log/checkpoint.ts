/**
 * Writes checkpoints, a bounded amount per step (R10).
 *
 *   idle -begin-> pages -> pages synced -> copies 0,1 -> synced -> copies 2,3 -> synced -> idle
 *
 * The state that is stored is that after one commit, frozen at `begin`; the log goes on meanwhile.
 * Nothing the superblock names is missing when it is written: the sync before it covers the pages
 * and the cut's commit. Only the last sync makes the checkpoint count.
 */
import { assert } from '../base/assert.ts';
import {
  decodePage,
  encodeRootBody,
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PageKind,
  ROOT_SEGMENTS_MAX,
  type Root,
  sealPage,
} from '../formats/checkpoint-page.ts';
import { firstPbaOf, type Geometry, positionOf } from '../formats/geometry.ts';
import type { Superblock } from '../formats/superblock.ts';
import { SegmentState } from '../formats/sut-entry.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';
import {
  type LogLimits,
  PAGE_BUFFER_COUNT,
  PAGES_PER_WRITE,
  PAGES_SLOT,
  SUPERBLOCK_SLOT,
} from './limits.ts';
import type { SegmentTable } from './segment-table.ts';
import type { CheckpointSource, PageInfo } from './sources.ts';
import { encodeCopies, FIRST_COPIES_BYTES, GROUP_BYTES, groupPositionOf } from './superblocks.ts';

const IDLE = 0;
const PAGES = 1;
const PAGES_WRITTEN = 2;
const FIRST_COPIES = 3;
const FIRST_WRITING = 4;
const FIRST_WRITTEN = 5;
const LAST_COPIES = 6;
const LAST_WRITING = 7;
const LAST_WRITTEN = 8;

const BUFFER_FREE = 0;
const BUFFER_FULL = 1;
const BUFFER_WRITING = 2;
const NO_BUFFER = -1;

/** The checkpoint as a superblock names it. */
export interface CheckpointRoot {
  readonly generation: number;
  readonly cutSequence: number;
  readonly cutTxn: number;
  readonly rootPba: number;
  readonly rootChecksum: number;
  readonly pageCount: number;
}

export interface CheckpointParts {
  readonly disk: Disk;
  readonly kernels: Kernels;
  readonly geometry: Geometry;
  readonly poolId: Uint8Array;
  readonly table: SegmentTable;
  readonly source: CheckpointSource;
  readonly limits: LogLimits;
  /** The superblock that names this checkpoint, made when everything else is durable. */
  readonly superblockFor: (root: CheckpointRoot) => Superblock;
  /** It is durable, in all copies. */
  readonly durable: (superblock: Superblock) => void;
}

export class Checkpointer {
  readonly #parts: CheckpointParts;
  readonly #buffers: Uint8Array[] = [];
  readonly #views: DataView[] = [];
  readonly #memories: number[] = [];
  readonly #bufferState = new Uint8Array(PAGE_BUFFER_COUNT);
  readonly #bufferFirst = new Uint32Array(PAGE_BUFFER_COUNT);
  readonly #bufferCount = new Uint32Array(PAGE_BUFFER_COUNT);
  readonly #copies: Uint8Array;
  readonly #copiesMemory: number;
  readonly #info: PageInfo = { kind: 0, entryCount: 0, keyHigh: 0, keyBase: 0 };
  #stage = IDLE;
  #syncCovers: boolean = false;
  /** Segments of the newest durable checkpoint, and of the one that is being written. */
  #oldSegments: readonly number[];
  #segments: number[] = [];
  #generation = 0;
  #cutSequence = 0;
  #cutTxn = 0;
  #pageCount = 0;
  #nextPage = 0;
  #filling = NO_BUFFER;
  #rootChecksum = 0;
  #superblock: Superblock | undefined;
  checkpointCount = 0;
  writtenBytes = 0;

  /** `oldSegments` hold the checkpoint that the pool was opened with. */
  constructor(parts: CheckpointParts, oldSegments: readonly number[]) {
    this.#parts = parts;
    this.#oldSegments = oldSegments;
    const { kernels } = parts;
    for (let i = 0; i < PAGE_BUFFER_COUNT; i++) {
      const buffer = kernels.allocate(PAGES_PER_WRITE * PAGE_BYTES);
      this.#buffers.push(buffer);
      this.#views.push(new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength));
      this.#memories.push(kernels.registerMemory(buffer));
    }
    this.#copies = kernels.allocate(GROUP_BYTES);
    this.#copiesMemory = kernels.registerMemory(this.#copies);
  }

  get idle(): boolean {
    return this.#stage === IDLE;
  }

  /** Pages of the newest checkpoint begun. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** Whether there is room for the pages of a checkpoint now. */
  get canBegin(): boolean {
    const { table, source, geometry } = this.#parts;
    const pages = 1 + table.pageCount + source.pageCountMax();
    const segments = Math.ceil(pages / geometry.segmentBlocks);
    return segments <= table.freeCount && segments <= ROOT_SEGMENTS_MAX;
  }

  /** Cuts: the state is that after commit `cutSequence`, whose last txn is `cutTxn`. */
  begin(generation: number, cutSequence: number, cutTxn: number): void {
    assert(this.idle, 'one checkpoint at a time');
    const { table, source, geometry } = this.#parts;
    this.#generation = generation;
    this.#cutSequence = cutSequence;
    this.#cutTxn = cutTxn;
    this.#pageCount = 1 + table.pageCount + source.beginCut();
    this.#segments = [];
    const segmentCount = Math.ceil(this.#pageCount / geometry.segmentBlocks);
    assert(segmentCount <= table.freeCount, 'the pages that were announced have room');
    for (let i = 0; i < segmentCount; i++) {
      this.#segments.push(table.allocate(SegmentState.map, generation));
    }
    table.freeze(this.#oldSegments, this.#segments, this.#pageCount);
    this.#nextPage = 0;
    this.#stage = PAGES;
  }

  /** Encodes and queues what it can. True if it did something. */
  step(): boolean {
    switch (this.#stage) {
      case PAGES:
        return this.#stepPages();
      case FIRST_COPIES:
        return this.#queueCopies(0, FIRST_WRITING);
      case LAST_COPIES:
        return this.#queueCopies(FIRST_COPIES_BYTES, LAST_WRITING);
      default:
        return false;
    }
  }

  /** Whether `step` would do something now. */
  get hasWork(): boolean {
    if (this.#stage === FIRST_COPIES || this.#stage === LAST_COPIES) return true;
    if (this.#stage !== PAGES) return false;
    if (this.#bufferState.includes(BUFFER_FULL)) return true;
    return this.#nextPage < this.#pageCount && this.#bufferState.includes(BUFFER_FREE);
  }

  #stepPages(): boolean {
    let did = false;
    for (let buffer = 0; buffer < PAGE_BUFFER_COUNT; buffer++) {
      if (this.#bufferState[buffer] === BUFFER_FULL && this.#queuePages(buffer)) did = true;
    }
    for (let i = 0; i < this.#parts.limits.pagesPerStep; i++) {
      if (this.#nextPage === this.#pageCount || !this.#encodeNext()) break;
      did = true;
    }
    return did;
  }

  /** Encodes one page; false if both buffers wait for the disk. */
  #encodeNext(): boolean {
    if (this.#filling === NO_BUFFER) {
      this.#filling = this.#bufferState.indexOf(BUFFER_FREE);
      if (this.#filling === NO_BUFFER) return false;
      this.#bufferFirst[this.#filling] = this.#nextPage;
      this.#bufferCount[this.#filling] = 0;
    }
    const buffer = this.#filling;
    const count = this.#bufferCount[buffer] as number;
    this.#encodePage(buffer, count * PAGE_BYTES, this.#nextPage);
    this.#bufferCount[buffer] = count + 1;
    this.#nextPage++;
    const { segmentBlocks } = this.#parts.geometry;
    const last = this.#nextPage === this.#pageCount;
    // The next page lies elsewhere if a segment ends here, so one write ends here as well.
    if (count + 1 === PAGES_PER_WRITE || last || this.#nextPage % segmentBlocks === 0) {
      this.#bufferState[buffer] = BUFFER_FULL;
      this.#filling = NO_BUFFER;
      this.#queuePages(buffer);
    }
    if (last) this.#parts.source.endCut();
    return true;
  }

  #encodePage(buffer: number, at: number, index: number): void {
    const { table, source, kernels, poolId } = this.#parts;
    const bytes = this.#buffers[buffer] as Uint8Array;
    const view = this.#views[buffer] as DataView;
    const body = at + PAGE_HEADER_BYTES;
    const info = this.#info;
    bytes.fill(0, at, at + PAGE_BYTES);
    info.keyHigh = 0;
    info.keyBase = 0;
    if (index === 0) {
      info.kind = PageKind.root;
      info.entryCount = this.#segments.length;
      encodeRootBody(bytes, body, this.#root());
    } else if (index <= table.pageCount) {
      info.kind = PageKind.sut;
      info.entryCount = table.encodePage(bytes, view, body, index - 1, kernels);
    } else {
      source.encodePage(bytes, view, body, info);
      assert(info.kind !== PageKind.root && info.kind !== PageKind.sut, 'those kinds are ours');
    }
    const identity = { poolId, generation: this.#generation };
    const { kind, entryCount, keyHigh, keyBase } = info;
    const pba = this.#pbaOf(index);
    sealPage(bytes, view, at, pba, identity, index, kind, entryCount, keyHigh, keyBase, kernels);
    if (index !== 0) return;
    const root = decodePage(bytes, at, pba, identity, 0, kernels);
    assert(typeof root !== 'string', 'a root page just made is whole');
    this.#rootChecksum = root.checksum;
  }

  #root(): Root {
    return {
      pageCount: this.#pageCount,
      sutPageCount: this.#parts.table.pageCount,
      cutSequence: this.#cutSequence,
      cutTxn: this.#cutTxn,
      segments: this.#segments,
    };
  }

  #pbaOf(index: number): number {
    const { geometry } = this.#parts;
    const segment = this.#segments[Math.floor(index / geometry.segmentBlocks)] as number;
    return firstPbaOf(geometry, segment) + (index % geometry.segmentBlocks);
  }

  #queuePages(buffer: number): boolean {
    const byteLength = (this.#bufferCount[buffer] as number) * PAGE_BYTES;
    const position = positionOf(this.#pbaOf(this.#bufferFirst[buffer] as number));
    const memory = this.#memories[buffer] as number;
    const { disk } = this.#parts;
    if (!disk.queueWrite(PAGES_SLOT + buffer, memory, 0, byteLength, position)) return false;
    this.#bufferState[buffer] = BUFFER_WRITING;
    return true;
  }

  #queueCopies(offset: number, stage: number): boolean {
    const { disk, kernels, superblockFor } = this.#parts;
    if (offset === 0 && this.#superblock === undefined) {
      this.#superblock = superblockFor({
        generation: this.#generation,
        cutSequence: this.#cutSequence,
        cutTxn: this.#cutTxn,
        rootPba: this.#pbaOf(0),
        rootChecksum: this.#rootChecksum,
        pageCount: this.#pageCount,
      });
      encodeCopies(this.#superblock, this.#copies, kernels);
    }
    const position = groupPositionOf(this.#generation) + offset;
    const memory = this.#copiesMemory;
    if (!disk.queueWrite(SUPERBLOCK_SLOT, memory, offset, FIRST_COPIES_BYTES, position)) {
      return false;
    }
    this.#stage = stage;
    return true;
  }

  /** Bytes that the write in a slot must have written. */
  bytesOf(slot: number): number {
    if (slot === SUPERBLOCK_SLOT) return FIRST_COPIES_BYTES;
    return (this.#bufferCount[slot - PAGES_SLOT] as number) * PAGE_BYTES;
  }

  /** The write in a slot is done. */
  written(slot: number): void {
    this.writtenBytes += this.bytesOf(slot);
    if (slot === SUPERBLOCK_SLOT) {
      assert(this.#stage === FIRST_WRITING || this.#stage === LAST_WRITING, 'copies were written');
      this.#stage = this.#stage === FIRST_WRITING ? FIRST_WRITTEN : LAST_WRITTEN;
      return;
    }
    this.#bufferState[slot - PAGES_SLOT] = BUFFER_FREE;
    const allFree = this.#bufferState.every((state) => state === BUFFER_FREE);
    if (this.#nextPage === this.#pageCount && allFree) this.#stage = PAGES_WRITTEN;
  }

  /** Whether a sync queued now would bring the checkpoint on. */
  wantsSync(writtenSequence: number): boolean {
    if (this.#syncCovers) return false;
    if (this.#stage === PAGES_WRITTEN) return this.#cutSequence <= writtenSequence;
    return this.#stage === FIRST_WRITTEN || this.#stage === LAST_WRITTEN;
  }

  /** A sync was queued, after all commits up to `writtenSequence` were written. */
  syncQueued(writtenSequence: number): void {
    if (this.wantsSync(writtenSequence)) this.#syncCovers = true;
  }

  /** That sync is done. */
  synced(): void {
    if (!this.#syncCovers) return;
    this.#syncCovers = false;
    if (this.#stage === PAGES_WRITTEN) this.#stage = FIRST_COPIES;
    else if (this.#stage === FIRST_WRITTEN) this.#stage = LAST_COPIES;
    else this.#finish();
  }

  #finish(): void {
    assert(this.#stage === LAST_WRITTEN, 'all copies are durable');
    const superblock = this.#superblock;
    assert(superblock !== undefined, 'a superblock was written');
    this.#parts.table.freeCut(this.#oldSegments);
    this.#oldSegments = this.#segments;
    this.#superblock = undefined;
    this.#stage = IDLE;
    this.checkpointCount++;
    this.#parts.durable(superblock);
  }

  /** Lets go of its buffers. Nothing may be in flight. */
  close(): void {
    const { kernels } = this.#parts;
    for (const memory of this.#memories) kernels.unregisterMemory(memory);
    kernels.unregisterMemory(this.#copiesMemory);
  }
}
