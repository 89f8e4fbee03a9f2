/**
 * What a simulated disk does wrong beyond what every disk may do: tearing, reordering and losing
 * unsynced writes at a loss of power need no fault, and always happen.
 */
import type { Prng } from '../../src/base/prng.ts';

/** Probabilities per operation. */
export interface FaultOdds {
  /** A read ends with EIO. */
  readonly readError: number;
  /** A write ends with EIO; any of its sectors may be stored. */
  readonly writeError: number;
  /** A sync ends with EIO. What it should have covered may be lost, and no later sync covers it. */
  readonly syncError: number;
  /** A write succeeds and stores nothing. */
  readonly lostWrite: number;
  /** A write succeeds and stores its bytes at another place. */
  readonly misdirectedWrite: number;
  /** A write succeeds and stores one bit wrong. */
  readonly bitFlip: number;
}

export type Fault = keyof FaultOdds;

export const NO_FAULTS: FaultOdds = {
  readError: 0,
  writeError: 0,
  syncError: 0,
  lostWrite: 0,
  misdirectedWrite: 0,
  bitFlip: 0,
};

/** Decides which operations go wrong, by odds or because a test asked for it, and counts them. */
export class FaultPlan {
  readonly counts: Record<Fault, number> = { ...NO_FAULTS };
  odds: FaultOdds = NO_FAULTS;
  readonly #prng: Prng;
  readonly #asked = new Map<Fault, number>();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** The first operation of its kind after `skipCount` others goes wrong, once. */
  failOnce(fault: Fault, skipCount = 0): void {
    this.#asked.set(fault, skipCount);
  }

  /** Takes back what `failOnce` asked for and did not come to pass. */
  cancel(): void {
    this.#asked.clear();
  }

  /** Whether this operation goes wrong. Ask once per operation and fault. */
  strikes(fault: Fault): boolean {
    const skipCount = this.#asked.get(fault);
    let struck = this.odds[fault] > 0 && this.#prng.chance(this.odds[fault]);
    if (skipCount === 0) {
      this.#asked.delete(fault);
      struck = true;
    } else if (skipCount !== undefined) {
      this.#asked.set(fault, skipCount - 1);
    }
    if (struck) this.counts[fault] += 1;
    return struck;
  }
}
