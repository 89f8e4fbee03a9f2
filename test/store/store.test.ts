/**
 * A store on a simulated machine, by example: the rules that a guest notices, one at a time. What
 * many commands do together is in concurrent-commands.test.ts, crashes anywhere in test/sim.
 */
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, KIB, MIB, SECTOR_BYTES } from '../../src/base/units.ts';
import { CHUNK_BLOCKS } from '../../src/maps/flat-map.ts';
import type { StoreLimits } from '../../src/store/open-store.ts';
import type { OpenStoreOptions } from '../../src/store/store.ts';
import { type Guest, type OpName, POOL, StoreHarness } from './support/store-harness.ts';

const VOLUME_BYTES = 8 * MIB;

async function makeStore(limits?: StoreLimits, options?: OpenStoreOptions): Promise<StoreHarness> {
  const harness = new StoreHarness(1, limits, options);
  await harness.create();
  await harness.pump(harness.store.createVolume('disk', VOLUME_BYTES));
  return harness;
}

function write(harness: StoreHarness, guest: Guest, sector: number, count: number, byte: number) {
  guest.bytes.fill(byte, 0, count * SECTOR_BYTES);
  return harness.run(guest, { op: 'WRITE', sector, count });
}

/** One byte for each sector that is the same all through. */
function read(harness: StoreHarness, guest: Guest, sector: number, count: number): number[] {
  guest.bytes.fill(0xee, 0, count * SECTOR_BYTES);
  expect(harness.run(guest, { op: 'READ', sector, count })).toBe('ok');
  return Array.from({ length: count }, (_, i) => {
    const bytes = guest.bytes.subarray(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES);
    return bytes.every((byte) => byte === bytes[0]) ? (bytes[0] ?? -1) : -1;
  });
}

function times(count: number, byte: number): number[] {
  return Array.from({ length: count }, () => byte);
}

/** Where on the disk blocks of this byte lie. */
function placesOf(harness: StoreHarness, byte: number): number[] {
  const file = harness.machine.disks.get(POOL);
  const block = new Uint8Array(BLOCK_BYTES);
  const places: number[] = [];
  for (let position = 0; position < (file?.sizeBytes ?? 0); position += BLOCK_BYTES) {
    file?.read(block, position);
    if (block.every((one) => one === byte)) places.push(position);
  }
  expect(places).not.toEqual([]);
  return places;
}

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

