/**
 * The real store under the harness: a stated tenth of `npm run sim`, which runs 200 histories and
 * every crash point of 20 loads. A failing seed is replayed with the command that the test prints.
 */
import { expect, it } from 'vitest';
import { storeFactory } from './store-factory.ts';
import { type Effort, type Finding, replayCommand, Sweep } from './sweep.ts';

const HISTORIES: Effort = { roundCount: 8, commandCount: 100 };
const POINTS: Effort = { roundCount: 8, commandCount: 40 };
const TIMEOUT_MS = 120_000;

/** Fails with the finding's own error, after saying how to see it again. */
function requireNothing(finding: Finding | undefined, effort: Effort): void {
  if (finding === undefined) return;
  expect.fail(`${finding.error}; again: ${replayCommand(finding.place, effort)}`);
}

it(
  'keeps its contract through deaths and losses of power in sequence (R1 to R11, R25)',
  async () => {
    const sweep = new Sweep(storeFactory, HISTORIES);
    for (let seed = 1; seed <= 20; seed++) requireNothing(await sweep.run({ seed }), HISTORIES);
    expect(sweep.report.powerLossCount).toBeGreaterThan(20);
  },
  TIMEOUT_MS,
);

it(
  'keeps its contract whatever the point at which it dies',
  async () => {
    const sweep = new Sweep(storeFactory, POINTS);
    for (const seed of [1, 2]) requireNothing(await sweep.runEveryPoint(seed), POINTS);
    expect(sweep.report.runCount).toBeGreaterThan(20);
  },
  TIMEOUT_MS,
);

it(
  'does the same for the same seed',
  async () => {
    const effort = { roundCount: 3, commandCount: 40 };
    const hashes = [];
    for (let i = 0; i < 2; i++) {
      const sweep = new Sweep(storeFactory, effort);
      requireNothing(await sweep.run({ seed: 5 }), effort);
      hashes.push({ ...sweep.report });
    }
    expect(hashes[0]).toEqual(hashes[1]);
  },
  TIMEOUT_MS,
);
