import { monotonicUs } from '../bindings/clock.ts';
import { addonAvailable } from '../bindings/load.ts';
import type { Clock, Timer } from './platform.ts';

/** The longest delay that the event loop's timers take; a longer one would fire at once. */
const DELAY_MS_MAX = 0x7fff_ffff;

/** The machine's monotonic clock and the event loop's timers. */
export class NodeClock implements Clock {
  readonly #native: boolean = addonAvailable();

  /** Allocates nothing where the addon is there. @hotpath */
  nowUs(): number {
    return this.#native ? monotonicUs() : performance.now() * 1000;
  }

  wallMs(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void, options: { hold?: boolean } = {}): Timer {
    const timeout = setTimeout(callback, Math.min(delayMs, DELAY_MS_MAX));
    if (options.hold === false) timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  }
}
