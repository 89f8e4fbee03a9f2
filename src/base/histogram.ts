/**
 * Counts of values by size, for latencies: 32 steps per power of two, so a percentile is at most
 * about 3 % above the truth, from 0 to 2^36 - 1 (68 s in ns) in 4 KiB. Larger values count as the
 * largest. Recording allocates nothing and costs a few ns.
 *
 *   bucket    0 … 31: the values themselves · 32 … 63: steps of 1 · 64 … 95: steps of 2 · …
 */
import { assert } from './assert.ts';

const STEP_BITS = 5;
const STEP_COUNT = 1 << STEP_BITS;
const VALUE_BITS_MAX = 36;
const VALUE_MAX = 2 ** VALUE_BITS_MAX - 1;
const TWO_POW_32 = 0x1_0000_0000;

/** Buckets of every histogram: merging and sharing need no negotiation. */
export const HISTOGRAM_BUCKET_COUNT = (VALUE_BITS_MAX - STEP_BITS + 1) * STEP_COUNT;

/** The bucket of a value, which is not negative. @hotpath */
export function bucketOf(value: number): number {
  if (value >= VALUE_MAX) return HISTOGRAM_BUCKET_COUNT - 1;
  // Above 32 bits the low 5 no longer matter for the step: they are dropped before the shifts.
  const wide = value >= TWO_POW_32;
  const low = wide ? (value / STEP_COUNT) >>> 0 : value >>> 0;
  if (low < STEP_COUNT) return low;
  const shift = 31 - Math.clz32(low) - STEP_BITS;
  const exponent = shift + 1 + (wide ? STEP_BITS : 0);
  return exponent * STEP_COUNT + ((low >>> shift) & (STEP_COUNT - 1));
}

/** The largest value that falls into the bucket. */
export function bucketValueMax(bucket: number): number {
  assert(bucket >= 0 && bucket < HISTOGRAM_BUCKET_COUNT, 'the bucket exists');
  const exponent = Math.floor(bucket / STEP_COUNT);
  const step = bucket % STEP_COUNT;
  if (exponent === 0) return step;
  return (STEP_COUNT + step + 1) * 2 ** (exponent - 1) - 1;
}

export class Histogram {
  /** Counts by bucket, modulo 2^32. Read and copied freely; written by `record` and `merge` only. */
  readonly buckets: Uint32Array;
  /** The least value recorded, or Infinity; the largest, or 0; and their sum. */
  min = Number.POSITIVE_INFINITY;
  max = 0;
  sum = 0;
  count = 0;

  constructor() {
    this.buckets = new Uint32Array(HISTOGRAM_BUCKET_COUNT);
  }

  /** One made of another's buckets, as from a control page; its extremes are those of buckets. */
  static fromBuckets(buckets: Uint32Array): Histogram {
    assert(buckets.length === HISTOGRAM_BUCKET_COUNT, 'all histograms have the same buckets');
    const histogram = new Histogram();
    for (let bucket = 0; bucket < buckets.length; bucket++) {
      const count = buckets[bucket] as number;
      if (count === 0) continue;
      const value = bucketValueMax(bucket);
      histogram.buckets[bucket] = count;
      histogram.count += count;
      histogram.sum += value * count;
      histogram.min = Math.min(histogram.min, value);
      histogram.max = value;
    }
    return histogram;
  }

  /** Counts a value; negative ones, from clocks that stepped, count as 0. @hotpath */
  record(value: number): void {
    const kept = value > 0 ? value : 0;
    const bucket = bucketOf(kept);
    this.buckets[bucket] = (this.buckets[bucket] as number) + 1;
    this.count++;
    this.sum += kept;
    if (kept < this.min) this.min = kept;
    if (kept > this.max) this.max = kept;
  }

  merge(other: Histogram): void {
    for (let bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++) {
      const count = (this.buckets[bucket] as number) + (other.buckets[bucket] as number);
      this.buckets[bucket] = count;
    }
    this.count += other.count;
    this.sum += other.sum;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
  }

  reset(): void {
    this.buckets.fill(0);
    this.count = 0;
    this.sum = 0;
    this.min = Number.POSITIVE_INFINITY;
    this.max = 0;
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count;
  }

  /**
   * A value that `percent` (0 to 100) of the values do not exceed: the top of its bucket, but never
   * more than the largest. 0 if nothing was recorded.
   */
  percentile(percent: number): number {
    assert(percent >= 0 && percent <= 100, 'a percentile is within 0 and 100');
    if (this.count === 0) return 0;
    const rank = Math.max(1, Math.ceil((percent / 100) * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++) {
      seen += this.buckets[bucket] as number;
      if (seen >= rank) return Math.min(bucketValueMax(bucket), this.max);
    }
    return this.max;
  }
}
