/**
 * The driver with real hosts: in another process over memfd, and in this one over
 * SharedArrayBuffers. Threads that only block survive hosts that die; processes end when nothing is
 * in flight and not before; nothing is left behind. Needs dist/.
 */
import { readdirSync } from 'node:fs';
import { type MessagePort, Worker } from 'node:worker_threads';
import { type Host, startHost } from 'logflume/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAdmin } from '../../guest/admin.ts';
import { connect } from '../../guest/connect.ts';
import type { StoreError } from '../../src/base/errors.ts';
import { MIB } from '../../src/base/units.ts';
import { mappedBytes } from '../../src/bindings/memory.ts';
import { HostChild } from '../host/support/host-child.ts';
import { makePlace, makePool } from '../host/support/place.ts';
import { GuestProcess } from './support/guest-child.ts';
import type { ThreadReport, ThreadTask } from './support/guest-thread.ts';

const SUPPORT = new URL('../../dist/test/guest/support/', import.meta.url);
const place = makePlace();
const options = { pool: place.pool, bankDir: place.bankDir };

beforeAll(async () => {
  await makePool(place);
});
afterAll(() => place.remove());

/** A blocking guest thread, and what it says in the end. */
class GuestThread {
  readonly words = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  readonly #report: Promise<ThreadReport>;

  constructor(host: string | MessagePort, volume: string) {
    const workerData: ThreadTask = { host, volume, words: this.words };
    const transferList = typeof host === 'string' ? [] : [host];
    const script = new URL('guest-thread.js', SUPPORT);
    this.#worker = new Worker(script, { workerData, transferList });
    this.#report = new Promise((resolve, reject) => {
      this.#worker.on('message', resolve);
      this.#worker.on('error', reject);
    });
    this.#report.catch(() => undefined);
  }

  /** Resolves when so many more rounds are done, or the thread has failed. */
  async rounds(count: number): Promise<void> {
    const goal = (this.words[1] ?? 0) + count;
    const failed = this.#report.then(
      () => true,
      () => true,
    );
    for (;;) {
      if (Atomics.load(this.words, 1) >= goal) return;
      const turn = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)));
      if (await Promise.race([failed, turn])) return;
    }
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  async end(): Promise<ThreadReport> {
    Atomics.store(this.words, 0, 1);
    return await this.#report;
  }
}

