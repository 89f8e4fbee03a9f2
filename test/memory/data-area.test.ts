/**
 * The allocator against a model, the list of blocks given out: they never overlap, lie within the
 * area, are aligned, and come together again when all are released. It leaves out who uses them.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AREA_FULL, DataArea, GRANULE_BYTES } from '../../src/memory/data-area.ts';

interface Block {
  readonly offset: number;
  readonly byteLength: number;
}

/** Claims until nothing is left, from the largest size down: what is free, in blocks. */
function drain(area: DataArea): Block[] {
  const blocks: Block[] = [];
  for (let byteLength = 2 ** 30; byteLength >= GRANULE_BYTES; byteLength /= 2) {
    for (;;) {
      const offset = area.claim(byteLength);
      if (offset === AREA_FULL) break;
      blocks.push({ offset, byteLength });
    }
  }
  return blocks;
}

describe('data area', () => {
  it('refuses what does not fit, and fits it once there is room', () => {
    const area = new DataArea(8192);
    const first = area.claim(4096);
    expect([first, area.claim(4096), area.claim(1)]).toEqual([0, 4096, AREA_FULL]);
    area.release(first);
    expect(area.claim(8192)).toBe(AREA_FULL);
    expect(area.claim(2048)).toBe(0);
  });

  it('asserts that a block is released once, and only where one starts', () => {
    const area = new DataArea(8192);
    const offset = area.claim(4096);
    expect(() => area.release(offset + 512)).toThrow('a block is released once');
    expect(() => area.release(offset + 1)).toThrow('blocks start at granules');
    expect(() => area.release(-512)).toThrow('blocks start at granules');
    expect(() => area.release(1 << 20)).toThrow('a block is released once');
    area.release(offset);
    expect(() => area.release(offset)).toThrow('a block is released once');
  });

  it('uses the whole of an area that is no power of two', () => {
    const property = fc.property(fc.integer({ min: 1, max: 5000 }), (granules) => {
      const area = new DataArea(granules * GRANULE_BYTES);
      const sum = drain(area).reduce((bytes, block) => bytes + block.byteLength, 0);
      expect(sum).toBe(granules * GRANULE_BYTES);
      expect(area.freeBytes).toBe(0);
    });
    fc.assert(property);
  });

  it('takes a gibibyte', () => {
    const area = new DataArea(2 ** 30);
    expect(area.claim(2 ** 30)).toBe(0);
    area.release(0);
    expect(area.freeBytes).toBe(2 ** 30);
  });

  it('gives out aligned blocks that do not overlap, and merges them again, for any schedule', () => {
    const step = fc.record({
      claim: fc.boolean(),
      byteLength: fc.oneof(fc.integer({ min: 1, max: 2048 }), fc.integer({ min: 1, max: 70_000 })),
      pick: fc.nat(),
    });
    const areas = fc.integer({ min: 16, max: 400 });
    const property = fc.property(areas, fc.array(step, { maxLength: 150 }), (granules, steps) => {
      const area = new DataArea(granules * GRANULE_BYTES);
      const initial = drain(area);
      for (const block of initial) area.release(block.offset);

      const owners = new Int32Array(granules).fill(-1);
      const held: Block[] = [];
      for (const [index, { claim, byteLength, pick }] of steps.entries()) {
        if (claim) {
          const offset = area.claim(byteLength);
          const whole = DataArea.blockBytes(byteLength);
          if (offset === AREA_FULL) {
            // Some block of that size and alignment would be wholly free only by our mistake.
            for (let at = 0; at + whole <= area.byteLength; at += whole) {
              const range = owners.subarray(at / GRANULE_BYTES, (at + whole) / GRANULE_BYTES);
              expect(range.some((owner) => owner !== -1)).toBe(true);
            }
            continue;
          }
          expect(whole).toBeGreaterThanOrEqual(byteLength);
          expect(offset % whole).toBe(0);
          expect(offset + whole).toBeLessThanOrEqual(area.byteLength);
          const range = owners.subarray(offset / GRANULE_BYTES, (offset + whole) / GRANULE_BYTES);
          expect(range.every((owner) => owner === -1)).toBe(true);
          range.fill(index);
          held.push({ offset, byteLength: whole });
        } else if (held.length > 0) {
          const [block] = held.splice(pick % held.length, 1) as [Block];
          area.release(block.offset);
          const first = block.offset / GRANULE_BYTES;
          owners.fill(-1, first, first + block.byteLength / GRANULE_BYTES);
        }
        const free = owners.filter((owner) => owner === -1).length;
        expect(area.freeBytes).toBe(free * GRANULE_BYTES);
      }
      for (const block of held) area.release(block.offset);
      expect(drain(area).map((block) => block.byteLength)).toEqual(
        initial.map((block) => block.byteLength),
      );
    });
    fc.assert(property, { numRuns: 500 });
  });
});
