/**
 * What callers see when the host goes away: policies, deadlines, hosts that lost data or have
 * forgotten the guest, hosts that break the protocol. That nothing is done twice is tested in
 * `faces.test.ts`.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Driver, DriverState } from '../../guest/api.ts';
import { StoreError, statusOf } from '../../src/base/errors.ts';
import { Rig } from './support/rig.ts';

const BLOCK = new Uint8Array(4096).fill(9);

let rig: Rig;
afterEach(() => rig.end());

function code(expected: string): unknown {
  return expect.objectContaining({ code: expected });
}

function statesOf(driver: Driver): DriverState[] {
  const states: DriverState[] = [];
  driver.on('state', (state) => states.push(state));
  return states;
}

/** The outcome of each promise, without waiting for it. */
function watch(promises: Promise<unknown>[]): (string | undefined)[] {
  const outcomes: (string | undefined)[] = promises.map(() => undefined);
  for (const [i, promise] of promises.entries()) {
    promise.then(
      () => {
        outcomes[i] = 'done';
      },
      (error: StoreError) => {
        outcomes[i] = error.code;
      },
    );
  }
  return outcomes;
}

describe('policy wait', () => {
  it('carries calls over to the next host and says what happens', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 1 });
    const driver = await rig.connect();
    const states = statesOf(driver);
    const calls = [driver.async.write(0, BLOCK), driver.async.write(4096, BLOCK)];
    await rig.until(() => rig.host.commandCount === 1);
    rig.kill();
    await rig.until(() => driver.state === 'reattaching');
    calls.push(driver.async.flush());
    rig.start();
    await Promise.all(calls);
    expect(states).toEqual(['host-lost', 'reattaching', 'attached']);
    expect(rig.host.attaches[0]?.resume?.guestId).toBe(1);
    expect(rig.host.attaches[0]?.epoch).toBe(2);
    expect(rig.store.flushes).toBe(1);
  });

  it('notices a host that died without a word while a call waits', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.write(0, BLOCK);
    rig.kill(true);
    rig.start();
    await call;
    expect(driver.state).toBe('attached');
  });

  it('ends calls at the deadline, refuses new ones, and still attaches to a later host', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 1 });
    const driver = await rig.connect({ queueDepth: 2, hostLossDeadlineMs: 5000 });
    const calls = [0, 1, 2, 3].map((i) => driver.async.write(i * 4096, BLOCK));
    await rig.until(() => rig.host.commandCount === 1);
    rig.ticking = false;
    rig.kill();
    const outcomes = watch(calls);
    await rig.until(() => driver.state === 'reattaching');
    rig.clock.advance(4000);
    await rig.until(() => true);
    expect(outcomes).toEqual(['done', undefined, undefined, undefined]);
    rig.clock.advance(1100);
    await rig.until(() => outcomes[3] !== undefined);
    expect(outcomes).toEqual(['done', 'host_lost', 'host_lost', 'host_lost']);
    expect(driver.state).toBe('reattaching');
    await expect(driver.async.nop()).rejects.toThrow(code('host_lost'));
    expect(() => driver.sync.nop()).toThrow(code('host_lost'));
    expect(() => driver.batch.submitNop()).toThrow(code('host_lost'));

    rig.start();
    rig.ticking = true;
    await rig.until(() => driver.state === 'attached');
    await driver.async.write(0, BLOCK);
    // What was given up is not put back: only the last write and the completed one happened.
    expect([...rig.store.applications.values()]).toEqual([1, 1]);
  });

  it('ends a blocked call at the deadline', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect({ hostLossDeadlineMs: 300 });
    rig.kill();
    expect(() => driver.sync.write(0, BLOCK)).toThrow(code('host_lost'));
  });

  it('a blocked call takes a search over that began on the event loop, and the other way', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.write(0, BLOCK);
    rig.kill();
    await rig.until(() => driver.state === 'reattaching');
    rig.start();
    driver.sync.write(4096, BLOCK);
    await call;
    rig.kill();
    expect(() => driver.batch.wait(50)).not.toThrow();
    const tag = driver.batch.submitNop();
    expect(driver.batch.wait(50)).toBe(false);
    rig.start();
    await rig.until(() => driver.state === 'attached');
    await rig.until(() => driver.batch.reap(1) === 1);
    expect(driver.batch.tags[0]).toBe(tag);
  });

  it('fails calls in flight where the host no longer knows the guest, and keeps those in line', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 2 });
    const driver = await rig.connect({ queueDepth: 4 });
    const calls = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => driver.async.write(i * 4096, BLOCK));
    const outcomes = watch(calls);
    await rig.until(() => outcomes[1] === 'done');
    rig.kill();
    rig.store.guests.clear();
    rig.start();
    await Promise.allSettled(calls);
    expect(outcomes.slice(0, 2)).toEqual(['done', 'done']);
    expect(outcomes.slice(2, 6)).toEqual(['host_lost', 'host_lost', 'host_lost', 'host_lost']);
    expect(outcomes.slice(6)).toEqual(['done', 'done']);
    await driver.async.nop();
  });

  it('looks on while hosts refuse for a while', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.write(0, BLOCK);
    rig.kill();
    rig.start({ refusal: new StoreError('in_use') });
    await rig.until(() => rig.host.attaches.length > 3);
    rig.start();
    await call;
  });

  it('fails for good where the next host refuses for good', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.write(0, BLOCK);
    rig.kill();
    rig.start({ refusal: new StoreError('not_found', { volume: 'v' }) });
    await expect(call).rejects.toThrow(code('not_found'));
    expect(driver.state).toBe('failed');
    rig.start();
    await driver.reconnect();
    await driver.async.nop();
  });
});

