/** Entries are walked without ever leaving them, whatever they say. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ENTRY_BYTES,
  OperationKind,
  putBlockEntry,
  putOperationEntry,
  putRangeEntry,
  shapeOfEntries,
} from '../../src/formats/summary-entry.ts';
import { expectGolden } from './support/golden.ts';

function entries(): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(5 * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  putOperationEntry(view, 0, OperationKind.write, 1, 77, 2, 3, 0x1_0000_0004, 9, 500, 2);
  putBlockEntry(view, 32, 1, 11, 0x1_0000_0001, 0);
  putBlockEntry(view, 64, 1, 12, 0x1_0000_0002, 0x1_0000_0000);
  putOperationEntry(view, 96, OperationKind.discard, 0, 77, 2, 4, 0x1_0000_0005, 9, 501, 1);
  putRangeEntry(view, 128, 1, 40, 1000);
  return { bytes, view };
}

describe('summary entries', () => {
  it('look as they always did, and are counted', () => {
    const { bytes, view } = entries();
    expectGolden('summary-entries', bytes);
    const shape = { operationCount: 2, blockCount: 2, txnFirst: 500, txnLast: 501 };
    expect(shapeOfEntries(view, 0, 5)).toEqual(shape);
  });

  it('are refused when cut short, of an unknown kind, out of order or with reserve in use', () => {
    expect(shapeOfEntries(entries().view, 0, 4)).toBe(
      'operation reaches past the entries at entry 3',
    );
    const unknown = entries();
    unknown.bytes[0] = 200;
    expect(shapeOfEntries(unknown.view, 0, 5)).toBe('unknown operation kind 200 at entry 0');
    const zeroed = { view: new DataView(new ArrayBuffer(64)) };
    expect(shapeOfEntries(zeroed.view, 0, 2)).toBe('unknown operation kind 0 at entry 0');
    const order = entries();
    order.bytes[96 + 24] = 0xff;
    expect(shapeOfEntries(order.view, 0, 5)).toBe('txn out of order at entry 3');
    const reserve = entries();
    reserve.bytes[128 + 31] = 1;
    expect(shapeOfEntries(reserve.view, 0, 5)).toBe('reserved bytes are not zero at entry 3');
  });

  it('R9: are walked within their bounds, whatever the bytes', () => {
    const property = fc.property(fc.uint8Array({ minLength: 320, maxLength: 320 }), (bytes) => {
      const shape = shapeOfEntries(new DataView(bytes.slice().buffer), 0, 10);
      if (typeof shape !== 'string') expect(shape.blockCount).toBeLessThan(10);
    });
    fc.assert(property, { numRuns: 500 });
  });
});
