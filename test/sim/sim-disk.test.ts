/**
 * The guarantees of the simulated disk, on which every crash test leans: what was synced survives,
 * what was not may be gone, whole or torn, no fault happens unasked, and a seed is a history.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import type { Disk } from '../../src/platform/disk.ts';
import { CONTRACT_DISK_BYTES, describeDiskContract, reapAll } from '../platform/disk-contract.ts';
import { SimMachine } from './sim-machine.ts';
import { type SimProcess, SimulatedCrash } from './sim-process.ts';

const UNIT_BYTES = 4096;
const LOCK = { lockWaitMs: 100 };
const seeds = fc.nat();

async function makeMachine(seed: number, sizeBytes = CONTRACT_DISK_BYTES) {
  const machine = new SimMachine({ seed });
  const process = machine.startProcess();
  await process.pools.create('pool', { sizeBytes, writeThrough: false });
  const disk = await process.pools.open('pool', LOCK);
  const file = machine.disks.get('pool');
  if (file === undefined) throw new Error('the pool was made');
  return { machine, process, disk, file };
}

/** One hot write of `value`s, submitted; reaped too if `reap`. */
function writeUnit(process: SimProcess, disk: Disk, unit: number, value: number, reap: boolean) {
  const bytes = process.kernels.allocate(UNIT_BYTES).fill(value);
  const memory = process.kernels.registerMemory(bytes);
  disk.queueWrite(unit, memory, 0, UNIT_BYTES, unit * UNIT_BYTES);
  disk.submit();
  if (reap) reapAll(disk, 1);
  return { bytes, memory };
}

async function readUnit(machine: SimMachine, unit: number): Promise<Uint8Array> {
  const process = machine.startProcess();
  const disk = await process.pools.open('pool', LOCK);
  const bytes = process.kernels.allocate(UNIT_BYTES);
  await disk.read(bytes, unit * UNIT_BYTES);
  await disk.close();
  return bytes;
}

/** The values of a unit's sectors; fails if one is torn below 512 bytes. */
function sectorValues(bytes: Uint8Array): number[] {
  const values: number[] = [];
  for (let at = 0; at < bytes.byteLength; at += SECTOR_BYTES) {
    const sector = bytes.subarray(at, at + SECTOR_BYTES);
    expect(sector.every((byte) => byte === sector[0])).toBe(true);
    values.push(sector[0] ?? -1);
  }
  return values;
}

