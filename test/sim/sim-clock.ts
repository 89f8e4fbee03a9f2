/**
 * Virtual time. Each look at the clock moves it a little, so that a loop that waits for a moment
 * gets there; when nothing else runs, it jumps to the next timer. One timer fires per turn of the
 * event loop, in order of time, then of age.
 */
import type { Prng } from '../../src/base/prng.ts';
import type { Clock, Timer } from '../../src/platform/platform.ts';

/** The most by which a look at the clock moves it. */
const LOOK_US_MAX = 3;
/** An arbitrary day on which simulated machines are started. */
const WALL_START_MS = 1_700_000_000_000;

interface Entry {
  readonly atUs: number;
  readonly order: number;
  readonly owner: object;
  readonly callback: () => void;
}

export class SimTime {
  #nowUs = 0;
  #order = 0;
  #entries: Entry[] = [];
  #pumping: boolean = false;
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  get nowUs(): number {
    return this.#nowUs;
  }

  look(): number {
    this.#nowUs += this.#prng.below(LOOK_US_MAX + 1);
    return this.#nowUs;
  }

  /** Moves time on; timers that are due fire in later turns of the event loop. */
  advance(us: number): void {
    this.#nowUs += us;
  }

  add(delayMs: number, owner: object, callback: () => void): Timer {
    const entry = { atUs: this.#nowUs + delayMs * 1000, order: this.#order++, owner, callback };
    this.#entries.push(entry);
    this.#entries.sort((a, b) => a.atUs - b.atUs || a.order - b.order);
    this.#pump();
    return { cancel: () => this.#remove((other) => other === entry) };
  }

  /** The owner is gone: none of its timers fires. */
  removeOwner(owner: object): void {
    this.#remove((entry) => entry.owner === owner);
  }

  #remove(matches: (entry: Entry) => boolean): void {
    this.#entries = this.#entries.filter((entry) => !matches(entry));
  }

  #pump(): void {
    if (this.#pumping || this.#entries.length === 0) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      const entry = this.#entries.shift();
      if (entry === undefined) return;
      this.#nowUs = Math.max(this.#nowUs, entry.atUs);
      this.#pump();
      entry.callback();
    });
  }
}

/** The clock as one process sees it. */
export class SimClock implements Clock {
  readonly #time: SimTime;
  readonly #owner: object;
  readonly #requireAlive: () => void;

  constructor(time: SimTime, owner: object, requireAlive: () => void) {
    this.#time = time;
    this.#owner = owner;
    this.#requireAlive = requireAlive;
  }

  nowUs(): number {
    this.#requireAlive();
    return this.#time.look();
  }

  wallMs(): number {
    this.#requireAlive();
    return WALL_START_MS + Math.floor(this.#time.nowUs / 1000);
  }

  after(delayMs: number, callback: () => void): Timer {
    this.#requireAlive();
    return this.#time.add(delayMs, this.#owner, callback);
  }
}
