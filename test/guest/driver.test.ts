/**
 * Attaching, options, events, the host's page, closing: the driver around the commands. On a fake
 * host in the same thread; the process's end and real hosts are in `real-host.test.ts`.
 */
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, connectSync } from '../../guest/connect.ts';
import { type ConnectOptions, checkOptions } from '../../guest/options.ts';
import { StoreError } from '../../src/base/errors.ts';
import { HostCounter } from '../../src/channel/host-page.ts';
import { Rig } from './support/rig.ts';

let rig: Rig | undefined;
afterEach(() => {
  rig?.end();
  rig = undefined;
});

function code(expected: string): unknown {
  return expect.objectContaining({ code: expected });
}

describe('options', () => {
  it.each<[string, ConnectOptions]>([
    ['volume', { volume: '' }],
    ['mode', { volume: 'v', mode: 'private' as 'shared' }],
    ['queueDepth', { volume: 'v', queueDepth: 1 }],
    ['queueDepth', { volume: 'v', queueDepth: 48 }],
    ['queueDepth', { volume: 'v', queueDepth: 2048 }],
    ['dataBytes', { volume: 'v', dataBytes: 4096 }],
    ['dataBytes', { volume: 'v', dataBytes: 2 ** 31 }],
    ['spinUs', { volume: 'v', spinUs: -1 }],
    ['onHostLoss', { volume: 'v', onHostLoss: 'panic' as 'fail' }],
    ['hostLossDeadlineMs', { volume: 'v', hostLossDeadlineMs: 0 }],
    ['attachTimeoutMs', { volume: 'v', attachTimeoutMs: Number.NaN }],
    ['closeTimeoutMs', { volume: 'v', closeTimeoutMs: 2 ** 40 }],
    ['host', { volume: 'v', host: 7 as unknown as string }],
    ['depth', { volume: 'v', ...{ depth: 4 } }],
  ])('names %s when it is wrong', async (option, options) => {
    await expect(connect(options)).rejects.toThrow(code('invalid_argument'));
    await expect(connect(options)).rejects.toThrow(`option=${option}`);
  });

  it('fill in what is left out', () => {
    const checked = checkOptions({ volume: 'v', host: '/a/b' });
    expect(checked).toMatchObject({ mode: 'exclusive', queueDepth: 64, dataBytes: 16 * 2 ** 20 });
    expect(checked).toMatchObject({ onHostLoss: 'wait', hostLossDeadlineMs: 60_000, host: '/a/b' });
    expect(checkOptions({ volume: 'v', dataBytes: 8193 }).dataBytes).toBe(12288);
  });

  it('name the socket where nobody listens, and how to start a host', async () => {
    const nobody = connect({ volume: 'v', host: '/nowhere/host.sock' });
    await expect(nobody).rejects.toThrow(code('host_unreachable'));
    const again = () => connectSync({ volume: 'v', host: '/nowhere/host.sock' });
    expect(again).toThrow(/socket=\/nowhere\/host.sock .*logflume host/);
    const long = connect({ volume: 'v', host: `/${'x'.repeat(107)}` });
    await expect(long).rejects.toThrow(/pathBytes=108 bytesMax=107/);
  });
});

describe('attaching', () => {
  it('asks for what the caller asked for, and tells what it got', async () => {
    rig = new Rig(1 << 20);
    rig.start();
    const driver = await rig.connect({ mode: 'shared', queueDepth: 8, dataBytes: 65536 });
    const geometry = { queueCount: 1, queueDepth: 8, dataBytes: 65536 };
    expect(rig.host.attaches[0]).toMatchObject({ mode: 'shared', volume: 'v', geometry, epoch: 1 });
    expect(rig.host.attaches[0]?.resume).toBeUndefined();
    const facts = { name: 'v', volumeId: 7, sizeBytes: 1 << 20, readOnly: false };
    expect(driver.volume).toEqual(facts);
    expect(driver).toMatchObject({ state: 'attached', queueDepth: 8, dataBytes: 65536 });
    expect(await driver.async.info()).toEqual(facts);
    expect(driver.sync.info()).toEqual(facts);
  });

  it('works without a turn of the event loop', () => {
    rig = new Rig();
    rig.start();
    const { guestDoor: host, platform } = rig;
    const driver = connectSync({ host, volume: 'v', platform });
    driver.sync.write(0, new Uint8Array(512).fill(1));
    expect(rig.store.bytes[0]).toBe(1);
    driver.closeSync();
    expect(rig.host.detachCount).toBe(1);
    expect(driver.state).toBe('closed');
  });

  it('rejects with the reason of the host, whichever way', async () => {
    rig = new Rig();
    rig.start({ refusal: new StoreError('in_use', { volume: 'v' }) });
    await expect(rig.connect()).rejects.toThrow(code('in_use'));
    const { guestDoor: host, platform } = rig;
    expect(() => connectSync({ host, volume: 'v', platform })).toThrow(/volume=v/);
  });

  it('gives up on a door that nobody answers', async () => {
    rig = new Rig();
    const { port1 } = new MessageChannel();
    const { platform } = rig;
    const options = { host: port1, volume: 'v', attachTimeoutMs: 50, platform };
    await expect(connect(options)).rejects.toThrow(code('timed_out'));
    expect(() => connectSync(options)).toThrow(code('timed_out'));
    port1.close();
  });
});

