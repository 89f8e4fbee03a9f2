/** How long to wait between two attempts to attach: longer each time, and never in step. */
import { Prng } from '../src/base/prng.ts';
import type { Entropy } from '../src/platform/platform.ts';

/** A host that restarts is back within some tens of milliseconds; look soon. */
const FIRST_MS = 2;
/** A host that stays away costs two looks a second. */
const LAST_MS = 500;
const SEED_BYTES = 4;

export class Backoff {
  readonly #random: Prng;
  #nextMs = FIRST_MS;

  constructor(entropy: Entropy) {
    const seed = new Uint8Array(SEED_BYTES);
    entropy.fill(seed);
    this.#random = new Prng(new DataView(seed.buffer).getUint32(0));
  }

  /** Milliseconds before the next attempt: between half and all of a bound that doubles. */
  next(): number {
    const bound = this.#nextMs;
    this.#nextMs = Math.min(bound * 2, LAST_MS);
    return (bound / 2) * (1 + this.#random.unit());
  }

  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}
