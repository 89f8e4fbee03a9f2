/**
 * Descriptors that call back on the event loop when they are ready: sockets and doorbells that Node
 * itself cannot watch. All watches of a thread share one native thread, started with the first.
 */
import { assert } from '../base/assert.ts';
import { addon } from './load.ts';
import { requireResult } from './system-error.ts';

/** What to watch for, and what happened; combined with `|`. ERROR and HANGUP always report. */
export const Ready = {
  READABLE: 0x1,
  WRITABLE: 0x4,
  ERROR: 0x8,
  HANGUP: 0x10,
  /** The peer will send no more. */
  PEER_CLOSED: 0x2000,
} as const;

type OnReady = (events: number) => void;

const watches = new Map<number, Watch>();
let started = false;
let tokenNext = 1;
let holdCount = 0;

/**
 * Calls `onReady` on the event loop once `fd` is ready for any of `events` (of `Ready`), with what
 * it is ready for. Then the watch is silent until `again()`: one call per readiness, never a flood.
 *
 * A watch does not keep the process alive unless it is held. What `onReady` throws is an uncaught
 * exception. Remove the watch before closing the descriptor.
 */
export function watchFd(fd: number, events: number, onReady: OnReady): Watch {
  if (!started) {
    requireResult('event thread', addon().watchStart(dispatch));
    started = true;
  }
  const token = tokenNext++;
  const watch = new Watch(fd, token, events, onReady);
  requireResult('epoll_ctl', addon().watchAdd(fd, token, events), { fd });
  watches.set(token, watch);
  return watch;
}

function dispatch(token: number, events: number): void {
  watches.get(token)?.onReady(events);
}

/** One watched descriptor. Made by `watchFd`. */
export class Watch {
  readonly onReady: OnReady;
  readonly #fd: number;
  readonly #token: number;
  #events: number;
  #held: boolean = false;
  #removed: boolean = false;

  constructor(fd: number, token: number, events: number, onReady: OnReady) {
    this.onReady = onReady;
    this.#fd = fd;
    this.#token = token;
    this.#events = events;
  }

  /** Reports the next readiness, for the same events or others. */
  again(events: number = this.#events): void {
    assert(!this.#removed, 'a removed watch is not used');
    this.#events = events;
    requireResult('epoll_ctl', addon().watchAgain(this.#fd, this.#token, events), { fd: this.#fd });
  }

  /** Keeps the event loop, and so the process, alive while `held`. */
  hold(held: boolean): void {
    assert(!this.#removed || !held, 'a removed watch is not held');
    if (held === this.#held) return;
    this.#held = held;
    holdCount += held ? 1 : -1;
    if (holdCount === (held ? 1 : 0)) addon().watchHold(held);
  }

  /** After it returns `onReady` is not called any more. A second call does nothing. */
  remove(): void {
    if (this.#removed) return;
    this.hold(false);
    this.#removed = true;
    watches.delete(this.#token);
    requireResult('epoll_ctl', addon().watchRemove(this.#fd, this.#token), { fd: this.#fd });
  }
}

/**
 * Removes every watch of this thread and ends its native thread, which happens by itself when the
 * JavaScript thread ends. A later `watchFd` starts anew.
 */
export function stopWatching(): void {
  for (const watch of [...watches.values()]) watch.remove();
  if (started) addon().watchStop();
  started = false;
}