describe('a host in another process', () => {
  it('is administered, written to and read from, and killed under blocking threads', async () => {
    let host = await HostChild.start({ ...options, listen: place.socket });
    const admin = await connectAdmin({ host: place.socket });
    const made = await admin.createVolume('one', 4 * MIB);
    expect(made).toMatchObject({ name: 'one', sizeBytes: 4 * MIB });
    await expect(admin.createVolume('one', MIB)).rejects.toThrow(
      expect.objectContaining({ code: 'already_exists' }),
    );
    await admin.createVolume('two', MIB);
    expect((await admin.listVolumes()).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(await admin.resizeVolume('two', 2 * MIB)).toMatchObject({ sizeBytes: 2 * MIB });
    await admin.removeVolume('two');
    const gone = expect.objectContaining({ code: 'not_found' });
    await expect(admin.volumeInfo('two')).rejects.toThrow(gone);
    await expect(connect({ host: place.socket, volume: 'two' })).rejects.toThrow(gone);
    expect((await admin.stat()).hostPid).toBe(host.pid);
    expect((await admin.poolInfo()).volumeCount).toBe(1);
    await admin.close();
    await expect(admin.stat()).rejects.toThrow(expect.objectContaining({ code: 'closed' }));

    const thread = new GuestThread(place.socket, 'one');
    for (let kill = 0; kill < 3; kill++) {
      await thread.rounds(50);
      await host.kill();
      host = await HostChild.start({ ...options, listen: place.socket });
    }
    await thread.rounds(50);
    const report = await thread.end();
    expect(report).toMatchObject({ mismatches: 0, losses: 3, lostWakes: 0 });
    await host.close();
  });

  it('leaves no descriptor and no mapping behind', async () => {
    const host = await HostChild.start({ ...options, listen: place.socket });
    const round = async () => {
      const driver = await connect({ host: place.socket, volume: 'one' });
      await driver.async.write(0, new Uint8Array(512));
      await driver.close();
      const admin = await connectAdmin({ host: place.socket });
      await admin.listVolumes();
      await admin.close();
      await expect(connect({ host: place.socket, volume: 'none' })).rejects.toThrow(/./);
    };
    // The first starts what is shared by all, such as the event thread.
    await round();
    const descriptors = readdirSync('/proc/self/fd').length;
    const mapped = mappedBytes();
    for (let i = 0; i < 20; i++) await round();
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
    expect(mappedBytes()).toBe(mapped);
    await host.close();
  });

  it('has the volume back when a guest thread is terminated', async () => {
    const host = await HostChild.start({ ...options, listen: place.socket, graceMs: 1 });
    const descriptors = readdirSync('/proc/self/fd').length;
    const mapped = mappedBytes();
    const thread = new GuestThread(place.socket, 'one');
    await thread.rounds(20);
    await thread.terminate();
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
    expect(mappedBytes()).toBe(mapped);
    const attach = async () => await connect({ host: place.socket, volume: 'one' });
    // The host hears of it a moment later.
    const driver = await attach().catch(async (error: StoreError) => {
      expect(error.code).toBe('in_use');
      for (;;) {
        const next = await attach().catch(() => undefined);
        if (next !== undefined) return next;
      }
    });
    await driver.close();
    await host.close();
  });

  it('does not keep an idle guest alive', async () => {
    const host = await HostChild.start({ listen: place.socket });
    const guest = new GuestProcess('idle', place.socket);
    expect(await guest.exited).toEqual([0, null]);
    expect(guest.lines).toEqual(['attached']);
    await host.close();
  });

  it('that is gone does not keep an idle guest alive', async () => {
    const host = await HostChild.start({ listen: place.socket });
    const guest = new GuestProcess('orphaned', place.socket);
    await guest.says('attached');
    await host.kill();
    await guest.says('reattaching');
    guest.child.stdin?.end();
    expect(await guest.exited).toEqual([0, null]);
  });

  it('keeps a guest alive that waits for it', async () => {
    const host = await HostChild.start({ listen: place.socket });
    const guest = new GuestProcess('busy', place.socket);
    await guest.says('attached');
    process.kill(host.pid, 'SIGSTOP');
    guest.child.stdin?.write('go\n');
    await guest.says('submitted');
    process.kill(host.pid, 'SIGCONT');
    expect(await guest.exited).toEqual([0, null]);
    expect(guest.lines).toEqual(['attached', 'submitted', 'answered']);
    await host.close();
  });
});

describe('a host in this process', () => {
  it('serves promises here and a blocking thread, and loses its reactor under both', async () => {
    const host: Host = await startHost(options);
    const admin = await connectAdmin({ host: host.openPort() });
    await admin.createVolume('three', 4 * MIB);
    await admin.close();
    const driver = await connect({ host: host.openPort(), volume: 'three' });
    const thread = new GuestThread(host.openPort(), 'one');
    for (let round = 1; round <= 2; round++) {
      await thread.rounds(50);
      const writes = Array.from({ length: 32 }, (_, i) =>
        driver.async.write(i * 4096, new Uint8Array(4096).fill(round * 32 + i)),
      );
      await host.terminateReactor();
      await Promise.all(writes);
      for (let i = 0; i < 32; i++) {
        const bytes = await driver.async.read(i * 4096, 4096);
        expect(bytes.every((byte) => byte === round * 32 + i)).toBe(true);
      }
    }
    await thread.rounds(50);
    expect(await thread.end()).toMatchObject({ mismatches: 0, losses: 2, lostWakes: 0 });
    expect(driver.lostWakes).toBe(0);
    await driver.close();
    await host.close();
  });
});
