/**
 * The harness itself: a small right store passes, and each bug planted in it is found. What the
 * real store does under the harness is in store.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { type RunReport, SimRun } from './harness.ts';
import { toyFactory } from './toy-factory.ts';
import type { ToyBug } from './toy-records.ts';

const RUNS_MAX = 400;

function run(seed: number, bug?: ToyBug): Promise<RunReport> {
  return new SimRun(toyFactory(bug), { seed, roundCount: 6, commandCount: 60 }).run();
}

/** The first seed under which the bug is found. */
async function seedThatFinds(bug: ToyBug): Promise<number | undefined> {
  for (let seed = 0; seed < RUNS_MAX; seed++) {
    try {
      await run(seed, bug);
    } catch {
      return seed;
    }
  }
  return undefined;
}

const BUGS: readonly ToyBug[] = [
  'flush answers early',
  'bank dropped before the sync',
  'recovery answers before its sync',
  'reply not stored',
  'half a batch',
  'torn tail accepted',
  'published before it is copied',
  'lost bank ignored',
  'read shows the past',
];

describe('harness', () => {
  it('finds nothing in a store that keeps its contract', async () => {
    for (let seed = 0; seed < 25; seed++) await run(seed);
  }, 60_000);

  it('does the same for the same seed', async () => {
    expect(await run(7)).toEqual(await run(7));
  });

  it.each(BUGS)(
    'finds: %s',
    async (bug) => {
      expect(await seedThatFinds(bug)).toBeDefined();
    },
    60_000,
  );
});
