import { addon } from './load.ts';

let time: Float64Array | undefined;

/**
 * Monotonic microseconds from an arbitrary start. Unlike `performance.now`, whose result is 16
 * bytes on the heap each time, it allocates nothing: for loops that look at the clock for ever.
 *
 * @throws StoreError `addon_missing`.
 * @hotpath
 */
export function monotonicUs(): number {
  const native = addon();
  time ??= native.openClock();
  native.readClock();
  return time[0] as number;
}
