/**
 * Commands that complete when a txn is on disk: FLUSH, and what asked for FUA.
 *
 * Each waits for the last txn that was given out when it came here, so txns never decrease along
 * the queue and only its head need be looked at. For a FLUSH that covers all that was completed
 * before it; for FUA it may be a little more than its own.
 */
import { STATUS_OK, statusOf } from '../base/errors.ts';
import type { EngineParts } from './engine-parts.ts';
import { QUEUE_EMPTY, RowQueue } from './row-queue.ts';
import type { Turn } from './turn.ts';

const POOL_FAILED = statusOf('pool_failed');

export class DurableWaits {
  readonly #parts: EngineParts;
  readonly #turn: Turn;
  readonly #rows: RowQueue;
  readonly #txn: Float64Array;

  constructor(parts: EngineParts, turn: Turn) {
    this.#parts = parts;
    this.#turn = turn;
    this.#rows = new RowQueue(parts.requests.capacity);
    this.#txn = new Float64Array(parts.requests.capacity);
  }

  get count(): number {
    return this.#rows.count;
  }

  /** @hotpath */
  add(row: number): void {
    const { log } = this.#parts;
    const txn = log.lastTxn;
    this.#txn[row] = txn;
    this.#rows.push(row);
    if (txn > log.durableTxn) log.requestDurable(txn);
  }

  /** Completes those whose txn is durable; all, if the log has failed. True if there were any. @hotpath */
  complete(): boolean {
    if (this.#rows.count === 0) return false;
    const { log } = this.#parts;
    const { durableTxn, failed } = log;
    let any = false;
    for (;;) {
      const row = this.#rows.peek();
      if (row === QUEUE_EMPTY) return any;
      const durable = (this.#txn[row] as number) <= durableTxn;
      if (!durable && failed === undefined) return any;
      this.#rows.take();
      this.#turn.complete(row, durable ? STATUS_OK : POOL_FAILED);
      any = true;
    }
  }
}
