/**
 * A reactor's thread that dies: guests are told, the next one serves, the caller hears of what
 * cannot be mended. And starts that fail: they leave nothing behind that keeps a process alive.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, renameSync } from 'node:fs';
import { startHost } from 'logflume/host';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, connectAdmin } from '../../guest/index.ts';
import { MIB } from '../../src/base/units.ts';
import { makePlace, makePool, type Place } from './support/place.ts';
import { RawGuest } from './support/raw-guest.ts';

let place: Place;
beforeEach(() => {
  place = makePlace();
});
afterEach(() => place.remove());

const descriptors = () => readdirSync('/proc/self/fd').length;

describe('a reactor that is terminated', () => {
  it('ends sessions with host_lost, and the next one serves them', async () => {
    const host = await startHost();
    const door = host.openPort();
    for (let i = 0; i < 3; i++) {
      const guest = await RawGuest.attach(door);
      expect(await guest.nop()).toEqual({ status: 0, bytes: 0 });
      await host.terminateReactor();
      expect((await guest.ended).code).toBe('host_lost');
    }
    await host.close();
    await expect(host.ended).resolves.toBeUndefined();
  });

  it('gives the pool to the next one, again and again, under a driver that goes on', async () => {
    await makePool(place);
    const { pool, bankDir } = place;
    const host = await startHost({ pool, bankDir });
    const admin = await connectAdmin({ host: host.openPort() });
    await admin.createVolume('v', MIB);
    await admin.close();
    const driver = await connect({ host: host.openPort(), volume: 'v' });
    for (let i = 1; i <= 3; i++) {
      const written = new Uint8Array(4096).fill(i);
      const writing = driver.async.write(i * 4096, written);
      const [, read] = await Promise.all([
        host.terminateReactor(),
        writing.then(() => driver.async.read(i * 4096, 4096)),
      ]);
      expect(Buffer.from(written).equals(read)).toBe(true);
    }
    await driver.close();
    await host.close();
  });

  it('is not replaced for ever', async () => {
    const host = await startHost();
    const ended = expect(host.ended).rejects.toMatchObject({ code: 'host_lost' });
    const dies = async () => {
      for (;;) await host.terminateReactor();
    };
    await expect(dies()).rejects.toMatchObject({ code: 'host_lost' });
    await ended;
    await host.close();
  });

  it('ends the host with the reason if the pool cannot be opened again', async () => {
    await makePool(place);
    const { pool, bankDir } = place;
    const host = await startHost({ pool, bankDir });
    const ended = expect(host.ended).rejects.toMatchObject({ code: 'bank_lost' });
    const admin = await connectAdmin({ host: host.openPort() });
    await admin.createVolume('v', MIB);
    await admin.close();
    renameSync(bankDir, `${bankDir}-gone`);
    await expect(host.terminateReactor()).rejects.toMatchObject({ code: 'bank_lost' });
    await ended;
    await expect(host.stats()).rejects.toMatchObject({ code: 'bank_lost' });
  });
});

describe('a start that fails', () => {
  it('leaves no descriptor and no lock behind', async () => {
    await makePool(place);
    const { pool, bankDir, socket } = place;
    const first = await startHost({ pool, bankDir, listen: socket });
    const before = descriptors();
    const refused = startHost({ pool, bankDir, lockWaitMs: 0 });
    await expect(refused).rejects.toMatchObject({ code: 'pool_locked' });
    await expect(startHost({ listen: socket })).rejects.toMatchObject({ code: 'in_use' });
    await expect(startHost({ pool: `${pool}-none` })).rejects.toMatchObject({
      code: 'system_error',
    });
    expect(descriptors()).toBe(before);
    await first.close();
    const second = await startHost({ pool, bankDir, listen: socket });
    await second.close();
  });

  it.each([
    [{ spinUs: -1 }, 'spinUs'],
    [{ cpuBudget: 2 }, 'cpuBudget'],
    [{ limits: { sessions: 0 } }, 'limits.sessions'],
    [{ cacheBytes: 1 }, 'cacheBytes'],
    [{ graceMs: 0.5 }, 'graceMs'],
  ])('names the option: %o', async (options, name) => {
    await expect(startHost(options)).rejects.toThrow(`option=${name}`);
  });
});

describe('closing', () => {
  it('waits for the first call, and says so to whoever comes later', async () => {
    const host = await startHost();
    const guest = await RawGuest.attach(host.openPort());
    await Promise.all([host.close(), host.close()]);
    expect((await guest.ended).code).toBe('shutting_down');
    expect(() => host.openPort()).toThrow(expect.objectContaining({ code: 'shutting_down' }));
  });

  it('lets the process end', async () => {
    const script = `
      import { startHost } from 'logflume/host';
      const host = await startHost({ listen: ${JSON.stringify(place.socket)} });
      host.openPort();
      await host.close();`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: 'inherit',
    });
    const [status] = (await once(child, 'exit')) as [number];
    expect(status).toBe(0);
  });
});
