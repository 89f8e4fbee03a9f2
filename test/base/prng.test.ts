/**
 * Equal seeds give equal sequences, for good (golden values), neighbouring seeds do not resemble
 * each other, and draws stay in their bounds. The quality of the generator itself is its authors'.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';

const seeds = fc.oneof(fc.nat(), fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER));

describe('prng', () => {
  it('gives the same sequence for a seed as it always has', () => {
    const prng = new Prng(42);
    expect(Array.from({ length: 4 }, () => prng.u32())).toEqual([
      660444221, 3652823732, 2933815474, 4150280843,
    ]);
  });

  it('stays within its bounds', () => {
    const bounds = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(2 ** 32, 2 ** 53));
    const property = fc.property(seeds, bounds, (seed, bound) => {
      const prng = new Prng(seed);
      for (let i = 0; i < 50; i++) {
        const value = prng.below(bound);
        expect(Number.isSafeInteger(value) && value >= 0 && value < bound).toBe(true);
        expect(Number.isSafeInteger(prng.u53())).toBe(true);
        const unit = prng.unit();
        expect(unit >= 0 && unit < 1).toBe(true);
      }
    });
    fc.assert(property);
  });

  it('takes 0 and 1 as never and always', () => {
    const prng = new Prng(7);
    for (let i = 0; i < 1000; i++) {
      expect(prng.chance(0)).toBe(false);
      expect(prng.chance(1)).toBe(true);
    }
  });

  it('reaches every value and prefers none', () => {
    const prng = new Prng(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const value = prng.between(0, 9);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('gives unlike sequences for neighbouring seeds', () => {
    const firsts = Array.from({ length: 1000 }, (_, seed) => new Prng(seed).u32());
    expect(new Set(firsts).size).toBe(1000);
    let ones = 0;
    for (let i = 1; i < 1000; i++) {
      let difference = (firsts[i] ?? 0) ^ (firsts[i - 1] ?? 0);
      for (; difference !== 0; difference &= difference - 1) ones += 1;
    }
    expect(Math.abs(ones / 999 - 16)).toBeLessThan(0.5);
  });

  it('shuffles without losing or doubling', () => {
    const property = fc.property(seeds, fc.array(fc.nat()), (seed, values) => {
      const sorted = (list: number[]) => list.toSorted((a, b) => a - b);
      expect(sorted(new Prng(seed).shuffle([...values]))).toEqual(sorted(values));
    });
    fc.assert(property);
  });

  it('forks without repeating the parent', () => {
    const parent = new Prng(3);
    const child = parent.fork();
    const words = (prng: Prng) => Array.from({ length: 100 }, () => prng.u32());
    expect(words(child).some((word) => words(parent).includes(word))).toBe(false);
  });
});
