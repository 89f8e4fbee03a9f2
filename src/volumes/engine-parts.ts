/**
 * What the engine's files share: the tables of a pool, and what is known about each request while
 * it is worked on. Made once when a pool is opened.
 */
import { BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';
import type { Log } from '../log/log.ts';
import type { BlockMap } from '../maps/block-map.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';
import type { AppliedWindows } from './applied-windows.ts';
import { BlockCache, FRAME_NONE } from './block-cache.ts';
import type { Catalog } from './catalog.ts';
import { COUNTER_COUNT } from './counters.ts';
import { HeldRanges } from './held-ranges.ts';
import { REQUEST_BLOCKS_MAX, RequestTable } from './request-table.ts';
import { SESSIONS_MAX, type SessionTable } from './session-table.ts';
import type { VolumeTable } from './volume-table.ts';

/** By row of the request table. Valid from `begin` until the row is completed. */
export class RowWork {
  readonly space: Int32Array;
  readonly branch: Uint32Array;
  /** Blocks touched: [firstLba, firstLba + blockCount). */
  readonly firstLba: Uint32Array;
  readonly blockCount: Uint32Array;
  /** Of the first byte within the first block. */
  readonly headBytes: Uint16Array;
  /** Blocks of a read that were looked at. */
  readonly cursor: Uint32Array;
  /** Fills that the request waits for. */
  readonly pending: Int32Array;
  /** The first thing that went wrong; 0 is nothing. */
  readonly fault: Uint8Array;
  /** Frames of a write's first and last block, pinned until it was appended. */
  readonly headFrame: Int32Array;
  readonly tailFrame: Int32Array;

  constructor(capacity: number) {
    this.space = new Int32Array(capacity);
    this.branch = new Uint32Array(capacity);
    this.firstLba = new Uint32Array(capacity);
    this.blockCount = new Uint32Array(capacity);
    this.headBytes = new Uint16Array(capacity);
    this.cursor = new Uint32Array(capacity);
    this.pending = new Int32Array(capacity);
    this.fault = new Uint8Array(capacity);
    this.headFrame = new Int32Array(capacity).fill(FRAME_NONE);
    this.tailFrame = new Int32Array(capacity).fill(FRAME_NONE);
  }
}

export interface EngineOptions {
  readonly kernels: Kernels;
  readonly disk: Disk;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly requestsMax: number;
  readonly cacheBytes: number;
}

export class EngineParts {
  readonly requests: RequestTable;
  readonly work: RowWork;
  readonly held: HeldRanges;
  readonly cache: BlockCache;
  /** Blocks of the largest WRITE: small segments hold less than `REQUEST_BLOCKS_MAX`. */
  readonly writeBlocksMax: number;
  readonly counters = new Float64Array(COUNTER_COUNT);
  readonly kernels: Kernels;
  readonly disk: Disk;
  readonly log: Log;
  readonly map: BlockMap;
  readonly volumes: VolumeTable;
  readonly sessions: SessionTable;
  readonly windows: AppliedWindows;

  constructor(options: EngineOptions) {
    this.requests = new RequestTable(options.requestsMax, SESSIONS_MAX);
    this.work = new RowWork(options.requestsMax);
    this.held = new HeldRanges(options.requestsMax);
    this.cache = new BlockCache(options.kernels, options.cacheBytes);
    this.kernels = options.kernels;
    this.disk = options.disk;
    this.log = options.log;
    this.writeBlocksMax = Math.min(REQUEST_BLOCKS_MAX, options.log.operationBlocksMax);
    this.map = options.catalog.map;
    this.volumes = options.catalog.volumes;
    this.sessions = options.catalog.sessions;
    this.windows = options.catalog.windows;
  }

  /** @hotpath */
  count(counter: number, by: number): void {
    this.counters[counter] = (this.counters[counter] as number) + by;
  }

  /** Derives a row's place from its sectors, which were checked against the volume. @hotpath */
  begin(row: number, slot: number): void {
    const { requests, work } = this;
    const start = (requests.sectorIndex[row] as number) * SECTOR_BYTES;
    const end = start + (requests.sectorCount[row] as number) * SECTOR_BYTES;
    const firstLba = Math.floor(start / BLOCK_BYTES);
    work.space[row] = this.volumes.space[slot] as number;
    work.branch[row] = this.volumes.id[slot] as number;
    work.firstLba[row] = firstLba;
    work.blockCount[row] = Math.ceil(end / BLOCK_BYTES) - firstLba;
    work.headBytes[row] = start - firstLba * BLOCK_BYTES;
    work.cursor[row] = 0;
    work.pending[row] = 0;
    work.fault[row] = 0;
  }

  /** A place lost its block: nobody may find it in the cache again (R24). @hotpath */
  release(pba: number): void {
    this.cache.drop(pba);
    this.log.release(pba);
  }
}
