/**
 * Who gets in and who does not. Every refusal says why, closes what came with it, and leaves the
 * guests that are in undisturbed. Leaves out: what happens to memory that lies (hostile.slow.test).
 */
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HostOptions } from '../../host/index.ts';
import { setU32 } from '../../src/base/record.ts';
import { MIB } from '../../src/base/units.ts';
import { closeFd, OpenFlag, openFile, truncateFile } from '../../src/bindings/files.ts';
import { createMemfd } from '../../src/bindings/memory.ts';
import { connectTo, sendBytes } from '../../src/bindings/sockets.ts';
import { createEvent } from '../../src/bindings/waiting.ts';
import { encodeControl } from '../../src/channel/control-message.ts';
import { RegionHeader } from '../../src/channel/protocol.ts';
import { HostChild } from './support/host-child.ts';
import type { HostResources } from './support/host-process.ts';
import { makePlace } from './support/place.ts';
import { GuestMemory, RawGuest, type RawGuestOptions, SMALL } from './support/raw-guest.ts';

const place = makePlace();
const OPTIONS: HostOptions = {
  listen: place.socket,
  limits: {
    sessions: 4,
    regionsPerGuest: 3,
    queuePairs: 2,
    commandsInFlight: 64,
    regionBytesPerGuest: 4 * MIB,
  },
};
let host: HostChild;
let witness: RawGuest;
let before: HostResources;
const mine: number[] = [];

beforeAll(async () => {
  host = await HostChild.start(OPTIONS);
  witness = await RawGuest.attach(place.socket);
  before = await settledResources();
});

// After every case: the witness is served, and the host holds what it held.
afterEach(async () => {
  for (const fd of mine.splice(0)) closeFd(fd);
  expect(await witness.nop()).toEqual({ status: 0, bytes: 0 });
  expect(await settledResources(before)).toEqual(before);
});

afterAll(async () => {
  witness.vanish();
  await host.close();
  place.remove();
});

/** What the host holds, asked until it is as expected or has not changed for long. */
async function settledResources(expected?: HostResources): Promise<HostResources> {
  let last = await host.resources();
  for (let i = 0; i < 200; i++) {
    const next = await host.resources();
    const wanted = expected ?? last;
    if (next.descriptors === wanted.descriptors && next.regions === wanted.regions) return next;
    last = next;
  }
  return last;
}

async function refusal(options: RawGuestOptions): Promise<{ code: string; message: string }> {
  const guest = new RawGuest(place.socket, options);
  try {
    await guest.sayAttach();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  } finally {
    guest.vanish();
  }
  return { code: 'attached', message: '' };
}

function keep(fd: number): number {
  mine.push(fd);
  return fd;
}

describe('a guest of another build', () => {
  it.each([
    [{ fingerprint: 1 }, 'fingerprint'],
    [{ protocolVersion: 99 }, 'protocolVersion'],
    [{ featuresRequired: 0x8000 }, 'hostLacks=0x8000'],
  ])('is refused: %o', async (message, says) => {
    const { code, message: text } = await refusal({ message });
    expect(code).toBe('protocol_mismatch');
    expect(text).toContain(says);
  });
});

describe('memory that does not fit', () => {
  it('is refused if it is shorter than its geometry says', async () => {
    const short = keep(createMemfd('short', 4096));
    const { code, message } = await refusal({ handles: [short, keep(createEvent())] });
    expect(code).toBe('invalid_argument');
    expect(message).toContain('not as long');
  });

  it('is refused if it is no memfd', async () => {
    const path = join(place.folder, 'file');
    const file = keep(openFile(path, OpenFlag.READ_WRITE | OpenFlag.CREATE));
    truncateFile(file, 300_000);
    const { code, message } = await refusal({ handles: [file, keep(createEvent())] });
    expect(code).toBe('invalid_argument');
    expect(message).toContain('no memfd');
  });

  it('is refused if its size is not sealed', async () => {
    const path = `/dev/shm/lf-unsealed-${process.pid}`;
    const file = keep(openFile(path, OpenFlag.READ_WRITE | OpenFlag.CREATE));
    const { rmSync } = await import('node:fs');
    rmSync(path);
    truncateFile(file, 1_000_000);
    const { code, message } = await refusal({ handles: [file, keep(createEvent())] });
    expect(code).toBe('invalid_argument');
    expect(message).toContain('not sealed');
  });

  it('is refused if its header says something else than the attach', async () => {
    const memory = new GuestMemory('memfd');
    setU32(memory.region.view, 0, RegionHeader.queueDepth, 8);
    const { code, message } = await refusal({ memory });
    memory.release();
    expect(code).toBe('protocol_mismatch');
    expect(message).toContain('queueDepth');
  });

  it('is refused with a bell that is no eventfd', async () => {
    const memory = new GuestMemory('memfd');
    const [memfd = -1] = memory.handles as number[];
    const fifo = keep(openSync('/dev/null', 'r+'));
    const { code, message } = await refusal({ memory, handles: [memfd, fifo] });
    memory.release();
    expect(code).toBe('invalid_argument');
    expect(message).toContain('eventfd');
  });
});

