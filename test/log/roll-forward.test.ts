/**
 * Which commits count after a crash (R7): each way in which the end of the log can look. The pool
 * is written by the log itself; then single sectors are ruined, as a torn write or a bad medium
 * does, and the pool is opened after a loss of power.
 */
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, SECTOR_BYTES } from '../../src/base/units.ts';
import type { Partial } from '../../src/formats/partial-segment.ts';
import { Harness, SMALL_LIMITS } from './support/log-harness.ts';
import {
  commitsOf,
  ruinSector,
  storeAll,
  superblockOf,
  unitPosition,
} from './support/pool-surgery.ts';

/** Closes a commit at every step, and syncs only when somebody waits. */
const EAGER = { ...SMALL_LIMITS, commitBytes: BLOCK_BYTES, syncBytes: 1 << 30, unsyncedUs: 1e12 };
const BLOCKS = 4;

/** Three commits of four blocks; `synced` says after which of them somebody waited. */
async function threeCommits(synced: readonly boolean[]) {
  const h = new Harness(5, EAGER);
  await h.create();
  await h.open();
  for (const [i, wait] of synced.entries()) {
    h.write({ kind: 'write', lba: i * 10, blockCount: BLOCKS });
    h.step(1);
    if (wait) h.flush();
  }
  h.stepUntil(() => h.disk.inFlightCount === 0 && !h.log.hasWork);
  const txns = [...h.history.order];
  storeAll(h);
  h.losePower();
  const { headSequence } = await superblockOf(h);
  const commits = await commitsOf(h, headSequence);
  expect(commits.map((commit) => commit.payloadBlocks)).toEqual([BLOCKS, BLOCKS, BLOCKS]);
  return { h, txns, commits };
}

type Ruin = (commit: Partial) => number;
const header: Ruin = (commit) => unitPosition(commit, 0);
const mark: Ruin = (commit) => unitPosition(commit, 1) - SECTOR_BYTES;
const entries: Ruin = (commit) => unitPosition(commit, 0) + SECTOR_BYTES / 2;
const payload: Ruin = (commit) => unitPosition(commit, 2) + 3 * SECTOR_BYTES;

