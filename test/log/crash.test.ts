/**
 * The log against its model over random histories: appends, flushes, checkpoints, clean closes,
 * deaths of the process and losses of power at any point, recovery included, in any sequence.
 *
 * After every reopen the state is that after some operation of the history; after a death none
 * that was published is missing, after a loss of power none that was durable. Every mapped block
 * has the bytes of its version, and the segment table counts exactly what is mapped (I1).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SegmentState } from '../../src/formats/sut-entry.ts';
import { LOG_FULL, LOG_READY } from '../../src/log/log.ts';
import { SimulatedCrash } from '../sim/sim-process.ts';
import { Harness } from './support/log-harness.ts';

const LBAS = 200;

const lba = fc.nat(LBAS - 1);
const blockCount = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 150 }));
const kind = fc.constantFrom(
  'write' as const,
  'write' as const,
  'write' as const,
  'discard' as const,
);
const action = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('append' as const), kind, lba, blockCount }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('step' as const), count: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('idle' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('durable' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('checkpoint' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('die' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('losePower' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('arm' as const),
      points: fc.integer({ min: 1, max: 60 }),
    }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Ends a crashed open, dies in recovery too if one is armed, until the pool is open again. */
async function reopen(h: Harness, minimumTxn: number, powers: boolean[]): Promise<void> {
  for (let minimum = minimumTxn; ; ) {
    try {
      await h.open();
      await h.expectPrefix(minimum);
      expectExactTable(h);
      return;
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
      const power = powers.shift() ?? false;
      if (power) {
        h.losePower();
        minimum = Math.min(minimum, h.durableTxn);
      } else {
        h.kill();
      }
    }
  }
}

/** I1, at a moment where everything is published. */
function expectExactTable(h: Harness): void {
  const { table } = h;
  const live = new Map<number, number>();
  for (const stored of h.client.map.values()) {
    const segment = h.segmentOf(stored.pba);
    live.set(segment, (live.get(segment) ?? 0) + 1);
  }
  for (let segment = 0; segment < table.segmentCount; segment++) {
    if (table.stateOf(segment) === SegmentState.map) continue;
    expect(table.liveOf(segment), `segment ${segment}`).toBe(live.get(segment) ?? 0);
  }
}

async function run(
  seed: number,
  segmentCount: number,
  actions: Action[],
  powers: boolean[],
): Promise<void> {
  const h = new Harness(seed);
  await h.create(segmentCount);
  await h.open();
  for (const each of actions) {
    try {
      await perform(h, each);
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
      h.kill();
      await reopen(h, h.publishedTxn, powers);
    }
  }
  h.machine.disarmCrash();
  h.kill();
  await reopen(h, h.publishedTxn, powers);
}

async function perform(h: Harness, each: Action): Promise<void> {
  switch (each.do) {
    case 'append': {
      const count = Math.min(each.blockCount, LBAS - each.lba);
      if (h.log.copies.roomCount < count) turn(h);
      const room = h.append({ kind: each.kind, lba: each.lba, blockCount: count });
      if (room === LOG_FULL) return makeSpace(h);
      if (room !== LOG_READY) turn(h);
      return;
    }
    case 'turn':
      return turn(h);
    case 'step':
      h.publish();
      for (let i = 0; i < each.count; i++) h.step(20);
      return;
    case 'idle':
      h.publish();
      h.step(60_000);
      h.step(0);
      return;
    case 'durable':
      h.publish();
      h.log.requestDurable(h.log.lastTxn);
      return turn(h);
    case 'checkpoint':
      h.log.checkpointNow();
      return turn(h);
    case 'close': {
      h.publish();
      const { lastTxn } = h.log;
      await h.close();
      return reopen(h, lastTxn, []);
    }
    case 'die':
      h.kill();
      return reopen(h, h.publishedTxn, []);
    case 'losePower':
      h.losePower();
      return reopen(h, h.durableTxn, []);
    case 'arm':
      h.machine.armCrash(each.points);
  }
}

/** A small pool may be full of half-empty segments; then discards are still taken, and help. */
function makeSpace(h: Harness): void {
  h.publish();
  expect(h.write({ kind: 'discard', lba: 0, blockCount: LBAS })).toBe(LOG_READY);
  expect(h.write({ kind: 'write', lba: 0, blockCount: 100 })).toBe(LOG_READY);
}

function turn(h: Harness): void {
  h.publish();
  h.step(20);
}

describe('log, crashes', () => {
  it('R4: any sequence of deaths and losses of power leaves a prefix with all that was promised', async () => {
    const property = fc.asyncProperty(
      fc.nat(),
      fc.constant(16),
      fc.array(action, { minLength: 5, maxLength: 60 }),
      fc.array(fc.boolean(), { maxLength: 10 }),
      run,
    );
    await fc.assert(property, { numRuns: 150 });
  }, 300_000);

  it('R10: segments that are used again and again never lose what counts', async () => {
    const large = fc.record({
      do: fc.constant('append' as const),
      kind: fc.constantFrom('write' as const, 'write' as const, 'discard' as const),
      lba: fc.nat(20),
      blockCount: fc.integer({ min: 100, max: 190 }),
    });
    const actions = fc.array(fc.oneof({ weight: 60, arbitrary: large }, action), {
      minLength: 40,
      maxLength: 150,
    });
    const property = fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 9, max: 12 }),
      actions,
      fc.array(fc.boolean(), { maxLength: 10 }),
      run,
    );
    await fc.assert(property, { numRuns: 25 });
  }, 300_000);
});
