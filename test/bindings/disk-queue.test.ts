/**
 * Disk queues against a plain buffer, on both backends and with direct I/O, and their results where
 * the file ends, refuses or is not what it was taken for. What survives a crash is not tested here.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.ts';
import { type DiskBackend, DiskQueue } from '../../src/bindings/disk-queue.ts';
import { closeFd, OpenFlag, openFile, truncateFile, writeAt } from '../../src/bindings/files.ts';
import { registerMemory, unregisterMemory } from '../../src/bindings/kernels.ts';
import { allocateAligned, createMemfd, mappedBytes, mapShared } from '../../src/bindings/memory.ts';
import { errnoName } from '../../src/bindings/system-error.ts';
import { Poller } from '../../src/bindings/waiting.ts';
import { findDirectFolder, makeFolder, openFdCount } from './fixtures.ts';

const BLOCK_BYTES = 4096;
const BLOCK_COUNT = 64;
const FILE_BYTES = BLOCK_COUNT * BLOCK_BYTES;
const ENTRY_COUNT = 16;
const LONG_MS = 60_000;

const directFolder = findDirectFolder();

function uringRefusal(): string | undefined {
  const fd = createMemfd('probe', BLOCK_BYTES);
  try {
    new DiskQueue(fd, { entryCount: 1, backend: 'io_uring' }).close();
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    closeFd(fd);
  }
}

/** Waits for at least one completion and returns all as [slot, result]. */
function reapSome(queue: DiskQueue, poller: Poller): [number, number][] {
  for (;;) {
    const count = queue.hasCompletions() ? queue.reap() : 0;
    if (count > 0) {
      const slots = [...queue.completedSlots.subarray(0, count)];
      return slots.map((slot, index) => [slot, queue.completedResults[index] ?? 0]);
    }
    expect(poller.wait(LONG_MS), 'a completion rings').toBeGreaterThan(0);
  }
}

/** Submits, waits for all, and returns the result of each slot. */
function finish(queue: DiskQueue): Map<number, number> {
  const poller = new Poller();
  poller.add(queue.eventFd);
  const results = new Map<number, number>();
  queue.submit();
  while (queue.inFlightCount > 0) {
    for (const [slot, result] of reapSome(queue, poller)) {
      expect(results.has(slot), 'a slot completes once').toBe(false);
      results.set(slot, result);
    }
  }
  poller.close();
  return results;
}

/** One operation of a round; a round touches each block at most once. */
interface Step {
  readonly kind: 'read' | 'write' | 'sync';
  readonly block: number;
  readonly count: number;
  readonly fill: number;
}

const step = fc.record<Step>({
  kind: fc.constantFrom('read', 'read', 'write', 'write', 'sync'),
  block: fc.nat(BLOCK_COUNT - 1),
  count: fc.integer({ min: 1, max: 5 }),
  fill: fc.nat(255),
});

function chooseDisjoint(steps: readonly Step[]): Step[] {
  const taken = new Set<number>();
  const chosen: Step[] = [];
  for (const it of steps) {
    const blocks = [...new Array(it.count).keys()].map((i) => it.block + i);
    if (it.kind !== 'sync') {
      if (blocks.some((block) => block >= BLOCK_COUNT || taken.has(block))) continue;
      for (const block of blocks) taken.add(block);
    }
    chosen.push(it);
  }
  return chosen.slice(0, ENTRY_COUNT);
}

