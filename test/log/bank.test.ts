/** What a bank holds, and what happens when it is damaged, gone, or of another boot (R2, R3). */
import { describe, expect, it } from 'vitest';
import { setU32 } from '../../src/base/record.ts';
import { BLOCK_BYTES } from '../../src/base/units.ts';
import {
  BANK_JOURNAL_OFFSET,
  BankHeader,
  bankGeometryAt,
  bufferOffsetOf,
  PUBLISHED_WORD,
} from '../../src/formats/bank.ts';
import type { SimBankFile } from '../sim/sim-banks.ts';
import { SimulatedCrash } from '../sim/sim-process.ts';
import { Harness } from './support/log-harness.ts';

/** A pool that died with two published operations, none of them committed. */
async function died(): Promise<{ h: Harness; bank: SimBankFile; bytes: Uint8Array; name: string }> {
  const h = new Harness(11);
  await h.create();
  await h.open();
  h.write({ kind: 'write', lba: 0, blockCount: 3 });
  h.write({ kind: 'write', lba: 1, blockCount: 1 });
  h.kill();
  const [[name, bank] = []] = h.machine.banks.entries();
  if (name === undefined || bank === undefined) throw new Error('a bank was left');
  return { h, bank, bytes: new Uint8Array(bank.memory), name };
}

/** The memory moves when a process that had it mapped dies, so it is looked up each time. */
function flip(bank: SimBankFile, at: number): void {
  const bytes = new Uint8Array(bank.memory);
  bytes[at] = (bytes[at] as number) ^ 4;
}

describe('bank', () => {
  it('R2: is replayed by the next open, and goes when that is durable', async () => {
    const { h, name } = await died();
    await h.open();
    expect(h.report).toMatchObject({ commitCount: 0, bankOperationCount: 2 });
    await h.expectPrefix(h.publishedTxn);
    expect(h.machine.banks.has(name)).toBe(false);
    expect(h.machine.banks.size).toBe(1);
    expect(h.incarnation).toBe(1);
    // R4: what was replayed survives the loss of power at once.
    h.losePower();
    await h.open();
    expect(h.client.map.size).toBe(3);
  });

  it('R2: operations appended but not published do not exist', async () => {
    const h = new Harness(12);
    await h.create();
    await h.open();
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    h.append({ kind: 'write', lba: 5, blockCount: 1 });
    h.kill();
    await h.open();
    expect([...h.client.map.values()].map((stored) => stored.lba)).toEqual([0]);
  });

  it('R2: any flipped byte below the published count is named and refused', async () => {
    const { h, bank } = await died();
    // Two frames: 4 entries and 2 entries, each with its header.
    for (let at = 0; at < (1 + 4 + 1 + 2) * 32; at += 7) {
      flip(bank, BANK_JOURNAL_OFFSET + at);
      const refusal = { code: 'bank_lost', details: { frame: at < 160 ? 0 : 5 } };
      await expect(h.open(), `byte ${at}`).rejects.toMatchObject(refusal);
      h.kill();
      flip(bank, BANK_JOURNAL_OFFSET + at);
    }
    await h.open();
    await h.expectPrefix(h.publishedTxn);
  });

  it('R2: a flipped bit in a block is found before anything is replayed', async () => {
    const { h, bank, bytes } = await died();
    const geometry = bankGeometryAt(bytes);
    const images = [0, 1, 2].map((buffer) => bufferOffsetOf(geometry, buffer) + 2 * BLOCK_BYTES);
    const image = images.find((at) => bytes.subarray(at, at + 64).some((byte) => byte !== 0));
    flip(bank, (image ?? 0) + 4000);
    await expect(h.open()).rejects.toMatchObject({ code: 'bank_lost' });
  });

  it('R2: what stands above the published count is not looked at', async () => {
    const { h, bytes } = await died();
    bytes.fill(0xee, BANK_JOURNAL_OFFSET + 8 * 32, BANK_JOURNAL_OFFSET + 20 * 32);
    await h.open();
    expect(h.report).toMatchObject({ bankOperationCount: 2 });
  });

  it('R2: impossible counts are refused', async () => {
    const { h, bytes } = await died();
    new Int32Array(bytes.buffer)[PUBLISHED_WORD] = -5;
    const details = { reason: 'impossible counts' };
    await expect(h.open()).rejects.toMatchObject({ code: 'bank_lost', details });
  });

  it('R2: a bank of an unknown version is refused, also when it may be discarded', async () => {
    const { h, bytes } = await died();
    const view = new DataView(bytes.buffer);
    setU32(view, 0, BankHeader.version, 2);
    const { kernels } = h.process;
    setU32(view, 0, BankHeader.checksum, kernels.crc32c(bytes, 0, BankHeader.checksum, 0));
    await expect(h.open(true)).rejects.toMatchObject({ code: 'version_unsupported' });
  });

  it('R3: without its bank a pool of this boot is not opened, unless told to', async () => {
    const { h, name } = await died();
    h.machine.banks.delete(name);
    const details = { bank: name, reason: 'not there' };
    await expect(h.open()).rejects.toMatchObject({ code: 'bank_lost', details });
    h.kill();
    await h.open(true);
    expect(h.report).toMatchObject({ bankDiscarded: true });
    expect(h.incarnation).toBe(2);
    expect(h.client.map.size).toBe(0);
  });

  it('R3: a bank that is whole is replayed even if it might be discarded', async () => {
    const { h } = await died();
    await h.open(true);
    expect(h.report).toMatchObject({ bankDiscarded: false, bankOperationCount: 2 });
    expect(h.incarnation).toBe(1);
  });

  it('R3: a bank with the wrong owner is refused', async () => {
    const { h, bank } = await died();
    bank.ownerIsRight = false;
    await expect(h.open()).rejects.toMatchObject({ code: 'bank_lost' });
  });

  it('R3: another boot starts a new incarnation, and only a loss or a boot does', async () => {
    const { h } = await died();
    h.losePower();
    await h.open();
    expect(h.incarnation).toBe(2);
    h.kill();
    await h.open();
    expect(h.incarnation).toBe(2);
    await h.close();
    await h.open();
    expect(h.incarnation).toBe(2);
  });

  it('R3: no room for the new bank leaves the pool as recoverable as it was', async () => {
    const { h } = await died();
    h.machine.bankBytesMax = 0;
    await expect(h.open()).rejects.toMatchObject({ code: 'bank_unavailable' });
    h.machine.bankBytesMax = Number.MAX_SAFE_INTEGER;
    h.kill();
    await h.open();
    await h.expectPrefix(h.publishedTxn);
  });

  it('R4: dying at every point of a recovery, again and again, loses nothing and leaves one bank', async () => {
    const { h } = await died();
    const promised = h.publishedTxn;
    for (let points = 1; ; points++) {
      h.machine.armCrash(points);
      try {
        await h.open();
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(SimulatedCrash);
        h.kill();
      }
    }
    h.machine.disarmCrash();
    await h.expectPrefix(promised);
    expect(h.machine.banks.size).toBe(1);
    await h.close();
    expect(h.machine.banks.size).toBe(0);
  });
});
