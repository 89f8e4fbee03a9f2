/**
 * Empty round trips through a driver, timed. A clock reading costs about as much as half a round
 * trip, so the median is of groups: a sample is the mean of `GROUP` round trips in a row, and the
 * clock's share is below 2 ns. Single samples, for the 99th percentile, include one reading.
 */
import type { BatchFace, Driver } from '../../guest/api.ts';
import { STATUS_OK } from '../../src/base/errors.ts';
import { quantile } from './report.ts';

/** Round trips in a sample of the median. */
export const GROUP = 32;

/** Looks at the ring before the thread sleeps, about 10 ms: then the host is stuck or gone. */
const LOOKS_MAX = 1_000_000;
const NS_PER_MS = 1e6;

/** One NOP there and back, spinning on the batch face. @hotpath */
export function nopRoundTrip(batch: BatchFace): void {
  batch.submitNop();
  batch.publish();
  let looks = 0;
  while (batch.reap(1) === 0) {
    looks++;
    if (looks > LOOKS_MAX) batch.wait(1000);
  }
  if (batch.statuses[0] !== STATUS_OK) throw new Error(`a NOP ended with ${batch.statuses[0]}`);
}

export function nopRoundTrips(driver: Driver, count: number): void {
  const { batch } = driver;
  for (let i = 0; i < count; i++) nopRoundTrip(batch);
}

/** Keeps `depth` NOPs in flight until `count` are done. */
export function nopStream(driver: Driver, count: number, depth: number): void {
  const { batch } = driver;
  let submitted = 0;
  let completed = 0;
  while (completed < count) {
    const before = submitted;
    while (submitted < count && submitted - completed < depth) {
      batch.submitNop();
      submitted++;
    }
    if (submitted > before) batch.publish();
    completed += batch.reap(depth);
  }
}

/** Nanoseconds per round trip, one figure per group. */
export function groupedSamples(driver: Driver, groupCount: number): Float64Array {
  const { batch } = driver;
  const samples = new Float64Array(groupCount);
  for (let group = 0; group < groupCount; group++) {
    const start = performance.now();
    for (let i = 0; i < GROUP; i++) nopRoundTrip(batch);
    samples[group] = ((performance.now() - start) * NS_PER_MS) / GROUP;
  }
  return samples;
}

/** Nanoseconds of single round trips, one reading of the clock included. */
export function singleSamples(driver: Driver, count: number): Float64Array {
  const { batch } = driver;
  const samples = new Float64Array(count);
  let before = performance.now();
  for (let i = 0; i < count; i++) {
    nopRoundTrip(batch);
    const now = performance.now();
    samples[i] = (now - before) * NS_PER_MS;
    before = now;
  }
  return samples;
}

/** Nanoseconds of `sync.nop()`, which spins and then sleeps. */
export function syncSamples(driver: Driver, count: number): Float64Array {
  const samples = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    driver.sync.nop();
    samples[i] = (performance.now() - start) * NS_PER_MS;
  }
  return samples;
}

/** The median of single figures made into groups as `groupedSamples` makes them. */
export function groupedMedian(singles: Float64Array): number {
  const groups = new Float64Array(Math.floor(singles.length / GROUP));
  for (let group = 0; group < groups.length; group++) {
    let sum = 0;
    for (let i = 0; i < GROUP; i++) sum += singles[group * GROUP + i] as number;
    groups[group] = sum / GROUP;
  }
  return quantile(groups, 0.5);
}

/** What one reading of the clock costs here, in ns. */
export function clockNs(): number {
  const readings = 100_000;
  const start = performance.now();
  let last = start;
  for (let i = 0; i < readings; i++) last = performance.now();
  return ((last - start) * NS_PER_MS) / readings;
}
