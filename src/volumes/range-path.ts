/**
 * WRITE_ZEROES and DISCARD, of any length: afterwards the sectors read as zeros.
 *
 * Whole blocks are unmapped by one range entry. A mapped block that is touched in part is written
 * anew with zeros in it; an unmapped one is zeros already. Edges and range are two operations of
 * the log, for which room is made together: they lie in one partial segment and one bank entry, so
 * that a crash keeps both or none, and only the second carries the guest's operation number (R25).
 * It is logged even if nothing was mapped, because the guest may ask again.
 */
import { BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';
import { OperationKind } from '../formats/summary-entry.ts';
import { ENTRY_NONE } from '../maps/block-map.ts';
import { EDGE_NONE, EDGES_READY, EDGES_STALLED, type Edges } from './edges.ts';
import type { EngineParts } from './engine-parts.ts';
import { Outcome } from './outcome.ts';
import type { RangeClears } from './range-clears.ts';
import { RequestOp } from './request-table.ts';
import type { Turn } from './turn.ts';
import { BLOCK_OBJECT } from './volume-table.ts';
import type { WritePath } from './write-path.ts';

/** Blocks that one turn clears: about 100 us. */
export const CLEAR_WORK_MAX = 16_384;

export class RangePath {
  readonly #parts: EngineParts;
  readonly #turn: Turn;
  readonly #edges: Edges;
  readonly #writes: WritePath;
  readonly #clears: RangeClears;

  constructor(
    parts: EngineParts,
    turn: Turn,
    edges: Edges,
    writes: WritePath,
    clears: RangeClears,
  ) {
    this.#parts = parts;
    this.#turn = turn;
    this.#edges = edges;
    this.#writes = writes;
    this.#clears = clears;
  }

  /** Runs the row's command if it can run now. */
  run(row: number): number {
    const { work, requests } = this.#parts;
    const firstLba = work.firstLba[row] as number;
    const last = (work.blockCount[row] as number) - 1;
    const headBytes = work.headBytes[row] as number;
    const endBytes = headBytes + (requests.sectorCount[row] as number) * SECTOR_BYTES;
    const partialTail = endBytes % BLOCK_BYTES !== 0;
    const partialHead = headBytes !== 0 || (last === 0 && partialTail);
    const head = partialHead ? this.#mappedEdge(row, firstLba) : EDGE_NONE;
    const separateTail = partialTail && last > 0;
    const tail = separateTail ? this.#mappedEdge(row, firstLba + last) : EDGE_NONE;

    const ready = this.#edges.prepare(row, head, tail);
    if (ready === EDGES_STALLED) return Outcome.STALLED;
    if (ready !== EDGES_READY) return Outcome.FILLING;
    const edgeCount = Number(head !== EDGE_NONE) + Number(tail !== EDGE_NONE);
    // The range entry, and for edges one operation entry more and their block entries.
    const entryCount = edgeCount === 0 ? 1 : edgeCount + 2;
    const room = this.#writes.room(row, edgeCount, entryCount);
    if (room !== Outcome.DONE) return room;
    const again = this.#edges.prepare(row, head, tail);
    if (again === EDGES_STALLED) return Outcome.STALLED;
    if (again !== EDGES_READY) return Outcome.FILLING;

    if (edgeCount > 0) this.#appendEdges(row, head, tail, endBytes);
    const firstWhole = firstLba + Number(partialHead);
    const endWhole = firstLba + last + 1 - Number(separateTail);
    return this.#appendRange(row, firstWhole, Math.max(0, endWhole - firstWhole));
  }

  #mappedEdge(row: number, lba: number): number {
    const entry = this.#parts.map.find(this.#parts.work.space[row] as number, lba);
    return entry === ENTRY_NONE ? EDGE_NONE : lba;
  }

  #appendEdges(row: number, head: number, tail: number, endBytes: number): void {
    const { log, work } = this.#parts;
    const branch = work.branch[row] as number;
    const edgeCount = Number(head !== EDGE_NONE) + Number(tail !== EDGE_NONE);
    log.beginOperation(OperationKind.write, 0, 0, 0, 0, 0, branch, edgeCount);
    this.#turn.noteAppend();
    const headBytes = work.headBytes[row] as number;
    if (head !== EDGE_NONE) {
      this.#zeroIn(row, head, headBytes, Math.min(endBytes, BLOCK_BYTES));
    }
    if (tail !== EDGE_NONE) this.#zeroIn(row, tail, 0, endBytes % BLOCK_BYTES);
    this.#edges.letGo(row);
  }

  /** Writes an edge anew with zeros in its bytes [start, end). */
  #zeroIn(row: number, lba: number, start: number, end: number): void {
    const { log, work } = this.#parts;
    const space = work.space[row] as number;
    this.#edges.locate(space, lba);
    const pba = this.#writes.appendBlock(space, lba);
    const offset = log.bankOffsetOf(pba);
    this.#edges.copyLocated(offset);
    log.copies.zero(log.bankMemory, offset + start, end - start);
    this.#writes.noteSum(pba, log.copies.sum(log.bankMemory, offset, BLOCK_BYTES));
  }

  #appendRange(row: number, firstLba: number, blockCount: number): number {
    const { log, work, requests, sessions, windows, map } = this.#parts;
    const session = requests.session[row] as number;
    const queue = requests.queue[row] as number;
    const tag = requests.tag[row] as number;
    const operation = requests.operation[row] as number;
    const guest = sessions.guest[session] as number;
    const { zero, discard } = OperationKind;
    const kind = requests.op[row] === RequestOp.DISCARD ? discard : zero;
    log.beginOperation(kind, 0, guest, queue, tag, operation, work.branch[row] as number, 1);
    log.appendRange(BLOCK_OBJECT, firstLba, blockCount);
    this.#turn.noteAppend();
    windows.note(session, queue, tag, operation);

    const space = work.space[row] as number;
    const cleared = map.clearRange(space, firstLba, blockCount, this.#parts, CLEAR_WORK_MAX);
    if (cleared === blockCount) return Outcome.DONE;
    this.#clears.add(space, firstLba + cleared, firstLba + blockCount, row);
    return Outcome.CLEARING;
  }
}
