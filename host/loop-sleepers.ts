/** What a reactor sleeps on: eventfds with the addon, one shared word without it. */
import type { Poller } from '../src/bindings/waiting.ts';
import { NotifySleeper, type SleepResult } from '../src/memory/bell.ts';
import { PollerSleeper } from '../src/memory/event-bell.ts';
import type { LoopSleeper } from './reactor-loop.ts';

/** All eventfds of a poller. They remember what rang, so there is nothing to arm. */
export class LoopPollerSleeper extends PollerSleeper implements LoopSleeper {
  constructor(poller: Poller) {
    super(poller);
  }

  armForTurn(): void {
    // See above.
  }
}

/**
 * A word. Armed before the event loop's turn and not before the sleep: a message that was posted
 * and rung for in between must end the sleep, because only the next turn reads it.
 */
export class LoopWordSleeper implements LoopSleeper {
  readonly #sleeper: NotifySleeper;

  constructor(words: Int32Array) {
    this.#sleeper = new NotifySleeper(words, 0);
  }

  armForTurn(): void {
    this.#sleeper.arm();
  }

  arm(): void {
    // Done before the turn.
  }

  sleep(timeoutMs: number): SleepResult {
    return this.#sleeper.sleep(timeoutMs);
  }
}