describe('events', () => {
  it('tell of a new size, and a listener that throws disturbs nothing', async () => {
    rig = new Rig(1 << 20);
    rig.start();
    const driver = await rig.connect();
    const sizes: number[] = [];
    driver.on('volume-resized', (sizeBytes) => sizes.push(sizeBytes));
    await rig.until(() => rig?.host.sessionCount === 1);
    rig.host.resize(1 << 21);
    await rig.until(() => sizes.length === 1);
    expect(sizes).toEqual([1 << 21]);
    expect(driver.volume.sizeBytes).toBe(1 << 21);
    await driver.async.write(1 << 20, new Uint8Array(512));

    const uncaught: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    const listener = () => {
      throw new Error('mine');
    };
    driver.on('state', listener);
    rig.kill();
    rig.start();
    driver.sync.nop();
    await rig.until(() => uncaught.length === 3);
    expect(uncaught).toEqual([new Error('mine'), new Error('mine'), new Error('mine')]);
    driver.off('state', listener);
    process.removeAllListeners('uncaughtException');
    for (const old of listeners) process.on('uncaughtException', old);
    await driver.close();
  });
});

describe("the host's page", () => {
  it('is shown once the host has written it', async () => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect();
    expect(driver.hostCounters()).toBeUndefined();
    await driver.async.nop();
    rig.host.counters.counters[HostCounter.LOST_WAKES] = 3;
    rig.host.counters.latency.record(1000);
    rig.host.showCounters();
    const counters = driver.hostCounters();
    expect(counters).toMatchObject({ hostPid: 4711, lostWakes: 3, heartbeat: 1 });
    expect(counters?.commands.nop).toBe(1);
    expect(counters?.latency.count).toBe(1);
    await driver.close();
    expect(driver.hostCounters()).toBeUndefined();
  });
});

describe('closing', () => {
  it('waits for what is in flight and in line, then refuses everything', async () => {
    rig = new Rig();
    rig.start({ seed: 5 });
    const driver = await rig.connect({ queueDepth: 2 });
    const buffer = driver.allocate(4096);
    const calls = [0, 1, 2, 3, 4].map((i) => driver.async.write(i * 512, new Uint8Array(512)));
    const tag = driver.batch.submitNop();
    expect(tag).toBe(-1);
    const closed = driver.close();
    expect(driver.close()).toBe(closed);
    await Promise.all(calls);
    await closed;
    expect(rig.host.detachCount).toBe(1);
    expect(driver.state).toBe('closed');
    await expect(driver.async.nop()).rejects.toThrow(code('closed'));
    expect(() => driver.sync.nop()).toThrow(code('closed'));
    expect(() => driver.batch.submitNop()).toThrow(code('closed'));
    expect(driver.batch.reap(4)).toBe(0);
    expect(() => driver.allocate(512)).toThrow(code('closed'));
    await expect(driver.reconnect()).rejects.toThrow(code('closed'));
    buffer.free();
    driver.closeSync();
  });

  it('ends what does not finish in time with closed', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect({ closeTimeoutMs: 100 });
    const call = driver.async.nop();
    const outcome = expect(call).rejects.toThrow(code('closed'));
    await driver.close();
    await outcome;
    const other = await rig.connect({ closeTimeoutMs: 100 });
    const stuck = expect(other.async.nop()).rejects.toThrow(code('closed'));
    other.closeSync();
    await stuck;
  });

  it('does not wait for a host that is gone', async () => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect();
    rig.kill();
    await rig.until(() => driver.state === 'reattaching');
    await driver.close();
    expect(driver.state).toBe('closed');
  });
});
