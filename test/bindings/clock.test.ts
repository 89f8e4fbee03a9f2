/** That the clock runs forward and at the right pace. What it allocates is bench/channel's matter. */
import { expect, it } from 'vitest';
import { monotonicUs } from '../../src/bindings/clock.ts';

it('counts microseconds as the system clock does, and never back', () => {
  const offsetUs = Number(process.hrtime.bigint()) / 1000 - monotonicUs();
  let lastUs = monotonicUs();
  for (let i = 0; i < 100_000; i++) {
    const nowUs = monotonicUs();
    expect(nowUs >= lastUs).toBe(true);
    lastUs = nowUs;
  }
  // Both are CLOCK_MONOTONIC; between the two readings the kernel may run something else.
  const laterUs = Number(process.hrtime.bigint()) / 1000;
  expect(laterUs - offsetUs).toBeGreaterThanOrEqual(lastUs - 1);
});
