/**
 * One batch of work: copies that are queued, what must be noted when they ran, and the requests
 * that are complete then.
 *
 *   append, queue copies … -> run -> publish -> sums into the map -> requests are complete
 *
 * A plain write is complete only after `publish` (R1), and nothing that a batch stored is visible
 * to a checkpoint before its sums are in the map.
 */
import { SECTOR_BYTES } from '../base/units.ts';
import { Counter } from './counters.ts';
import type { EngineParts } from './engine-parts.ts';
import { RequestOp, RequestState } from './request-table.ts';
import { RowQueue } from './row-queue.ts';

export class Turn {
  /** Batches that were run, modulo 2^32. */
  flushCount = 0;
  /** Rows for the host to take. */
  readonly completed: RowQueue;

  readonly #parts: EngineParts;
  readonly #rows: Int32Array;
  #rowCount = 0;
  // Blocks appended in this batch whose sums come out of the copies.
  readonly #sumEntry: Int32Array;
  readonly #sumPba: Uint32Array;
  readonly #sumRow: Int32Array;
  #sumCount = 0;
  #appendCount = 0;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.completed = new RowQueue(parts.requests.capacity);
    this.#rows = new Int32Array(parts.requests.capacity);
    const rowsMax = parts.log.copies.rowCount + parts.log.copies.roomCount;
    this.#sumEntry = new Int32Array(rowsMax);
    this.#sumPba = new Uint32Array(rowsMax);
    this.#sumRow = new Int32Array(rowsMax);
  }

  /** Makes room for so many jobs, running those that are queued if it must. @hotpath */
  needRows(count: number): void {
    if (this.#parts.log.copies.roomCount < count) this.flush();
  }

  /** The block appended last gets its sum from this row of the copies. @hotpath */
  noteSum(entry: number, pba: number, row: number): void {
    this.#parts.log.sumRow(row);
    this.#sumEntry[this.#sumCount] = entry;
    this.#sumPba[this.#sumCount] = pba;
    this.#sumRow[this.#sumCount] = row;
    this.#sumCount++;
  }

  /** Something was appended, so the batch ends with `publish`. @hotpath */
  noteAppend(): void {
    this.#appendCount++;
  }

  /** The row is complete when this batch has run. @hotpath */
  complete(row: number, status: number): void {
    this.#parts.requests.status[row] = status;
    this.#rows[this.#rowCount] = row;
    this.#rowCount++;
  }

  /** Runs what is queued. True if there was anything. @hotpath */
  flush(): boolean {
    const { copies } = this.#parts.log;
    const hadRows = copies.rowCount > 0;
    if (!hadRows && this.#appendCount === 0 && this.#rowCount === 0) return false;
    this.flushCount = (this.flushCount + 1) >>> 0;
    if (hadRows) copies.run();
    if (this.#appendCount > 0) this.#parts.log.publish();
    this.#appendCount = 0;
    this.#storeSums();
    if (hadRows) copies.clear();
    for (let i = 0; i < this.#rowCount; i++) this.#finish(this.#rows[i] as number);
    this.#rowCount = 0;
    return true;
  }

  /** @hotpath */
  #storeSums(): void {
    const { map } = this.#parts;
    const { sums } = this.#parts.log.copies;
    for (let i = 0; i < this.#sumCount; i++) {
      // As a signed number it stays a small integer; half of the unsigned ones would be allocated.
      const sum = (sums[this.#sumRow[i] as number] as number) | 0;
      map.setSum(this.#sumEntry[i] as number, this.#sumPba[i] as number, sum);
    }
    this.#sumCount = 0;
  }

  /** @hotpath */
  #finish(row: number): void {
    const { requests } = this.#parts;
    const op = requests.op[row] as number;
    if (requests.status[row] === 0) {
      const bytes = (requests.sectorCount[row] as number) * SECTOR_BYTES;
      if (op === RequestOp.READ) this.#parts.count(Counter.READ_BYTES, bytes);
      if (op === RequestOp.WRITE) this.#parts.count(Counter.WRITTEN_BYTES, bytes);
      requests.resultBytes[row] = op === RequestOp.FLUSH ? 0 : bytes;
    } else {
      this.#parts.count(Counter.FAILED_COMMANDS, 1);
    }
    requests.state[row] = RequestState.COMPLETED;
    this.completed.push(row);
  }
}
