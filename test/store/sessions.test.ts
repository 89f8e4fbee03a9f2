/**
 * Sessions of a store across deaths of the host (R25, R26), by example.
 */
import { describe, expect, it } from 'vitest';
import { MIB, SECTOR_BYTES } from '../../src/base/units.ts';
import type { AttachMode } from '../../src/store/store.ts';
import { type Command, type Guest, StoreHarness } from './support/store-harness.ts';

const GRACE_MS = 1000;

async function makeStore(): Promise<StoreHarness> {
  const harness = new StoreHarness(1);
  await harness.create();
  await harness.pump(harness.store.createVolume('disk', 8 * MIB));
  return harness;
}

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

function firstByte(harness: StoreHarness, guest: Guest, sector: number): number | undefined {
  const offset = MIB;
  expect(harness.run(guest, { op: 'READ', sector, count: 1, offset })).toBe('ok');
  return guest.bytes[offset];
}

describe('R25: a command that is submitted again', () => {
  /** A's command is applied, and the host dies before A sees it. */
  async function dieBeforeCompletion(command: Command, byte: number) {
    const harness = await makeStore();
    const a = await harness.attach('disk');
    const b = await harness.attach('disk');
    b.bytes.fill(1);
    harness.run(b, { op: 'WRITE', sector: 0, count: 64 });
    a.bytes.fill(byte);
    const operation = harness.submit(a, { ...command, tag: 5, queue: 1 }, () => undefined);
    // One step publishes it; nobody takes the completion.
    harness.store.step(harness.process.clock.nowUs());
    await harness.killAndReopen();
    const again = { ...command, tag: 5, queue: 1, operation };
    return { harness, a, b, again };
  }

  const commands: { command: Command; shows: number }[] = [
    { command: { op: 'WRITE', sector: 8, count: 8 }, shows: 2 },
    { command: { op: 'WRITE', sector: 9, count: 1 }, shows: 2 },
    { command: { op: 'DISCARD', sector: 8, count: 16 }, shows: 0 },
    { command: { op: 'WRITE_ZEROES', sector: 9, count: 20 }, shows: 0 },
  ];

  it.each(commands)('is answered, not repeated: $command', async ({ command, shows }) => {
    const { harness, a, b, again } = await dieBeforeCompletion(command, 2);
    // B attaches first, reads A's data, overwrites it, and that completes. Then A asks again.
    const sector = 9;
    const bAgain = await harness.reattach(b);
    expect(firstByte(harness, bAgain, sector)).toBe(shows);
    bAgain.bytes.fill(3);
    expect(harness.run(bAgain, { op: 'WRITE', sector, count: 1 })).toBe('ok');
    const aAgain = await harness.reattach(a);
    aAgain.bytes.fill(2);
    expect(harness.run(aAgain, again)).toBe('ok');
    expect(harness.store.stats().repeatedCommands).toBe(1);
    expect(firstByte(harness, aAgain, sector)).toBe(3);
    // The same after the windows went through a checkpoint and another death.
    for (const { grant } of [aAgain, bAgain]) harness.store.detachSession(grant.session);
    await harness.closeAndReopen();
    await harness.killAndReopen();
    const aLater = await harness.reattach(a);
    aLater.bytes.fill(2);
    expect(harness.run(aLater, again)).toBe('ok');
    expect(firstByte(harness, aLater, sector)).toBe(3);
  });

  it.each(commands)(
    'is answered by the same host, and after its checkpoint: $command',
    async ({ command }) => {
      const harness = await makeStore();
      let a = await harness.attach('disk');
      let b = await harness.attach('disk');
      const again = { ...command, tag: 5, queue: 1, operation: 9 };
      expect(harness.run(a, again)).toBe('ok');
      b.bytes.fill(3);
      expect(harness.run(b, { op: 'WRITE', sector: 9, count: 1 })).toBe('ok');
      expect(harness.run(a, again)).toBe('ok');
      expect(firstByte(harness, a, 9)).toBe(3);
      for (const { grant } of [a, b]) harness.store.detachSession(grant.session);
      await harness.closeAndReopen();
      expect(harness.store.recovery.operationCount).toBe(0);
      a = await harness.reattach(a);
      b = await harness.reattach(b);
      expect(harness.run(a, again)).toBe('ok');
      expect(firstByte(harness, b, 9)).toBe(3);
    },
  );

  it('is answered even if it changed nothing when it was applied', async () => {
    const command = { op: 'DISCARD', sector: 1000, count: 3 } as const;
    const { harness, a, b, again } = await dieBeforeCompletion(command, 0);
    const bAgain = await harness.reattach(b);
    bAgain.bytes.fill(3);
    expect(harness.run(bAgain, { op: 'WRITE', sector: 1000, count: 8 })).toBe('ok');
    const aAgain = await harness.reattach(a);
    expect(harness.run(aAgain, again)).toBe('ok');
    expect(firstByte(harness, aAgain, 1001)).toBe(3);
  });

  it('is done if it was not applied, and a new command under the same tag is another one', async () => {
    const harness = await makeStore();
    const a = await harness.attach('disk');
    a.bytes.fill(4);
    const operation = harness.submit(a, { op: 'WRITE', sector: 0, count: 8, tag: 1 }, () => {});
    await harness.killAndReopen();
    const again = await harness.reattach(a);
    expect(firstByte(harness, again, 0)).toBe(0);
    const command = { op: 'WRITE', sector: 0, count: 8, tag: 1 } as const;
    expect(harness.run(again, { ...command, operation })).toBe('ok');
    expect(firstByte(harness, again, 0)).toBe(4);
    again.bytes.fill(5, 0, 8 * SECTOR_BYTES);
    expect(harness.run(again, { ...command, operation: operation + 1 })).toBe('ok');
    expect(firstByte(harness, again, 0)).toBe(5);
    expect(harness.store.stats().repeatedCommands).toBe(0);
  });
});

