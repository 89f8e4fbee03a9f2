/**
 * The histogram against a sorted array: a percentile is never below the true one, and at most one
 * part in 32 above it. Buckets are checked for order and for gaps over their whole range.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bucketOf,
  bucketValueMax,
  HISTOGRAM_BUCKET_COUNT,
  Histogram,
} from '../../src/base/histogram.ts';

const VALUE_MAX = 2 ** 36 - 1;

/** Favours small numbers and the neighbourhood of powers of two, where bucket sizes change. */
const values = fc
  .oneof(
    fc.nat(100),
    fc.tuple(fc.nat(35), fc.integer({ min: -2, max: 2 })).map(([bits, by]) => 2 ** bits + by),
    fc.integer({ min: 0, max: VALUE_MAX }),
  )
  .map((value) => Math.max(0, Math.min(value, VALUE_MAX)));

describe('histogram', () => {
  it('has 1,024 buckets without gap or overlap', () => {
    expect(HISTOGRAM_BUCKET_COUNT).toBe(1024);
    let next = 0;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++) {
      expect(bucketOf(next)).toBe(bucket);
      expect(bucketOf(bucketValueMax(bucket))).toBe(bucket);
      next = bucketValueMax(bucket) + 1;
    }
    expect(next).toBe(2 ** 36);
  });

  it('counts what is too large as the largest, and what is negative as 0', () => {
    const histogram = new Histogram();
    histogram.record(2 ** 50);
    histogram.record(-5);
    expect(histogram.buckets[HISTOGRAM_BUCKET_COUNT - 1]).toBe(1);
    expect(histogram.buckets[0]).toBe(1);
  });

  it('gives percentiles that are not below the true ones and at most 1/32 above', () => {
    const sets = fc.array(values, { minLength: 1, maxLength: 300 });
    const property = fc.property(sets, fc.integer({ min: 0, max: 100 }), (set, percent) => {
      const histogram = new Histogram();
      for (const value of set) histogram.record(value);
      const sorted = set.toSorted((a, b) => a - b);
      const rank = Math.max(1, Math.ceil((percent / 100) * set.length));
      const truth = sorted[rank - 1] as number;
      const found = histogram.percentile(percent);
      expect(found).toBeGreaterThanOrEqual(truth);
      expect(found).toBeLessThanOrEqual(truth + truth / 32);
      expect(histogram.max).toBe(sorted.at(-1));
      expect(histogram.min).toBe(sorted[0]);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('merges into what recording everything in one gives', () => {
    const property = fc.property(fc.array(values), fc.array(values), (first, second) => {
      const apart = new Histogram();
      const other = new Histogram();
      const together = new Histogram();
      for (const value of first) apart.record(value);
      for (const value of second) other.record(value);
      for (const value of [...first, ...second]) together.record(value);
      apart.merge(other);
      expect(apart.buckets).toEqual(together.buckets);
      expect(apart.count).toBe(together.count);
      expect(apart.min).toBe(together.min);
      expect(apart.max).toBe(together.max);
    });
    fc.assert(property);
  });

  it('is rebuilt from its buckets within a bucket of the truth', () => {
    const property = fc.property(fc.array(values, { minLength: 1 }), (set) => {
      const histogram = new Histogram();
      for (const value of set) histogram.record(value);
      const rebuilt = Histogram.fromBuckets(histogram.buckets);
      expect(rebuilt.count).toBe(set.length);
      expect(bucketOf(rebuilt.max)).toBe(bucketOf(histogram.max));
      expect(bucketOf(rebuilt.min)).toBe(bucketOf(histogram.min));
    });
    fc.assert(property);
  });

  it('says 0 while empty, and after a reset', () => {
    const histogram = new Histogram();
    expect(histogram.percentile(99)).toBe(0);
    histogram.record(7);
    histogram.reset();
    expect([histogram.count, histogram.mean, histogram.percentile(50)]).toEqual([0, 0, 0]);
  });
});