describe('policy fail', () => {
  it('ends calls with host_lost, and reconnects when asked', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect({ onHostLoss: 'fail', queueDepth: 2 });
    const states = statesOf(driver);
    const tag = driver.batch.submitNop();
    driver.batch.publish();
    const calls = [driver.async.write(0, BLOCK), driver.async.flush(), driver.async.nop()];
    const outcomes = watch(calls);
    rig.kill();
    await rig.until(() => driver.state === 'failed');
    await Promise.allSettled(calls);
    expect(outcomes).toEqual(['host_lost', 'host_lost', 'host_lost']);
    expect(driver.batch.reap(4)).toBe(1);
    expect(driver.batch.tags[0]).toBe(tag);
    expect(driver.batch.statuses[0]).toBe(statusOf('host_lost'));
    expect(() => driver.sync.nop()).toThrow(code('host_lost'));
    rig.start({ refusal: new StoreError('shutting_down') });
    await expect(driver.reconnect()).rejects.toThrow(code('shutting_down'));
    expect(driver.state).toBe('failed');
    rig.start();
    await driver.reconnect();
    driver.sync.write(0, BLOCK);
    expect(states).toEqual(['host-lost', 'failed', 'attached']);
    // What had failed was not put back behind the caller's back.
    expect(rig.store.applications.size).toBe(1);
  });
});

describe('a host that cannot be trusted or followed', () => {
  it('fails whatever the policy when the pool lost completed writes', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.write(0, BLOCK);
    rig.kill();
    rig.store.incarnation++;
    rig.start();
    await expect(call).rejects.toThrow(code('incarnation_changed'));
    expect(driver.state).toBe('failed');
    await expect(driver.async.nop()).rejects.toThrow(code('incarnation_changed'));
    // Whoever reconnects has accepted that, and is a new guest.
    await driver.reconnect();
    expect(rig.host.attaches.at(-1)?.resume).toBeUndefined();
    await driver.async.nop();
  });

  it('fails on a message that has no place here', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.nop();
    await rig.until(() => rig.host.sessionCount === 1);
    rig.host.babble();
    await expect(call).rejects.toThrow(code('protocol_violation'));
    expect(driver.state).toBe('failed');
  });

  it('fails on rings that cannot be right', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    const call = driver.async.nop();
    await rig.until(() => rig.host.sessionCount === 1);
    rig.host.corruptRings();
    expect(() => driver.sync.nop()).toThrow(code('ring_corrupt'));
    await expect(call).rejects.toThrow(code('ring_corrupt'));
    expect(driver.state).toBe('failed');
  });

  it('gives up on a host that accepts and says nothing', async () => {
    rig = new Rig();
    rig.start({ mute: true });
    const attempt = rig.connect({ attachTimeoutMs: 500 });
    await expect(attempt).rejects.toThrow(code('timed_out'));
  });

  it('says which side is older', async () => {
    rig = new Rig();
    const details = { field: 'protocolVersion', guest: 1, host: 0 };
    rig.start({ refusal: new StoreError('protocol_mismatch', details) });
    await expect(rig.connect()).rejects.toThrow(/older=host/);
    const newer = { field: 'protocolVersion', guest: 1, host: 2 };
    rig.start({ refusal: new StoreError('protocol_mismatch', newer) });
    await expect(rig.connect()).rejects.toThrow(/older=guest/);
  });
});
