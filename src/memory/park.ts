/**
 * Going to sleep over one or several rings with one bell, in the only order that loses no wake-up,
 * and noticing if one was lost after all.
 *
 *   arm the bell -> announce on every ring and look again -> sleep -> take the announcements back
 */
import { type Sleeper, TIMED_OUT, WOKEN } from './bell.ts';

/** The consuming side of a ring: `GuestQueue`, `HostQueue` and `RingConsumer` all are. */
export interface Parkable {
  /** None of these throws for a hostile peer: taking the work does, where one knows whose it is. */
  hasWork(): boolean;
  prepareToPark(): boolean;
  unpark(): void;
}

/** There was work: nobody slept. */
export const FOUND_WORK = 0;
/** The bell woke us: there is work, or there was something else to be woken for. */
export const PARK_WOKEN = WOKEN;
/** The time was up and nothing had come. */
export const PARK_IDLE = TIMED_OUT;
/** The time was up, but there was work that nobody rang for. A bug, to be counted. */
export const PARK_LOST = 3;
export type ParkResult =
  | typeof FOUND_WORK
  | typeof PARK_WOKEN
  | typeof PARK_IDLE
  | typeof PARK_LOST;

/**
 * A producer that has stored its tail rings within this, unless it is dead or was never going to.
 * Long, because the kernel may have taken the processor from it in between.
 */
const RING_MS_MAX = 100;

/**
 * Sleeps until the bell rings for one of `rings`, at most `timeoutMs`. `hasOtherWork` is asked
 * between the announcement and the sleep: what it looks at must ring the same bell.
 */
export function park(
  rings: readonly Parkable[],
  sleeper: Sleeper,
  timeoutMs: number,
  hasOtherWork: () => boolean = () => false,
): ParkResult {
  sleeper.arm();
  if (!announce(rings) || hasOtherWork()) {
    unparkAll(rings);
    return FOUND_WORK;
  }
  let result: ParkResult = sleeper.sleep(timeoutMs);
  if (result === PARK_IDLE && rings.some((ring) => ring.hasWork())) {
    // Work without a ring: lost, unless its producer is between its store and its ring just now.
    result = sleeper.sleep(RING_MS_MAX) === WOKEN ? PARK_WOKEN : PARK_LOST;
  }
  unparkAll(rings);
  return result;
}

function announce(rings: readonly Parkable[]): boolean {
  for (const ring of rings) if (!ring.prepareToPark()) return false;
  return true;
}

function unparkAll(rings: readonly Parkable[]): void {
  for (const ring of rings) ring.unpark();
}
