/**
 * Bells between processes: eventfds, which the kernel wakes sleepers by. Needs the addon. None of
 * these owns its descriptor; whoever made or received it closes it, after `close()` where there is
 * one.
 */
import { Ready, type Watch, watchFd } from '../bindings/event-thread.ts';
import { drainEvent, type Poller, signalEvent, WaitResult, waitWord } from '../bindings/waiting.ts';
import {
  type Bell,
  SLEEP_MS_MAX,
  type Sleeper,
  type SleepResult,
  TIMED_OUT,
  type Waker,
  WOKEN,
} from './bell.ts';

export class EventBell implements Bell {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  ring(): void {
    signalEvent(this.#fd);
  }
}

/** A word that never changes: the sleeper has already looked at the one that does. */
const STILL = new Int32Array(1);

/** Sleeps on one eventfd. A ring from before `arm` may end a sleep early; that costs one look. */
export class EventSleeper implements Sleeper {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  arm(): void {
    // An eventfd stays readable until it is drained, which only the sleep itself does.
  }

  sleep(timeoutMs: number): SleepResult {
    const boundedMs = Math.min(timeoutMs, SLEEP_MS_MAX);
    const result = waitWord(STILL, 0, 0, 0, this.#fd, boundedMs);
    return result === WaitResult.TIME_IS_UP ? TIMED_OUT : WOKEN;
  }
}

/** Sleeps on all eventfds of a poller: many guests' bells, or a bell and a disk. */
export class PollerSleeper implements Sleeper {
  readonly #poller: Poller;

  constructor(poller: Poller) {
    this.#poller = poller;
  }

  arm(): void {
    // As for one eventfd.
  }

  sleep(timeoutMs: number): SleepResult {
    return this.#poller.wait(Math.min(timeoutMs, SLEEP_MS_MAX)) === 0 ? TIMED_OUT : WOKEN;
  }
}

/** Waits for an eventfd on the event loop. */
export class EventWaker implements Waker {
  readonly #fd: number;
  #watch: Watch | undefined;
  #onRing: (() => void) | undefined;
  #held: boolean = false;
  #closed: boolean = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  arm(): void {
    // As for a sleeper: what rang before is still there.
  }

  listen(onRing: () => void): void {
    if (this.#closed) return;
    const waiting = this.#onRing !== undefined;
    this.#onRing = onRing;
    if (this.#watch === undefined) {
      this.#watch = watchFd(this.#fd, Ready.READABLE, () => this.#ready());
      this.#watch.hold(this.#held);
    } else if (!waiting) this.#watch.again();
  }

  hold(hold: boolean): void {
    this.#held = hold;
    if (!this.#closed) this.#watch?.hold(hold);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onRing = undefined;
    this.#watch?.remove();
  }

  #ready(): void {
    drainEvent(this.#fd);
    const onRing = this.#onRing;
    this.#onRing = undefined;
    onRing?.();
  }
}
