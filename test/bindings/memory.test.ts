/**
 * Mappings and how they end: given back, collected, or left behind by a thread that was terminated,
 * exited or returned. What a peer could do to an unsealed file is left to the handshake's tests.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { closeFd, OpenFlag, openFile, truncateFile } from '../../src/bindings/files.ts';
import { registerMemory, unregisterMemory } from '../../src/bindings/kernels.ts';
import {
  allocateAligned,
  createMemfd,
  inspectMemfd,
  mappedBytes,
  mapShared,
  Seal,
} from '../../src/bindings/memory.ts';
import { makeFolder, openFdCount, runChild, startThread } from './fixtures.ts';

const PAGE_BYTES = 4096;
const systemError = (errno: string) =>
  expect.objectContaining({ code: 'system_error', details: expect.objectContaining({ errno }) });

describe('a memfd', () => {
  const opened: number[] = [];
  const open = (fd: number) => {
    opened.push(fd);
    return fd;
  };
  afterEach(() => opened.splice(0).forEach(closeFd));

  it('keeps its size for ever', () => {
    const fd = open(createMemfd('test', 3 * PAGE_BYTES));
    expect(inspectMemfd(fd)).toMatchObject({
      sizeBytes: 3 * PAGE_BYTES,
      seals: Seal.SEAL | Seal.SHRINK | Seal.GROW,
      sizeIsSealed: true,
      uid: process.getuid?.(),
      isRegularFile: true,
    });
    expect(() => truncateFile(fd, 0)).toThrow(systemError('EPERM'));
    expect(() => truncateFile(fd, 4 * PAGE_BYTES)).toThrow(systemError('EPERM'));
  });

  it('is one memory, however often it is mapped', () => {
    const fd = open(createMemfd('test', PAGE_BYTES));
    const first = mapShared(fd, PAGE_BYTES);
    const second = mapShared(fd, PAGE_BYTES, { populate: false });
    first.bytes[4095] = 77;
    expect(second.bytes[4095]).toBe(77);
    expect(Atomics.add(new Int32Array(second.buffer), 0, 5)).toBe(0);
    expect(new Int32Array(first.buffer)[0]).toBe(5);
    first.unmap();
    second.unmap();
  });

  it('is told from an ordinary file and from a closed descriptor', () => {
    const folder = makeFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, 'x'.repeat(100), { mode: 0o640 });
    const fd = open(openFile(path, OpenFlag.READ_WRITE));
    expect(inspectMemfd(fd)).toMatchObject({ sizeBytes: 100, sizeIsSealed: false, mode: 0o640 });
    expect(() => mapShared(fd, 101)).toThrow(systemError('EINVAL'));
    expect(() => inspectMemfd(1_000_000)).toThrow(systemError('EBADF'));
    folder.remove();
  });
});

describe('a mapping', () => {
  it('is empty after it was given back, and counts as long as it is mapped', () => {
    const before = mappedBytes();
    const memory = allocateAligned(3 * PAGE_BYTES);
    const { bytes } = memory;
    expect(mappedBytes() - before).toBe(3 * PAGE_BYTES);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    memory.unmap();
    expect(mappedBytes()).toBe(before);
    expect([bytes.byteLength, memory.buffer.byteLength]).toEqual([0, 0]);
    expect(bytes[0]).toBeUndefined();
    memory.unmap();
    expect(mappedBytes()).toBe(before);
  });

  it('stays while memory registered in it may be used by a batched call', () => {
    const memory = allocateAligned(PAGE_BYTES);
    const number = registerMemory(memory.bytes.subarray(100, 200));
    expect(() => memory.unmap()).toThrow(systemError('EBUSY'));
    expect(memory.bytes.byteLength).toBe(PAGE_BYTES);
    unregisterMemory(number);
    memory.unmap();
  });

  it('is unmapped when collected, and not again after it was given back', () => {
    // The unmapped address is mapped anew at once, so that a second munmap would be noticed.
    const result = runChild(
      `
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      async function collect() { for (let i = 0; i < 20; i++) { globalThis.gc(); await turn(); } }
      (async () => {
        for (let i = 0; i < 50; i++) addon.allocateAligned(65536);
        await collect();
        console.log(addon.mappedBytes());
        let given = addon.allocateAligned(65536);
        addon.unmap(given);
        const anew = new Uint8Array(addon.allocateAligned(65536)).fill(7);
        given = undefined;
        await collect();
        console.log(addon.mappedBytes(), anew.every((byte) => byte === 7));
      })();`,
      '--expose-gc',
    );
    expect(result).toMatchObject({ status: 0, stdout: '0\n65536 true\n' });
  });

  it('stays as long as its registered memory, whoever forgets the buffer', () => {
    const result = runChild(
      `
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      async function collect() { for (let i = 0; i < 20; i++) { globalThis.gc(); await turn(); } }
      const register = () => addon.registerMemory(new Uint8Array(addon.allocateAligned(65536)));
      (async () => {
        const number = register();
        await collect();
        console.log(addon.mappedBytes());
        addon.unregisterMemory(number);
        await collect();
        console.log(addon.mappedBytes());
      })();`,
      '--expose-gc',
    );
    expect(result).toMatchObject({ status: 0, stdout: '65536\n0\n' });
  });
});

/** Holds mappings, registered memory, a poller, an event thread and a disk queue with work. */
const THREAD = `
  const { fd, path, ending } = workerData;
  const views = [];
  for (let i = 0; i < 8; i++) views.push(new Int32Array(addon.mapFile(fd, 65536, true)));
  const memory = addon.registerMemory(new Uint8Array(addon.allocateAligned(65536)));
  addon.pollerCreate();
  addon.watchStart(() => {});
  const bell = addon.eventCreate();
  addon.watchAdd(bell, 1, 1);
  addon.eventSignal(bell);
  const file = addon.openFile(path, 2 | 64, 0o600);
  const queue = addon.diskQueueCreate(file, 8, 0);
  addon.diskQueueCompletions(queue);
  addon.diskQueueSubmit(queue, Float64Array.from([1, 0, memory, 0, 65536, 0]), 1);
  // Descriptors that the caller opened are the caller's to close, in a dying thread too.
  addon.closeFd(file);
  addon.watchRemove(bell, 1);
  addon.closeFd(bell);
  parentPort.postMessage('ready');
  if (ending === 'exit') process.exit(0);
  if (ending === 'terminate') for (;;) Atomics.add(views[3], 0, 1);
`;