describe.skipIf(directFolder === undefined).each<DiskBackend>(['io_uring', 'threads'])(
  'a disk queue on %s',
  (backend) => {
    const refusal = backend === 'io_uring' ? uringRefusal() : undefined;
    if (refusal !== undefined) {
      it.skip(`is refused here: ${refusal}`, () => {});
      return;
    }
    let folder = makeFolder();
    let path = '';
    let fd = -1;
    let fdsBefore = 0;
    const area = allocateAligned(FILE_BYTES).bytes;
    let memory = -1;

    beforeEach(() => {
      folder.remove();
      folder = makeFolder(directFolder);
      path = join(folder.path, 'file');
      fdsBefore = openFdCount();
      fd = openFile(path, OpenFlag.READ_WRITE | OpenFlag.CREATE | OpenFlag.DIRECT);
      truncateFile(fd, FILE_BYTES);
      memory = registerMemory(area);
    });
    afterEach(() => {
      unregisterMemory(memory);
      closeFd(fd);
      expect(openFdCount()).toBe(fdsBefore);
      folder.remove();
    });

    function queueStep(queue: DiskQueue, slot: number, it: Step): void {
      const at = it.block * BLOCK_BYTES;
      const byteLength = it.count * BLOCK_BYTES;
      if (it.kind === 'read') {
        area.fill(0xee, at, at + byteLength);
        expect(queue.queueRead(slot, memory, at, byteLength, at)).toBe(true);
      } else if (it.kind === 'write') {
        area.fill(it.fill, at, at + byteLength);
        expect(queue.queueWrite(slot, memory, at, byteLength, at)).toBe(true);
      } else {
        expect(queue.queueSync(slot)).toBe(true);
      }
    }

    it('reads and writes what a plain buffer would', () => {
      const queue = new DiskQueue(fd, { entryCount: ENTRY_COUNT, backend });
      expect(queue.backend).toBe(backend);
      const model = new Uint8Array(FILE_BYTES);
      truncateFile(fd, 0);
      truncateFile(fd, FILE_BYTES);
      const rounds = fc.array(fc.array(step, { maxLength: 30 }), { maxLength: 4 });
      const property = fc.property(rounds, (candidates) => {
        for (const steps of candidates.map(chooseDisjoint)) {
          for (const [slot, it] of steps.entries()) queueStep(queue, slot, it);
          const results = finish(queue);
          expect(results.size).toBe(steps.length);
          for (const [slot, it] of steps.entries()) {
            const start = it.block * BLOCK_BYTES;
            const end = start + it.count * BLOCK_BYTES;
            if (it.kind === 'write') model.fill(it.fill, start, end);
            expect(results.get(slot)).toBe(it.kind === 'sync' ? 0 : end - start);
            if (it.kind !== 'sync') {
              expect(Buffer.compare(area.subarray(start, end), model.subarray(start, end))).toBe(0);
            }
          }
        }
      });
      fc.assert(property, { numRuns: 60 });
      queue.close();
      expect(Buffer.compare(readFileSync(path), model)).toBe(0);
    });

    it('takes as many operations as it has entries, then asks to reap', () => {
      const queue = new DiskQueue(fd, { entryCount: 4, backend });
      const read = (slot: number) => queue.queueRead(slot, memory, slot * 4096, 4096, slot * 4096);
      expect([0, 1, 2, 3, 4].map(read)).toEqual([true, true, true, true, false]);
      expect([queue.queuedCount, queue.inFlightCount]).toEqual([4, 4]);
      queue.submit();
      expect([queue.queuedCount, queue.inFlightCount]).toEqual([0, 4]);
      expect(read(4)).toBe(false);
      expect(finish(queue).size).toBe(4);
      expect([queue.hasCompletions(), queue.reap(), read(4)]).toEqual([false, 0, true]);
      expect(finish(queue).get(4)).toBe(4096);
      queue.close();
    });

    it('tells of completions without a call', () => {
      const queue = new DiskQueue(fd, { entryCount: 4, backend });
      expect(queue.hasCompletions()).toBe(false);
      queue.queueRead(1, memory, 0, 4096, 0);
      expect(queue.hasCompletions()).toBe(false);
      queue.submit();
      // The thread makes no system call here: the word must change by itself.
      while (!queue.hasCompletions());
      expect(queue.reap()).toBe(1);
      queue.close();
    });

    it('gives what there is at the end of the file', () => {
      truncateFile(fd, 4096 + 5000);
      const queue = new DiskQueue(fd, { entryCount: 8, backend });
      queue.queueRead(0, memory, 0, 4096, 0);
      queue.queueRead(1, memory, 4096, 8192, 4096);
      queue.queueRead(2, memory, 16384, 4096, 1 << 20);
      queue.queueWrite(3, memory, 32768, 4096, 1 << 20);
      const results = finish(queue);
      expect([0, 1, 3].map((slot) => results.get(slot))).toEqual([4096, 5000, 4096]);
      // Read before or after the write beside it.
      expect([0, 4096]).toContain(results.get(2));
      queue.close();
    });

    it('gives the errno of what was refused, and goes on', () => {
      // Real blocks: in a hole nothing asks the device, and so nothing asks for alignment.
      writeAt(fd, area.subarray(0, 16384), 0);
      const reader = openFile(path, OpenFlag.READ_ONLY | OpenFlag.DIRECT);
      const queue = new DiskQueue(reader, { entryCount: 8, backend });
      queue.queueWrite(0, memory, 0, 4096, 0);
      queue.queueRead(1, memory, 1, 4096, 0);
      queue.queueRead(2, memory, 0, 4096, 1);
      queue.queueRead(3, memory, 8192, 4096, 0);
      const results = finish(queue);
      const names = [0, 1, 2].map((slot) => errnoName(results.get(slot) ?? 0));
      expect(names).toEqual(['EBADF', 'EINVAL', 'EINVAL']);
      expect(results.get(3)).toBe(4096);
      queue.close();
      closeFd(reader);

      const full = openFile('/dev/full', OpenFlag.READ_WRITE);
      const stuck = new DiskQueue(full, { entryCount: 1, backend });
      stuck.queueWrite(0, memory, 0, 4096, 0);
      expect(errnoName(finish(stuck).get(0) ?? 0)).toBe('ENOSPC');
      stuck.queueSync(0);
      expect(errnoName(finish(stuck).get(0) ?? 0)).toBe('EINVAL');
      stuck.close();
      closeFd(full);
      expect(() => new DiskQueue(1_000_000, { entryCount: 1, backend })).toThrow(
        expect.objectContaining({ code: 'system_error' }),
      );
    });

    it('starts nothing of a batch in which a row is outside its memory', () => {
      const queue = new DiskQueue(fd, { entryCount: 4, backend });
      const bad: [number, number, number, number, number][] = [
        [0, 77, 0, 4096, 0],
        [0, memory, FILE_BYTES - 4095, 4096, 0],
        [0, memory, -1, 4096, 0],
        [0, memory, 0.5, 4096, 0],
        [0, memory, 0, 0, 0],
        [0, memory, 0, 2 ** 31, 0],
        [0, memory, 0, 4096, -1],
        [0, memory, 0, Number.NaN, 0],
        [-1, memory, 0, 4096, 0],
        [2 ** 31, memory, 0, 4096, 0],
      ];
      for (const row of bad) {
        const victim = new DiskQueue(fd, { entryCount: 4, backend });
        victim.queueWrite(1, memory, 0, 4096, 0);
        victim.queueWrite(...row);
        expect(() => victim.submit(), String(row)).toThrow(AssertionError);
        expect(victim.reap()).toBe(0);
        victim.close();
      }
      queue.close();
    });

    it('pins memory in use, and its file', () => {
      const other = openFile(path, OpenFlag.READ_WRITE | OpenFlag.DIRECT);
      const mapped = allocateAligned(4096);
      const own = registerMemory(mapped.bytes);
      const queue = new DiskQueue(other, { entryCount: 4, backend });
      closeFd(other);
      queue.queueWrite(0, own, 0, 4096, 0);
      queue.submit();
      const busy = expect.objectContaining({
        details: expect.objectContaining({ errno: 'EBUSY' }),
      });
      // In use until reaped, even if it has completed.
      expect(() => unregisterMemory(own)).toThrow(busy);
      expect(() => mapped.unmap()).toThrow(busy);
      expect(finish(queue).get(0)).toBe(4096);
      unregisterMemory(own);
      mapped.unmap();
      queue.close();
    });

    it('waits on close for what is in flight, and gives everything back', () => {
      const before = mappedBytes();
      area.fill(0x5a);
      const queue = new DiskQueue(fd, { entryCount: 64, backend });
      for (let block = 0; block < BLOCK_COUNT - 1; block++) {
        queue.queueWrite(block, memory, block * 4096, 4096, block * 4096);
      }
      queue.queueSync(63);
      queue.submit();
      queue.close();
      queue.close();
      expect(mappedBytes()).toBe(before);
      expect(() => queue.submit()).not.toThrow();
      expect(
        readFileSync(path)
          .subarray(0, 63 * 4096)
          .every((byte) => byte === 0x5a),
      ).toBe(true);
    });

    it('reads and writes mappings of shared memory', () => {
      const shared = createMemfd('area', 8192);
      const mapped = mapShared(shared, 8192);
      const number = registerMemory(mapped.bytes);
      const queue = new DiskQueue(fd, { entryCount: 2, backend });
      mapped.bytes.fill(9, 0, 4096);
      queue.queueWrite(0, number, 0, 4096, 8192);
      finish(queue);
      queue.queueRead(0, number, 4096, 4096, 8192);
      finish(queue);
      expect(mapped.bytes.subarray(4096).every((byte) => byte === 9)).toBe(true);
      queue.close();
      unregisterMemory(number);
      mapped.unmap();
      closeFd(shared);
    });
  },
);