describe('commands', () => {
  it('reads zeros from a new volume, and what was written afterwards', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    expect(read(harness, guest, 0, 16)).toEqual(times(16, 0));
    expect(write(harness, guest, 3, 24, 9)).toBe('ok');
    expect(read(harness, guest, 0, 32)).toEqual([...times(3, 0), ...times(24, 9), ...times(5, 0)]);
  });

  it.each(['WRITE_ZEROES', 'DISCARD'] as const)('%s zeroes exactly its sectors', async (op) => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    write(harness, guest, 0, 64, 5);
    const places = [
      [1, 2],
      [6, 4],
      [15, 18],
      [40, 8],
      [63, 1],
    ] as const;
    const model = times(64, 5);
    for (const [sector, count] of places) {
      expect(harness.run(guest, { op, sector, count })).toBe('ok');
      model.fill(0, sector, sector + count);
      expect(read(harness, guest, 0, 64)).toEqual(model);
    }
    // 16 to 31 and 40 to 47 are whole blocks.
    expect(harness.store.requireVolume('disk').storedBytes).toBe(5 * BLOCK_BYTES);
    await harness.killAndReopen();
    expect(read(harness, await harness.reattach(guest), 0, 64)).toEqual(model);
  });

  /** A volume with a block in each chunk of the map, of which a turn clears about eight. */
  async function makeSparse(): Promise<{ harness: StoreHarness; guest: Guest; sectors: number }> {
    const harness = new StoreHarness(1);
    await harness.create();
    await harness.pump(harness.store.createVolume('large', 512 * MIB));
    const guest = await harness.attach('large');
    const sectors = (512 * MIB) / SECTOR_BYTES;
    for (let sector = 0; sector < sectors; sector += CHUNK_BLOCKS * 8) {
      write(harness, guest, sector, 8, 7);
    }
    return { harness, guest, sectors };
  }

  it('clears a long range in slices, and lets nobody look meanwhile', async () => {
    const { harness, guest, sectors } = await makeSparse();
    const answers: string[] = [];
    const note = (name: string) => (answer: string) => answers.push(`${name} ${answer}`);
    harness.submit(guest, { op: 'DISCARD', sector: 1, count: sectors - 1 }, note('discard'));
    guest.bytes.fill(1, 0, SECTOR_BYTES);
    const last = sectors - 1;
    harness.submit(guest, { op: 'WRITE', sector: last, count: 1 }, note('write'));
    harness.submit(guest, { op: 'READ', sector: last, count: 1, offset: MIB }, note('read'));
    harness.step();
    const { mappedBlocks } = harness.store.stats();
    expect(mappedBlocks).toBeGreaterThan(2);
    expect(mappedBlocks).toBeLessThan(60);
    expect(answers).toEqual([]);
    harness.stepUntil(() => answers.length === 3);
    expect(answers).toEqual(['discard ok', 'write ok', 'read ok']);
    expect(guest.bytes[MIB]).toBe(1);
    expect(read(harness, guest, 0, 2)).toEqual([7, 0]);
    expect(harness.store.stats().mappedBlocks).toBe(2);
  });

  it('R10: a checkpoint in the middle of a long clear holds none of the range', async () => {
    const { harness, guest, sectors } = await makeSparse();
    const { checkpoints } = harness.store.stats();
    let answer = '';
    harness.submit(guest, { op: 'DISCARD', sector: 0, count: sectors }, (said) => {
      answer = said;
    });
    harness.machine.time.advance(31_000_000);
    harness.step();
    expect(answer).toBe('ok');
    harness.stepUntil(() => harness.store.stats().checkpoints > checkpoints);
    await harness.killAndReopen();
    expect(harness.store.recovery.bankOperationCount).toBe(0);
    expect(harness.store.stats().mappedBlocks).toBe(0);
    expect(read(harness, await harness.reattach(guest), 0, 8)).toEqual(times(8, 0));
  });

  it('refuses what is malformed, past the end, or not allowed, and stores nothing of it', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    const sectors = VOLUME_BYTES / SECTOR_BYTES;
    const run = (op: OpName, rest: object) => harness.run(guest, { op, ...rest });
    expect(run('READ', { sector: sectors - 1, count: 2 })).toBe('out_of_range');
    expect(run('DISCARD', { sector: 2 ** 53, count: 8 })).toBe('out_of_range');
    expect(run('WRITE', { sector: 0, count: 0 })).toBe('invalid_argument');
    expect(run('WRITE', { sector: 0, count: 2, extents: [[0, 512]] })).toBe('invalid_argument');
    expect(run('WRITE', { sector: 0, count: 1, operation: 0 })).toBe('invalid_argument');
    expect(run('WRITE', { sector: 0, count: 1, tag: 64 })).toBe('protocol_violation');
    expect(run('WRITE', { sector: 0, count: 1, queue: 2 })).toBe('protocol_violation');
    const most = harness.store.writeBlocksMax * 8;
    expect(run('WRITE', { sector: 0, count: most })).toBe('ok');
    expect(run('WRITE', { sector: 1, count: most })).toBe('batch_too_large');
    harness.store.detachSession(guest.grant.session);
    expect(run('READ', { sector: 0, count: 1 })).toBe('closed');
    const reader = await harness.attach('disk', 'readonly');
    expect(harness.run(reader, { op: 'WRITE', sector: 0, count: 1 })).toBe('read_only');
    expect(harness.run(reader, { op: 'READ', sector: 0, count: 1 })).toBe('ok');
  });

  it('R1: a plain write survives the host, a flushed one the loss of power', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    write(harness, guest, 0, 8, 1);
    await harness.killAndReopen();
    const again = await harness.reattach(guest);
    expect(read(harness, again, 0, 8)).toEqual(times(8, 1));
    write(harness, again, 8, 8, 2);
    expect(harness.run(again, { op: 'FLUSH' })).toBe('ok');
    again.bytes.fill(3);
    expect(harness.run(again, { op: 'WRITE', sector: 16, count: 8, fua: true })).toBe('ok');
    await harness.losePowerAndReopen();
    const later = await harness.attach('disk');
    expect(read(harness, later, 0, 24)).toEqual([...times(8, 1), ...times(8, 2), ...times(8, 3)]);
  });

  it('R6: after a failed sync everything that changes something is refused', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    write(harness, guest, 0, 8, 1);
    harness.machine.disks.get(POOL)?.faults.failOnce('syncError');
    expect(harness.run(guest, { op: 'FLUSH' })).toBe('pool_failed');
    expect(harness.store.failed?.code).toBe('pool_failed');
    expect(write(harness, guest, 0, 8, 2)).toBe('pool_failed');
    expect(harness.run(guest, { op: 'DISCARD', sector: 0, count: 8 })).toBe('pool_failed');
    expect(harness.run(guest, { op: 'FLUSH' })).toBe('pool_failed');
    await expect(harness.pump(harness.store.createVolume('b', MIB))).rejects.toEqual(
      failsWith('pool_failed'),
    );
    expect(read(harness, guest, 0, 8)).toEqual(times(8, 1));
  });
});

