/**
 * Sockets that carry descriptors: what arrives, what is closed when it must not, and who the peer
 * is. Real sockets, one peer a process of its own. Each test ends with the descriptors it began with.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeFd } from '../../src/bindings/files.ts';
import { inspectMemfd, mapShared } from '../../src/bindings/memory.ts';
import {
  acceptFrom,
  connectTo,
  FDS_PER_MESSAGE_MAX,
  listenAt,
  peerOf,
  receiveBytes,
  SOCKET_PATH_BYTES_MAX,
  sendBytes,
  shutdownSocket,
  WOULD_WAIT,
} from '../../src/bindings/sockets.ts';
import { createEvent, drainEvent, signalEvent } from '../../src/bindings/waiting.ts';
import { makeFolder, openFdCount, runChildWithFewFds, startChild } from './fixtures.ts';

const systemError = (errno: string) =>
  expect.objectContaining({ code: 'system_error', details: expect.objectContaining({ errno }) });

const HELLO = new TextEncoder().encode('hello');

describe('sockets', () => {
  let folder = makeFolder();
  let path = '';
  let fdsBefore = 0;
  beforeEach(() => {
    folder.remove();
    folder = makeFolder();
    path = join(folder.path, 'socket');
    fdsBefore = openFdCount();
  });
  afterEach(() => {
    expect(openFdCount()).toBe(fdsBefore);
    folder.remove();
  });

  function makePair(): { near: number; far: number; close: () => void } {
    const listener = listenAt(path, { mode: 0o600, backlog: 8 });
    const near = connectTo(path);
    const far = acceptFrom(listener);
    closeFd(listener);
    return { near, far, close: () => [near, far].forEach(closeFd) };
  }

  it('are made with the mode asked for, and refuse a path that is taken or too long', () => {
    const listener = listenAt(path, { mode: 0o620, backlog: 8 });
    expect(statSync(path).mode & 0o777).toBe(0o620);
    expect(() => listenAt(path, { mode: 0o600, backlog: 8 })).toThrow(systemError('EADDRINUSE'));
    const tooLong = join(folder.path, 'x'.repeat(SOCKET_PATH_BYTES_MAX - folder.path.length));
    expect(() => listenAt(tooLong, { mode: 0o600, backlog: 8 })).toThrow(
      systemError('ENAMETOOLONG'),
    );
    closeFd(listener);
    expect(() => connectTo(path)).toThrow(systemError('ECONNREFUSED'));
    expect(() => connectTo(`${path}2`)).toThrow(systemError('ENOENT'));
  });

  it('never wait, but for a full backlog', () => {
    const listener = listenAt(path, { mode: 0o600, backlog: 0 });
    expect(acceptFrom(listener)).toBe(WOULD_WAIT);
    const first = connectTo(path);
    // One connection waits in a backlog of 0; nobody accepts it.
    expect(() => connectTo(path)).toThrow(systemError('ETIMEDOUT'));
    const far = acceptFrom(listener);
    expect(receiveBytes(far, new Uint8Array(8), 0, 8, new Int32Array(1))).toBe(WOULD_WAIT);
    const big = new Uint8Array(1 << 20);
    let sent = 0;
    for (let n = 0; n !== WOULD_WAIT; n = sendBytes(first, big, 0, big.length)) sent += n;
    expect(sent).toBeGreaterThan(0);
    [listener, first, far].forEach(closeFd);
  });

  it('carry bytes by range, then the end of the stream, then EPIPE without a signal', () => {
    const { near, far, close } = makePair();
    expect(sendBytes(near, HELLO, 1, 4)).toBe(3);
    const bytes = new Uint8Array(8);
    expect(receiveBytes(far, bytes, 2, 8, new Int32Array(1))).toBe(3);
    expect([...bytes.subarray(2, 5)]).toEqual([...HELLO.subarray(1, 4)]);
    shutdownSocket(near);
    shutdownSocket(near);
    expect(receiveBytes(far, bytes, 0, 8, new Int32Array(1))).toBe(0);
    expect(() => sendBytes(far, HELLO, 0, 5)).toThrow(systemError('EPIPE'));
    close();
  });

  it('carry descriptors, which are appended to those received before', () => {
    const { near, far, close } = makePair();
    const last = createEvent();
    const bells = [createEvent(), createEvent(), last];
    sendBytes(near, HELLO, 0, 1, Int32Array.from(bells.slice(0, 1)));
    sendBytes(near, HELLO, 1, 5, Int32Array.from(bells.slice(1)));
    const fds = new Int32Array(5);
    const bytes = new Uint8Array(8);
    // A stream: the kernel stops before the bytes that bring other descriptors.
    expect(receiveBytes(far, bytes, 0, 8, fds)).toBe(1);
    expect(receiveBytes(far, bytes, 1, 8, fds)).toBe(4);
    expect(fds[0]).toBe(3);
    const received = [...fds.subarray(1, 4)];
    signalEvent(last);
    expect(received.map(drainEvent)).toEqual([0, 0, 1]);
    [...bells, ...received].forEach(closeFd);
    close();
  });

  it('close descriptors that nobody made room for, and say so', () => {
    const { near, far, close } = makePair();
    const bell = createEvent();
    const many = new Int32Array(FDS_PER_MESSAGE_MAX).fill(bell);
    const before = openFdCount();
    const bytes = new Uint8Array(8);
    const violation = expect.objectContaining({ code: 'protocol_violation', reaction: 'detach' });

    sendBytes(near, HELLO, 0, 5, many);
    expect(() => receiveBytes(far, bytes, 0, 8, new Int32Array(1))).toThrow(violation);
    expect(openFdCount()).toBe(before);

    sendBytes(near, HELLO, 0, 5, many);
    const fds = new Int32Array(3);
    expect(() => receiveBytes(far, bytes, 0, 8, fds)).toThrow(violation);
    expect(fds[0]).toBe(2);
    expect(openFdCount()).toBe(before + 2);
    [...fds.subarray(1), bell].forEach(closeFd);
    close();
  });

  it('close all descriptors of a message that was cut off', () => {
    // The kernel cuts off what the receiver has no free descriptors for.
    const result = runChildWithFewFds(
      `
      const { readdirSync } = require('node:fs');
      const count = () => readdirSync('/proc/self/fd').length;
      const path = ${JSON.stringify(path)};
      const listener = addon.socketListen(path, 0o600, 8);
      const near = addon.socketConnect(path);
      const far = addon.socketAccept(listener);
      const before = count();
      const bell = addon.eventCreate();
      const bells = [bell];
      for (;;) {
        const fd = addon.duplicateFd(bell);
        if (fd < 0) break;
        bells.push(fd);
      }
      // Room for three of the five that come.
      for (let i = 0; i < 3; i++) addon.closeFd(bells.pop());
      const fds = new Int32Array(10);
      addon.socketSend(near, new Uint8Array(4), 0, 4, new Int32Array(5).fill(bell));
      const received = addon.socketReceive(far, new Uint8Array(4), 0, 4, fds);
      bells.forEach((fd) => addon.closeFd(fd));
      console.log(received, fds[0], count() - before);
    `,
      100,
    );
    expect(result).toMatchObject({ status: 0, stdout: '-71 0 0\n' });
  });

  it('bring memory from another process, and tell who that is', async () => {
    const listener = listenAt(path, { mode: 0o600, backlog: 8 });
    const child = startChild(`
      const memory = addon.memfdCreate('guest', 65536);
      const words = new Int32Array(addon.mapFile(memory, 65536, true));
      const bell = addon.eventCreate();
      const socket = addon.socketConnect(${JSON.stringify(path)});
      words[0] = 1234;
      addon.socketSend(socket, new Uint8Array(1), 0, 1, Int32Array.from([memory, bell]));
      console.log(addon.waitWord(words, 1, 0, 0, bell, 60000), words[1]);
    `);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    let far = WOULD_WAIT;
    for (; far === WOULD_WAIT; far = acceptFrom(listener)) await turn();
    const fds = new Int32Array(3);
    while (receiveBytes(far, new Uint8Array(1), 0, 1, fds) === WOULD_WAIT) await turn();
    const [count, memory = -1, bell = -1] = fds;
    expect(count).toBe(2);
    expect(inspectMemfd(memory)).toMatchObject({ sizeBytes: 65536, sizeIsSealed: true });
    expect(peerOf(far)).toEqual({
      pid: child.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    const mapped = mapShared(memory, 65536);
    const words = new Int32Array(mapped.buffer);
    expect(words[0]).toBe(1234);
    Atomics.store(words, 1, 4321);
    signalEvent(bell);
    expect(await child.ended).toMatchObject({ status: 0 });
    expect((await child.ended).stdout).toMatch(/^[01] 4321\n$/);
    mapped.unmap();
    [listener, far, memory, bell].forEach(closeFd);
  });
});
