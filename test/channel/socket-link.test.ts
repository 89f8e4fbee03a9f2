/**
 * Links over real sockets in one process: order, descriptors, floods, and that every descriptor is
 * closed exactly once however a link ends. Between processes the same runs in test/guest.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../../src/base/errors.ts';
import { Ready, watchFd } from '../../src/bindings/event-thread.ts';
import { closeFd } from '../../src/bindings/files.ts';
import {
  acceptFrom,
  connectTo,
  listenAt,
  sendBytes,
  shutdownSocket,
} from '../../src/bindings/sockets.ts';
import { createEvent, drainEvent, signalEvent } from '../../src/bindings/waiting.ts';
import { encodeControl } from '../../src/channel/control-message.ts';
import type { ControlMessage } from '../../src/channel/control-schema.ts';
import type { ControlLink, LinkHandle } from '../../src/channel/link.ts';
import { connectLink, SocketLink } from '../../src/channel/socket-link.ts';
import { ATTACH, ATTACHED, MESSAGES } from './messages.ts';

interface Seen {
  readonly messages: ControlMessage[];
  readonly handles: LinkHandle[];
  readonly closed: Promise<StoreError | undefined>;
  /** Resolves once so many messages have come. */
  received(count: number): Promise<void>;
}

function listen(link: ControlLink): Seen {
  const messages: ControlMessage[] = [];
  const handles: LinkHandle[] = [];
  const waits: { count: number; resolve: () => void }[] = [];
  const closed = new Promise<StoreError | undefined>((resolve) => {
    link.open({
      onMessage(message, came) {
        messages.push(message);
        handles.push(...came);
        for (const wait of waits) if (messages.length >= wait.count) wait.resolve();
      },
      onClose: resolve,
    });
  });
  const received = (count: number) =>
    new Promise<void>((resolve) => {
      if (messages.length >= count) resolve();
      else waits.push({ count, resolve });
    });
  return { messages, handles, closed, received };
}

const openFds = () => readdirSync('/proc/self/fd').length;

let folder = '';
let path = '';
let listener = -1;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logflume-link-'));
  path = join(folder, 'host.sock');
  listener = listenAt(path, { mode: 0o600, backlog: 8 });
});
afterEach(() => {
  closeFd(listener);
  rmSync(folder, { recursive: true });
});

async function accept(): Promise<number> {
  const ready = await new Promise<number>((resolve) => {
    const watch = watchFd(listener, Ready.READABLE, () => {
      watch.remove();
      resolve(acceptFrom(listener));
    });
    watch.hold(true);
  });
  return ready;
}

async function linkPair() {
  const guest = connectLink(path);
  const host = new SocketLink(await accept());
  return { guest, host };
}

function handlesOf(message: ControlMessage, fds: number[]): number[] {
  if (message.type === 'attach') return fds;
  return message.type === 'attached' ? fds.slice(0, 1) : [];
}