describe('simulated disk', () => {
  describeDiskContract(async () => {
    const { process, disk } = await makeMachine(5);
    return { platform: process, disk };
  });

  it('keeps what was synced through any loss of power', async () => {
    const property = fc.asyncProperty(seeds, async (seed) => {
      const { machine, process, disk } = await makeMachine(seed);
      writeUnit(process, disk, 1, 7, true);
      disk.queueSync(0);
      disk.submit();
      reapAll(disk, 1);
      writeUnit(process, disk, 2, 8, false);
      machine.losePower();
      expect(new Set(sectorValues(await readUnit(machine, 1)))).toEqual(new Set([7]));
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it('leaves of an unsynced write all, nothing or some sectors, each of these sometimes', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const { machine, process, disk } = await makeMachine(seed);
      writeUnit(process, disk, 1, 7, true);
      machine.losePower();
      const values = new Set(sectorValues(await readUnit(machine, 1)));
      seen.add([...values].sort().join());
    }
    expect([...seen].sort()).toEqual(['0', '0,7', '7']);
  });

  it('loses nothing that was reaped when only a process dies', async () => {
    const property = fc.asyncProperty(seeds, async (seed) => {
      const { machine, process, disk } = await makeMachine(seed);
      writeUnit(process, disk, 1, 7, true);
      machine.killProcesses();
      expect(new Set(sectorValues(await readUnit(machine, 1)))).toEqual(new Set([7]));
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it('lets a submitted write land, or not, or tear, when its process dies', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const { machine, process, disk } = await makeMachine(seed);
      writeUnit(process, disk, 1, 7, false);
      machine.killProcesses();
      seen.add([...new Set(sectorValues(await readUnit(machine, 1)))].sort().join());
    }
    expect([...seen].sort()).toEqual(['0', '0,7', '7']);
  });

  it('stores later unsynced writes without earlier ones, sometimes', async () => {
    let reorderedCount = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { machine, process, disk } = await makeMachine(seed);
      writeUnit(process, disk, 1, 7, true);
      writeUnit(process, disk, 2, 7, true);
      machine.losePower();
      const first = sectorValues(await readUnit(machine, 1));
      const second = sectorValues(await readUnit(machine, 2));
      if (first.includes(0) && second.includes(7)) reorderedCount += 1;
    }
    expect(reorderedCount).toBeGreaterThan(5);
  });

  it('does not let a sync cover a write that was reaped after it was queued', async () => {
    let lostCount = 0;
    for (let seed = 0; seed < 100; seed++) {
      const { machine, process, disk } = await makeMachine(seed);
      const memory = process.kernels.registerMemory(process.kernels.allocate(UNIT_BYTES).fill(9));
      disk.queueWrite(0, memory, 0, UNIT_BYTES, 0);
      disk.queueSync(1);
      disk.submit();
      reapAll(disk, 2);
      machine.losePower();
      if (sectorValues(await readUnit(machine, 0)).includes(0)) lostCount += 1;
    }
    expect(lostCount).toBeGreaterThan(20);
  });

  it('does not let a sync cover a write that is complete but not reaped', async () => {
    let lostCount = 0;
    for (let seed = 0; seed < 100; seed++) {
      const { machine, process, disk } = await makeMachine(seed);
      writeUnit(process, disk, 0, 9, false);
      while (!disk.hasCompletions());
      disk.queueSync(1);
      disk.submit();
      reapAll(disk, 2);
      machine.losePower();
      if (sectorValues(await readUnit(machine, 0)).includes(0)) lostCount += 1;
    }
    expect(lostCount).toBeGreaterThan(20);
  });

  it('never shows an older write once a newer one of that place was stored', async () => {
    const property = fc.asyncProperty(seeds, async (seed) => {
      const { machine, process, disk, file } = await makeMachine(seed);
      file.faults.failOnce('syncError');
      writeUnit(process, disk, 1, 7, true);
      await expect(disk.sync()).rejects.toMatchObject({ code: 'pool_failed' });
      writeUnit(process, disk, 1, 8, true);
      await disk.sync();
      machine.losePower();
      expect(new Set(sectorValues(await readUnit(machine, 1)))).toEqual(new Set([8]));
    });
    await fc.assert(property, { numRuns: 100 });
  });

  it('may lose after a failed sync what no later sync saves', async () => {
    let lostCount = 0;
    for (let seed = 0; seed < 50; seed++) {
      const { machine, process, disk, file } = await makeMachine(seed);
      file.faults.failOnce('syncError');
      writeUnit(process, disk, 1, 7, true);
      await expect(disk.sync()).rejects.toMatchObject({ code: 'pool_failed' });
      await disk.sync();
      machine.losePower();
      if (sectorValues(await readUnit(machine, 1)).includes(0)) lostCount += 1;
    }
    expect(lostCount).toBeGreaterThan(5);
  });

  it('catches memory that changes while it is lent, and writes in flight that overlap', async () => {
    const first = await makeMachine(1);
    const { bytes, memory } = writeUnit(first.process, first.disk, 1, 7, false);
    bytes[0] = 8;
    expect(() => reapAll(first.disk, 1)).toThrow('changed in flight');
    const second = await makeMachine(1);
    writeUnit(second.process, second.disk, 1, 7, false);
    second.disk.queueWrite(9, memory, 0, UNIT_BYTES, UNIT_BYTES);
    expect(() => second.disk.submit()).toThrow('overlap');
  });

  it('fails, loses, misplaces and flips only what it is asked to', async () => {
    const { process, disk, file } = await makeMachine(3);
    file.faults.failOnce('writeError', 1);
    file.faults.failOnce('readError');
    await disk.write(process.kernels.allocate(UNIT_BYTES).fill(1), 0);
    const failing = disk.write(process.kernels.allocate(UNIT_BYTES).fill(1), 0);
    await expect(failing).rejects.toMatchObject({ code: 'pool_failed' });
    const bytes = process.kernels.allocate(UNIT_BYTES);
    await expect(disk.read(bytes, 0)).rejects.toMatchObject({ code: 'media_error' });
    file.faults.failOnce('lostWrite');
    await disk.write(process.kernels.allocate(UNIT_BYTES).fill(2), UNIT_BYTES);
    await disk.read(bytes, UNIT_BYTES);
    expect(new Set(bytes)).toEqual(new Set([0]));
    file.faults.failOnce('bitFlip');
    await disk.write(process.kernels.allocate(UNIT_BYTES).fill(2), UNIT_BYTES);
    await disk.read(bytes, UNIT_BYTES);
    expect(bytes.filter((byte) => byte !== 2).length).toBe(1);
    file.faults.failOnce('misdirectedWrite');
    await disk.write(process.kernels.allocate(UNIT_BYTES).fill(3), 2 * UNIT_BYTES);
    await disk.read(bytes, 2 * UNIT_BYTES);
    expect(bytes.filter((byte) => byte === 3).length).toBeLessThan(UNIT_BYTES);
    expect(Object.values(file.faults.counts)).toEqual([1, 1, 0, 1, 1, 1]);
  });

  it('does the same for the same seed, and something else for another', async () => {
    const run = async (seed: number) => {
      const { machine, process, disk } = await makeMachine(seed);
      for (let unit = 0; unit < 50; unit++) writeUnit(process, disk, unit, unit, false);
      reapAll(disk, 50);
      machine.losePower();
      const bytes = await readUnit(machine, 7);
      return [machine.traceHash, machine.pointCount, machine.time.nowUs, sectorValues(bytes)];
    };
    expect(await run(11)).toEqual(await run(11));
    expect(await run(11)).not.toEqual(await run(12));
  });

  it('costs nothing while it is empty', async () => {
    const { process, disk, file } = await makeMachine(1, 2 ** 40);
    await disk.write(process.kernels.allocate(UNIT_BYTES).fill(1), 2 ** 40 - UNIT_BYTES);
    await disk.sync();
    expect(file.residentBytes).toBe(UNIT_BYTES);
    expect(file.counts).toMatchObject({ writeCount: 1, writeBytes: UNIT_BYTES, syncCount: 1 });
  });

  it('dies at the crash point asked for, and stays dead', async () => {
    const { machine, process, disk } = await makeMachine(1);
    machine.armCrash(1);
    const bytes = process.kernels.allocate(UNIT_BYTES);
    await expect(disk.write(bytes, 0)).rejects.toBeInstanceOf(SimulatedCrash);
    expect(machine.lastPoint).toBe('write.before');
    expect(process.alive).toBe(false);
    expect(() => disk.hasCompletions()).toThrow(SimulatedCrash);
    expect(() => process.clock.nowUs()).toThrow(SimulatedCrash);
    expect(() => process.banks.open('bank')).toThrow(SimulatedCrash);
    await expect(disk.sync()).rejects.toBeInstanceOf(SimulatedCrash);
  });
});
