/**
 * The allocator of the data area against its model, a plain map of units: pieces never overlap,
 * nothing is lost, and `takeAnywhere` refuses only where no free run is long enough. Says nothing
 * about speed.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataSpace, NO_SPACE } from '../../guest/data-space.ts';
import { BLOCK_BYTES } from '../../src/base/units.ts';

const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom('take', 'takeAnywhere'),
    value: fc.oneof(
      fc.integer({ min: 1, max: 9 * BLOCK_BYTES }),
      fc.nat(40).map((units) => (units + 1) * BLOCK_BYTES),
    ),
  }),
  fc.record({ kind: fc.constant('give'), value: fc.nat(1000) }),
);

function longestRun(used: readonly boolean[]): number {
  let longest = 0;
  let run = 0;
  for (const unit of used) {
    run = unit ? 0 : run + 1;
    longest = Math.max(longest, run);
  }
  return longest;
}

describe('data space', () => {
  it('hands out pieces that do not overlap and takes them back whole, for any schedule', () => {
    const units = fc.integer({ min: 2, max: 70 });
    const property = fc.property(units, fc.array(step, { maxLength: 120 }), (unitCount, steps) => {
      const space = new DataSpace(unitCount * BLOCK_BYTES);
      const used = new Array<boolean>(unitCount).fill(false);
      const pieces: { offset: number; byteLength: number }[] = [];
      const mark = (offset: number, byteLength: number, value: boolean) => {
        const first = offset / BLOCK_BYTES;
        for (let unit = first; unit < first + Math.ceil(byteLength / BLOCK_BYTES); unit++) {
          expect(used[unit]).toBe(!value);
          used[unit] = value;
        }
      };
      for (const { kind, value } of steps) {
        if (kind === 'give') {
          const [piece] = pieces.splice(value % Math.max(1, pieces.length), 1);
          if (piece === undefined) continue;
          mark(piece.offset, piece.byteLength, false);
          space.give(piece.offset, piece.byteLength);
        } else {
          const anywhere = kind === 'takeAnywhere';
          const offset = anywhere ? space.takeAnywhere(value) : space.take(value);
          if (offset === NO_SPACE) {
            const fits = longestRun(used) >= Math.ceil(value / BLOCK_BYTES);
            if (anywhere) expect(fits).toBe(false);
            continue;
          }
          expect(offset % BLOCK_BYTES).toBe(0);
          mark(offset, value, true);
          pieces.push({ offset, byteLength: value });
        }
        expect(space.freeBytes).toBe(used.filter((unit) => !unit).length * BLOCK_BYTES);
      }
      for (const { offset, byteLength } of pieces) space.give(offset, byteLength);
      // What was split is joined again: the largest aligned block is one block.
      const largest = 2 ** Math.floor(Math.log2(unitCount)) * BLOCK_BYTES;
      expect(space.take(largest)).toBe(0);
      space.give(0, largest);
      expect(space.takeAnywhere(unitCount * BLOCK_BYTES)).toBe(0);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('refuses to take a piece back twice', () => {
    const space = new DataSpace(8 * BLOCK_BYTES);
    const offset = space.take(BLOCK_BYTES);
    space.give(offset, BLOCK_BYTES);
    expect(() => space.give(offset, BLOCK_BYTES)).toThrow(/./);
  });
});