describe('R26: sessions', () => {
  const modes: [AttachMode, AttachMode, boolean][] = [
    ['exclusive', 'exclusive', false],
    ['exclusive', 'readonly', false],
    ['shared', 'exclusive', false],
    ['readonly', 'exclusive', false],
    ['shared', 'shared', true],
    ['shared', 'readonly', true],
    ['readonly', 'readonly', true],
  ];

  it.each(modes)('%s and %s together: %s', async (first, second, fits) => {
    const harness = await makeStore();
    const holder = await harness.attach('disk', first, GRACE_MS);
    const attach = () => harness.attach('disk', second, GRACE_MS);
    if (fits) await attach();
    else await expect(attach()).rejects.toEqual(failsWith('in_use'));
    // The host's death changes nothing about it, until the grace is over.
    await harness.killAndReopen();
    if (fits) await attach();
    else await expect(attach()).rejects.toEqual(failsWith('in_use'));
    await harness.passMs(GRACE_MS / 2);
    await harness.reattach(holder);
    await harness.passMs(GRACE_MS * 2);
    if (!fits) await expect(attach()).rejects.toEqual(failsWith('in_use'));
  });

  it('end when their grace is over, and for good', async () => {
    const harness = await makeStore();
    const away = await harness.attach('disk', 'exclusive', GRACE_MS);
    await harness.killAndReopen();
    await harness.passMs(GRACE_MS + 10);
    expect(harness.store.listSessions()).toEqual([]);
    await expect(harness.reattach(away)).rejects.toEqual(failsWith('permission_denied'));
    await harness.attach('disk', 'exclusive', GRACE_MS);
    await harness.killAndReopen();
    await expect(harness.reattach(away)).rejects.toEqual(failsWith('permission_denied'));
    expect(harness.store.listSessions()).toHaveLength(1);
  });

  it('keep the volume for a guest that is gone without a word', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk', 'exclusive', GRACE_MS);
    harness.store.detachSession(guest.grant.session);
    await expect(harness.attach('disk')).rejects.toEqual(failsWith('in_use'));
    const again = await harness.reattach(guest);
    harness.store.detachSession(again.grant.session);
    await harness.passMs(GRACE_MS + 10);
    await harness.attach('disk');
  });

  it('free the volume at once when they are closed', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk', 'exclusive', GRACE_MS);
    await harness.pump(harness.store.closeSession(guest.grant.session));
    await harness.attach('disk', 'exclusive', GRACE_MS);
    await harness.killAndReopen();
    expect(harness.store.listSessions()).toHaveLength(1);
  });

  it('are taken up by who knows the secret, once', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    await expect(harness.reattach(guest)).rejects.toEqual(failsWith('in_use'));
    await harness.killAndReopen();
    const { grant } = guest;
    const wrong = { ...guest, grant: { ...grant, secret: new Uint8Array(16) } };
    await expect(harness.reattach(wrong)).rejects.toEqual(failsWith('permission_denied'));
    const short = { ...guest, grant: { ...grant, secret: grant.secret.slice(1) } };
    await expect(harness.reattach(short)).rejects.toEqual(failsWith('permission_denied'));
    const other = { ...guest, grant: { ...grant, guest: grant.guest + 1 } };
    await expect(harness.reattach(other)).rejects.toEqual(failsWith('permission_denied'));
    await harness.reattach(guest);
    await expect(harness.reattach(guest)).rejects.toEqual(failsWith('in_use'));
  });

  it('R3: end with their incarnation, and hold no volume in the next', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk', 'exclusive', GRACE_MS);
    await harness.pump(harness.store.flush());
    await harness.losePowerAndReopen();
    expect(harness.store.listSessions()).toHaveLength(1);
    expect(harness.store.incarnation).toBeGreaterThan(guest.grant.incarnation);
    await expect(harness.reattach(guest)).rejects.toEqual(failsWith('incarnation_changed'));
    const fresh = await harness.attach('disk', 'exclusive', GRACE_MS);
    expect(fresh.grant.guest).not.toBe(guest.grant.guest);
  });

  it('are refused with what is wrong', async () => {
    const harness = await makeStore();
    const shape = { volume: 'disk', queueCount: 1, queueDepth: 1, graceMs: 1, uid: 0 };
    const open = (change: object) =>
      harness.pump(harness.store.openSession({ ...shape, ...change }));
    const invalid = failsWith('invalid_argument');
    await expect(open({ volume: 'x' })).rejects.toEqual(failsWith('not_found'));
    await expect(open({ queueCount: 17 })).rejects.toEqual(invalid);
    await expect(open({ queueDepth: 0 })).rejects.toEqual(invalid);
    await expect(open({ graceMs: 1e9 })).rejects.toEqual(invalid);
  });
});