describe('roll-forward', () => {
  it.each([
    ['header', header],
    ['commit mark', mark],
    ['entries', entries],
    ['payload', payload],
  ])('R7: a last commit with a torn %s is the tail, though it was synced', async (_, place) => {
    const { h, txns, commits } = await threeCommits([true, true, true]);
    ruinSector(h, place(commits[2] as Partial));
    await h.open();
    expect(h.report).toMatchObject({ commitCount: 2 });
    expect(await h.expectPrefix(txns[1] as number)).toBe(txns[1]);
  });

  it.each([
    ['header', header],
    ['commit mark', mark],
    ['entries', entries],
  ])(
    'R7: a torn %s below a known sync is damage, named by segment and sequence',
    async (_, place) => {
      const { h, commits } = await threeCommits([true, true, true]);
      const bad = commits[1] as Partial;
      ruinSector(h, place(bad));
      const details = { structure: 'log', segment: bad.segment, sequence: bad.commitSequence };
      await expect(h.open()).rejects.toMatchObject({ code: 'pool_corrupt', details });
    },
  );

  it.each([
    ['header', header],
    ['commit mark', mark],
    ['entries', entries],
    ['payload', payload],
  ])('R7: of two unsynced commits the first has a torn %s: both are the tail', async (_, place) => {
    const { h, txns, commits } = await threeCommits([true, false, false]);
    expect(commits[2]?.durableSequence).toBe(commits[0]?.commitSequence);
    ruinSector(h, place(commits[1] as Partial));
    await h.open();
    expect(h.report).toMatchObject({ commitCount: 1 });
    expect(await h.expectPrefix(txns[0] as number)).toBe(txns[0]);
  });

  it('R7: unsynced commits that landed whole count', async () => {
    const { h, txns } = await threeCommits([true, false, false]);
    await h.open();
    expect(await h.expectPrefix(txns[2] as number)).toBe(txns[2]);
  });

  it('R7: payload below a known sync is not read again by recovery', async () => {
    const { h, commits } = await threeCommits([true, true, true]);
    ruinSector(h, payload(commits[0] as Partial));
    await h.open();
    expect(h.report).toMatchObject({ commitCount: 3 });
  });

  it('R7: a place that cannot be read behind the log does not keep the pool from opening', async () => {
    const { h, txns } = await threeCommits([true, true, true]);
    // The first read of the chain covers far more than the chain; then the scan reads the rest.
    for (const skip of [4, 5, 8]) {
      h.file.faults.failOnce('readError', skip);
      await h.open();
      h.file.faults.cancel();
      expect(h.client.map.size).toBe(3 * BLOCKS);
      h.losePower();
    }
    expect(txns.length).toBe(3);
  });

  it('R7: a bad first commit of a segment is damage if the segment after next knows it', async () => {
    const h = new Harness(6, EAGER);
    await h.create();
    await h.open();
    // Each commit fills most of a segment, so each lies in a segment of its own.
    for (let i = 0; i < 4; i++) {
      h.write({ kind: 'write', lba: 0, blockCount: 400 });
      h.flush();
    }
    const { headSequence } = await superblockOf(h);
    storeAll(h);
    h.losePower();
    const commits = await commitsOf(h, headSequence);
    expect(new Set(commits.map((commit) => commit.segment)).size).toBe(4);
    const bad = commits[1] as Partial;
    ruinSector(h, header(bad));
    const details = { nextSegment: bad.segment, sequence: bad.commitSequence };
    await expect(h.open()).rejects.toMatchObject({ code: 'pool_corrupt', details });
  });

  it('R7: what an earlier use of the segment left behind the last commit is not taken up', async () => {
    const h = new Harness(7, { ...EAGER, checkpointBytes: 3 << 20 });
    await h.create(10);
    await h.open();
    let reused = false;
    for (let i = 0; i < 400 && !reused; i++) {
      h.write({ kind: 'write', lba: 0, blockCount: 9 });
      h.flush();
      reused = i > 250 && (await staleFollows(h));
    }
    expect(reused, 'a stale commit lay behind the newest one').toBe(true);
    const last = h.history.order.at(-1) ?? 0;
    h.losePower();
    await h.open();
    expect(await h.expectPrefix(last)).toBe(last);
  });

  it.each([3, 4])(
    'R10: refuses a clean past if %i copies of the newest superblock rot away',
    async (count) => {
      const { h } = await threeCommits([true, true, true]);
      await ruinCopies(h, count);
      const reason = expect.stringContaining('later superblock');
      await expect(h.open()).rejects.toMatchObject({ code: 'pool_corrupt', details: { reason } });
    },
  );

  it.each([3, 4])(
    'R10: refuses a log stamped by a checkpoint whose %i copies rot away',
    async (count) => {
      const h = new Harness(8, EAGER);
      await h.create();
      await h.open();
      h.write({ kind: 'write', lba: 0, blockCount: 4 });
      h.checkpoint();
      h.write({ kind: 'write', lba: 0, blockCount: 4 });
      h.flush();
      storeAll(h);
      h.losePower();
      await ruinCopies(h, count);
      const reason = expect.stringContaining('after the superblock');
      await expect(h.open()).rejects.toMatchObject({ code: 'pool_corrupt', details: { reason } });
    },
  );

  it.each([3, 4])(
    'R10: refuses the past before a recovery whose %i copies rot away',
    async (count) => {
      const { h } = await threeCommits([true, true, true]);
      await h.open();
      h.write({ kind: 'write', lba: 0, blockCount: 4 });
      h.flush();
      storeAll(h);
      h.losePower();
      await ruinCopies(h, count);
      const reason = expect.stringContaining('later superblock');
      await expect(h.open()).rejects.toMatchObject({ code: 'pool_corrupt', details: { reason } });
    },
  );
});

/** Copies of the newest generation rot away; the one before knows nothing of the log since. */
async function ruinCopies(h: Harness, count: number): Promise<void> {
  const { generation } = await superblockOf(h);
  for (let copy = 0; copy < count; copy++) {
    ruinSector(h, (generation % 2) * (8 << 20) + copy * BLOCK_BYTES);
  }
}

/** Whether right behind the newest commit stands a whole one with a smaller sequence. */
async function staleFollows(h: Harness): Promise<boolean> {
  const commits = await commitsOf(h);
  const newest = commits.at(-1) as Partial;
  const end = newest.block + 1 + newest.payloadBlocks + newest.overflowUnits;
  return commits.some((each) => each.segment === newest.segment && each.block === end);
}
