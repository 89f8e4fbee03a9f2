/**
 * Waiting for completions, in the two ways a thread can.
 *
 *   event loop   announce that we sleep; a ring of the bell comes back as a callback
 *   blocked      spin about as long as a wake-up costs, then announce and sleep, in bounded steps
 *
 * The completion ring has one announcement, whoever waits: a blocked wait takes it back at its end,
 * so calls of the async face that are under way announce themselves anew afterwards.
 */
import { StoreError } from '../src/base/errors.ts';
import { FOUND_WORK, PARK_LOST, PARK_WOKEN, type Parkable, park } from '../src/memory/park.ts';
import type { Clock, Timer } from '../src/platform/platform.ts';
import type { Core } from './core.ts';
import type { Lifeline } from './lifeline.ts';
import type { LoopHold } from './loop-hold.ts';
import type { Transport } from './transport.ts';

/** A blocked thread that hears nothing looks at its link this often. */
const SLEEP_MS_MAX = 50;
/** Looks at the ring between two looks at the clock, which cost as much as several of them. */
const LOOKS_PER_CLOCK = 32;
/** How long a lost ring could delay the async face. Every one that is found is a bug. */
const LOST_WAKE_CHECK_MS = 1000;
/** Messages ring no bell. */
const ANSWER_POLL_MS = 1;
const US_PER_MS = 1000;
const NS_PER_US = 1000;

export interface WaiterOptions {
  readonly core: Core;
  readonly lifeline: Lifeline;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly hold: LoopHold;
  readonly spinNs: number;
}

export class Waiter {
  readonly #core: Core;
  readonly #lifeline: Lifeline;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #hold: LoopHold;
  readonly #spinUs: number;
  readonly #rings: readonly Parkable[];
  #listening: boolean = false;
  #checkTimer: Timer | undefined;
  #onIdle: (() => void) | undefined;

  /** Sleeps of either kind during which a ring was missing. */
  lostWakes = 0;

  constructor({ core, lifeline, transport, clock, hold, spinNs }: WaiterOptions) {
    this.#core = core;
    this.#lifeline = lifeline;
    this.#transport = transport;
    this.#clock = clock;
    this.#hold = hold;
    this.#spinUs = spinNs / NS_PER_US;
    this.#rings = [core.queue];
  }

  /** Calls back once nothing is in flight or in line, on any face; maybe at once. */
  whenIdle(onIdle: () => void): void {
    this.#onIdle = onIdle;
    this.settle();
  }

  /** Takes what has completed and issues what waited for it. @hotpath */
  advance(): number {
    const core = this.#core;
    let count = 0;
    try {
      count = core.drain();
      if (count > 0 && (core.waitingCount > 0 || core.urgent !== undefined)) core.pump();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#lifeline.distrust(error);
    }
    return count;
  }

  /**
   * Makes the event loop care for what is under way: to be called whenever that may have changed.
   * Holds the process while something is, and lets it go when nothing is.
   */
  settle(): void {
    const core = this.#core;
    while (core.serving && this.#caresFor() && !this.#listen()) this.advance();
    const cares = this.#caresFor();
    this.#hold.set(cares);
    if (cares && this.#checkTimer === undefined) this.#startCheck();
    if (this.#onIdle !== undefined && core.idle) {
      const onIdle = this.#onIdle;
      this.#onIdle = undefined;
      onIdle();
    }
  }

  /**
   * Blocks until `isDone`, which is asked after each step, or until the clock says `untilUs`; what
   * `isDone` said last. Drives everything that the event loop would.
   */
  blockUntil(isDone: () => boolean, untilUs: number): boolean {
    let done = isDone();
    while (!done) {
      if (this.#core.serving) this.#waitForWork(untilUs);
      else this.#lifeline.stepSync(untilUs);
      this.advance();
      done = isDone();
      if (done || this.#clock.nowUs() >= untilUs) break;
    }
    this.settle();
    return done;
  }

  /** Blocks until `isDone`, which the host brings about with a message, or until `untilUs`. */
  pollUntil(isDone: () => boolean, untilUs: number): void {
    const { sleeper } = this.#transport;
    while (!isDone() && this.#clock.nowUs() < untilUs) {
      sleeper.arm();
      this.#lifeline.poll();
      if (!isDone()) sleeper.sleep(ANSWER_POLL_MS);
    }
  }

  /** No callback comes after this. */
  close(): void {
    this.#checkTimer?.cancel();
    this.#hold.set(false);
    this.#hold.close();
  }

  #caresFor(): boolean {
    return this.#core.busy || (this.#onIdle !== undefined && !this.#core.idle);
  }

  /** False if there is work at once. */
  #listen(): boolean {
    const { waker } = this.#transport;
    if (!this.#listening) waker.arm();
    if (!this.#core.queue.prepareToPark()) return false;
    if (this.#listening) return true;
    this.#listening = true;
    waker.listen(() => {
      this.#listening = false;
      this.#wake();
    });
    return true;
  }

  #wake(): void {
    if (this.#core.serving) this.advance();
    this.settle();
  }

  #startCheck(): void {
    const check = () => {
      this.#checkTimer = undefined;
      // The callback of a ring that just came is still in the loop's queue: look once more later.
      if (this.#core.serving && this.#core.queue.hasWork()) {
        this.#clock.after(0, () => this.#checkAgain(), { hold: false });
      }
      if (this.#caresFor()) this.#startCheck();
    };
    this.#checkTimer = this.#clock.after(LOST_WAKE_CHECK_MS, check, { hold: false });
  }

  #checkAgain(): void {
    if (!this.#core.serving || !this.#core.queue.hasWork() || !this.#listening) return;
    this.lostWakes++;
    this.#wake();
  }

  #waitForWork(untilUs: number): void {
    if (this.#spin(untilUs)) return;
    const remainingMs = (untilUs - this.#clock.nowUs()) / US_PER_MS;
    if (remainingMs <= 0) return;
    const { sleeper } = this.#transport;
    const result = park(this.#rings, sleeper, Math.min(remainingMs, SLEEP_MS_MAX));
    if (result === PARK_LOST) this.lostWakes++;
    // Silence, and a ring without work, can both mean that the host has something else to say.
    if (result !== FOUND_WORK && (result !== PARK_WOKEN || !this.#core.queue.hasWork())) {
      this.#lifeline.poll();
    }
  }

  #spin(untilUs: number): boolean {
    const { queue } = this.#core;
    if (queue.hasWork()) return true;
    if (this.#spinUs === 0) return false;
    const endUs = Math.min(this.#clock.nowUs() + this.#spinUs, untilUs);
    do {
      for (let look = 0; look < LOOKS_PER_CLOCK; look++) if (queue.hasWork()) return true;
    } while (this.#clock.nowUs() < endUs);
    return false;
  }
}
