/** The log through its public face, on a simulated machine: what it promised is what is found. */
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES } from '../../src/base/units.ts';
import { OperationKind } from '../../src/formats/summary-entry.ts';
import { SegmentState } from '../../src/formats/sut-entry.ts';
import { LOG_BUSY, LOG_FAILED, LOG_FULL, LOG_READY } from '../../src/log/log.ts';
import { readPoolInfo } from '../../src/log/pool-info.ts';
import { Harness, POOL, SMALL_LIMITS } from './support/log-harness.ts';

async function opened(seed: number, segmentCount = 16, limits = SMALL_LIMITS): Promise<Harness> {
  const h = new Harness(seed, limits);
  await h.create(segmentCount);
  await h.open();
  return h;
}

describe('log', () => {
  it('keeps what was written across a clean close', async () => {
    const h = await opened(1);
    h.write({ kind: 'write', lba: 0, blockCount: 5 });
    h.write({ kind: 'write', lba: 3, blockCount: 5 });
    h.write({ kind: 'discard', lba: 0, blockCount: 2 });
    await h.close();
    expect(h.machine.banks.size).toBe(0);
    const disk = await h.process.pools.open(POOL, { lockWaitMs: 0, readOnly: true });
    expect(await readPoolInfo(disk, h.process.kernels)).toMatchObject({ clean: true });
    await disk.close();
    await h.open();
    expect(h.report).toMatchObject({ wasClean: true, commitCount: 0 });
    await h.expectPrefix(h.history.order.at(-1) ?? 0);
    expect(h.history.current.size).toBe(6);
    await h.close();
  });

  it('R1: a flush waits for a sync of the commit, a plain write does not', async () => {
    const h = await opened(2);
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    expect(h.log.publishedTxn).toBe(h.log.lastTxn);
    expect(h.log.durableTxn).toBeLessThan(h.log.lastTxn);
    const { syncs } = h.log.stats();
    h.flush();
    expect(h.log.stats().syncs).toBe(syncs + 1);
    h.losePower();
    await h.open();
    expect(h.client.map.size).toBe(1);
  });

  it('commits by itself what nobody waits for, within its time, and parks until then', async () => {
    const h = await opened(3);
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    h.step();
    expect(h.log.hasWork).toBe(false);
    const waitUs = h.log.nextDeadlineUs - h.process.clock.nowUs();
    expect(waitUs).toBeGreaterThan(40_000);
    expect(waitUs).toBeLessThanOrEqual(50_000);
    h.step(waitUs + 10);
    h.stepUntil(() => h.log.durableTxn === h.log.lastTxn);
  });

  it.each(['writeError', 'syncError'] as const)(
    'R6: stops for good after a %s and keeps the bank',
    async (fault) => {
      const h = await opened(4);
      h.write({ kind: 'write', lba: 0, blockCount: 4 });
      h.file.faults.failOnce(fault);
      h.log.requestDurable(h.log.lastTxn);
      for (let i = 0; i < 1000 && h.log.failed === undefined; i++) h.step(10);
      expect(h.log.failed).toMatchObject({ code: 'pool_failed', reaction: 'stop' });
      expect(h.append({ kind: 'write', lba: 1, blockCount: 1 })).toBe(LOG_FAILED);
      expect(h.log.step(0)).toBe(false);
      expect(h.log.durableTxn).toBeLessThan(h.publishedTxn);
      await expect(h.log.close()).rejects.toMatchObject({ code: 'pool_failed' });
      expect(h.machine.banks.size).toBe(1);
      const promised = h.publishedTxn;
      h.kill();
      await h.open();
      await h.expectPrefix(promised);
    },
  );

  it.each(['writeError', 'syncError'] as const)(
    'R6: a %s during a checkpoint stops it too',
    async (fault) => {
      for (let skip = 0; skip < 3; skip++) {
        const h = await opened(5);
        h.write({ kind: 'write', lba: 0, blockCount: 30 });
        h.flush();
        h.log.checkpointNow();
        h.file.faults.failOnce(fault, skip);
        for (let i = 0; i < 1000 && h.log.failed === undefined; i++) h.step(10);
        expect(h.log.failed?.code).toBe('pool_failed');
        const promised = h.publishedTxn;
        h.kill();
        await h.open();
        await h.expectPrefix(promised);
      }
    },
  );

  it('R8: checkpoint pages lie in segments of their own, and the table counts them', async () => {
    const h = await opened(6);
    h.write({ kind: 'write', lba: 0, blockCount: 150 });
    h.checkpoint();
    const segments = h.table.segmentsIn(SegmentState.map);
    expect(segments.length).toBe(1);
    // Root, one page of the table, and eight blocks on each page of the model.
    expect(h.table.liveOf(segments[0] as number)).toBe(1 + 1 + Math.ceil(150 / 8));
    const used = new Set([...h.client.map.values()].map((stored) => h.segmentOf(stored.pba)));
    expect(used.has(segments[0] as number)).toBe(false);
  });

  it('R9: replay gets each operation once, in txn order', async () => {
    const h = await opened(7);
    for (let i = 0; i < 30; i++) {
      h.write({ kind: i % 3 === 2 ? 'discard' : 'write', lba: i % 7, blockCount: 2 });
      if (i % 10 === 9) h.flush();
    }
    const written = [...h.history.order];
    h.write({ kind: 'write', lba: 1, blockCount: 1 });
    h.kill();
    await h.open();
    expect(h.client.replayed).toEqual([...written, (written.at(-1) ?? 0) + 1]);
  });

  it('R10: a checkpoint is cut between operations, and the log after it is rolled forward', async () => {
    const h = await opened(8);
    h.write({ kind: 'write', lba: 0, blockCount: 60 });
    h.log.checkpointNow();
    // The log goes on while pages are written; what it changes is not in them.
    for (let i = 0; i < 8; i++) {
      h.write({ kind: 'write', lba: i, blockCount: 2 });
      h.step(5);
    }
    h.flush();
    h.stepUntil(() => h.log.stats().checkpoints === 2);
    h.flush();
    const promised = h.durableTxn;
    h.losePower();
    await h.open();
    expect(h.report?.commitCount).toBeGreaterThan(0);
    await h.expectPrefix(promised);
  });

  it('R11: no id of a lost tail is given out again', async () => {
    const h = await opened(9);
    h.write({ kind: 'write', lba: 0, blockCount: 3 });
    const seen = { txn: h.log.lastTxn, mba: h.log.nextMba() };
    const ids = { guest: h.log.nextGuestId(), volume: h.log.nextVolumeId() };
    h.losePower();
    await h.open();
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    expect(h.log.lastTxn).toBeGreaterThan(seen.txn);
    expect(h.log.nextMba()).toBeGreaterThan(seen.mba);
    expect(h.log.nextGuestId()).toBeGreaterThan(ids.guest);
    expect(h.log.nextVolumeId()).toBeGreaterThan(ids.volume);
    const { lastTxn } = h.log;
    await h.close();
    await h.open();
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    expect(h.log.lastTxn, 'a clean close gives no id away').toBe(lastTxn + 1);
  });

  it('R11: ids run out only until a checkpoint has renewed the reserve', async () => {
    const h = await opened(10, 16, { ...SMALL_LIMITS, guestReserve: 4, txnReserve: 50 });
    const guests = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const guest = h.log.nextGuestId();
      const { checkpoints } = h.log.stats();
      if (guest === 0) h.stepUntil(() => h.log.stats().checkpoints > checkpoints);
      else guests.add(guest);
    }
    expect(guests.size).toBeGreaterThan(8);
    for (let i = 0; i < 200; i++) expect(h.write({ kind: 'write', lba: 0, blockCount: 1 })).toBe(0);
    expect(h.log.stats().checkpoints).toBeGreaterThan(3);
  });

  it('R12: the smallest commit is 8 KiB, and its block is aligned', async () => {
    const h = await opened(11);
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    h.flush();
    expect(h.log.stats().loggedBytes).toBe(8192);
    const pba = [...h.client.map.values()][0]?.pba ?? 0;
    expect(h.log.bankOffsetOf(pba) % BLOCK_BYTES).toBe(0);
  });

  it('R21: takes operations of any size up to the largest, each in one partial segment', async () => {
    const h = await opened(12, 16, { ...SMALL_LIMITS, copyRowsMax: 4096 });
    const most = h.log.operationBlocksMax;
    expect(most).toBeGreaterThan(500);
    for (const blockCount of [most, 1, most, 122, 121, 123, 250, most]) {
      expect(h.write({ kind: 'write', lba: 0, blockCount })).toBe(LOG_READY);
    }
    const { lastTxn } = h.log;
    h.kill();
    await h.open();
    await h.expectPrefix(lastTxn);
    expect(() => h.log.roomFor(most + 1, most + 1)).toThrow('an operation fits a segment');
  });

  it('R22: a pinned segment is not free after a checkpoint, an unpinned one is', async () => {
    const h = await opened(13);
    h.write({ kind: 'write', lba: 0, blockCount: 190 });
    const pba = [...h.client.map.values()][0]?.pba ?? 0;
    const segment = h.segmentOf(pba);
    h.log.pin(pba);
    while (h.table.stateOf(segment) !== SegmentState.freeing) {
      h.write({ kind: 'write', lba: 0, blockCount: 190 });
    }
    h.checkpoint();
    expect(h.table.stateOf(segment)).toBe(SegmentState.freeing);
    h.log.unpin(pba);
    h.checkpoint();
    expect(h.table.stateOf(segment)).toBe(SegmentState.free);
  });

  it('refuses writes to a full pool, still takes discards, and then has room again', async () => {
    const h = await opened(14, 9);
    let lba = 0;
    while (h.write({ kind: 'write', lba, blockCount: 100 }) === LOG_READY) lba += 100;
    expect(lba).toBeGreaterThan(500);
    while (h.write({ kind: 'write', lba, blockCount: 1 }) === LOG_READY) lba += 1;
    expect(h.log.roomFor(1, 1)).toBe(LOG_FULL);
    expect(h.write({ kind: 'discard', lba: 0, blockCount: lba })).toBe(LOG_READY);
    expect(h.write({ kind: 'write', lba: 0, blockCount: 100 })).toBe(LOG_READY);
    h.kill();
    await h.open();
    expect(h.client.map.size).toBe(100);
    await h.close();
  });

  it('a full pool can be closed, and opened after a death', async () => {
    const h = await opened(15, 9);
    let lba = 0;
    while (h.write({ kind: 'write', lba, blockCount: 60 }) === LOG_READY) lba += 60;
    h.kill();
    await h.open();
    expect(h.client.map.size).toBe(lba);
    await h.close();
    await h.open();
    expect(h.client.map.size).toBe(lba);
  });

  it('is busy while every buffer waits for a sync, and not for ever', async () => {
    const h = await opened(16);
    let room: number = LOG_READY;
    let lba = 0;
    while (room === LOG_READY) {
      room = h.append({ kind: 'write', lba, blockCount: 100 });
      h.publish();
      lba += 100;
    }
    expect(room).toBe(LOG_BUSY);
    expect(h.write({ kind: 'write', lba, blockCount: 100 })).toBe(LOG_READY);
  });

  it('an operation that was announced must be completed', async () => {
    const h = await opened(17);
    h.log.roomFor(0, 1);
    h.log.beginOperation(OperationKind.discard, 0, 0, 0, 0, 0, 1, 1);
    expect(() => h.publish()).toThrow('only whole operations');
  });
});
