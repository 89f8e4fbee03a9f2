/**
 * What a guest gets from a host with a pool: every command, over memfd from another process and over
 * SharedArrayBuffers from this one; one holder per volume, across hang-ups, clean goodbyes, the end
 * of the reactor and of the host (R26). Leaves out: data under load and crashes (kill.slow.test).
 */
import type { MessagePort } from 'node:worker_threads';
import { type Host, startHost } from 'logflume/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAdmin } from '../../guest/index.ts';
import { statusOf } from '../../src/base/errors.ts';
import { getU32, getU53 } from '../../src/base/record.ts';
import { MIB } from '../../src/base/units.ts';
import { readHostPage } from '../../src/channel/host-page.ts';
import { Opcode, VolumeInfo } from '../../src/channel/protocol.ts';
import { HostChild } from './support/host-child.ts';
import { makePlace, makePool, type Place } from './support/place.ts';
import { RawGuest, type RawGuestOptions } from './support/raw-guest.ts';

/** Longer than any test: whoever gets in before was let in. */
const FOR_EVER_MS = 3_600_000;

interface Way {
  readonly name: string;
  open(): Promise<void>;
  close(): Promise<void>;
  door(): string | MessagePort;
}

/** The same host, reached in two ways. */
function waysTo(place: Place): Way[] {
  let child: HostChild;
  let host: Host;
  const options = { pool: place.pool, bankDir: place.bankDir };
  return [
    {
      name: 'processes over memfd',
      open: async () => {
        child = await HostChild.start({ ...options, listen: place.socket });
      },
      close: async () => await child.close(),
      door: () => place.socket,
    },
    {
      name: 'threads over SharedArrayBuffer',
      open: async () => {
        host = await startHost(options);
      },
      close: async () => await host.close(),
      door: () => host.openPort(),
    },
  ];
}

function asking(volume: string, more: Partial<RawGuestOptions['message']> = {}): RawGuestOptions {
  return { message: { volume, ...more } };
}

const place = makePlace();
beforeAll(async () => {
  await makePool(place);
});
afterAll(() => place.remove());

