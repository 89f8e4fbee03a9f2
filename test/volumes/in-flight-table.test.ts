/** Fills against a model: one for each place, waiters in the order of their arrival, and limits. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EDGE, FILL_NONE, InFlightTable, WAITER_NONE } from '../../src/volumes/in-flight-table.ts';

const FILLS = 8;
const WAITERS = 24;

function waitersOf(table: InFlightTable, fill: number): [number, number][] {
  const found: [number, number][] = [];
  let waiter = table.firstWaiter(fill);
  while (waiter !== WAITER_NONE) {
    found.push([table.waiterRow[waiter] as number, table.waiterBlock[waiter] as number]);
    waiter = table.nextWaiter(waiter);
  }
  return found;
}

describe('in-flight table', () => {
  it('R24: serializes fills of a place and keeps who waits in order', () => {
    const commands = fc.record({
      kind: fc.constantFrom('want', 'want', 'want', 'end'),
      // Places that share buckets of the hash.
      pba: fc.nat(20).map((n) => 1 + n * 8),
      row: fc.nat(100),
      block: fc.oneof(fc.nat(100), fc.constant(EDGE)),
    });
    const property = fc.property(fc.array(commands, { maxLength: 200 }), (schedule) => {
      const table = new InFlightTable(FILLS, WAITERS);
      const model = new Map<number, { fill: number; waiters: [number, number][] }>();
      let waiterCount = 0;
      for (const { kind, pba, row, block } of schedule) {
        let entry = model.get(pba);
        expect(table.find(pba)).toBe(entry?.fill ?? FILL_NONE);
        if (kind === 'want') {
          if (entry === undefined) {
            const fill = table.start(pba, pba * 3, 1, pba * 2, 7);
            expect(fill === FILL_NONE).toBe(model.size === FILLS);
            if (fill === FILL_NONE) continue;
            entry = { fill, waiters: [] };
            model.set(pba, entry);
          }
          expect(table.roomForWaiters).toBe(WAITERS - waiterCount);
          if (table.roomForWaiters === 0) continue;
          table.join(entry.fill, row, block);
          entry.waiters.push([row, block]);
          waiterCount++;
        } else if (entry !== undefined) {
          expect(waitersOf(table, entry.fill)).toEqual(entry.waiters);
          expect(table.sum[entry.fill]).toBe(pba * 3);
          waiterCount -= entry.waiters.length;
          table.end(entry.fill);
          model.delete(pba);
        }
        expect(table.fillCount).toBe(model.size);
      }
      for (const { fill, waiters } of model.values()) {
        expect(waitersOf(table, fill)).toEqual(waiters);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});
