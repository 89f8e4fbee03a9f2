/**
 * Cold calls that change a pool: volumes and sessions come and go. Each waits here for a turn of
 * the reactor in which it is tried as a whole, in the order of the calls, and then for its txn.
 */
import type { Log } from '../log/log.ts';

/** `attempt`: not now; try again in a later turn. */
export const ADMIN_BUSY = -1;
/** `attempt`: done, and nothing was logged. */
export const ADMIN_NOTHING = 0;

export interface AdminJob<Result> {
  /** Makes and logs the change; its txn, `ADMIN_BUSY`, or `ADMIN_NOTHING`. May throw StoreErrors. */
  attempt(): number;
  /** Whether the call resolves when the txn is on disk, or as soon as it is in the bank. */
  readonly durable: boolean;
  result(): Result;
}

interface Waiting {
  readonly attempt: () => number;
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  txn: number;
}

export class AdminQueue {
  readonly #log: Log;
  #jobs: Waiting[] = [];
  #logged: Waiting[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** Calls that are not tried yet, or wait for their txn. */
  get count(): number {
    return this.#jobs.length + this.#logged.length;
  }

  /** Calls that are not tried yet. @hotpath */
  get untriedCount(): number {
    return this.#jobs.length;
  }

  run<Result>(job: AdminJob<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#jobs.push({
        attempt: () => job.attempt(),
        durable: job.durable,
        resolve: () => resolve(job.result()),
        reject,
        txn: 0,
      });
    });
  }

  /** Tries what waits, up to the first that must wait longer. True if anything was logged. */
  tryAll(): boolean {
    let logged = false;
    for (;;) {
      const job = this.#jobs[0];
      if (job === undefined) return logged;
      let txn = 0;
      try {
        if (this.#log.failed !== undefined) throw this.#log.failed;
        txn = job.attempt();
      } catch (error) {
        this.#jobs.shift();
        job.reject(error);
        continue;
      }
      if (txn === ADMIN_BUSY) return logged;
      this.#jobs.shift();
      job.txn = txn;
      this.#logged.push(job);
      if (job.durable && txn > this.#log.durableTxn) this.#log.requestDurable(txn);
      logged ||= txn !== ADMIN_NOTHING;
    }
  }

  /** Ends the calls whose txn got as far as they wait for. */
  settle(): void {
    if (this.#logged.length === 0) return;
    const { durableTxn, publishedTxn, failed } = this.#log;
    const left: Waiting[] = [];
    for (const job of this.#logged) {
      if (job.txn <= (job.durable ? durableTxn : publishedTxn)) job.resolve();
      else if (failed !== undefined) job.reject(failed);
      else left.push(job);
    }
    this.#logged = left;
  }

  /** Rejects all calls that are left. */
  close(error: unknown): void {
    for (const job of [...this.#jobs, ...this.#logged]) job.reject(error);
    this.#jobs = [];
    this.#logged = [];
  }
}