describe.each(waysTo(place))('$name', (way) => {
  let guest: RawGuest;
  const volume = `v-${way.name.slice(0, 4)}`;

  beforeAll(async () => {
    await way.open();
    const admin = await connectAdmin({ host: way.door() });
    await admin.createVolume(volume, 8 * MIB);
    await admin.close();
    guest = await RawGuest.attach(way.door(), asking(volume));
  });

  afterAll(async () => {
    await guest.detach();
    guest.vanish();
    await way.close();
  });

  it('answers NOP', async () => {
    for (let i = 0; i < 100; i++) expect(await guest.nop()).toEqual({ status: 0, bytes: 0 });
  });

  it('tells about the volume', async () => {
    expect(await guest.run(Opcode.INFO, 0, 1)).toEqual({ status: 0, bytes: 64 });
    const { view } = guest.memory.region;
    const at = guest.memory.layout.dataOffset;
    expect(getU53(view, at, VolumeInfo.sectorCount)).toBe((8 * MIB) / 512);
    expect(getU32(view, at, VolumeInfo.flags)).toBe(0);
  });

  it('reads zeros, then what was written, then zeros again', async () => {
    guest.data.fill(9, 0, 4096);
    expect(await guest.run(Opcode.READ, 16, 8)).toEqual({ status: 0, bytes: 4096 });
    expect(guest.data.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);

    for (let i = 0; i < 8192; i++) guest.data[i] = (i * 7) & 0xff;
    const written = Buffer.from(guest.data.subarray(0, 8192));
    // Off a block's edge, so blocks are read, changed and written.
    expect(await guest.run(Opcode.WRITE, 3, 16)).toEqual({ status: 0, bytes: 8192 });
    expect(await guest.run(Opcode.FLUSH, 0, 0)).toEqual({ status: 0, bytes: 0 });
    guest.data.fill(0);
    await guest.run(Opcode.READ, 3, 16);
    expect(written.equals(guest.data.subarray(0, 8192))).toBe(true);

    expect(await guest.run(Opcode.WRITE_ZEROES, 4, 2)).toMatchObject({ status: 0 });
    expect(await guest.run(Opcode.DISCARD, 8, 8)).toMatchObject({ status: 0 });
    written.fill(0, 512, 1536);
    written.fill(0, 5 * 512, 13 * 512);
    await guest.run(Opcode.READ, 3, 16);
    expect(written.equals(guest.data.subarray(0, 8192))).toBe(true);
  });

  it('completes a forced write like any other', async () => {
    const fua = 1;
    expect(await guest.run(Opcode.WRITE, 0, 8, 0, fua)).toEqual({ status: 0, bytes: 4096 });
  });

  it('refuses what makes no sense, and goes on', async () => {
    const past = (8 * MIB) / 512;
    expect((await guest.run(Opcode.READ, past, 1)).status).toBe(statusOf('out_of_range'));
    expect((await guest.run(77, 0, 0)).status).toBe(statusOf('unsupported'));
    expect((await guest.run(Opcode.FLUSH, 1, 0)).status).toBe(statusOf('invalid_argument'));
    expect(await guest.nop()).toEqual({ status: 0, bytes: 0 });
  });

  it('ends the session of a guest that talks nonsense for long', async () => {
    const other = await RawGuest.attach(way.door());
    const nonsense = async () => {
      for (;;) expect((await other.run(99, 0, 0)).status).toBe(statusOf('unsupported'));
    };
    await expect(nonsense()).rejects.toMatchObject({ code: 'protocol_violation' });
    other.vanish();
    expect(await guest.nop()).toEqual({ status: 0, bytes: 0 });
  });

  it('shows its counters on the host page', async () => {
    const { region, layout } = guest.memory;
    const heartbeat = () => readHostPage(region, layout)?.counters[19] ?? 0;
    const first = heartbeat();
    // The page is written while commands come.
    while (heartbeat() < first + 2) await guest.nop();
    const reading = readHostPage(region, layout);
    expect(reading?.counters[0]).toBeGreaterThan(100);
    expect(reading?.counters[7]).toBeGreaterThanOrEqual(8192);
    expect(reading?.counters[12]).toBe(0);
    expect(reading?.latency.count).toBeGreaterThan(0);
  });

  it('tells the guest when the volume grows, and lets administrators see all', async () => {
    const admin = await connectAdmin({ host: way.door() });
    await admin.resizeVolume(volume, 16 * MIB);
    await guest.until(() => guest.messages.at(-1)?.type === 'volume-resized');
    expect(guest.messages.at(-1)).toEqual({ type: 'volume-resized', sizeBytes: 16 * MIB });
    expect((await guest.run(Opcode.READ, (12 * MIB) / 512, 8)).status).toBe(0);

    const listed = await admin.listVolumes();
    expect(listed.find(({ name }) => name === volume)?.sessionCount).toBe(1);
    await expect(admin.removeVolume(volume)).rejects.toMatchObject({ code: 'in_use' });
    await expect(admin.createVolume(volume, MIB)).rejects.toMatchObject({ code: 'already_exists' });
    await expect(admin.volumeInfo('nobody')).rejects.toMatchObject({ code: 'not_found' });
    await admin.close();
  });

  it('refuses a volume that is not there, and one that is held', async () => {
    for (const [name, code] of [
      ['nobody', 'not_found'],
      [volume, 'in_use'],
    ] as const) {
      const other = new RawGuest(way.door(), asking(name));
      await expect(other.sayAttach()).rejects.toMatchObject({ code });
      other.vanish();
    }
  });
});