describe('cold blocks', () => {
  async function makeCold(): Promise<{ harness: StoreHarness; guests: Guest[] }> {
    const harness = await makeStore();
    const first = await harness.attach('disk');
    const second = await harness.attach('disk');
    for (let block = 0; block < 16; block++) write(harness, first, block * 8, 8, 100 + block);
    await harness.killAndReopen();
    return { harness, guests: [await harness.reattach(first), await harness.reattach(second)] };
  }

  it('R24: two guests that write alternate sectors of a block both keep theirs', async () => {
    const { harness, guests } = await makeCold();
    let answered = 0;
    for (let block = 0; block < 16; block++) {
      for (let sector = 0; sector < 8; sector++) {
        const guest = guests[sector % 2] as Guest;
        const offset = (block * 8 + sector) * SECTOR_BYTES;
        guest.bytes.fill(1 + sector, offset, offset + SECTOR_BYTES);
        const command = { op: 'WRITE', sector: block * 8 + sector, count: 1, offset } as const;
        const tag = (block * 4 + Math.floor(sector / 2)) % 64;
        harness.submit(guest, { ...command, tag }, () => answered++);
        if (answered < block * 8 - 30) harness.step();
        while (harness.store.requests.claimedCount > 60) harness.step();
      }
    }
    harness.stepUntil(() => answered === 128);
    const expected = Array.from({ length: 128 }, (_, i) => 1 + (i % 8));
    expect(read(harness, guests[0] as Guest, 0, 128)).toEqual(expected);
    expect(harness.store.stats().heldCommands).toBeGreaterThan(0);
  });

  it('R24: a fill that comes after an overwrite does not enter the cache', async () => {
    const { harness, guests } = await makeCold();
    const [reader, writer] = guests as [Guest, Guest];
    let answer = '';
    harness.submit(reader, { op: 'READ', sector: 0, count: 8 }, (said) => {
      answer = said;
    });
    writer.bytes.fill(9);
    let wrote = '';
    harness.submit(writer, { op: 'WRITE', sector: 0, count: 8 }, (said) => {
      wrote = said;
    });
    // The disk takes its time, the bank does not: the write is done first.
    harness.step();
    expect([wrote, answer]).toEqual(['ok', '']);
    harness.stepUntil(() => answer !== '');
    expect(reader.bytes[0]).toBe(100);
    expect(harness.store.stats().cachedFrames).toBe(0);
    expect(read(harness, reader, 0, 8)).toEqual(times(8, 9));
  });

  it('R24: a place that holds another block now is not found in the cache', async () => {
    const harness = new StoreHarness(1, { log: { bufferCount: 3 } }, { cacheBytes: 16 * MIB });
    await harness.create(48 * MIB);
    await harness.pump(harness.store.createVolume('disk', VOLUME_BYTES));
    const sectors = VOLUME_BYTES / SECTOR_BYTES;
    let guest = await harness.attach('disk');
    for (let sector = 0; sector < sectors; sector += 512) write(harness, guest, sector, 512, 1);
    await harness.killAndReopen();
    guest = await harness.reattach(guest);
    for (let sector = 0; sector < sectors; sector += 512) read(harness, guest, sector, 512);
    expect(harness.store.stats().cachedFrames).toBe(VOLUME_BYTES / BLOCK_BYTES);
    // Often enough that every segment is used again, with its places.
    for (let byte = 2; byte < 12; byte++) {
      for (let sector = 0; sector < sectors; sector += 512)
        write(harness, guest, sector, 512, byte);
      for (let sector = 0; sector < sectors; sector += 512) {
        expect(read(harness, guest, sector, 512)).toEqual(times(512, byte));
      }
    }
    expect(harness.store.stats().cacheMisses).toBeGreaterThan(VOLUME_BYTES / BLOCK_BYTES);
  });

  it('reads a block once for all who want it', async () => {
    const { harness, guests } = await makeCold();
    let answered = 0;
    for (let i = 0; i < 20; i++) {
      const guest = guests[i % 2] as Guest;
      const command = { op: 'READ', sector: 8, count: 8, offset: i * BLOCK_BYTES } as const;
      harness.submit(guest, command, () => answered++);
    }
    harness.stepUntil(() => answered === 20);
    for (let i = 0; i < 20; i++) expect(guests[i % 2]?.bytes[i * BLOCK_BYTES]).toBe(101);
    expect(harness.store.stats().cachedFrames).toBe(1);
  });

  it('R23: a bad read that is good the second time is no damage', async () => {
    const { harness, guests } = await makeCold();
    const [guest] = guests as [Guest];
    harness.machine.disks.get(POOL)?.faults.failOnce('readError');
    expect(read(harness, guest, 0, 8)).toEqual(times(8, 100));
    const { checksumMismatches, mediaErrors } = harness.store.stats();
    expect([checksumMismatches, mediaErrors]).toEqual([0, 0]);
  });

  it('R23: a damaged block fails the reads of it, and nothing else', async () => {
    const { harness, guests } = await makeCold();
    const [guest] = guests as [Guest];
    const places = placesOf(harness, 103);
    for (const position of places) harness.machine.disks.get(POOL)?.flipBit(position + 17, 3);
    expect(harness.run(guest, { op: 'READ', sector: 24, count: 8 })).toBe('checksum_mismatch');
    expect(harness.run(guest, { op: 'READ', sector: 16, count: 16 })).toBe('checksum_mismatch');
    expect(harness.run(guest, { op: 'WRITE', sector: 25, count: 1 })).toBe('checksum_mismatch');
    expect(harness.store.stats().checksumMismatches).toBe(3);
    const [damage] = harness.store.takeDamage();
    expect(damage).toMatchObject({ volume: 'disk', lba: 3, code: 'checksum_mismatch' });
    expect(places).toContain(damage?.positionBytes);
    expect(read(harness, guest, 16, 8)).toEqual(times(8, 102));
    expect(read(harness, guest, 32, 8)).toEqual(times(8, 104));
    expect(write(harness, guest, 24, 8, 1)).toBe('ok');
    expect(read(harness, guest, 24, 8)).toEqual(times(8, 1));
  });
});

