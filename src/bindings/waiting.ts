/**
 * Doorbells, and sleeping on them.
 *
 * Sleeping takes a handshake that this file does not do: the sleeper sets its parked flag, looks
 * once more, and only then sleeps; its peer stores first and reads the flag after. A doorbell that
 * rang before the sleep ends it at once, so none is lost, and a stale one only costs a look.
 *
 * A thread that sleeps here is asleep for JavaScript too: no promise, timer or message runs, and
 * `worker.terminate()` waits for it. Sleep in bounded steps.
 */
import { assert } from '../base/assert.ts';
import { addon } from './load.ts';
import { requireResult } from './system-error.ts';

/** What ended `waitWord`. */
export const WaitResult = {
  /** The word changed while spinning. */
  CHANGED: 0,
  /** The doorbell rang and was reset. Whether the word changed is for the caller to look. */
  WOKEN: 1,
  TIME_IS_UP: 2,
} as const;

/** For `waitWord`: spin only. */
export const NO_DOORBELL = -1;

/** A new doorbell (eventfd). The caller closes it. */
export function createEvent(): number {
  return requireResult('eventfd', addon().eventCreate());
}

/** Rings a doorbell. Never blocks. About 0.3 us, so only for a peer that is parked. @hotpath */
export function signalEvent(fd: number): void {
  const result = addon().eventSignal(fd);
  if (result < 0) requireResult('eventfd write', result);
}

/** Resets a doorbell; how often it rang since, or 0. @hotpath */
export function drainEvent(fd: number): number {
  const result = addon().eventDrain(fd);
  return result < 0 ? requireResult('eventfd read', result) : result;
}

/**
 * Looks at `words[index]` until it differs from `expected` or `spinNs` have passed, then sleeps on
 * the doorbell `fd` (or `NO_DOORBELL`) for at most `timeoutMs`, which may be a fraction. Looks at
 * least once. One of `WaitResult`.
 *
 * @hotpath
 */
export function waitWord(
  words: Int32Array,
  index: number,
  expected: number,
  spinNs: number,
  fd: number,
  timeoutMs: number,
): number {
  assert(index >= 0 && index < words.length, 'the word lies within the array');
  assert(spinNs >= 0 && spinNs <= SPIN_NS_MAX, 'a spin is bounded');
  assert(timeoutMs >= 0 && timeoutMs <= SLEEP_MS_MAX, 'a sleep is bounded');
  const result = addon().waitWord(words, index, expected, spinNs, fd, timeoutMs);
  return result < 0 ? requireResult('ppoll', result) : result;
}

/** A second of spinning is a mistake, whatever it waits for. */
const SPIN_NS_MAX = 1e9;

/** An hour: nobody sleeps in longer steps, and it keeps all arithmetic far from overflow. */
const SLEEP_MS_MAX = 3_600_000;

/** A set of doorbells that one thread sleeps on. Closed with its thread at the latest. */
export class Poller {
  readonly #poller: number;

  constructor() {
    this.#poller = requireResult('epoll_create', addon().pollerCreate());
  }

  add(fd: number): void {
    requireResult('epoll_ctl', addon().pollerAdd(this.#poller, fd), { fd });
  }

  /** Before the doorbell is closed. */
  remove(fd: number): void {
    requireResult('epoll_ctl', addon().pollerRemove(this.#poller, fd), { fd });
  }

  /**
   * Sleeps until doorbells of the set ring, at most `timeoutMs`; how many did, at most 64 at a time,
   * 0 when time is up. Each ring ends one sleep; the doorbells are not reset, and nothing that a
   * peer does to one can make this wait for longer.
   */
  wait(timeoutMs: number): number {
    assert(timeoutMs >= 0 && timeoutMs <= SLEEP_MS_MAX, 'a sleep is bounded');
    return requireResult('epoll_wait', addon().pollerWait(this.#poller, timeoutMs));
  }

  close(): void {
    requireResult('close', addon().pollerClose(this.#poller));
  }
}
