/**
 * Held requests against a list: a request is told to wait for the newest one before it that
 * touches one of its blocks, unless both only read; and when all are let go in any order that the
 * answers allow, two that conflict never change places.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HELD_NONE, HeldRanges } from '../../src/volumes/held-ranges.ts';

interface Range {
  readonly space: number;
  readonly firstLba: number;
  readonly endLba: number;
  readonly mutates: boolean;
}

const ranges: fc.Arbitrary<Range> = fc
  .record({
    space: fc.nat(2),
    firstLba: fc.oneof(fc.nat(20), fc.nat(2 ** 20), fc.constantFrom(255, 256, 257)),
    count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom(256, 5000, 2 ** 21)),
    mutates: fc.boolean(),
  })
  .map(({ space, firstLba, count, mutates }) => {
    return { space, firstLba, endLba: firstLba + count, mutates };
  });

function conflict(a: Range, b: Range): boolean {
  if (a.space !== b.space || !(a.mutates || b.mutates)) return false;
  return a.firstLba < b.endLba && b.firstLba < a.endLba;
}

describe('held ranges', () => {
  it('R14: names the newest earlier request that may not be overtaken', () => {
    const steps = fc.array(fc.tuple(ranges, fc.boolean(), fc.nat()), { maxLength: 60 });
    const property = fc.property(steps, (schedule) => {
      const held = new HeldRanges(64);
      const list: { row: number; range: Range }[] = [];
      for (const [row, [range, letsGo, pick]] of schedule.entries()) {
        const expected = list.findLast((other) => conflict(other.range, range))?.row ?? HELD_NONE;
        const { space, firstLba, endLba, mutates } = range;
        expect(held.findConflict(space, firstLba, endLba, mutates)).toBe(expected);
        held.hold(row, space, firstLba, endLba, mutates);
        list.push({ row, range });
        expect(held.findEarlierConflict(row)).toBe(expected);
        if (letsGo) {
          const [gone] = list.splice(pick % list.length, 1);
          held.letGo(gone?.row ?? 0);
        }
        expect(held.count).toBe(list.length);
      }
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('R14: conflicting requests finish in the order of their arrival', () => {
    const inputs = fc.tuple(fc.array(ranges, { maxLength: 40 }), fc.infiniteStream(fc.nat()));
    const property = fc.property(inputs, ([arrivals, picks]) => {
      const held = new HeldRanges(64);
      const running: number[] = [];
      const finished: number[] = [];
      for (const [row, { space, firstLba, endLba, mutates }] of arrivals.entries()) {
        const other = held.findConflict(space, firstLba, endLba, mutates);
        held.hold(row, space, firstLba, endLba, mutates);
        if (other === HELD_NONE) running.push(row);
        else held.waitFor(row, other);
      }
      while (running.length > 0) {
        const [row] = running.splice((picks.next().value as number) % running.length, 1);
        finished.push(row as number);
        let dependent = held.letGo(row as number);
        while (dependent !== HELD_NONE) {
          const next = held.nextDependent(dependent);
          const other = held.findEarlierConflict(dependent);
          if (other === HELD_NONE) running.push(dependent);
          else held.waitFor(dependent, other);
          dependent = next;
        }
      }
      expect(finished).toHaveLength(arrivals.length);
      for (const [i, later] of finished.entries()) {
        for (const earlier of finished.slice(i + 1)) {
          const overtook = earlier < later;
          if (overtook) {
            expect(conflict(arrivals[earlier] as Range, arrivals[later] as Range)).toBe(false);
          }
        }
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});
