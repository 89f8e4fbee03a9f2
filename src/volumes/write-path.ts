/**
 * WRITE: one operation of the log, whole or not at all.
 *
 * When the old bytes of its edges are at hand and the log has room, everything happens in one
 * call: ownership, txn, append, map (R14). Only the copies are left for the end of the turn, and
 * they run in the order in which they were queued, so later requests of the turn see the new bytes.
 */
import { statusOf } from '../base/errors.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';
import { OperationKind } from '../formats/summary-entry.ts';
import { LOG_BUSY, LOG_FAILED, LOG_FULL } from '../log/log.ts';
import { ENTRY_NONE } from '../maps/block-map.ts';
import { EDGE_NONE, EDGES_READY, EDGES_STALLED, type Edges } from './edges.ts';
import type { EngineParts } from './engine-parts.ts';
import type { GuestData } from './guest-data.ts';
import { Outcome } from './outcome.ts';
import { REQUEST_EXTENTS_MAX } from './request-table.ts';
import type { Turn } from './turn.ts';
import { BLOCK_OBJECT } from './volume-table.ts';

/** Jobs of one write: each block a copy and a sum, each extent one more, old bytes of two edges. */
export function writeRowsMax(blockCount: number): number {
  return 2 * blockCount + REQUEST_EXTENTS_MAX + 4;
}

const POOL_FULL = statusOf('pool_full');
const POOL_FAILED = statusOf('pool_failed');

export class WritePath {
  readonly #parts: EngineParts;
  readonly #turn: Turn;
  readonly #edges: Edges;
  readonly #guest: GuestData;
  /** Of the block appended last. */
  #entry = ENTRY_NONE;

  constructor(parts: EngineParts, turn: Turn, edges: Edges, guest: GuestData) {
    this.#parts = parts;
    this.#turn = turn;
    this.#edges = edges;
    this.#guest = guest;
  }

  /** Runs the row's command if it can run now. @hotpath */
  run(row: number): number {
    const { work, requests } = this.#parts;
    const firstLba = work.firstLba[row] as number;
    const blockCount = work.blockCount[row] as number;
    const headBytes = work.headBytes[row] as number;
    const endBytes = headBytes + (requests.sectorCount[row] as number) * SECTOR_BYTES;
    const partialTail = endBytes % BLOCK_BYTES !== 0;
    if (headBytes !== 0 || partialTail) {
      const last = blockCount - 1;
      const partialHead = headBytes !== 0 || last === 0;
      const tail = partialTail && last > 0 ? firstLba + last : EDGE_NONE;
      return this.#runPartial(row, partialHead ? firstLba : EDGE_NONE, tail, endBytes);
    }
    const room = this.room(row, blockCount, blockCount);
    if (room === Outcome.DONE) this.#append(row, EDGE_NONE, EDGE_NONE, endBytes);
    return room;
  }

  /** Asks the log for room, and says what that means for the row: `DONE` is go on. @hotpath */
  room(row: number, blockCount: number, entryCount: number): number {
    this.#turn.needRows(writeRowsMax(blockCount));
    const room = this.#parts.log.roomFor(blockCount, entryCount);
    if (room === LOG_BUSY) return Outcome.LOG_BUSY;
    if (room === LOG_FULL) return this.#fail(row, POOL_FULL);
    if (room === LOG_FAILED) return this.#fail(row, POOL_FAILED);
    return Outcome.DONE;
  }

  /** Appends the next block of an operation and maps it; returns where its image goes. @hotpath */
  appendBlock(space: number, lba: number): number {
    const { map, log } = this.#parts;
    const old = map.find(space, lba);
    // In this version a volume owns all its blocks: an overwrite keeps the name (R15).
    const oldMba = old === ENTRY_NONE ? 0 : map.mbaAt(old);
    const oldPba = old === ENTRY_NONE ? 0 : map.pbaAt(old);
    const mba = oldMba === 0 ? log.nextMba() : oldMba;
    const pba = log.appendBlock(BLOCK_OBJECT, lba, mba, oldMba);
    this.#entry = map.set(space, lba, pba, 0, mba);
    if (oldPba !== 0) this.#parts.release(oldPba);
    return pba;
  }

  /** The image of the block appended last gets its sum from this row of the copies. @hotpath */
  noteSum(pba: number, sumRow: number): void {
    this.#turn.noteSum(this.#entry, pba, sumRow);
  }

  /** @hotpath */
  #runPartial(row: number, headLba: number, tailLba: number, endBytes: number): number {
    const edges = this.#edges.prepare(row, headLba, tailLba);
    if (edges === EDGES_STALLED) return Outcome.STALLED;
    if (edges !== EDGES_READY) return Outcome.FILLING;
    const blockCount = this.#parts.work.blockCount[row] as number;
    const room = this.room(row, blockCount, blockCount);
    if (room !== Outcome.DONE) return room;
    // Making room may have taken a buffer of the bank in which an edge was.
    const again = this.#edges.prepare(row, headLba, tailLba);
    if (again === EDGES_STALLED) return Outcome.STALLED;
    if (again !== EDGES_READY) return Outcome.FILLING;
    this.#append(row, headLba, tailLba, endBytes);
    return Outcome.DONE;
  }

  /** @hotpath */
  #append(row: number, headLba: number, tailLba: number, endBytes: number): void {
    const { requests, sessions, windows, work, log } = this.#parts;
    const session = requests.session[row] as number;
    const queue = requests.queue[row] as number;
    const tag = requests.tag[row] as number;
    const operation = requests.operation[row] as number;
    const blockCount = work.blockCount[row] as number;
    log.beginOperation(
      OperationKind.write,
      0,
      sessions.guest[session] as number,
      queue,
      tag,
      operation,
      work.branch[row] as number,
      blockCount,
    );
    this.#turn.noteAppend();
    windows.note(session, queue, tag, operation);
    const firstLba = work.firstLba[row] as number;
    const headBytes = work.headBytes[row] as number;
    let start = 0;
    for (let block = 0; block < blockCount; block++) {
      const lba = firstLba + block;
      const skip = block === 0 ? headBytes : 0;
      const bytes = Math.min(BLOCK_BYTES, endBytes - block * BLOCK_BYTES) - skip;
      const partial = lba === headLba || lba === tailLba;
      if (partial) this.#changeBlock(row, lba, start, skip, bytes);
      else this.#storeBlock(row, lba, start);
      start += bytes;
    }
    this.#edges.letGo(row);
  }

  /** @hotpath */
  #storeBlock(row: number, lba: number, start: number): void {
    const { work, log } = this.#parts;
    const space = work.space[row] as number;
    const pba = this.appendBlock(space, lba);
    const offset = log.bankOffsetOf(pba);
    const sumRow = this.#guest.takeBlock(row, start, BLOCK_BYTES, log.bankMemory, offset);
    this.noteSum(pba, sumRow);
  }

  /** @hotpath */
  #changeBlock(row: number, lba: number, start: number, skip: number, bytes: number): void {
    const { work, log } = this.#parts;
    const space = work.space[row] as number;
    this.#edges.locate(space, lba);
    const pba = this.appendBlock(space, lba);
    const offset = log.bankOffsetOf(pba);
    this.#edges.copyLocated(offset);
    this.#guest.take(row, start, bytes, log.bankMemory, offset + skip);
    const sumRow = log.copies.sum(log.bankMemory, offset, BLOCK_BYTES);
    this.noteSum(pba, sumRow);
  }

  #fail(row: number, status: number): number {
    this.#edges.letGo(row);
    this.#parts.work.fault[row] = status;
    return Outcome.FAILED;
  }
}