describe('one holder per volume', () => {
  const shared = makePlace();
  let host: HostChild;
  const start = async (graceMs: number) => {
    const { pool, bankDir, socket } = shared;
    host = await HostChild.start({ pool, bankDir, listen: socket, graceMs });
  };
  const attach = async (options: RawGuestOptions) => await RawGuest.attach(shared.socket, options);
  const refused = async (options: RawGuestOptions) => {
    const guest = new RawGuest(shared.socket, options);
    await expect(guest.sayAttach()).rejects.toMatchObject({ code: 'in_use' });
    guest.vanish();
  };
  /** Takes a session up again in the same memory. */
  const resume = async (earlier: RawGuest) => {
    const { guestId, secret, incarnation } = earlier.attached ?? {
      guestId: 0,
      secret: '',
      incarnation: 0,
    };
    const guest = new RawGuest(shared.socket, {
      memory: earlier.memory,
      message: { volume: 'x', resume: { guestId, secret, incarnation } },
    });
    await guest.sayAttach();
    guest.sayStart(earlier);
    return guest;
  };

  beforeAll(async () => {
    await makePool(shared);
    await start(FOR_EVER_MS);
    const admin = await connectAdmin({ host: shared.socket });
    await admin.createVolume('x', MIB);
    await admin.close();
  });
  afterAll(async () => {
    await host.close();
    shared.remove();
  });

  it('keeps a volume for a guest that hung up, frees it when one says goodbye', async () => {
    const first = await attach(asking('x'));
    first.link.close();
    await refused(asking('x'));
    await refused(asking('x', { mode: 'shared' }));
    const again = await resume(first);
    expect(again.attached).toMatchObject({ resumed: true });
    expect(await again.nop()).toEqual({ status: 0, bytes: 0 });
    await again.detach();
    const second = await attach(asking('x'));
    await second.detach();
    second.vanish();
  });

  it('lets sharers in beside each other, and readers read only', async () => {
    const writer = await attach(asking('x', { mode: 'shared' }));
    const reader = await attach(asking('x', { mode: 'readonly' }));
    await refused(asking('x'));
    expect((await reader.run(Opcode.WRITE, 0, 8)).status).toBe(statusOf('read_only'));
    writer.data.fill(3, 0, 512);
    await writer.run(Opcode.WRITE, 0, 1);
    await reader.run(Opcode.READ, 0, 1);
    expect(reader.data[511]).toBe(3);
    for (const guest of [writer, reader]) {
      await guest.detach();
      guest.vanish();
    }
  });

  it('keeps it across the death of the reactor, and of the host', async () => {
    const first = await attach(asking('x'));
    await host.terminateReactor();
    expect((await first.ended).code).toBe('host_lost');
    await refused(asking('x'));
    const second = await resume(first);

    await host.kill();
    await second.ended;
    await start(FOR_EVER_MS);
    await refused(asking('x'));
    const third = await resume(second);
    expect(await third.run(Opcode.READ, 0, 8)).toEqual({ status: 0, bytes: 4096 });
    await third.detach();
  });

  it('believes nobody without the secret', async () => {
    const first = await attach(asking('x'));
    const { guestId = 0, incarnation = 0 } = first.attached ?? {};
    const forged = { guestId, secret: 'ab'.repeat(16), incarnation };
    const thief = new RawGuest(shared.socket, asking('x', { resume: forged }));
    await expect(thief.sayAttach()).rejects.toMatchObject({ code: 'permission_denied' });
    thief.vanish();
    expect(await first.nop()).toEqual({ status: 0, bytes: 0 });
    await first.detach();
    first.vanish();
  });

  it('ends an earlier session of the same guest before it serves the next', async () => {
    const first = await attach(asking('x'));
    const second = await resume(first);
    await first.ended;
    expect(await second.nop()).toEqual({ status: 0, bytes: 0 });
    await second.detach();
  });

  it('says that it is shutting down, and keeps sessions for the next host', async () => {
    await host.close();
    await start(50);
    const first = await attach(asking('x'));
    await host.close();
    expect((await first.ended).code).toBe('shutting_down');
    await start(FOR_EVER_MS);
    // The grace of those who do not come back ends, and the next may have the volume.
    for (;;) {
      const next = new RawGuest(shared.socket, asking('x'));
      const got = await next.sayAttach().then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'in_use' });
          return false;
        },
      );
      if (got) await next.detach();
      next.vanish();
      if (got) break;
    }
  });
});
