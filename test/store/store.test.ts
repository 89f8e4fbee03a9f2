/**
 * A store on a simulated machine, by example: what each command does, one at a time.
 */
import { describe, expect, it } from 'vitest';
import { MIB, SECTOR_BYTES } from '../../src/base/units.ts';
import { StoreHarness } from './support/store-harness.ts';

async function makeStore(seed = 1): Promise<StoreHarness> {
  const harness = new StoreHarness(seed);
  await harness.create();
  await harness.pump(harness.store.createVolume('disk', 8 * MIB));
  return harness;
}

describe('store', () => {
  it('reads zeros from a new volume, and what was written afterwards', async () => {
    const harness = await makeStore();
    const guest = await harness.attach('disk');
    guest.bytes.fill(7);
    expect(harness.run(guest, { op: 'READ', sector: 0, count: 16 })).toBe('ok');
    expect(guest.bytes.subarray(0, 16 * SECTOR_BYTES).every((byte) => byte === 0)).toBe(true);

    guest.bytes.fill(9, 0, 24 * SECTOR_BYTES);
    expect(harness.run(guest, { op: 'WRITE', sector: 3, count: 24 })).toBe('ok');
    guest.bytes.fill(1);
    expect(harness.run(guest, { op: 'READ', sector: 0, count: 32 })).toBe('ok');
    const sectors = Array.from({ length: 32 }, (_, i) => guest.bytes[i * SECTOR_BYTES + 511]);
    expect(sectors).toEqual([0, 0, 0, ...Array.from({ length: 24 }, () => 9), 0, 0, 0, 0, 0]);
  });
});
