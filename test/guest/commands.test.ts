/**
 * Single commands at their edges: what is split, staged, in place, vectored, cancelled, in line,
 * refused. Schedules of many are in `faces.test.ts`.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { DataBuffer } from '../../guest/api.ts';
import { QUEUE_FULL } from '../../guest/batch-face.ts';
import { WAITING_MAX } from '../../guest/core.ts';
import { statusOf } from '../../src/base/errors.ts';
import { MIB } from '../../src/base/units.ts';
import { Opcode } from '../../src/channel/protocol.ts';
import { expectSame, Rig } from './support/rig.ts';

let rig: Rig;
afterEach(() => rig.end());

function code(expected: string): unknown {
  return expect.objectContaining({ code: expected });
}

function pattern(byteLength: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, i) => (i * 7 + (i >> 9)) & 0xff);
}

describe('transfers', () => {
  it('longer than a command are split, also where the data area is small', async () => {
    rig = new Rig(4 * MIB);
    rig.start();
    const data = pattern(3 * MIB + 512);
    const large = await rig.connect();
    expect(large.commandBytesMax).toBe(MIB);
    await large.async.write(512, data);
    expect(rig.host.opcodes).toEqual([3, 3, 3, 3]);
    expectSame(rig.store.bytes.subarray(512, 512 + data.length), data);
    const small = await rig.connect({ dataBytes: 8192, mode: 'shared' });
    expect(small.commandBytesMax).toBe(4096);
    expectSame(small.sync.read(512, 40960), data.subarray(0, 40960));
    expectSame(await small.async.read(512, 40960), data.subarray(0, 40960));
  });

  it('carry any mix of own and shared buffers, as few extents as there are pieces', async () => {
    rig = new Rig(MIB);
    rig.start();
    const driver = await rig.connect({ dataBytes: 2 * MIB });
    const shared = driver.allocate(128 * 512);
    const piece = fc.record({ shared: fc.boolean(), sectors: fc.integer({ min: 0, max: 3 }) });
    const property = fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
      let at = 0;
      const cut = (i: number, bytes: Uint8Array) => {
        const start = at;
        at += (pieces[i]?.sectors ?? 0) * 512;
        return bytes.subarray(start, at);
      };
      const total = pieces.reduce((sum, { sectors }) => sum + sectors * 512, 0);
      const data = pattern(total);
      shared.bytes.set(data);
      const sources = pieces.map(({ shared: inPlace }, i) => {
        return inPlace ? cut(i, shared.bytes) : cut(i, data);
      });
      rig.host.extentCounts.length = 0;
      await driver.async.writev(8192, sources);
      if (total > 0) {
        // Neighbours of one kind lie together and are one extent.
        const kinds = pieces.filter(({ sectors }) => sectors > 0).map((one) => one.shared);
        const runs = kinds.filter((kind, i) => i === 0 || kind !== kinds[i - 1]);
        expect(rig.host.extentCounts[0]).toBe(runs.length);
      }
      expectSame(rig.store.bytes.subarray(8192, 8192 + total), data);

      shared.bytes.fill(0);
      at = 0;
      const target = new Uint8Array(total);
      const targets = pieces.map(({ shared: inPlace }, i) => {
        return inPlace ? cut(i, shared.bytes) : cut(i, target);
      });
      driver.sync.readv(8192, targets);
      expectSame(Uint8Array.from(targets.flatMap((bytes) => [...bytes])), data);
    });
    await fc.assert(property, { numRuns: 100 });
    const many = Array.from({ length: 128 }, () => new Uint8Array(512));
    await driver.async.readv(0, many);
    const tooMany = [...many, new Uint8Array(512)];
    await expect(driver.async.readv(0, tooMany)).rejects.toThrow(code('invalid_argument'));
    // All memory of commands came back.
    shared.free();
    driver.allocate(2 * MIB).free();
  });

  it('of no bytes are done without the host', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect();
    await driver.async.write(0, new Uint8Array(0));
    expect(await driver.async.read(0, 0)).toHaveLength(0);
    driver.sync.discard(4096, 0);
    expect(rig.host.commandCount).toBe(0);
  });

  it('report what the host says, with what was asked', async () => {
    rig = new Rig(8192);
    rig.start();
    const driver = await rig.connect();
    await expect(driver.async.read(8192, 512)).rejects.toThrow(/command=READ position=8192/);
    expect(() => driver.sync.write(4096, new Uint8Array(8192))).toThrow(code('out_of_range'));
    const buffer = driver.allocate(512);
    driver.batch.submitRead(16, buffer.offset, 512);
    expect(driver.batch.wait(1000)).toBe(true);
    driver.batch.reap(1);
    expect(driver.batch.statuses[0]).toBe(statusOf('out_of_range'));
  });

  it('pass flags and opcodes through', async () => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect();
    const buffer = driver.allocate(4096);
    buffer.bytes.fill(3);
    await driver.async.writeFrom(0, buffer, { fua: true });
    driver.sync.writeFrom(4096, buffer, { fua: true });
    driver.sync.writeZeroes(0, 512, { fua: true });
    await driver.async.discard(512, 512);
    await driver.async.flush();
    expect(rig.store.forced).toBe(3);
    expect(rig.store.flushes).toBe(1);
    const { WRITE, WRITE_ZEROES, DISCARD, FLUSH } = Opcode;
    expect(rig.host.opcodes).toEqual([WRITE, WRITE, WRITE_ZEROES, DISCARD, FLUSH]);
    const target = driver.allocate(4096);
    await driver.async.readInto(4096, target);
    expectSame(target.bytes, buffer.bytes);
    await driver.async.readInto(0, target);
    expect(target.bytes[0]).toBe(0);
    expect(target.bytes[1024]).toBe(3);
  });

  it.each([
    ['position', -512],
    ['position', 1.5],
    ['position', 100],
    ['position', 2 ** 53],
    ['byteLength', 100],
  ])('are refused if the %s is %d', async (what, value) => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect();
    const position = what === 'position' ? value : 0;
    const byteLength = what === 'byteLength' ? value : 512;
    const refused = code('invalid_argument');
    await expect(driver.async.read(position, byteLength)).rejects.toThrow(refused);
    await expect(driver.async.discard(position, byteLength)).rejects.toThrow(refused);
    expect(() => driver.sync.write(position, new Uint8Array(byteLength))).toThrow(refused);
    if (value < 2 ** 53) {
      expect(() => driver.batch.submitRead(position / 512, 0, byteLength)).toThrow(refused);
    }
    expect(rig.host.commandCount).toBe(0);
  });
});

describe('the line', () => {
  it('keeps order beyond the depth of the queue, and refuses beyond its bound', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect({ queueDepth: 2 });
    const calls: Promise<void>[] = [];
    for (let i = 0; i < WAITING_MAX + 2; i++) calls.push(driver.async.nop());
    await expect(driver.async.nop()).rejects.toThrow(code('limit_exceeded'));
    rig.start();
    await Promise.all(calls);
    expect(rig.host.commandCount).toBe(WAITING_MAX + 2);
  });

  it('lets a blocking call pass', async () => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect({ queueDepth: 2 });
    let done = 0;
    const calls = Array.from({ length: 50 }, () => driver.async.nop().then(() => done++));
    driver.sync.flush();
    expect(rig.host.opcodes.indexOf(Opcode.FLUSH)).toBeLessThan(50);
    await Promise.all(calls);
    expect(done).toBe(50);
  });

  it('refuses a transfer that finds no memory and nothing that will free some', async () => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect({ dataBytes: 64 * 1024 });
    const all = driver.allocate(64 * 1024);
    expect(() => driver.allocate(512)).toThrow(code('limit_exceeded'));
    await expect(driver.async.read(0, 512)).rejects.toThrow(code('limit_exceeded'));
    expect(() => driver.sync.read(0, 512)).toThrow(code('limit_exceeded'));
    await driver.async.readInto(0, all);
    all.free();
    await driver.async.read(0, 512);
    expect(() => driver.allocate(0)).toThrow(code('invalid_argument'));
    expect(() => driver.allocate(65 * 1024)).toThrow(code('invalid_argument'));
  });
});

describe('cancelling', () => {
  it('rejects at once, and lends the memory until the host is done with it', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect({ queueDepth: 2, dataBytes: 16 * 1024 });
    const aborts = [0, 1, 2].map(() => new AbortController());
    const target = new Uint8Array(4096).fill(5);
    const { signal } = aborts[0] as AbortController;
    const inFlight = driver.async.readInto(0, target, { signal });
    const write = { signal: (aborts[1] as AbortController).signal };
    const written = driver.async.write(4096, new Uint8Array(4096).fill(1), write);
    const inLine = driver.async.nop({ signal: (aborts[2] as AbortController).signal });
    for (const abort of aborts) abort.abort();
    for (const call of [inFlight, written, inLine]) {
      await expect(call).rejects.toThrow(code('cancelled'));
    }
    // Two stages of 4 KiB are still lent.
    expect(() => driver.allocate(16 * 1024)).toThrow(code('limit_exceeded'));
    rig.start();
    await driver.async.flush();
    driver.allocate(16 * 1024).free();
    expect(target[0]).toBe(5);
    expect(rig.host.opcodes).toEqual([Opcode.READ, Opcode.WRITE, Opcode.FLUSH]);
    expect(rig.store.bytes[4096]).toBe(1);
    const late = driver.async.nop({ signal: AbortSignal.abort() });
    await expect(late).rejects.toThrow(code('cancelled'));
  });
});

describe('buffers', () => {
  it('freed while a command uses them come back when it has ended', async () => {
    rig = new Rig();
    rig.start({ commandsMax: 0 });
    const driver = await rig.connect({ queueDepth: 2, dataBytes: 16 * 1024 });
    const [first, second, third, fourth] = [0, 1, 2, 3].map(() => driver.allocate(4096)) as [
      DataBuffer,
      DataBuffer,
      DataBuffer,
      DataBuffer,
    ];
    const calls = [driver.async.readInto(0, first)];
    driver.batch.submitWrite(8, second.offset, 4096, 0);
    calls.push(driver.async.writeFrom(8192, third.bytes.subarray(512, 1024)));
    for (const buffer of [first, second, third, fourth]) {
      buffer.free();
      buffer.free();
    }
    driver.allocate(4096);
    expect(() => driver.allocate(4096)).toThrow(code('limit_exceeded'));
    expect(() => driver.sync.readInto(0, first)).toThrow(code('invalid_argument'));
    rig.start();
    driver.batch.wait(1000);
    driver.batch.reap(1);
    await Promise.all(calls);
    const pieces = [0, 1, 2].map(() => driver.allocate(4096).offset);
    const freed = [first.offset, second.offset, third.offset];
    expect(new Set(pieces)).toEqual(new Set(freed));
  });
});

describe('the batch face', () => {
  it('says when the queue is full, and hands tags out again after they were reaped', async () => {
    rig = new Rig();
    rig.start();
    const driver = await rig.connect({ queueDepth: 4 });
    const { batch } = driver;
    expect(batch.wait(1000)).toBe(false);
    const tags = [0, 1, 2, 3].map(() => batch.submitNop());
    expect(new Set(tags).size).toBe(4);
    expect(batch.submitNop()).toBe(QUEUE_FULL);
    expect(batch.submitFlush()).toBe(QUEUE_FULL);
    expect(batch.submitRead(0, 0, 512)).toBe(QUEUE_FULL);
    expect(batch.inFlightCount).toBe(4);
    expect(batch.wait(1000)).toBe(true);
    expect(batch.reap(1)).toBe(1);
    expect(batch.submitNop()).toBe(batch.tags[0]);
    let rest = 4;
    while (rest > 0) {
      batch.wait(1000);
      rest -= batch.reap(4);
    }
    expect(batch.inFlightCount).toBe(0);
    expect(() => batch.submitRead(0, 0, 2 * MIB)).toThrow(code('invalid_argument'));
    expect(() => batch.submitWrite(0, driver.dataBytes, 512, 0)).toThrow(code('invalid_argument'));
    expect(() => batch.submitWriteZeroes(0, 0, 0)).toThrow(code('invalid_argument'));
  });
});
