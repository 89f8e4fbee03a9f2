/**
 * How long to look for work before sleeping. Pure arithmetic on times that the caller measured.
 *
 * To spin for about as long as a wake-up costs and then to sleep is never more than twice as dear
 * as knowing the future. Around that the window learns: it grows when work came just after one had
 * gone to sleep, and shrinks when work comes later than any window would have reached. A queue that
 * is idle for long drops out, and is back after two commands in quick succession.
 */
import { assert } from '../base/assert.ts';

/** Windows reach at most this many wake-ups: what spinning can still save beyond is small. */
const REACH_WAKES = 8;
/** Below a wake-up through this, a window only warms the room. */
const LEAST_WAKES = 1 / 8;
/** As other virtualisation hosts have settled on: a guest silent for so long is not in a dialogue. */
const DROP_OUT_US = 7_000_000;

export class SpinWindow {
  readonly #wakeCostUs: number;
  readonly #windowUsMax: number;
  #windowUs: number;

  /**
   * @param wakeCostUs What a wake-up takes here, measured at start.
   * @param windowUsMax Never spin longer; the default is 8 wake-ups. 0 never spins.
   */
  constructor(wakeCostUs: number, windowUsMax: number = wakeCostUs * REACH_WAKES) {
    assert(wakeCostUs > 0, 'a wake-up costs something');
    assert(windowUsMax >= 0, 'a window is not negative');
    this.#wakeCostUs = wakeCostUs;
    this.#windowUsMax = windowUsMax;
    this.#windowUs = Math.min(wakeCostUs, windowUsMax);
  }

  /** How long to spin from the moment there is no work. */
  get windowUs(): number {
    return this.#windowUs;
  }

  /** Work came while spinning. */
  caughtSpinning(): void {
    // The window was right: to shorten it on success would make it oscillate around the need.
  }

  /** Work came `idleUs` after the last, and one had gone to sleep, or could not spin. */
  wokenAfter(idleUs: number): void {
    // What was waited beyond the window includes the wake-up itself.
    const arrivalUs = Math.max(0, idleUs - this.#wakeCostUs);
    if (arrivalUs <= this.#windowUsMax) {
      this.#windowUs = Math.min(Math.max(this.#windowUs * 2, this.#wakeCostUs), this.#windowUsMax);
    } else if (idleUs >= DROP_OUT_US) {
      this.#windowUs = 0;
    } else {
      const halved = this.#windowUs / 2;
      this.#windowUs = halved < this.#wakeCostUs * LEAST_WAKES ? 0 : halved;
    }
  }
}

const SECOND_US = 1_000_000;
const SLOT_COUNT = 50;
const SLOT_US = SECOND_US / SLOT_COUNT;

/**
 * A hard limit on the time spent looking for work: in no second more than `share` of it. Time that
 * finds work is work, and not counted by the caller.
 */
export class CpuBudget {
  readonly share: number;
  readonly #budgetUs: number;
  /** One slot more than a second has, so that what is forgotten is a second old for certain. */
  readonly #slots = new Float64Array(SLOT_COUNT + 1);
  #slotNumber = 0;
  #usedUs = 0;

  /** `share` of one core, 0 to 1; 1 means no limit. */
  constructor(share: number) {
    assert(share >= 0 && share <= 1, 'a share is within 0 and 1');
    this.share = share;
    this.#budgetUs = share * SECOND_US;
  }

  /** How long one may look for work now, in µs; 0 or less: not at all. */
  allowanceUs(nowUs: number): number {
    if (this.share === 1) return Number.POSITIVE_INFINITY;
    this.#advance(nowUs);
    return this.#budgetUs - this.#usedUs;
  }

  /** Counts time that was spent looking, just before `nowUs`; at most a slot (20 ms) at a time. */
  spend(nowUs: number, spentUs: number): void {
    this.#advance(nowUs);
    const slot = this.#slotNumber % this.#slots.length;
    this.#slots[slot] = (this.#slots[slot] as number) + spentUs;
    this.#usedUs += spentUs;
  }

  /** Spent within about the last second, in thousandths of a core. */
  usedPermille(nowUs: number): number {
    this.#advance(nowUs);
    return Math.min(1000, Math.round(this.#usedUs / 1000));
  }

  #advance(nowUs: number): void {
    const slotNumber = Math.floor(nowUs / SLOT_US);
    if (slotNumber <= this.#slotNumber) return;
    const passed = Math.min(slotNumber - this.#slotNumber, this.#slots.length);
    for (let i = 1; i <= passed; i++) {
      const slot = (slotNumber - passed + i) % this.#slots.length;
      this.#usedUs -= this.#slots[slot] as number;
      this.#slots[slot] = 0;
    }
    // Sums of fractions drift; an empty second is a good moment to be exact again.
    if (passed === this.#slots.length) this.#usedUs = 0;
    this.#slotNumber = slotNumber;
  }
}
