/** The segment table against a plain model, through checkpoints that come late or not at all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BODY_BYTES } from '../../src/formats/checkpoint-page.ts';
import { SegmentState } from '../../src/formats/sut-entry.ts';
import { SegmentTable } from '../../src/log/segment-table.ts';
import { CHECKSUMS } from '../formats/support/fixtures.ts';

const SEGMENTS = 70;
const BLOCKS = 16;

/** Through pages and back. */
function reload(table: SegmentTable): SegmentTable {
  const loaded = new SegmentTable(SEGMENTS, BLOCKS);
  for (let page = 0; page < table.pageCount; page++) {
    const bytes = new Uint8Array(PAGE_BODY_BYTES);
    const view = new DataView(bytes.buffer);
    const count = table.encodePage(bytes, view, 0, page, CHECKSUMS);
    expect(loaded.loadPage(bytes, view, 0, page, count, CHECKSUMS)).toBeUndefined();
  }
  return loaded;
}

describe('segment table', () => {
  it('R10: a dead segment is free only after a checkpoint that was cut after its death', () => {
    const table = new SegmentTable(SEGMENTS, BLOCKS);
    const segment = table.allocate(SegmentState.open, 1);
    table.addBlock(segment, 5);
    table.seal(segment);
    table.freeze([], [], 0);
    table.removeBlock(segment, 6);
    table.freeCut([]);
    expect(table.stateOf(segment)).toBe(SegmentState.freeing);
    table.freeze([], [], 0);
    expect(table.stateOf(segment)).toBe(SegmentState.freeing);
    expect(reload(table).stateOf(segment)).toBe(SegmentState.free);
    table.freeCut([]);
    expect(table.stateOf(segment)).toBe(SegmentState.free);
  });

  it('I1: counts what the model counts, and comes back from its pages as it was at the cut', () => {
    const step = fc.record({
      do: fc.constantFrom('open', 'add', 'add', 'remove', 'remove', 'seal', 'cut', 'durable'),
      pick: fc.nat(),
    });
    const property = fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new SegmentTable(SEGMENTS, BLOCKS);
      const live = new Map<number, number>();
      const open: number[] = [];
      let cutting = false;
      for (const [txn, { do: what, pick }] of steps.entries()) {
        const segment = open[pick % Math.max(1, open.length)];
        const holders = [...live.keys()].filter((each) => (live.get(each) ?? 0) > 0);
        const holder = holders[pick % Math.max(1, holders.length)];
        if (what === 'open') {
          const opened = table.allocate(SegmentState.open, 1);
          expect(live.get(opened) ?? 0).toBe(0);
          if (opened < SEGMENTS) open.push(opened);
        } else if (what === 'add' && segment !== undefined && (live.get(segment) ?? 0) < BLOCKS) {
          table.addBlock(segment, txn + 1);
          live.set(segment, (live.get(segment) ?? 0) + 1);
        } else if (what === 'remove' && holder !== undefined) {
          table.removeBlock(holder, txn + 1);
          live.set(holder, (live.get(holder) ?? 0) - 1);
        } else if (what === 'seal' && segment !== undefined) {
          table.seal(segment);
          open.splice(open.indexOf(segment), 1);
        } else if (what === 'cut' && !cutting) {
          table.freeze([], [], 0);
          cutting = true;
          const loaded = reload(table);
          for (let s = 0; s < SEGMENTS; s++) expect(loaded.liveOf(s)).toBe(live.get(s) ?? 0);
        } else if (what === 'durable' && cutting) {
          table.freeCut([]);
          cutting = false;
        }
      }
      for (let s = 0; s < SEGMENTS; s++) expect(table.liveOf(s)).toBe(live.get(s) ?? 0);
      expect(table.freeCount).toBe(table.segmentsIn(SegmentState.free).length);
      const dead = table.segmentsIn(SegmentState.freeing).length;
      expect(table.freeingCount + table.freeableCount).toBe(dead);
    });
    fc.assert(property, { numRuns: 200 });
  });
});
