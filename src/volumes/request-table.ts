/**
 * The commands in flight of one pool: a struct of arrays with a fixed number of rows.
 *
 *   free --claim--> filled by the host --submit--> the engine's --completed--> the host's --release--> free
 *
 * A row is a plain number. Who holds it writes its columns; nothing here allocates after the table
 * is made. The memory that a row names is lent to the engine from `submit` until the row is taken
 * as completed.
 */
import { assert } from '../base/assert.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';

/** Rows of a table: 64 sessions with 64 commands each. More wait in their own rings. */
export const REQUESTS_MAX = 4096;

/** Extents of one command's data: the most that the channel's indirect table holds. */
export const REQUEST_EXTENTS_MAX = 128;

/** Blocks that one READ or WRITE may touch: one operation of the log (R21). */
export const REQUEST_BLOCKS_MAX = 1024;

/** Longest data of one command: 4 MiB, less if it starts or ends inside a block. */
export const REQUEST_BYTES_MAX = REQUEST_BLOCKS_MAX * BLOCK_BYTES;

/** `claim` found no free row: leave the command in its ring until one is released. */
export const TABLE_FULL = -1;

/** What a row asks for. Numbers of this floor only; the host maps the channel's opcodes to them. */
export const RequestOp = {
  READ: 1,
  WRITE: 2,
  /** Sectors read as zeros afterwards; whole blocks are unmapped. */
  WRITE_ZEROES: 3,
  /** The same effect as WRITE_ZEROES: discarded sectors read as zeros. */
  DISCARD: 4,
  /** Completes when all that completed before it was submitted is on disk. */
  FLUSH: 5,
} as const;

/** Bits of `flags`. */
export const RequestFlag = {
  /** The command completes only when its own effect is on disk. */
  FUA: 1,
} as const;

/** Where a row is. Written by the table and the engine only. */
export const RequestState = {
  FREE: 0,
  CLAIMED: 1,
  SUBMITTED: 2,
  COMPLETED: 3,
} as const;

export class RequestTable {
  readonly capacity: number;
  /** Commands claimed and not released. */
  claimedCount = 0;

  // Filled by the host between claim and submit. ----------------------------------------------
  /** One of `RequestOp`. */
  readonly op: Uint8Array;
  /** Bits of `RequestFlag`. */
  readonly flags: Uint8Array;
  /** Set by `claim`. */
  readonly session: Uint16Array;
  readonly queue: Uint16Array;
  readonly tag: Uint16Array;
  /** The guest's operation number, above 0 and unique in its queue, for what changes data (R25). */
  readonly operation: Float64Array;
  readonly sectorIndex: Float64Array;
  readonly sectorCount: Float64Array;
  /** Number of the memory that holds the data, from `Kernels.registerMemory`. */
  readonly memory: Int32Array;
  readonly extentCount: Uint8Array;
  /** `REQUEST_EXTENTS_MAX` per row: byte offset in the memory, and length in bytes. */
  readonly extentOffset: Uint32Array;
  readonly extentBytes: Uint32Array;
  /** For the host alone: when it took the command, and anything it wants to find again. */
  readonly submittedUs: Float64Array;
  readonly context: Int32Array;

  // Filled by the engine before the row is completed. ------------------------------------------
  readonly state: Uint8Array;
  /** `STATUS_OK` or `statusOf(code)`. */
  readonly status: Uint8Array;
  /** Bytes moved: all of the command's on success, else 0. */
  readonly resultBytes: Float64Array;

  readonly #free: Int32Array;
  #freeCount: number;
  readonly #inFlight: Int32Array;

  /** `sessionsMax`: sessions are numbered below it. */
  constructor(capacity: number, sessionsMax: number) {
    assert(capacity > 0 && capacity <= REQUESTS_MAX, 'a table has 1 to REQUESTS_MAX rows');
    this.capacity = capacity;
    this.op = new Uint8Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.session = new Uint16Array(capacity);
    this.queue = new Uint16Array(capacity);
    this.tag = new Uint16Array(capacity);
    this.operation = new Float64Array(capacity);
    this.sectorIndex = new Float64Array(capacity);
    this.sectorCount = new Float64Array(capacity);
    this.memory = new Int32Array(capacity);
    this.extentCount = new Uint8Array(capacity);
    this.extentOffset = new Uint32Array(capacity * REQUEST_EXTENTS_MAX);
    this.extentBytes = new Uint32Array(capacity * REQUEST_EXTENTS_MAX);
    this.submittedUs = new Float64Array(capacity);
    this.context = new Int32Array(capacity);
    this.state = new Uint8Array(capacity);
    this.status = new Uint8Array(capacity);
    this.resultBytes = new Float64Array(capacity);
    this.#inFlight = new Int32Array(sessionsMax);
    // Rows are handed out from 0 upwards, so that a light load stays in few cache lines.
    this.#free = new Int32Array(capacity).map((_, i) => capacity - 1 - i);
    this.#freeCount = capacity;
  }

  get hasRoom(): boolean {
    return this.#freeCount > 0;
  }

  /**
   * Takes a free row for a command of this session, or `TABLE_FULL`. Every column that the command
   * uses must be written before `submit`; flags and extent count are zeroed here.
   *
   * @hotpath
   */
  claim(session: number): number {
    if (this.#freeCount === 0) return TABLE_FULL;
    this.#freeCount--;
    const row = this.#free[this.#freeCount] as number;
    assert(this.state[row] === RequestState.FREE, 'a row on the free list is free');
    this.state[row] = RequestState.CLAIMED;
    this.session[row] = session;
    this.flags[row] = 0;
    this.extentCount[row] = 0;
    this.status[row] = 0;
    this.resultBytes[row] = 0;
    this.#inFlight[session] = (this.#inFlight[session] as number) + 1;
    this.claimedCount++;
    return row;
  }

  /** Gives back a row that is completed, or that was claimed and never submitted. @hotpath */
  release(row: number): void {
    const state = this.state[row] as number;
    assert(state !== RequestState.FREE, 'a row is released once');
    assert(state !== RequestState.SUBMITTED, 'the engine gives a row back before its release');
    const session = this.session[row] as number;
    this.state[row] = RequestState.FREE;
    this.#inFlight[session] = (this.#inFlight[session] as number) - 1;
    this.#free[this.#freeCount] = row;
    this.#freeCount++;
    this.claimedCount--;
  }

  /** Commands of a session that are claimed and not released. */
  inFlightOf(session: number): number {
    return this.#inFlight[session] as number;
  }

  /** Appends an extent to a claimed row. @hotpath */
  addExtent(row: number, offset: number, byteLength: number): void {
    const count = this.extentCount[row] as number;
    assert(count < REQUEST_EXTENTS_MAX, 'a row has at most REQUEST_EXTENTS_MAX extents');
    const at = row * REQUEST_EXTENTS_MAX + count;
    this.extentOffset[at] = offset;
    this.extentBytes[at] = byteLength;
    this.extentCount[row] = count + 1;
  }

  /** Whether the extents hold exactly the command's sectors. @hotpath */
  extentsFit(row: number): boolean {
    const first = row * REQUEST_EXTENTS_MAX;
    const count = this.extentCount[row] as number;
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += this.extentBytes[first + i] as number;
    return bytes === (this.sectorCount[row] as number) * SECTOR_BYTES;
  }
}