async function endOneThread(data: { fd: number; path: string; ending: string }): Promise<void> {
  const worker: Worker = startThread(THREAD, data);
  const exited = new Promise((resolve, reject) => {
    worker.once('exit', resolve);
    worker.once('error', reject);
  });
  if (data.ending === 'terminate') {
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
  await exited;
}

describe('a thread that ends', () => {
  it('leaves no mapping and no descriptor behind, however it ends, 100 times', async () => {
    const folder = makeFolder();
    const path = join(folder.path, 'file');
    const fd = createMemfd('test', 65536);
    // The first thread opens what the process keeps.
    await endOneThread({ fd, path, ending: 'return' });
    const mappedBefore = mappedBytes();
    const fdsBefore = openFdCount();
    for (let round = 0; round < 25; round++) {
      const endings = ['terminate', 'exit', 'return', 'terminate'];
      await Promise.all(endings.map((ending) => endOneThread({ fd, path, ending })));
    }
    expect(mappedBytes()).toBe(mappedBefore);
    expect(openFdCount()).toBe(fdsBefore);
    closeFd(fd);
    folder.remove();
  }, 120_000);

  it('ends cleanly with its process, whatever it holds', () => {
    const folder = makeFolder();
    const path = JSON.stringify(join(folder.path, 'file'));
    for (const end of ['', 'process.exit(0);']) {
      const result = runChild(`
        const parentPort = { postMessage() {} };
        const workerData = { fd: addon.memfdCreate('x', 65536), path: ${path}, ending: '' };
        { ${THREAD} }
        ${end}`);
      expect(result).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    }
    folder.remove();
  });
});