describe('limits', () => {
  it('refuses writes when the pool is full, and takes them again after a discard', async () => {
    const harness = new StoreHarness(1);
    await harness.create(48 * MIB);
    await harness.pump(harness.store.createVolume('disk', 64 * MIB));
    const guest = await harness.attach('disk');
    let stored = 0;
    let answer = 'ok';
    while (answer === 'ok') {
      answer = write(harness, guest, stored * 512, 512, 3);
      if (answer === 'ok') stored++;
      expect(stored).toBeLessThan(192);
    }
    expect(answer).toBe('pool_full');
    expect(stored * 256 * KIB).toBeGreaterThan(8 * MIB);
    expect(read(harness, guest, 0, 512)).toEqual(times(512, 3));
    for (let i = 0; i < stored; i++) {
      expect(harness.run(guest, { op: 'DISCARD', sector: i * 512, count: 512 })).toBe('ok');
    }
    expect(write(harness, guest, 0, 512, 4)).toBe('ok');
    expect(read(harness, guest, 0, 512)).toEqual(times(512, 4));
  });

  it('refuses volumes beyond what the map may hold', async () => {
    const harness = await makeStore({ mapBlocksMax: (16 * MIB) / BLOCK_BYTES });
    const { store } = harness;
    const refused = failsWith('limit_exceeded');
    await expect(harness.pump(store.createVolume('b', 9 * MIB))).rejects.toEqual(refused);
    await expect(harness.pump(store.resizeVolume('disk', 17 * MIB))).rejects.toEqual(refused);
    await harness.pump(store.createVolume('b', 8 * MIB));
    await harness.pump(store.removeVolume('disk'));
    await harness.pump(store.resizeVolume('b', 16 * MIB));
  });
});

