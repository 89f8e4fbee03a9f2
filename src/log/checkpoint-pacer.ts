/**
 * When the next checkpoint is due: somebody asked, so much was logged, or the dirty state is old.
 */
import type { Geometry } from '../formats/geometry.ts';
import type { LogLimits } from './limits.ts';

/** Not known yet; times are positive. */
const NEVER_US = -1;
/** A pool's log is at most this part of it, so that freed segments come back in time. */
const POOL_PART = 4;

export class CheckpointPacer {
  /** Set by whoever needs one; a cut clears it. */
  wanted: boolean = false;
  readonly #limits: LogLimits;
  readonly #loggedBytesMax: number;
  /** When something changed after the last cut. */
  #dirtyAtUs = NEVER_US;
  #cutTxn: number;
  #cutLoggedBytes = 0;
  #cutAtUs = 0;
  #tookUs = 0;

  /** Nothing changed after `txn`. */
  constructor(limits: LogLimits, geometry: Geometry, txn: number) {
    this.#limits = limits;
    this.#cutTxn = txn;
    const part = (geometry.segmentCount * geometry.segmentBytes) / POOL_PART;
    this.#loggedBytesMax = Math.min(limits.checkpointBytes, part);
  }

  /** @hotpath */
  note(nowUs: number, lastTxn: number): void {
    if (this.#dirtyAtUs === NEVER_US && lastTxn > this.#cutTxn) this.#dirtyAtUs = nowUs;
  }

  /** `loggedBytes` counts since the pool was opened. @hotpath */
  isDue(nowUs: number, loggedBytes: number): boolean {
    if (this.wanted || loggedBytes - this.#cutLoggedBytes >= this.#loggedBytesMax) return true;
    return this.#dirtyAtUs !== NEVER_US && nowUs - this.#dirtyAtUs >= this.#ageMaxUs;
  }

  /** When it is due by age; Infinity if nothing changed. @hotpath */
  get deadlineUs(): number {
    return this.#dirtyAtUs === NEVER_US
      ? Number.POSITIVE_INFINITY
      : this.#dirtyAtUs + this.#ageMaxUs;
  }

  get #ageMaxUs(): number {
    const { checkpointUs, checkpointRestFactor } = this.#limits;
    return Math.max(checkpointUs, checkpointRestFactor * this.#tookUs);
  }

  /** A checkpoint of the state after `txn` begins. */
  cut(nowUs: number, txn: number, loggedBytes: number): void {
    this.wanted = false;
    this.#dirtyAtUs = NEVER_US;
    this.#cutTxn = txn;
    this.#cutLoggedBytes = loggedBytes;
    this.#cutAtUs = nowUs;
  }

  /** It is durable. */
  done(nowUs: number): void {
    this.#tookUs = nowUs - this.#cutAtUs;
  }
}
