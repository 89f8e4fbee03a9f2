/** Rows of the request table: each is given to one claimer, counted for its session, given back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestState, RequestTable, TABLE_FULL } from '../../src/volumes/request-table.ts';

describe('request table', () => {
  it('gives each row to one claimer at a time and counts by session', () => {
    const commands = fc.array(fc.tuple(fc.boolean(), fc.nat(3)), { maxLength: 200 });
    const property = fc.property(commands, (schedule) => {
      const table = new RequestTable(16, 4);
      const claimed: { row: number; session: number }[] = [];
      for (const [claims, number] of schedule) {
        if (claims) {
          const row = table.claim(number);
          expect(row === TABLE_FULL).toBe(claimed.length === 16);
          if (row === TABLE_FULL) continue;
          expect(claimed.some((other) => other.row === row)).toBe(false);
          expect([table.flags[row], table.extentCount[row]]).toEqual([0, 0]);
          table.flags[row] = 1;
          table.addExtent(row, 0, 512);
          claimed.push({ row, session: number });
        } else {
          const [gone] = claimed.splice(number % Math.max(1, claimed.length), 1);
          if (gone !== undefined) table.release(gone.row);
        }
        expect(table.claimedCount).toBe(claimed.length);
        for (let session = 0; session < 4; session++) {
          const count = claimed.filter((one) => one.session === session).length;
          expect(table.inFlightOf(session)).toBe(count);
        }
      }
    });
    fc.assert(property);
  });

  it('does not take back a row that the engine has', () => {
    const table = new RequestTable(4, 1);
    const row = table.claim(0);
    table.state[row] = RequestState.SUBMITTED;
    expect(() => table.release(row)).toThrow('the engine gives a row back');
  });

  it('says whether extents hold exactly the sectors', () => {
    const table = new RequestTable(4, 1);
    const row = table.claim(0);
    table.sectorCount[row] = 3;
    table.addExtent(row, 0, 1000);
    table.addExtent(row, 5000, 500);
    expect(table.extentsFit(row)).toBe(false);
    table.addExtent(row, 9000, 36);
    expect(table.extentsFit(row)).toBe(true);
  });
});
