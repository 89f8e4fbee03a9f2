/**
 * The journal against its model, a queue: whatever is published and not retired is what the next
 * process reads, in order, also across the ring's end and where the 32-bit counts wrap.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bankBytesOf,
  encodeBankHeader,
  frameSeedOf,
  PUBLISHED_WORD,
  RETIRED_WORD,
} from '../../src/formats/bank.ts';
import { Journal, readFrames } from '../../src/log/journal.ts';
import { CHECKSUMS, idOf } from '../formats/support/fixtures.ts';

const GEOMETRY = { journalUnits: 64, bufferCount: 2, bufferBytes: 4096 };
const SEED = frameSeedOf(idOf(2));
const ABOUT_TO_WRAP = 0xffff_ffc0;

function makeJournal(start: number) {
  const bank = new Uint8Array(bankBytesOf(GEOMETRY));
  const identity = { poolId: idOf(1), bankId: idOf(2), bootId: 'boot' };
  encodeBankHeader(bank, identity, GEOMETRY, CHECKSUMS);
  const words = new Int32Array(bank.buffer);
  words[PUBLISHED_WORD] = start | 0;
  words[RETIRED_WORD] = start | 0;
  return { bank, journal: new Journal(bank, GEOMETRY, SEED, CHECKSUMS) };
}

function read(bank: Uint8Array): number[][] {
  const words = new Uint32Array(bank.buffer);
  return readFrames(bank, GEOMETRY, SEED, CHECKSUMS).map((frame) =>
    Array.from(
      { length: frame.entryCount },
      (_, i) => words[frame.entriesAt / 4 + 8 * i] as number,
    ),
  );
}

describe('journal', () => {
  it('R2: shows what was published and not retired, whole and in order', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constant('retire' as const), count: fc.integer({ min: 1, max: 3 }) }),
    );
    const property = fc.property(
      fc.constantFrom(0, ABOUT_TO_WRAP),
      fc.array(step, { maxLength: 80 }),
      (start, steps) => {
        const { bank, journal } = makeJournal(start);
        const model: { values: number[]; end: number }[] = [];
        let next = 1;
        for (const { do: what, count } of steps) {
          if (what === 'retire') {
            const done = model.splice(0, count).at(-1);
            if (done !== undefined) journal.retire(done.end);
          } else if (journal.hasRoomFor(count)) {
            const values = Array.from({ length: count }, () => next++);
            const entries = new Uint32Array(8 * (count + 1));
            for (const [i, value] of values.entries()) entries[8 * (i + 1)] = value;
            journal.publish(entries, 8, count, 1, 2, 3, 4);
            model.push({ values, end: journal.published });
          }
          expect(read(bank)).toEqual(model.map(({ values }) => values));
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it('has room again once frames are retired', () => {
    const { journal } = makeJournal(0);
    const entries = new Uint32Array(8 * 20);
    const ends: number[] = [];
    while (journal.hasRoomFor(10)) {
      journal.publish(entries, 0, 10, 0, 0, 0, 1);
      ends.push(journal.published);
    }
    expect(ends.length).toBeGreaterThan(2);
    journal.retire(ends[1] as number);
    expect(journal.hasRoomFor(10)).toBe(true);
    expect(() => journal.retire(journal.published + 1)).toThrow('was published');
  });
});