describe('volumes', () => {
  it('are created, resized, listed and removed, for good', async () => {
    const harness = await makeStore();
    const { store } = harness;
    await harness.pump(store.createVolume('über', MIB));
    const guest = await harness.attach('über');
    write(harness, guest, 0, 2048, 8);
    await harness.pump(store.closeSession(guest.grant.session));
    expect((await harness.pump(store.resizeVolume('über', 512 * KIB))).storedBytes).toBe(512 * KIB);
    await harness.pump(store.resizeVolume('über', 2 * MIB));
    await harness.pump(store.removeVolume('disk'));
    await harness.losePowerAndReopen();
    const volumes = harness.store.listVolumes();
    expect(volumes.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([['über', 2 * MIB]]);
    const again = await harness.attach('über');
    expect(read(harness, again, 1016, 16)).toEqual([...times(8, 8), ...times(8, 0)]);
    const created = await harness.pump(harness.store.createVolume('disk', MIB));
    expect(created.id).toBeGreaterThan(2);
  });

  it('are refused with what is wrong', async () => {
    const harness = await makeStore();
    const { store } = harness;
    const create = (name: string, bytes: number) => harness.pump(store.createVolume(name, bytes));
    await expect(create('disk', MIB)).rejects.toEqual(failsWith('already_exists'));
    const invalid = failsWith('invalid_argument');
    for (const [name, bytes] of [
      ['', MIB],
      ['a\nb', MIB],
      ['ä'.repeat(128), MIB],
      ['a', 0],
      ['a', 1000],
      ['a', 2 ** 60],
    ] as const) {
      await expect(create(name, bytes)).rejects.toEqual(invalid);
    }
    await expect(harness.pump(store.removeVolume('x'))).rejects.toEqual(failsWith('not_found'));
    await harness.attach('disk');
    await expect(harness.pump(store.removeVolume('disk'))).rejects.toEqual(failsWith('in_use'));
    expect(() => store.requireVolume('x')).toThrow(failsWith('not_found'));
  });
});