describe('socket link', () => {
  it('carries every message in order, with descriptors that work', async () => {
    const { guest, host } = await linkPair();
    const seen = listen(host);
    const fds = [createEvent(), createEvent()];
    for (const message of MESSAGES) guest.send(message, handlesOf(message, fds));
    await seen.received(MESSAGES.length);
    expect(seen.messages).toEqual(MESSAGES);
    expect(seen.handles).toHaveLength(3);
    signalEvent(seen.handles[1] as number);
    expect([drainEvent(fds[0] as number), drainEvent(fds[1] as number)]).toEqual([0, 1]);
    for (const fd of [...fds, ...(seen.handles as number[])]) closeFd(fd);
    guest.close();
    expect(await seen.closed).toBeUndefined();
  });

  it('tells who is at the other end', async () => {
    const { guest, host } = await linkPair();
    const self = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
    expect([guest.peer, host.peer]).toEqual([self, self]);
    guest.close();
    host.close();
  });

  it('says when nobody listens', () => {
    const missing = join(folder, 'nobody.sock');
    expect(() => connectLink(missing)).toThrow(
      expect.objectContaining({ code: 'host_unreachable' }),
    );
  });

  it('holds what the peer does not read yet, its descriptors too, and sends it in order', async () => {
    const first = await linkPair(); // Starts the event thread, which keeps descriptors of its own.
    first.guest.close();
    first.host.close();
    const before = openFds();
    const { guest, host } = await linkPair();
    listen(guest);
    const big: ControlMessage = {
      type: 'reply',
      requestId: 1,
      result: { text: 'x'.repeat(60_000) },
    };
    const fds = [createEvent(), createEvent()];
    for (let i = 0; i < 8; i++) guest.send(big);
    guest.send(ATTACH, fds);
    for (const fd of fds) closeFd(fd); // The link has its own by now.
    guest.send({ type: 'detach' });
    const seen = listen(host);
    await seen.received(10);
    expect(seen.messages.slice(8)).toEqual([ATTACH, { type: 'detach' }]);
    for (const fd of seen.handles) closeFd(fd as number);
    host.close();
    guest.close();
    expect(openFds()).toBe(before);
  });

  it('refuses to hold more for a peer that never reads', async () => {
    const { guest, host } = await linkPair();
    const big: ControlMessage = {
      type: 'reply',
      requestId: 1,
      result: { text: 'x'.repeat(60_000) },
    };
    const flood = () => {
      for (let i = 0; i < 100; i++) guest.send(big);
    };
    expect(flood).toThrow(expect.objectContaining({ code: 'limit_exceeded' }));
    guest.close();
    host.close();
  });

  it('delivers what came before the peer left', async () => {
    const { guest, host } = await linkPair();
    guest.send({ type: 'start', epoch: 4 });
    guest.close();
    const seen = listen(host);
    expect(await seen.closed).toBeUndefined();
    expect(seen.messages).toEqual([{ type: 'start', epoch: 4 }]);
  });

  it('is silent after it is closed, on both sides', async () => {
    const { guest, host } = await linkPair();
    const seen = listen(guest);
    host.close();
    await seen.closed;
    guest.send(MESSAGES[3] as ControlMessage);
    guest.close();
    host.send({ type: 'detach' });
    expect(seen.messages).toEqual([]);
  });

  const wrong: Record<string, (peer: number, fds: Int32Array) => void> = {
    'descriptors that no message claims': (peer, fds) => {
      const bytes = encodeControl({ type: 'detach' });
      sendBytes(peer, bytes, 0, bytes.byteLength, fds);
    },
    'more descriptors than anybody sends': (peer, fds) => {
      const many = Int32Array.from({ length: 40 }, (_, i) => fds[i % 2] as number);
      sendBytes(peer, Uint8Array.of(1), 0, 1, many);
    },
    'a message cut off by noise, its descriptors sent': (peer, fds) => {
      const bytes = encodeControl(ATTACH);
      sendBytes(peer, bytes, 0, 20, fds);
      sendBytes(peer, new Uint8Array(bytes.byteLength), 0, bytes.byteLength);
    },
    'an attached message with the descriptors of an attach': (peer, fds) => {
      const bytes = encodeControl(ATTACHED);
      bytes[6] = 2;
      sendBytes(peer, bytes, 0, bytes.byteLength, fds);
    },
    noise: (peer) => void sendBytes(peer, new Uint8Array(100).fill(7), 0, 100),
  };
  it.each(Object.entries(wrong))('ends over %s, and closes what came', async (_, misbehave) => {
    const fds = Int32Array.of(createEvent(), createEvent());
    const peer = connectTo(path);
    const host = new SocketLink(await accept());
    const before = openFds();
    const seen = listen(host);
    misbehave(peer, fds);
    const reason = await seen.closed;
    expect(reason).toBeInstanceOf(StoreError);
    expect(reason?.code).toBe('protocol_violation');
    for (const handle of seen.handles) closeFd(handle as number);
    expect(openFds()).toBe(before - 1);
    for (const fd of [...fds, peer]) closeFd(fd);
  });

  it('closes the descriptors of a message whose end never comes', async () => {
    const fds = Int32Array.of(createEvent(), createEvent());
    const peer = connectTo(path);
    const host = new SocketLink(await accept());
    const before = openFds();
    const seen = listen(host);
    sendBytes(peer, encodeControl(ATTACH), 0, 40, fds);
    shutdownSocket(peer);
    expect(await seen.closed).toBeUndefined();
    expect(openFds()).toBe(before - 1);
    for (const fd of [...fds, peer]) closeFd(fd);
  });
});
