/** The window and the budget under any history: bounds, and the directions that they must take. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CpuBudget, SpinWindow } from '../../src/channel/spin-window.ts';

const WAKE_US = 40;

describe('spin window', () => {
  it('stays within its bounds for any history', () => {
    const idles = fc.array(fc.oneof(fc.nat(500), fc.nat(20_000_000)));
    const property = fc.property(idles, fc.nat(400), (history, windowUsMax) => {
      const window = new SpinWindow(WAKE_US, windowUsMax);
      for (const idleUs of history) {
        window.wokenAfter(idleUs);
        expect(window.windowUs).toBeGreaterThanOrEqual(0);
        expect(window.windowUs).toBeLessThanOrEqual(windowUsMax);
      }
    });
    fc.assert(property);
  });

  it('starts at what a wake-up costs, and grows to its maximum while work comes soon after', () => {
    const window = new SpinWindow(WAKE_US);
    expect(window.windowUs).toBe(WAKE_US);
    for (let i = 0; i < 5; i++) window.wokenAfter(WAKE_US + 60);
    expect(window.windowUs).toBe(8 * WAKE_US);
  });

  it('shrinks to nothing while work comes late, and is back after one that came soon', () => {
    const window = new SpinWindow(WAKE_US);
    for (let i = 0; i < 5; i++) window.wokenAfter(5000);
    expect(window.windowUs).toBe(0);
    window.wokenAfter(2 * WAKE_US);
    expect(window.windowUs).toBe(WAKE_US);
  });

  it('drops out at once after seconds of silence', () => {
    const window = new SpinWindow(WAKE_US);
    window.wokenAfter(8_000_000);
    expect(window.windowUs).toBe(0);
  });
});

describe('processor budget', () => {
  it('lets no second hold more than its share, for any history that asks first', () => {
    // A second later is where something spent may be forgotten, and must not be too early.
    const pauses = fc.oneof(
      fc.nat(300_000),
      fc.tuple(fc.integer({ min: 44, max: 50 }), fc.nat(20_000)).map(([n, us]) => n * 20_000 - us),
    );
    const steps = fc.array(fc.tuple(pauses, fc.nat(20_000)), { maxLength: 200 });
    const shares = fc.double({ min: 0, max: 0.99, noNaN: true });
    const property = fc.property(shares, steps, (share, history) => {
      const budget = new CpuBudget(share);
      const spent: { fromUs: number; toUs: number }[] = [];
      let nowUs = 0;
      for (const [pauseUs, wantedUs] of history) {
        nowUs += pauseUs;
        const spinUs = Math.max(0, Math.min(wantedUs, budget.allowanceUs(nowUs)));
        const fromUs = nowUs;
        nowUs += spinUs;
        budget.spend(nowUs, spinUs);
        spent.push({ fromUs, toUs: nowUs });
        const inSecond = spent
          .map((spin) => Math.max(0, spin.toUs - Math.max(spin.fromUs, nowUs - 1_000_000)))
          .reduce((sum, us) => sum + us, 0);
        expect(inSecond).toBeLessThanOrEqual(share * 1_000_000 + 0.001);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('gives all of it back after a second and a bit', () => {
    const budget = new CpuBudget(0.2);
    for (let i = 0; i < 10; i++) budget.spend(1000 + i * 20_000, 20_000);
    expect(budget.allowanceUs(200_000)).toBeLessThanOrEqual(0);
    expect(budget.usedPermille(200_000)).toBe(200);
    expect(budget.allowanceUs(1_300_000)).toBeCloseTo(200_000);
  });

  it('does not limit a whole core', () => {
    const budget = new CpuBudget(1);
    budget.spend(10, 20_000);
    expect(budget.allowanceUs(10)).toBe(Number.POSITIVE_INFINITY);
  });
});
