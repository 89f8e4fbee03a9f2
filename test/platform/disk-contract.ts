/**
 * What every `Disk` must do, real or simulated, run over both (node-disk.test.ts, sim-disk.test.ts).
 * It leaves out what only one of them can show: locks of processes, crashes, errors of the medium.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Disk } from '../../src/platform/disk.ts';
import type { Platform } from '../../src/platform/platform.ts';

export const CONTRACT_DISK_BYTES = 1024 * 1024;

const UNIT_BYTES = 4096;
const UNIT_COUNT = 64;

/** Polls, as a reactor that spins does, until `count` operations are reaped. */
export function reapAll(disk: Disk, count: number): Map<number, number> {
  const results = new Map<number, number>();
  while (results.size < count) {
    const reapedCount = disk.reap();
    for (let i = 0; i < reapedCount; i++) {
      results.set(disk.completedSlots[i] ?? -1, disk.completedResults[i] ?? 0);
    }
  }
  return results;
}

async function withDisk(
  make: () => Promise<{ platform: Platform; disk: Disk }>,
  run: (platform: Platform, disk: Disk) => Promise<void>,
): Promise<void> {
  const { platform, disk } = await make();
  try {
    await run(platform, disk);
  } finally {
    await disk.close();
  }
}

/** `make` gives a new disk of `CONTRACT_DISK_BYTES` zeros each time. */
export function describeDiskContract(
  make: () => Promise<{ platform: Platform; disk: Disk }>,
): void {
  it('starts out as zeros of the size asked for', async () => {
    await withDisk(make, async ({ kernels }, disk) => {
      expect(disk.sizeBytes).toBe(CONTRACT_DISK_BYTES);
      const bytes = kernels.allocate(UNIT_BYTES).fill(1);
      await disk.read(bytes, CONTRACT_DISK_BYTES - UNIT_BYTES);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    });
  });

  it('reads back what the cold face wrote', async () => {
    await withDisk(make, async ({ kernels }, disk) => {
      const bytes = kernels.allocate(2 * UNIT_BYTES).map((_, at) => at * 7);
      const written = kernels.allocate(2 * UNIT_BYTES);
      written.set(bytes);
      await disk.write(written, UNIT_BYTES);
      await disk.sync();
      const read = kernels.allocate(2 * UNIT_BYTES);
      await disk.read(read, UNIT_BYTES);
      expect(Buffer.compare(read, bytes)).toBe(0);
    });
  });

  it('refuses a cold read past the end as a media error', async () => {
    await withDisk(make, async ({ kernels }, disk) => {
      const reading = disk.read(kernels.allocate(UNIT_BYTES), CONTRACT_DISK_BYTES);
      await expect(reading).rejects.toMatchObject({ code: 'media_error' });
    });
  });

  it('completes every operation once, by slot', async () => {
    await withDisk(make, async ({ kernels }, disk) => {
      const memory = kernels.registerMemory(kernels.allocate(UNIT_COUNT * UNIT_BYTES));
      for (let slot = 0; slot < UNIT_COUNT; slot++) {
        const at = slot * UNIT_BYTES;
        expect(disk.queueWrite(slot, memory, at, UNIT_BYTES, at)).toBe(true);
      }
      expect(disk.inFlightCount).toBe(UNIT_COUNT);
      disk.submit();
      const results = reapAll(disk, UNIT_COUNT);
      expect([...results.keys()].sort((a, b) => a - b)).toEqual([...Array(UNIT_COUNT).keys()]);
      expect(new Set(results.values())).toEqual(new Set([UNIT_BYTES]));
      expect(disk.inFlightCount).toBe(0);
      expect(disk.queueSync(3)).toBe(true);
      disk.submit();
      expect(reapAll(disk, 1)).toEqual(new Map([[3, 0]]));
      // It may say yes once more: a completion can arrive while the last reap looks.
      expect(disk.reap()).toBe(0);
      expect(disk.hasCompletions()).toBe(false);
      kernels.unregisterMemory(memory);
    });
  });

  it('gives a short result at the end of the disk', async () => {
    await withDisk(make, async ({ kernels }, disk) => {
      const memory = kernels.registerMemory(kernels.allocate(2 * UNIT_BYTES));
      disk.queueRead(0, memory, 0, 2 * UNIT_BYTES, CONTRACT_DISK_BYTES - UNIT_BYTES);
      disk.submit();
      expect(reapAll(disk, 1)).toEqual(new Map([[0, UNIT_BYTES]]));
      kernels.unregisterMemory(memory);
    });
  });

  it('asserts alignment and one operation per slot', async () => {
    await withDisk(make, async ({ kernels }, disk) => {
      const memory = kernels.registerMemory(kernels.allocate(UNIT_BYTES));
      expect(() => disk.queueRead(0, memory, 0, UNIT_BYTES, 100)).toThrow('aligned');
      expect(() => disk.queueRead(0, memory, 0, 100, 0)).toThrow('aligned');
      expect(() => disk.queueRead(0, memory, 100, 512, 0)).toThrow('aligned');
      disk.queueRead(0, memory, 0, UNIT_BYTES, 0);
      expect(() => disk.queueRead(0, memory, 0, UNIT_BYTES, 0)).toThrow('slot');
      disk.submit();
      reapAll(disk, 1);
      kernels.unregisterMemory(memory);
    });
  });

  it('holds what was written, for any batches of reads and writes', async () => {
    const step = fc.record({
      write: fc.boolean(),
      unit: fc.nat(UNIT_COUNT - 1),
      value: fc.integer({ min: 1, max: 255 }),
    });
    const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 16 }), { maxLength: 6 });
    const property = fc.asyncProperty(batches, async (list) => {
      await withDisk(make, async ({ kernels }, disk) => {
        const model = new Uint8Array(UNIT_COUNT);
        const bytes = kernels.allocate(16 * UNIT_BYTES);
        const memory = kernels.registerMemory(bytes);
        for (const batch of list) {
          // Nothing orders operations in flight together, so a batch touches a unit once.
          const units = new Map(batch.map((item) => [item.unit, item]));
          const items = [...units.values()];
          for (const [slot, { write, unit, value }] of items.entries()) {
            const at = slot * UNIT_BYTES;
            if (write) {
              bytes.fill(value, at, at + UNIT_BYTES);
              disk.queueWrite(slot, memory, at, UNIT_BYTES, unit * UNIT_BYTES);
              model[unit] = value;
            } else {
              disk.queueRead(slot, memory, at, UNIT_BYTES, unit * UNIT_BYTES);
            }
          }
          disk.submit();
          reapAll(disk, items.length);
          for (const [slot, { unit }] of items.entries()) {
            const read = bytes.subarray(slot * UNIT_BYTES, (slot + 1) * UNIT_BYTES);
            expect(read.every((byte) => byte === model[unit])).toBe(true);
          }
        }
        kernels.unregisterMemory(memory);
      });
    });
    await fc.assert(property, { numRuns: 20 });
  });
}