describe('limits', () => {
  it.each([
    [{ ...SMALL, queueCount: 3 }, 'queuePairs'],
    [{ ...SMALL, queueDepth: 64, queueCount: 2 }, 'commandsInFlight'],
    [{ ...SMALL, dataBytes: 4 * MIB }, 'regionBytesPerGuest'],
  ])('refuse %o by name', async (geometry, limit) => {
    const { code, message } = await refusal({ geometry });
    expect(code).toBe('limit_exceeded');
    expect(message).toContain(`limit=${limit}`);
  });

  it('refuse a geometry that is none before the memory is looked at', async () => {
    const geometry = { queueCount: 1, queueDepth: 7, dataBytes: 8192 };
    const { code } = await refusal({ message: { geometry } });
    expect(code).toBe('limit_exceeded');
  });

  it('count the regions of a process, and give the places back', async () => {
    const others = [await RawGuest.attach(place.socket), await RawGuest.attach(place.socket)];
    const { code, message } = await refusal({});
    expect(code).toBe('limit_exceeded');
    expect(message).toContain('regionsPerGuest');
    for (const guest of others) {
      expect((await guest.detach()).code).toBe('closed');
      guest.vanish();
    }
    const next = await RawGuest.attach(place.socket);
    expect(await next.nop()).toEqual({ status: 0, bytes: 0 });
    next.vanish();
  });
});

describe('the order of what is said', () => {
  it('refuses a second attach on the same link', async () => {
    const guest = await RawGuest.attach(place.socket);
    guest.link.send(
      {
        type: 'attach',
        protocolVersion: 1,
        fingerprint: 1,
        featuresOffered: 0,
        featuresRequired: 0,
        geometry: SMALL,
        mode: 'exclusive',
        epoch: 1,
      },
      guest.memory.handles,
    );
    expect((await guest.ended).code).toBe('protocol_violation');
    guest.vanish();
  });

  it.each([
    { type: 'start', epoch: 1 } as const,
    { type: 'detach' } as const,
    { type: 'volume-resized', sizeBytes: 1 } as const,
    { type: 'reply', requestId: 1, result: {} } as const,
  ])('refuses $type from a stranger', async (message) => {
    const guest = new RawGuest(place.socket);
    guest.link.send(message);
    expect((await guest.ended).code).toBe('protocol_violation');
    guest.vanish();
  });

  it('cuts off who sends too many descriptors, or bytes that are no message', async () => {
    const message = encodeControl({ type: 'detach' });
    for (const fdCount of [3, 9, 40]) {
      const socket = keep(connectTo(place.socket));
      const fds = Int32Array.from({ length: fdCount }, () => keep(createEvent()));
      sendBytes(socket, message, 0, message.byteLength, fds);
    }
    const socket = keep(connectTo(place.socket));
    const noise = new Uint8Array(64).fill(0x5a);
    sendBytes(socket, noise, 0, noise.byteLength);
  });

  it('lets a guest leave before it has started', async () => {
    const guest = new RawGuest(place.socket);
    await guest.sayAttach();
    expect((await guest.detach()).code).toBe('closed');
    guest.vanish();
  });

  it('forgets a guest that hangs up in the middle of attaching', async () => {
    for (let i = 0; i < 10; i++) {
      const guest = new RawGuest(place.socket);
      const attached = guest.sayAttach().catch(() => undefined);
      if (i % 2 === 0) await attached;
      guest.vanish();
    }
  });
});

it('refuses a user who is not on the list', async () => {
  const other = makePlace();
  const strict = await HostChild.start({ listen: other.socket, allowedUids: [12_345] });
  const guest = new RawGuest(other.socket);
  expect((await guest.ended).code).toBe('permission_denied');
  guest.vanish();
  await strict.close();
  other.remove();
});
