/**
 * Waking the other side. A bell remembers that it was rung: a sleeper that comes late returns at
 * once. So the order "arm, announce, look again, sleep" (spsc-ring.ts, (S)) loses nothing.
 *
 *   between threads    a word in a SharedArrayBuffer, counted up and notified
 *   between processes  an eventfd
 */
import { MessageChannel } from 'node:worker_threads';
import { assert } from '../base/assert.ts';

export interface Bell {
  /** Wakes the sleeper, now or at its next sleep. Never blocks. */
  ring(): void;
}

/** What `sleep` says. */
export const WOKEN = 1;
export const TIMED_OUT = 2;
export type SleepResult = typeof WOKEN | typeof TIMED_OUT;

/** No sleep is longer: a wake-up that was lost after all then costs a second, and is counted. */
export const SLEEP_MS_MAX = 1000;

/** The blocking side of a bell, for threads that may block. */
export interface Sleeper {
  /** Rings from here on count. To be called before the announcement that one may be rung for. */
  arm(): void;
  /** Blocks until rung since `arm`, at most `timeoutMs` and at most `SLEEP_MS_MAX`. */
  sleep(timeoutMs: number): SleepResult;
}

/** The event loop's side of a bell, for threads that may not block. */
export interface Waker {
  /**
   * Calls `onRing` once, on the event loop, after the bell rings; rings since `arm` count. A later
   * call takes the place of an earlier one.
   */
  listen(onRing: () => void): void;
  /** Rings from here on count. */
  arm(): void;
  /** Whether a pending `listen` keeps the process alive. It does not at first. */
  hold(hold: boolean): void;
  /** No callback comes after this. */
  close(): void;
}

/** A bell that nobody hears: for peers that always poll, and for tests. */
export const SILENT_BELL: Bell = { ring() {} };

/** A bell in one word of a SharedArrayBuffer. The word belongs to this bell alone. */
export class NotifyBell implements Bell {
  readonly #words: Int32Array;
  readonly #word: number;

  constructor(words: Int32Array, word: number) {
    assert(words.buffer instanceof SharedArrayBuffer, 'threads share a SharedArrayBuffer');
    this.#words = words;
    this.#word = word;
  }

  ring(): void {
    Atomics.add(this.#words, this.#word, 1);
    Atomics.notify(this.#words, this.#word);
  }
}

/** Sleeps on a `NotifyBell`'s word with `Atomics.wait`. */
export class NotifySleeper implements Sleeper {
  readonly #words: Int32Array;
  readonly #word: number;
  #heard: number;

  constructor(words: Int32Array, word: number) {
    assert(words.buffer instanceof SharedArrayBuffer, 'threads share a SharedArrayBuffer');
    this.#words = words;
    this.#word = word;
    this.#heard = Atomics.load(words, word);
  }

  arm(): void {
    this.#heard = Atomics.load(this.#words, this.#word);
  }

  sleep(timeoutMs: number): SleepResult {
    const boundedMs = Math.min(timeoutMs, SLEEP_MS_MAX);
    const result = Atomics.wait(this.#words, this.#word, this.#heard, boundedMs);
    return result === 'timed-out' ? TIMED_OUT : WOKEN;
  }
}

/**
 * Waits for a `NotifyBell` with `Atomics.waitAsync`, which by itself does not keep a process alive:
 * a referenced port does, while `hold` says so.
 */
export class NotifyWaker implements Waker {
  readonly #words: Int32Array;
  readonly #word: number;
  readonly #anchor = new MessageChannel();
  #heard: number;
  #listenCount = 0;
  #closed: boolean = false;

  constructor(words: Int32Array, word: number) {
    assert(words.buffer instanceof SharedArrayBuffer, 'threads share a SharedArrayBuffer');
    this.#words = words;
    this.#word = word;
    this.#heard = Atomics.load(words, word);
    this.#anchor.port1.on('message', () => {});
    this.#anchor.port1.unref();
  }

  arm(): void {
    this.#heard = Atomics.load(this.#words, this.#word);
  }

  listen(onRing: () => void): void {
    this.#listenCount++;
    const listenNumber = this.#listenCount;
    const call = () => {
      if (!this.#closed && listenNumber === this.#listenCount) onRing();
    };
    const wait = Atomics.waitAsync(this.#words, this.#word, this.#heard);
    // Neither promise is ever rejected.
    void (wait.async ? wait.value.then(call) : Promise.resolve().then(call));
  }

  hold(hold: boolean): void {
    if (this.#closed) return;
    if (hold) this.#anchor.port1.ref();
    else this.#anchor.port1.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#anchor.port1.close();
    // Lets go of the pending wait, which would otherwise hold the memory.
    Atomics.notify(this.#words, this.#word);
  }
}
